"""The industry report: everything that a trust-and-safety team can write, before it is sealed.

Strict and free of order: unknown fields are refused, lists may be empty, and no field needs another one beside it
unless `_reading.py` asks for it. A report never carries a file: it describes it. Who reports is R10. Never seen by the
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
    LanguageTag,
    Moment,
    Narrative,
    NotHeld,
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

    urls: Annotated[tuple[Address, ...] | NotHeld, should("Addresses of the page, profile or post.", NCMEC)] = ()
    group_id: Annotated[Short | NotHeld | None, should("Room, server or group id.", NCMEC)] = None
    channel: Annotated[Short | NotHeld | None, should("Channel or topic.", NCMEC)] = None
    game: Annotated[Short | NotHeld | None, should("Game, and where in it.", NCMEC)] = None
    console: Annotated[Short | NotHeld | None, should("Console or platform of the game.", NCMEC)] = None
    message_ids: Annotated[tuple[Short, ...] | NotHeld, should("Ids of the messages.", NCMEC)] = ()
    app_version: Annotated[Short | NotHeld | None, should("Version of the app.", NCMEC)] = None


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A meeting that was proposed."""

    place: Annotated[Short | NotHeld | None, should("Where they would meet.")] = None
    meets_at: Annotated[Moment | NotHeld | None, should("When they would meet.")] = None
    said: Annotated[Text | NotHeld | None, may("How it was said, where time or place is not clear.")] = None


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Money or a gift."""

    amount: Annotated[Amount | NotHeld | None, may("Amount, as a decimal in text.")] = None
    currency: Annotated[Currency | NotHeld | None, may("Currency (ISO 4217).")] = None
    method: Annotated[Short | NotHeld | None, may("How it was paid or given.")] = None
    reference: Annotated[Short | NotHeld | None, may("Reference of the payment.")] = None
    paid_at: Annotated[Moment | NotHeld | None, may("When it was paid or given.")] = None


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happened, when, and what that time means."""

    happened_at: Annotated[Moment, must("When it happened.", NCMEC)]
    time_meaning: Annotated[Text, must("What that time is the time of.", NCMEC)]
    medium: Annotated[Medium, must("Through what it happened.", NCMEC)]
    narrative: Annotated[Narrative, must("What happened, in plain words.")]
    began_at: Annotated[Moment | NotHeld | None, may("Start of the time that it went on.")] = None
    ended_at: Annotated[Moment | NotHeld | None, may("End of the time that it went on.")] = None
    is_public: Annotated[YesNoUnknown | NotHeld | None, should("Whether everyone could see it.")] = None
    places: Annotated[tuple[Place, ...] | NotHeld, should("Where on the service.", NCMEC)] = ()
    off_platform_move: Annotated[Short | NotHeld | None, should("Where they wanted to go on talking.")] = None
    meetings: Annotated[tuple[Meeting, ...] | NotHeld, should("Meetings that were proposed.")] = ()
    payments: Annotated[tuple[Payment, ...] | NotHeld, may("Money or gifts.")] = ()
    tags: Annotated[tuple[Tag, ...] | NotHeld, may("What kind of thing it is, besides the category.", NCMEC)] = ()
    harm_signs: Annotated[tuple[HarmSign, ...] | NotHeld, should("Signs that somebody may come to harm soon.")] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message; `sender` and `recipients` are service user ids."""

    sender: Annotated[Short, must("Service user id of who sent it.")]
    type: Annotated[MessageType, must("What kind of message it is.")]
    message_id: Annotated[Short | NotHeld | None, should("Id of the message.")] = None
    sent_at: Annotated[Moment | NotHeld | None, should("When it was sent.")] = None
    recipients: Annotated[tuple[Short, ...] | NotHeld, should("Service user ids of who got it.")] = ()
    text: Annotated[Narrative | NotHeld | None, should("What it says.")] = None
    file_id: Annotated[Short | NotHeld | None, should("File that it carries, one of `files`.")] = None
    ip: Annotated[Short | NotHeld | None, should("IP address that it came from.")] = None
    is_deleted: Annotated[bool | NotHeld | None, should("Whether it was deleted.")] = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Messages of one thread, in the order in which they were sent."""

    thread_id: Annotated[Short, must("Id of the thread.")]
    messages: Annotated[tuple[Message, ...], must("The messages, the oldest first.")]
    language: Annotated[LanguageTag | NotHeld | None, should("Language (BCP 47).")] = None
    context_before: Annotated[Text | NotHeld | None, should("What came before, in short.")] = None
    context_after: Annotated[Text | NotHeld | None, should("What came after, in short.")] = None


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
    value: Annotated[Short, must("The hash, in hexadecimal or as its kind spells it.", UK, NCMEC)]


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that the service keeps or hands over as evidence; what opens the sealed copy is added at sealing."""

    file_id: Annotated[Short, must("Id of the file in this report.")]
    relevance: Annotated[Relevance, must("Reported itself, or beside it.", NCMEC)]
    viewed_by_staff: Annotated[bool, must("Whether a person of the service viewed it.", NCMEC)]
    exif_viewed_by_staff: Annotated[bool, must("Whether they viewed its EXIF data.", NCMEC)]
    copy_kept_until: Annotated[Moment | None, must("Until when a copy is kept, null for none.", UK)]
    name: Annotated[Short | NotHeld | None, should("Name as it was uploaded.", NCMEC)] = None
    size_bytes: Annotated[Count | NotHeld | None, should("Size in bytes.")] = None
    media_type: Annotated[Short | NotHeld | None, should("Media type, like image/png.")] = None
    hashes: Annotated[tuple[FileHash, ...] | NotHeld, should("Hashes of the plain file.", UK, NCMEC)] = ()
    uploaded_at: Annotated[Moment | NotHeld | None, should("When it was uploaded.", UK, NCMEC)] = None
    upload_ip: Annotated[Short | NotHeld | None, should("IP address of the upload.", UK, NCMEC)] = None
    upload_port: Annotated[Port | NotHeld | None, should("Source port of the upload.", UK, NCMEC)] = None
    upload_device: Annotated[Short | NotHeld | None, should("Device of the upload.", UK, NCMEC)] = None
    url: Annotated[Address | NotHeld | None, should("Where it is or was.", UK, NCMEC)] = None
    is_public: Annotated[YesNoUnknown | NotHeld | None, should("Whether everyone could see it.", NCMEC)] = None
    exif: Annotated[Text | NotHeld | None, may("EXIF data, as text.", UK, NCMEC)] = None
    tags: Annotated[tuple[FileTag, ...] | NotHeld, may("What kind of file it is.", NCMEC)] = ()
    industry_class: Annotated[
        IndustryClass | NotHeld | None, may("Class of the industry scheme, for its members.", NCMEC)
    ] = None
    hash_list: Annotated[Short | NotHeld | None, may("The list of known hashes that it is on.")] = None


Sector = Literal["online", "mobile", "financial", "other"]
DiscoveredBy = Literal["hash_match", "classifier", "moderator", "user_complaint", "employee", "external_tip", "other"]
Action = Literal["none", "content_removed", "account_limited", "account_suspended", "account_closed", "other"]


class PoliceContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The single point of contact that police may ask."""

    name: Annotated[Short, must("Name of the person or team.", NCMEC)]
    email: Annotated[Short | NotHeld | None, should("E-mail address.", NCMEC)] = None
    telephone: Annotated[Short | NotHeld | None, should("Telephone number, with country code.", NCMEC)] = None


