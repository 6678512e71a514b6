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
    Held,
    ListHeld,
    Moment,
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
    use: Annotated[Held[EmailUse], should("Its use.", UK, NCMEC)] = None
    is_verified: Annotated[Held[YesNoUnknown], should("Whether it was verified.", UK, NCMEC)] = None
    verified_at: Annotated[Held[Moment], should("When it was verified.", UK, NCMEC)] = None


class Phone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One telephone number."""

    number: Annotated[Short, must("The number, best with its country code.", UK, NCMEC)]
    calling_code: Annotated[Held[CallingCode], should("Country code, if the number has none.", UK, NCMEC)] = None
    type: Annotated[Held[PhoneType], should("Kind of number.", UK, NCMEC)] = None
    is_verified: Annotated[Held[YesNoUnknown], should("Whether it was verified.", UK, NCMEC)] = None
    verified_at: Annotated[Held[Moment], should("When it was verified.", UK, NCMEC)] = None


class PostalAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One postal address."""

    lines: Annotated[Text, must("The address as you hold it.", UK, NCMEC)]
    use: Annotated[Held[AddressUse], may("Its use.", UK, NCMEC)] = None
    country: Annotated[Held[Country], may("Country (ISO 3166-1).", UK, NCMEC)] = None


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One use of an IP address. Without time and port, a shared address identifies no one."""

    ip: Annotated[Short, must("IP address.", UK, NCMEC)]
    used_at: Annotated[Held[Moment], should("When it was used.", UK, NCMEC)] = None
    port: Annotated[Held[Port], should("Source port.", UK, NCMEC)] = None
    event: Annotated[Held[LoginEvent], should("The use.", UK, NCMEC)] = None
    is_proxy: Annotated[Held[YesNoUnknown], should("Whether it looks like a proxy or VPN.", UK, NCMEC)] = None


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One device."""

    type: Annotated[Short, must("Kind of id, like IMEI, advertising id or user agent.", NCMEC)]
    value: Annotated[Short, must("The id itself.", NCMEC)]
    event: Annotated[Held[Short], should("The use.", NCMEC)] = None
    used_at: Annotated[Held[Moment], should("When it was used.", NCMEC)] = None


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's location, as far as the service knows."""

    country: Annotated[Held[Country], should("Country (ISO 3166-1).", NCMEC)] = None
    place: Annotated[Held[Short], should("Town or area.", NCMEC)] = None
    is_verified: Annotated[Held[YesNoUnknown], should("Whether it was verified.", NCMEC)] = None
    seen_at: Annotated[Held[Moment], should("When the person was there.", NCMEC)] = None
    latitude: Annotated[Held[Degrees], may("Latitude in degrees, as text.")] = None
    longitude: Annotated[Held[Degrees], may("Longitude in degrees, as text.")] = None
    basis: Annotated[Held[Short], may("The basis of the location, e.g. IP address.")] = None


AgeBasis = Literal["verified", "stated", "estimated", "appearance", "unknown"]
AgeBand = Literal["under_11", "11_12", "13_15", "16_17", "under_18", "18_plus"]
AccountChange = Literal["limited", "suspended", "closed", "restored", "other"]
Part = Literal["complainant", "recipient", "witness", "other"]


class LinkedAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account elsewhere, or another one here."""

    platform: Annotated[Short, must("The platform.", NCMEC)]
    account: Annotated[Short, must("Its id or name.", NCMEC)]
    type: Annotated[Held[Short], may("How they are linked.", NCMEC)] = None


class AccountAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An action on the account, and its time."""

    action: Annotated[AccountChange, must("The action.", NCMEC)]
    done_at: Annotated[Held[Moment], should("When it was done.", NCMEC)] = None


