"""The industry report: everything that a trust-and-safety team can say, before it is sealed.

Strict and free of order: unknown fields are refused, lists may be empty, and no field needs another one beside it
unless `checks.py` says so. Never seen by the gateway.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.report.enforcement import OtherReference, PoliceInformed, Preservation
from partner_sdk.report.files import ReportedFile
from partner_sdk.report.incident import Conversation, Incident
from partner_sdk.report.people import Child, OtherPerson, Suspect
from partner_sdk.report.reporter import Discovery, Reporter
from partner_sdk.report.values import (
    NCMEC,
    UK,
    Country,
    NotHeld,
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
