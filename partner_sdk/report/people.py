"""The people of a report, suspects, children and others, and the traces that a service holds of each account.

There may be many or none of each (R12). Traces are addresses, logins, devices and places.
"""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import (
    NCMEC,
    UK,
    Address,
    Age,
    CallingCode,
    Country,
    Day,
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


AgeBasis = Literal["verified", "stated", "estimated", "appearance", "unknown"]
AgeBand = Literal["under_11", "11_12", "13_15", "16_17", "under_18", "18_plus"]
AccountChange = Literal["limited", "suspended", "closed", "restored", "other"]
Part = Literal["complainant", "recipient", "witness", "other"]


class LinkedAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account elsewhere, or another one here."""

    platform: Annotated[Short, must("Where it is.", NCMEC)]
    account: Annotated[Short, must("Its id or name.", NCMEC)]
    type: Annotated[Short | NotHeld | None, may("How they are linked.", NCMEC)] = None


class AccountAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was done with the account, and when."""

    action: Annotated[AccountChange, must("What was done with it.", NCMEC)]
    done_at: Annotated[Moment | NotHeld | None, should("When it was done.", NCMEC)] = None


class Suspect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person whose conduct is reported, by the id that the service knows."""

    service_user_id: Annotated[Short, must("Id of the account.", NCMEC)]
    username: Annotated[Short | NotHeld | None, should("User name.", UK, NCMEC)] = None
    display_names: Annotated[tuple[Short, ...] | NotHeld, should("Names that are shown.", UK, NCMEC)] = ()
    former_names: Annotated[tuple[Short, ...] | NotHeld, should("Names used before.", UK, NCMEC)] = ()
    profile_urls: Annotated[tuple[Address, ...] | NotHeld, should("Addresses of the profile.", UK, NCMEC)] = ()
    biography: Annotated[Text | NotHeld | None, should("What the profile says.", UK, NCMEC)] = None
    avatar_file_id: Annotated[Short | NotHeld | None, should("Profile picture, one of `files`.", UK, NCMEC)] = None
    stated_name: Annotated[Short | NotHeld | None, should("Name as given to the service.", NCMEC)] = None
    born_on: Annotated[Day | NotHeld | None, should("Date of birth, as much as is known.", NCMEC)] = None
    stated_age: Annotated[Age | NotHeld | None, should("Age as they said it.", NCMEC)] = None
    age_is_doubtful: Annotated[
        YesNoUnknown | NotHeld | None, should("Whether the ages contradict each other.", NCMEC)
    ] = None
    emails: Annotated[tuple[Email, ...] | NotHeld, should("E-mail addresses, recovery included.", UK, NCMEC)] = ()
    all_emails_given: Annotated[
        YesNoUnknown | NotHeld | None, should("Whether all e-mail addresses of the account are here.", UK, NCMEC)
    ] = None
    phones: Annotated[tuple[Phone, ...] | NotHeld, should("Telephone numbers.", UK, NCMEC)] = ()
    addresses: Annotated[tuple[PostalAddress, ...] | NotHeld, may("Postal addresses.", UK, NCMEC)] = ()
    payment_ids: Annotated[tuple[Short, ...] | NotHeld, may("Billing or payment identifiers.", UK)] = ()
    created_at: Annotated[Moment | NotHeld | None, should("When the account was made.")] = None
    last_seen_at: Annotated[Moment | NotHeld | None, should("When it was last used.")] = None
    logins: Annotated[tuple[Login, ...] | NotHeld, should("Logins, about three months of them.", UK, NCMEC)] = ()
    devices: Annotated[tuple[Device, ...] | NotHeld, should("Devices.", NCMEC)] = ()
    locations: Annotated[tuple[Location, ...] | NotHeld, should("Where the person is.", NCMEC)] = ()
    identity_documents: Annotated[tuple[Short, ...] | NotHeld, may("Identity documents that are held.", UK)] = ()
    linked_accounts: Annotated[tuple[LinkedAccount, ...] | NotHeld, may("Other accounts.", NCMEC)] = ()
    connections: Annotated[tuple[Short, ...] | NotHeld, may("Service user ids of contacts that matter.", UK)] = ()
    group_ids: Annotated[tuple[Short, ...] | NotHeld, may("Groups or networks.", NCMEC)] = ()
    is_compromised: Annotated[YesNoUnknown | NotHeld | None, may("Whether the account was taken over.", NCMEC)] = None
    earlier_reports: Annotated[
        tuple[Short, ...] | NotHeld, should("References of earlier reports on this person.", NCMEC)
    ] = ()
    account_actions: Annotated[
        tuple[AccountAction, ...] | NotHeld, should("What was done with the account.", NCMEC)
    ] = ()
    vehicle: Annotated[Short | NotHeld | None, may("Vehicle.", NCMEC)] = None
    position_of_trust: Annotated[Short | NotHeld | None, may("Work or role with children.")] = None


class Child(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A child who is or may be harmed."""

    at_risk_now: Annotated[YesNoUnknown, must("Whether the child is at risk now.")]
    service_user_id: Annotated[Short | NotHeld | None, should("Id of the account.", NCMEC)] = None
    username: Annotated[Short | NotHeld | None, should("User name.", NCMEC)] = None
    display_names: Annotated[tuple[Short, ...] | NotHeld, should("Names that are shown.", NCMEC)] = ()
    age: Annotated[Age | NotHeld | None, should("Age in years.", NCMEC)] = None
    age_band: Annotated[AgeBand | NotHeld | None, should("Age band, where no age is known.", NCMEC)] = None
    age_basis: Annotated[AgeBasis | NotHeld | None, should("What the age is known from.", NCMEC)] = None
    name: Annotated[Short | NotHeld | None, may("Name.", NCMEC)] = None
    born_on: Annotated[Day | NotHeld | None, may("Date of birth, as much as is known.", NCMEC)] = None
    emails: Annotated[tuple[Email, ...] | NotHeld, may("E-mail addresses.", NCMEC)] = ()
    phones: Annotated[tuple[Phone, ...] | NotHeld, may("Telephone numbers.", NCMEC)] = ()
    addresses: Annotated[tuple[PostalAddress, ...] | NotHeld, may("Postal addresses.", NCMEC)] = ()
    safe_to_contact: Annotated[
        YesNoUnknown | NotHeld | None, should("Whether writing to the child through the service is safe.")
    ] = None
    school: Annotated[Short | NotHeld | None, may("School.", NCMEC)] = None
    guardian_account: Annotated[Short | NotHeld | None, may("Account of a parent or guardian.", NCMEC)] = None
    locations: Annotated[tuple[Location, ...] | NotHeld, should("Where the child is.", NCMEC)] = ()
    logins: Annotated[tuple[Login, ...] | NotHeld, should("Logins.", NCMEC)] = ()
    devices: Annotated[tuple[Device, ...] | NotHeld, should("Devices.", NCMEC)] = ()
    support_offered: Annotated[YesNoUnknown | NotHeld | None, should("Whether help was offered already.")] = None
    earlier_reports: Annotated[
        tuple[Short, ...] | NotHeld, may("References of earlier reports about this child.", NCMEC)
    ] = ()


class OtherPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody else: who complained, who saw it, whom it was meant for."""

    part: Annotated[Part, must("Their part in it.", NCMEC)]
    service_user_id: Annotated[Short | NotHeld | None, should("Id of the account.", NCMEC)] = None
    safe_to_contact: Annotated[YesNoUnknown | NotHeld | None, should("Whether contact is safe.")] = None
    is_under_18: Annotated[YesNoUnknown | NotHeld | None, should("Whether they are under 18.")] = None
    name: Annotated[Short | NotHeld | None, may("Name, as far as it is known.", NCMEC)] = None
