"""The industry report: everything that a trust-and-safety team can write, before it is sealed.

Strict and free of order: unknown fields are refused, lists may be empty, and no field needs another one beside it
unless `_reading.py` asks for it. A report never carries a file: it describes it. The reporter is R10. Never seen by the
gateway.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.report.people import Child, OtherPerson, Suspect
from partner_sdk.report.values import (
    NCMEC,
    UK,
    Address,
    Amount,
    Count,
    Country,
    Currency,
    Held,
    LanguageTag,
    ListHeld,
    Moment,
    Narrative,
    Port,
    Short,
    Text,
    YesNoUnknown,
    may,
    must,
    must_in_some_cases,
    should,
)
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.submission import MAX_EVIDENCE_IDS, ClearFields

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
