"""The industry report: everything that a trust-and-safety team can write, before it is sealed.

Absence is information: every field that is not a must may hold the reason why the service has no value. There may be
many or none of each person, suspects, children and others, and of the traces that a service holds of each account: its
addresses, logins, devices and places (R12).

Strict and free of order: unknown fields are refused, lists may be empty, and no field needs another one beside it
unless `reading.py` asks for it. A report never carries a file: it describes it. The reporter is R10. Never seen by the
gateway.
"""

from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.submission import MAX_EVIDENCE_IDS, ClearFields

T = TypeVar("T")

# `$` alone lets a line break through after the last character (Python), so each pattern with an open end refuses one.
MOMENT: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z(?!\n)$"
DAY: Final = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?(?!\n)$"
COUNTRY: Final = r"^[A-Z]{2}(?!\n)$"
LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*(?!\n)$"
CURRENCY: Final = r"^[A-Z]{3}(?!\n)$"
AMOUNT: Final = r"^[0-9]{1,15}(\.[0-9]{1,4})?(?!\n)$"
DEGREES: Final = r"^-?[0-9]{1,3}(\.[0-9]{1,8})?(?!\n)$"
CALLING_CODE: Final = r"^\+[1-9][0-9]{0,2}(?!\n)$"

Short = Annotated[str, Meta(min_length=1, max_length=300)]
Text = Annotated[str, Meta(min_length=1, max_length=3000)]
Narrative = Annotated[str, Meta(min_length=1, max_length=100_000)]
Address = Annotated[str, Meta(min_length=1, max_length=2048)]  # a URL; longer ones are cut by browsers and servers
Moment = Annotated[str, Meta(pattern=MOMENT)]  # the only spelling of a time on the wire (WIRE.md §2)
Day = Annotated[str, Meta(pattern=DAY)]  # a year, a month or a day: as much as is known
Country = Annotated[str, Meta(pattern=COUNTRY)]  # ISO 3166-1
LanguageTag = Annotated[str, Meta(pattern=LANGUAGE, max_length=35)]  # BCP 47; RFC 5646 §4.4.1 asks for 35
CallingCode = Annotated[str, Meta(pattern=CALLING_CODE)]  # ITU-T E.164
Port = Annotated[int, Meta(ge=1, le=65_535)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # RFC 8785: integers that every JSON parser reads alike
Age = Annotated[int, Meta(ge=0, le=120)]
Currency = Annotated[str, Meta(pattern=CURRENCY)]  # ISO 4217
Amount = Annotated[str, Meta(pattern=AMOUNT)]  # a decimal as text: the wire has no floats
Degrees = Annotated[str, Meta(pattern=DEGREES)]
YesNoUnknown = Literal["yes", "no", "unknown"]
NotHeldReason = Literal[
    "none_exists",  # we looked: there is none
    "not_collected",
    "no_longer_kept",
    "deleted_by_user",
    "not_applicable",
    "not_yet_known",
    "law_forbids",
    "unknown",
]

# `case`: a must with some kinds or priorities only (reading.py).
Needed = Literal["must", "case", "should", "may"]
Asker = Literal["uk", "ncmec"]  # SI 2026/268; the CyberTipline schema
UK: Final[Asker] = "uk"
NCMEC: Final[Asker] = "ncmec"
NEEDED, NEEDED_WHEN, ASKED_BY = "x-needed", "x-needed-when", "x-asked-by"


class NotHeld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason why the service does not hold a value, in the place of the value."""

    not_held: NotHeldReason


Held: TypeAlias = T | NotHeld | None  # e.g. `Held[Short]`: the value, the reason why there is none, or no answer
ListHeld: TypeAlias = tuple[T, ...] | NotHeld


def must(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that has to be there."""
    return _describe(text, "must", asked_by)


def must_in_some_cases(text: str, when: str, *asked_by: Asker) -> Meta:
    """Describe a field that a kind or a priority of report asks for: `when` names it."""
    return _describe(text, "case", asked_by, when=when)


def should(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that counts for completeness: given, or `not_held` with a reason."""
    return _describe(text, "should", asked_by)


def may(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that helps where it is known."""
    return _describe(text, "may", asked_by)


def _describe(text: str, needed: Needed, asked_by: tuple[Asker, ...], *, when: str = "") -> Meta:
    extra: dict[str, object] = {NEEDED: needed, ASKED_BY: list(asked_by)}
    return Meta(description=text, extra_json_schema=extra | {NEEDED_WHEN: when} if when else extra)


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


Medium = Literal[
    "web_page",
    "email",
    "forum",
    "chat",
    "game",
    "live_stream",
    "voice_video",
    "phone_sms",
    "payment",
    "peer_to_peer",
    "ai_tool",
    "offline",
]
Tag = Literal[
    "sextortion",
    "solicitation",
    "minor_to_minor",
    "spam",
    "sadistic_exploitation",
    "livestream",
    "ai_generated",
    "self_generated",
]
HarmSign = Literal["threat_to_life", "self_harm", "meeting_soon", "ongoing_abuse", "lives_with_child", "other"]
MessageType = Literal["text", "picture", "video", "voice", "file", "link", "call", "system", "other"]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where on the service it happened."""

    urls: Annotated[ListHeld[Address], should("Addresses of the page, profile or post.", NCMEC)] = ()
    group_id: Annotated[Held[Short], should("Room, server or group id.", NCMEC)] = None
    channel: Annotated[Held[Short], should("Channel or topic.", NCMEC)] = None
    game: Annotated[Held[Short], should("Game, and where in it.", NCMEC)] = None
    console: Annotated[Held[Short], should("Console or platform of the game.", NCMEC)] = None
    message_ids: Annotated[ListHeld[Short], should("Ids of the messages.", NCMEC)] = ()
    app_version: Annotated[Held[Short], should("Version of the app.", NCMEC)] = None


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A meeting that was proposed."""

    place: Annotated[Held[Short], should("Where they would meet.")] = None
    meets_at: Annotated[Held[Moment], should("When they would meet.")] = None
    said: Annotated[Held[Text], may("The wording, if time or place is unclear.")] = None


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Money or a gift."""

    amount: Annotated[Held[Amount], may("Amount, as a decimal in text.")] = None
    currency: Annotated[Held[Currency], may("Currency (ISO 4217).")] = None
    method: Annotated[Held[Short], may("The payment method, or how it was given.")] = None
    reference: Annotated[Held[Short], may("Reference of the payment.")] = None
    paid_at: Annotated[Held[Moment], may("When it was paid or given.")] = None


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The incident, its time, and the meaning of that time."""

    happened_at: Annotated[Moment, must("When it happened.", NCMEC)]
    time_meaning: Annotated[Text, must("What that time refers to, e.g. the first message.", NCMEC)]
    medium: Annotated[Medium, must("The medium in which it happened.", NCMEC)]
    narrative: Annotated[Narrative, must("What happened, in plain words.")]
    began_at: Annotated[Held[Moment], may("Start of the period.")] = None
    ended_at: Annotated[Held[Moment], may("End of the period.")] = None
    is_public: Annotated[Held[YesNoUnknown], should("Whether everyone could see it.")] = None
    places: Annotated[ListHeld[Place], should("Where on the service.", NCMEC)] = ()
    off_platform_move: Annotated[Held[Short], should("Where they wanted to continue the conversation.")] = None
    meetings: Annotated[ListHeld[Meeting], should("Meetings that were proposed.")] = ()
    payments: Annotated[ListHeld[Payment], may("Money or gifts.")] = ()
    tags: Annotated[ListHeld[Tag], may("Kinds of harm besides the category.", NCMEC)] = ()
    harm_signs: Annotated[ListHeld[HarmSign], should("Signs of imminent harm.")] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message; `sender` and `recipients` are service user ids."""

    sender: Annotated[Short, must("Service user id of the sender.")]
    type: Annotated[MessageType, must("Kind of message.")]
    message_id: Annotated[Held[Short], should("Id of the message.")] = None
    sent_at: Annotated[Held[Moment], should("When it was sent.")] = None
    recipients: Annotated[ListHeld[Short], should("Service user ids of the recipients.")] = ()
    text: Annotated[Held[Narrative], should("The text.")] = None
    file_id: Annotated[Held[Short], should("The attached file, one of `files`.")] = None
    ip: Annotated[Held[Short], should("IP address that it came from.")] = None
    is_deleted: Annotated[Held[bool], should("Whether it was deleted.")] = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Messages of one thread, in the order in which they were sent."""

    thread_id: Annotated[Short, must("Id of the thread.")]
    messages: Annotated[tuple[Message, ...], must("The messages, the oldest first.")]
    language: Annotated[Held[LanguageTag], should("Language (BCP 47).")] = None
    context_before: Annotated[Held[Text], should("A summary of the earlier messages.")] = None
    context_after: Annotated[Held[Text], should("A summary of the later messages.")] = None


HashType = Literal["md5", "sha1", "sha256", "pdq", "tmk", "photodna", "other"]
FileTag = Literal[
    "drawing_or_virtual",
    "meme",
    "viral",
    "self_produced",
    "physical_harm",
    "gore",
    "bestiality",
    "live",
    "infant",
    "ai_generated",
]
Relevance = Literal["reported", "supplemental"]
IndustryClass = Literal["A1", "A2", "B1", "B2"]


class FileHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One hash of the plain file."""

    type: Annotated[HashType, must("Kind of hash.", UK, NCMEC)]
    value: Annotated[Short, must("The hash, in hexadecimal or the usual form of its kind.", UK, NCMEC)]


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that the service keeps or hands over as evidence; the key of the sealed copy is added at sealing."""

    file_id: Annotated[Short, must("Id of the file in this report.")]
    relevance: Annotated[Relevance, must("Reported itself, or supplemental.", NCMEC)]
    viewed_by_staff: Annotated[bool, must("Whether staff viewed it.", NCMEC)]
    exif_viewed_by_staff: Annotated[bool, must("Whether staff viewed its EXIF data.", NCMEC)]
    copy_kept_until: Annotated[Moment | None, must("When the kept copy is deleted; null if none is kept.", UK)]
    name: Annotated[Held[Short], should("Name as it was uploaded.", NCMEC)] = None
    size_bytes: Annotated[Held[Count], should("Size in bytes.")] = None
    media_type: Annotated[Held[Short], should("Media type, like image/png.")] = None
    hashes: Annotated[ListHeld[FileHash], should("Hashes of the plain file.", UK, NCMEC)] = ()
    uploaded_at: Annotated[Held[Moment], should("When it was uploaded.", UK, NCMEC)] = None
    upload_ip: Annotated[Held[Short], should("IP address of the upload.", UK, NCMEC)] = None
    upload_port: Annotated[Held[Port], should("Source port of the upload.", UK, NCMEC)] = None
    upload_device: Annotated[Held[Short], should("Device of the upload.", UK, NCMEC)] = None
    url: Annotated[Held[Address], should("Where it is or was hosted.", UK, NCMEC)] = None
    is_public: Annotated[Held[YesNoUnknown], should("Whether everyone could see it.", NCMEC)] = None
    exif: Annotated[Held[Text], may("EXIF data, as text.", UK, NCMEC)] = None
    tags: Annotated[ListHeld[FileTag], may("Kinds of content.", NCMEC)] = ()
    industry_class: Annotated[Held[IndustryClass], may("Class in the industry scheme, for its members.", NCMEC)] = None
    hash_list: Annotated[Held[Short], may("The list of known hashes that includes it.")] = None


Sector = Literal["online", "mobile", "financial", "other"]
DiscoveredBy = Literal["hash_match", "classifier", "moderator", "user_complaint", "employee", "external_tip", "other"]
Action = Literal["none", "content_removed", "account_limited", "account_suspended", "account_closed", "other"]


class PoliceContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The single point of contact that police may ask."""

    name: Annotated[Short, must("Name of the person or team.", NCMEC)]
    email: Annotated[Held[Short], should("E-mail address.", NCMEC)] = None
    telephone: Annotated[Held[Short], should("Telephone number, with country code.", NCMEC)] = None


class Reporter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The submitter, the organisation, and the declaration that the law requires (SI 2026/268)."""

    declaration: Annotated[
        Literal[True], must("Declaration that the report holds all reasonably available information.", UK)
    ]
    organisation: Annotated[Short, must("Legal name of the organisation.", UK, NCMEC)]
    sector: Annotated[Sector, must("Sector of the organisation.", UK, NCMEC)]
    service: Annotated[Short, must("Service or platform on which it happened.", UK, NCMEC)]
    submitter_name: Annotated[Short, must("Submitter's name.", UK)]
    submitter_email: Annotated[Short, must("Submitter's e-mail address.", UK)]
    submitter_telephone: Annotated[Short, must("Submitter's telephone number.", UK)]
    submitter_role: Annotated[Held[Short], should("Role, or authorised-person id.", UK)] = None
    police_contacts: Annotated[ListHeld[PoliceContact], should("Contact points for police.", NCMEC)] = ()
    country: Annotated[Held[Country], may("Country of the organisation (ISO 3166-1).")] = None
    own_reference: Annotated[Held[Short], may("Your own reference.")] = None
    legal_url: Annotated[Held[Address], may("Page for law enforcement.", NCMEC)] = None
    terms_excerpt: Annotated[Held[Text], may("The term of service that was broken.", NCMEC)] = None
    standing_text: Annotated[Held[Text], may("Standard text for every report of this service.", NCMEC)] = None
    acts_for: Annotated[Held[Short], may("The service for which a third-party moderator acts.", UK)] = None


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that the service has done already."""

    action: Annotated[Action, must("The action.", NCMEC)]
    taken_at: Annotated[Held[Moment], should("When it was done.", NCMEC)] = None
    user_was_told: Annotated[Held[YesNoUnknown], should("Whether the user was informed.", NCMEC)] = None


class Discovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the service found out, and its actions since."""

    discovered_by: Annotated[DiscoveredBy, must("How it was detected.", UK)]
    detected_at: Annotated[Moment, must("When it was detected.")]
    tool: Annotated[Held[Short], may("Name and version of the detection tool.")] = None
    human_reviewed: Annotated[Held[YesNoUnknown], should("Whether a person reviewed it before submission.", NCMEC)] = (
        None
    )
    reported_before: Annotated[Held[YesNoUnknown], should("Whether it was reported before.", UK)] = None
    informational_only: Annotated[Held[bool], may("Whether it is for information only.", NCMEC)] = None
    actions: Annotated[ListHeld[ActionTaken], should("Actions already taken by the service.", NCMEC)] = ()


Body = Literal["ncmec", "police", "hotline", "child_protection", "other_agency"]


class OtherReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The number under which another body has this already, so that nothing is filed twice."""

    body: Annotated[Body, must("Kind of body.", UK, NCMEC)]
    reference: Annotated[Short, must("The reference there.", UK, NCMEC)]
    name: Annotated[Held[Short], may("Name of the body.", UK, NCMEC)] = None


class PoliceInformed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Police who were already informed."""

    agency: Annotated[Short, must("Police force.", NCMEC)]
    country: Annotated[Held[Country], should("Country (ISO 3166-1).", NCMEC)] = None
    officer: Annotated[Held[Short], should("Name of the officer.", NCMEC)] = None
    case_number: Annotated[Held[Short], should("Police case number.", NCMEC)] = None
    legal_process: Annotated[Held[YesNoUnknown], should("Whether legal process was served.", NCMEC)] = None


class Preservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Data that the service keeps for police."""

    what: Annotated[Text, must("The data kept.", UK, NCMEC)]
    kept_until: Annotated[Held[Moment], should("When it will be deleted.", UK, NCMEC)] = None
    contact: Annotated[Held[Short], should("The contact for it.", UK, NCMEC)] = None
    hold_reference: Annotated[Held[Short], should("Reference of the legal hold.", UK, NCMEC)] = None


Category = Literal[
    "meet_offline", "grooming", "coercion_blackmail", "sexual_talk", "sexual_acts_live", "risk_behaviour"
]
SubLabel = Literal[
    "sextortion",
    "self_generated_images",
    "livestream",
    "ai_generated",
    "off_platform_move",
    "child_to_child",
    "sadistic_exploitation",
    "none",
]


class IndustryReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The report that a partner fills in. Suspects, children and files may be absent."""

    schema_version: Annotated[Literal["1"], must("Version of this model.")]
    category: Annotated[Category, must("The category (Annex A).")]
    sub_label: Annotated[SubLabel, must("The kind of case, in today's terms.")]
    reporter: Annotated[Reporter, must("Who reports.", UK, NCMEC)]
    discovery: Annotated[Discovery, must("How the service found out.", UK)]
    incident: Annotated[Incident, must("What happened.", NCMEC)]
    priority_reason: Annotated[Text | None, must_in_some_cases("The reason for P1 or P2.", "with P1 and P2", NCMEC)] = (
        None
    )
    change_reason: Annotated[
        Text | None,
        must_in_some_cases("The reason for the correction or retraction.", "with a correction or retraction"),
    ] = None
    answers_request: Annotated[
        Short | None, must_in_some_cases("The request that a response answers.", "with a response")
    ] = None
    uk_link: Annotated[Held[YesNoUnknown], should("Whether it has a link to the United Kingdom.", UK)] = None
    countries: Annotated[ListHeld[Country], should("Countries that it concerns (ISO 3166-1).", UK)] = ()
    other_references: Annotated[ListHeld[OtherReference], should("Reference numbers at other bodies.", UK, NCMEC)] = ()
    linked_reports: Annotated[ListHeld[Short], may("References of your related reports.")] = ()
    suspects: Annotated[ListHeld[Suspect], should("People whose conduct is reported.", UK, NCMEC)] = ()
    children: Annotated[ListHeld[Child], should("Children who are or may be harmed.", NCMEC)] = ()
    other_people: Annotated[
        ListHeld[OtherPerson], should("Complainants, witnesses and intended recipients.", NCMEC)
    ] = ()
    conversations: Annotated[ListHeld[Conversation], should("Conversations, message by message.")] = ()
    files: Annotated[ListHeld[ReportedFile], may("Files that are kept or handed over.", UK, NCMEC)] = ()
    police: Annotated[ListHeld[PoliceInformed], should("Police already informed.", NCMEC)] = ()
    preservation: Annotated[ListHeld[Preservation], should("Data kept for police.", UK, NCMEC)] = ()


class Completeness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of given fields for police, 0 to 100, and JSON pointers of missing ones, most useful first."""

    missing: tuple[str, ...]
    score: Annotated[int, Meta(ge=0, le=100)]


class SealedIndustryReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The sealed text: the report, its completeness as its sender measured it, and the clear fields again for the desk.

    A sender in another language may leave `completeness` out: the desk measures it again.
    """

    clear: ClearFields
    report: IndustryReport
    completeness: Completeness | None = None
    evidence: Annotated[tuple[EvidenceReference, ...], Meta(max_length=MAX_EVIDENCE_IDS)] = ()
