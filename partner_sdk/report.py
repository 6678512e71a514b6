"""The industry report: what a trust-and-safety team says, before it is sealed.

This version holds the fields that must be there. Never seen by the gateway.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from partner_sdk.canonical import encode, parse_exact, parse_time
from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.padding import MAX_PADDED_BYTES
from partner_sdk.strict_json import parse_json_file
from partner_sdk.submission import ClearFields

MAX_REPORT_BYTES = 1024 * 1024

Short = Annotated[str, Meta(min_length=1, max_length=300)]
Text = Annotated[str, Meta(min_length=1, max_length=3000)]
Narrative = Annotated[str, Meta(min_length=1, max_length=100_000)]

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
Sector = Literal["online", "mobile", "financial", "other"]
Discovery = Literal["hash_match", "classifier", "moderator", "user_complaint", "employee", "external_tip", "other"]
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
YesNoUnknown = Literal["yes", "no", "unknown"]


class Reporter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who submits, for whom, and the declaration that the law asks for (SI 2026/268)."""

    declaration: Literal[True]
    organisation: Short
    sector: Sector
    service: Short
    submitter_email: Short
    submitter_name: Short
    submitter_telephone: Short


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened, when, and what that time means."""

    happened_at: str
    medium: Medium
    narrative: Narrative
    time_meaning: Text


class Suspect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person that the report is about, by the id that the service knows."""

    service_user_id: Short


class Child(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A child that the report is about."""

    at_risk_now: YesNoUnknown


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the service keeps or hands over as evidence."""

    copy_kept_until: str | None
    exif_viewed_by_staff: bool
    file_id: Short
    part_digests: tuple[str, ...]
    relevance: Literal["reported", "supplemental"]
    viewed_by_staff: bool


class IndustryReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a partner fills in. `priority_reason` is asked for with P1 and P2."""

    category: Category
    children: tuple[Child, ...]
    discovered_by: Discovery
    files: tuple[ReportedFile, ...]
    incident: Incident
    priority_reason: Text | None
    reporter: Reporter
    schema_version: Literal["1"]
    sub_label: SubLabel
    suspects: tuple[Suspect, ...]


class SealedIndustryReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sealed: the report, and the clear fields again, so that the desk can compare."""

    clear: ClearFields
    report: IndustryReport


def parse_report(raw: bytes, *, priority: str) -> IndustryReport:
    """Read a report file, or raise `ReportError` whose faults name JSON pointers and say what to do."""
    try:
        value = parse_json_file(raw, max_bytes=MAX_REPORT_BYTES)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    try:
        report = msgspec.convert(value, IndustryReport)
    except msgspec.ValidationError as error:
        raise ReportError("The report does not fit its model.", reason="bad-field", faults=[_fault(error)]) from None
    faults = list(_semantic_faults(report, priority))
    if faults:
        raise ReportError("The report misses something.", reason="bad-field", faults=faults)
    return report


def encode_sealed_report(report: SealedIndustryReport) -> bytes:
    """Return the canonical bytes to seal."""
    return encode(report)


def parse_sealed_report(raw: bytes) -> SealedIndustryReport:
    """Read what was sealed; raises `FormatError`."""
    return parse_exact(raw, kind=SealedIndustryReport, max_bytes=MAX_PADDED_BYTES)


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the report that a partner fills in."""
    return msgspec.json.schema(IndustryReport)


def _semantic_faults(report: IndustryReport, priority: str) -> list[FieldFault]:
    faults = []
    if priority in {"P1", "P2"} and report.priority_reason is None:
        faults.append(FieldFault("#/priority_reason", f"Say in a sentence why this is {priority}."))
    moments = [("#/incident/happened_at", report.incident.happened_at)]
    moments += [
        (f"#/files/{place}/copy_kept_until", file.copy_kept_until)
        for place, file in enumerate(report.files)
        if file.copy_kept_until is not None
    ]
    for pointer, moment in moments:
        try:
            parse_time(moment)
        except FormatError as error:
            faults.append(FieldFault(pointer, str(error)))
    return faults


_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")


def _fault(error: msgspec.ValidationError) -> FieldFault:
    text = str(error)
    place = _PLACE.search(text)
    pointer = "#" + "".join(
        "/" + (step["name"] or step["index"]) for step in _STEP.finditer(place["path"] if place else "")
    )
    said = _PLACE.sub("", text)
    named = _NAMED.match(said)
    if named and named["what"] == "missing required":
        return FieldFault(f"{pointer}/{named['name']}", "Add this field; it must be there.")
    if named:
        return FieldFault(
            pointer,
            f"Take out the field directly under {pointer} that the schema does not know; "
            "see GET /v1/schema/report.json.",
        )
    if said.startswith("Invalid enum value"):
        # The value itself is part of a report and is not repeated.
        return FieldFault(pointer, "Use one of the values that the schema lists for this field.")
    return FieldFault(pointer, f"{said}.")
