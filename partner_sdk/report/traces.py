"""What a service knows of an account: addresses, logins, devices and places. Both suspects and children have these."""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import (
    NCMEC,
    UK,
    CallingCode,
    Country,
    Degrees,
    Moment,
    NotHeld,
    Port,
    Short,
    Text,
    YesNoUnknown,
    may,
    must,
    should,
)

EmailUse = Literal["account", "recovery", "billing", "other"]
PhoneType = Literal["mobile", "home", "work", "recovery", "other"]
AddressUse = Literal["home", "billing", "shipping", "work", "school", "other"]
LoginEvent = Literal["login", "registration", "upload", "message", "payment", "other"]


class Email(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One e-mail address."""

    address: Annotated[Short, must("The address.", UK, NCMEC)]
    use: Annotated[EmailUse | NotHeld | None, should("What it is for.", UK, NCMEC)] = None
    is_verified: Annotated[YesNoUnknown | NotHeld | None, should("Whether it was verified.", UK, NCMEC)] = None
    verified_at: Annotated[Moment | NotHeld | None, should("When it was verified.", UK, NCMEC)] = None


class Phone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One telephone number."""

    number: Annotated[Short, must("The number, best with its country code.", UK, NCMEC)]
    calling_code: Annotated[
        CallingCode | NotHeld | None, should("Country code, where the number has none.", UK, NCMEC)
    ] = None
    type: Annotated[PhoneType | NotHeld | None, should("What kind of number it is.", UK, NCMEC)] = None
    is_verified: Annotated[YesNoUnknown | NotHeld | None, should("Whether it was verified.", UK, NCMEC)] = None
    verified_at: Annotated[Moment | NotHeld | None, should("When it was verified.", UK, NCMEC)] = None


class PostalAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One postal address."""

    lines: Annotated[Text, must("The address, as it is held.", UK, NCMEC)]
    use: Annotated[AddressUse | NotHeld | None, may("What it is for.", UK, NCMEC)] = None
    country: Annotated[Country | NotHeld | None, may("Country (ISO 3166-1).", UK, NCMEC)] = None


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One use of an address of the internet. Without time and port, a shared address names nobody."""

    ip: Annotated[Short, must("IP address.", UK, NCMEC)]
    used_at: Annotated[Moment | NotHeld | None, should("When it was used.", UK, NCMEC)] = None
    port: Annotated[Port | NotHeld | None, should("Source port.", UK, NCMEC)] = None
    event: Annotated[LoginEvent | NotHeld | None, should("What it was used for.", UK, NCMEC)] = None
    is_proxy: Annotated[YesNoUnknown | NotHeld | None, should("Whether it looks like a proxy or VPN.", UK, NCMEC)] = (
        None
    )


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One device."""

    type: Annotated[Short, must("Kind of id, like IMEI, advertising id or user agent.", NCMEC)]
    value: Annotated[Short, must("The id itself.", NCMEC)]
    event: Annotated[Short | NotHeld | None, should("What it was used for.", NCMEC)] = None
    used_at: Annotated[Moment | NotHeld | None, should("When it was used.", NCMEC)] = None


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where somebody is, as far as the service can tell."""

    country: Annotated[Country | NotHeld | None, should("Country (ISO 3166-1).", NCMEC)] = None
    place: Annotated[Short | NotHeld | None, should("Town or area.", NCMEC)] = None
    is_verified: Annotated[YesNoUnknown | NotHeld | None, should("Whether it was verified.", NCMEC)] = None
    seen_at: Annotated[Moment | NotHeld | None, should("When they were there.", NCMEC)] = None
    latitude: Annotated[Degrees | NotHeld | None, may("Latitude in degrees, as text.")] = None
    longitude: Annotated[Degrees | NotHeld | None, may("Longitude in degrees, as text.")] = None
    basis: Annotated[Short | NotHeld | None, may("What it is told from.")] = None