class Suspect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person whose conduct is reported, by the id that the service knows."""

    service_user_id: Annotated[Short, must("Id of the account.", NCMEC)]
    username: Annotated[Held[Short], should("User name.", UK, NCMEC)] = None
    display_names: Annotated[ListHeld[Short], should("Display names.", UK, NCMEC)] = ()
    former_names: Annotated[ListHeld[Short], should("Former names.", UK, NCMEC)] = ()
    profile_urls: Annotated[ListHeld[Address], should("Addresses of the profile.", UK, NCMEC)] = ()
    biography: Annotated[Held[Text], should("The profile's text.", UK, NCMEC)] = None
    avatar_file_id: Annotated[Held[Short], should("Profile picture, one of `files`.", UK, NCMEC)] = None
    stated_name: Annotated[Held[Short], should("Name given to the service.", NCMEC)] = None
    born_on: Annotated[Held[Day], should("Date of birth, as far as known.", NCMEC)] = None
    stated_age: Annotated[Held[Age], should("Age as stated.", NCMEC)] = None
    age_is_doubtful: Annotated[Held[YesNoUnknown], should("Whether the ages contradict each other.", NCMEC)] = None
    emails: Annotated[ListHeld[Email], should("E-mail addresses, recovery included.", UK, NCMEC)] = ()
    all_emails_given: Annotated[
        Held[YesNoUnknown], should("Whether these are all e-mail addresses of the account.", UK, NCMEC)
    ] = None
    phones: Annotated[ListHeld[Phone], should("Telephone numbers.", UK, NCMEC)] = ()
    addresses: Annotated[ListHeld[PostalAddress], may("Postal addresses.", UK, NCMEC)] = ()
    payment_ids: Annotated[ListHeld[Short], may("Billing or payment identifiers.", UK)] = ()
    created_at: Annotated[Held[Moment], should("When the account was created.")] = None
    last_seen_at: Annotated[Held[Moment], should("When it was last used.")] = None
    logins: Annotated[ListHeld[Login], should("Logins, about three months of them.", UK, NCMEC)] = ()
    devices: Annotated[ListHeld[Device], should("Devices.", NCMEC)] = ()
    locations: Annotated[ListHeld[Location], should("Where the person is.", NCMEC)] = ()
    identity_documents: Annotated[ListHeld[Short], may("Identity documents held.", UK)] = ()
    linked_accounts: Annotated[ListHeld[LinkedAccount], may("Other accounts.", NCMEC)] = ()
    connections: Annotated[ListHeld[Short], may("Service user ids of relevant contacts.", UK)] = ()
    group_ids: Annotated[ListHeld[Short], may("Groups or networks.", NCMEC)] = ()
    is_compromised: Annotated[Held[YesNoUnknown], may("Whether the account was taken over.", NCMEC)] = None
    earlier_reports: Annotated[ListHeld[Short], should("References of earlier reports on this person.", NCMEC)] = ()
    account_actions: Annotated[ListHeld[AccountAction], should("Actions on the account.", NCMEC)] = ()
    vehicle: Annotated[Held[Short], may("Vehicle.", NCMEC)] = None
    position_of_trust: Annotated[Held[Short], may("Work or role with children.")] = None


class Child(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A child who is or may be harmed."""

    at_risk_now: Annotated[YesNoUnknown, must("Whether the child is at risk now.")]
    service_user_id: Annotated[Held[Short], should("Id of the account.", NCMEC)] = None
    username: Annotated[Held[Short], should("User name.", NCMEC)] = None
    display_names: Annotated[ListHeld[Short], should("Display names.", NCMEC)] = ()
    age: Annotated[Held[Age], should("Age in years.", NCMEC)] = None
    age_band: Annotated[Held[AgeBand], should("Age band, if the age is unknown.", NCMEC)] = None
    age_basis: Annotated[Held[AgeBasis], should("The basis of the age.", NCMEC)] = None
    name: Annotated[Held[Short], may("Name.", NCMEC)] = None
    born_on: Annotated[Held[Day], may("Date of birth, as far as known.", NCMEC)] = None
    emails: Annotated[ListHeld[Email], may("E-mail addresses.", NCMEC)] = ()
    phones: Annotated[ListHeld[Phone], may("Telephone numbers.", NCMEC)] = ()
    addresses: Annotated[ListHeld[PostalAddress], may("Postal addresses.", NCMEC)] = ()
    safe_to_contact: Annotated[
        Held[YesNoUnknown], should("Whether it is safe to write to the child through the service.")
    ] = None
    school: Annotated[Held[Short], may("School.", NCMEC)] = None
    guardian_account: Annotated[Held[Short], may("Account of a parent or guardian.", NCMEC)] = None
    locations: Annotated[ListHeld[Location], should("Where the child is.", NCMEC)] = ()
    logins: Annotated[ListHeld[Login], should("Logins.", NCMEC)] = ()
    devices: Annotated[ListHeld[Device], should("Devices.", NCMEC)] = ()
    support_offered: Annotated[Held[YesNoUnknown], should("Whether support was offered.")] = None
    earlier_reports: Annotated[ListHeld[Short], may("References of earlier reports about this child.", NCMEC)] = ()


class OtherPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another person: a complainant, a witness or an intended recipient."""

    part: Annotated[Part, must("Their role.", NCMEC)]
    service_user_id: Annotated[Held[Short], should("Id of the account.", NCMEC)] = None
    safe_to_contact: Annotated[Held[YesNoUnknown], should("Whether contact is safe.")] = None
    is_under_18: Annotated[Held[YesNoUnknown], should("Whether they are under 18.")] = None
    name: Annotated[Held[Short], may("Name, if known.", NCMEC)] = None