class Reporter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who submits, for whom, and the declaration that the law asks for (SI 2026/268)."""

    declaration: Annotated[Literal[True], must("Declaration that all that is reasonably available is in it.", UK)]
    organisation: Annotated[Short, must("Legal name of the organisation.", UK, NCMEC)]
    sector: Annotated[Sector, must("Sector of the organisation.", UK, NCMEC)]
    service: Annotated[Short, must("Service or platform on which it happened.", UK, NCMEC)]
    submitter_name: Annotated[Short, must("Name of the person who submits.", UK)]
    submitter_email: Annotated[Short, must("E-mail address of the person who submits.", UK)]
    submitter_telephone: Annotated[Short, must("Telephone number of the person who submits.", UK)]
    submitter_role: Annotated[Short | NotHeld | None, should("Role or authorised-person id.", UK)] = None
    police_contacts: Annotated[tuple[PoliceContact, ...] | NotHeld, should("Whom police may ask.", NCMEC)] = ()
    country: Annotated[Country | NotHeld | None, may("Country of the organisation (ISO 3166-1).")] = None
    own_reference: Annotated[Short | NotHeld | None, may("Your own number for this.")] = None
    legal_url: Annotated[Address | NotHeld | None, may("Page for law enforcement.", NCMEC)] = None
    terms_excerpt: Annotated[Text | NotHeld | None, may("The term of service that was broken.", NCMEC)] = None
    standing_text: Annotated[Text | NotHeld | None, may("Text that goes with every report of this service.", NCMEC)] = (
        None
    )
    acts_for: Annotated[Short | NotHeld | None, may("The service that a third-party moderator acts for.", UK)] = None


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that the service has done already."""

    action: Annotated[Action, must("What was done.", NCMEC)]
    taken_at: Annotated[Moment | NotHeld | None, should("When it was done.", NCMEC)] = None
    user_was_told: Annotated[YesNoUnknown | NotHeld | None, should("Whether the user was told.", NCMEC)] = None


class Discovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the service came to know of it, and what it has done."""

    discovered_by: Annotated[DiscoveredBy, must("What found it.", UK)]
    detected_at: Annotated[Moment, must("When it was found.")]
    tool: Annotated[Short | NotHeld | None, may("Name and version of the tool that found it.")] = None
    human_reviewed: Annotated[
        YesNoUnknown | NotHeld | None, should("Whether a person looked at it before it was sent.", NCMEC)
    ] = None
    reported_before: Annotated[YesNoUnknown | NotHeld | None, should("Whether it was reported before.", UK)] = None
    informational_only: Annotated[
        bool | NotHeld | None, may("Whether it is for information only, without action.", NCMEC)
    ] = None
    actions: Annotated[tuple[ActionTaken, ...] | NotHeld, should("What the service has done already.", NCMEC)] = ()


Body = Literal["ncmec", "police", "hotline", "child_protection", "other_agency"]


class OtherReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The number under which another body has this already, so that nothing is filed twice."""

    body: Annotated[Body, must("What kind of body.", UK, NCMEC)]
    reference: Annotated[Short, must("Its number there.", UK, NCMEC)]
    name: Annotated[Short | NotHeld | None, may("Name of the body.", UK, NCMEC)] = None


class PoliceInformed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Police who were told already."""

    agency: Annotated[Short, must("Which police.", NCMEC)]
    country: Annotated[Country | NotHeld | None, should("Country (ISO 3166-1).", NCMEC)] = None
    officer: Annotated[Short | NotHeld | None, should("Name of the officer.", NCMEC)] = None
    case_number: Annotated[Short | NotHeld | None, should("Their number for it.", NCMEC)] = None
    legal_process: Annotated[YesNoUnknown | NotHeld | None, should("Whether legal process was served.", NCMEC)] = None


class Preservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the service keeps for police."""

    what: Annotated[Text, must("What is kept.", UK, NCMEC)]
    kept_until: Annotated[Moment | NotHeld | None, should("Until when it is kept.", UK, NCMEC)] = None
    contact: Annotated[Short | NotHeld | None, should("Whom to ask for it.", UK, NCMEC)] = None
    hold_reference: Annotated[Short | NotHeld | None, should("Reference of the legal hold.", UK, NCMEC)] = None


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
    """What a partner fills in. A text-only conversation is enough; there may be no suspect, no child and no file."""

    schema_version: Annotated[Literal["1"], must("Version of this model.")]
    category: Annotated[Category, must("What it is about (Annex A).")]
    sub_label: Annotated[SubLabel, must("What kind of it, in today's words.")]
    reporter: Annotated[Reporter, must("Who reports.", UK, NCMEC)]
    discovery: Annotated[Discovery, must("How it came to be known.", UK)]
    incident: Annotated[Incident, must("What happened.", NCMEC)]
    priority_reason: Annotated[Text | None, must_in_some_cases("Why it is P1 or P2.", "with P1 and P2", NCMEC)] = None
    change_reason: Annotated[
        Text | None, must_in_some_cases("Why it is corrected or retracted.", "with a correction or retraction")
    ] = None
    answers_request: Annotated[
        Short | None, must_in_some_cases("The request that a response answers.", "with a response")
    ] = None
    uk_link: Annotated[YesNoUnknown | NotHeld | None, should("Whether it has a link to the United Kingdom.", UK)] = None
    countries: Annotated[tuple[Country, ...] | NotHeld, should("Countries that it concerns (ISO 3166-1).", UK)] = ()
    other_references: Annotated[
        tuple[OtherReference, ...] | NotHeld, should("Numbers under which other bodies have it.", UK, NCMEC)
    ] = ()
    linked_reports: Annotated[
        tuple[Short, ...] | NotHeld, may("References of your other reports that belong to it.")
    ] = ()
    suspects: Annotated[tuple[Suspect, ...] | NotHeld, should("People whose conduct is reported.", UK, NCMEC)] = ()
    children: Annotated[tuple[Child, ...] | NotHeld, should("Children who are or may be harmed.", NCMEC)] = ()
    other_people: Annotated[
        tuple[OtherPerson, ...] | NotHeld, should("Who complained, who saw it, whom it was meant for.", NCMEC)
    ] = ()
    conversations: Annotated[tuple[Conversation, ...] | NotHeld, should("What was said, as messages.")] = ()
    files: Annotated[tuple[ReportedFile, ...] | NotHeld, may("Files that are kept or handed over.", UK, NCMEC)] = ()
    police: Annotated[tuple[PoliceInformed, ...] | NotHeld, should("Police who know already.", NCMEC)] = ()
    preservation: Annotated[tuple[Preservation, ...] | NotHeld, should("What is kept for police.", UK, NCMEC)] = ()


class Completeness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of what police use is there: 0 to 100, and JSON pointers of what is missing, the most useful first."""

    missing: tuple[str, ...]
    score: Annotated[int, Meta(ge=0, le=100)]


class SealedIndustryReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is sealed: the report, how complete its sender says it is, and the clear fields again for the desk.

    A sender in another language may leave `completeness` out: the desk counts anew.
    """

    clear: ClearFields
    report: IndustryReport
    completeness: Completeness | None = None
    evidence: Annotated[tuple[EvidenceReference, ...], Meta(max_length=MAX_EVIDENCE_IDS)] = ()
