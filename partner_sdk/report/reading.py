"""Reads and writes reports: the file that a partner fills in, and what is sealed of it."""

from typing import Any

import msgspec

from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report.checks import list_faults, list_missing_cases
from partner_sdk.report.completeness import measure_completeness
from partner_sdk.report.misfits import list_misfits, make_fault
from partner_sdk.report.model import IndustryReport, SealedIndustryReport
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.misfit import describe_misfit
from partner_sdk.wire.padding import MAX_PADDED_BYTES
from partner_sdk.wire.strict_json import parse_json_file
from partner_sdk.wire.submission import ClearFields, Priority, ReportKind

MAX_REPORT_BYTES = 1024 * 1024


def parse_report(
    raw: bytes, *, priority: Priority, kind: ReportKind = "initial", answers: str | None = None
) -> IndustryReport:
    """Read a report file, or raise `ReportError` whose faults name JSON pointers and say what to do.

    `answers` is the id of the question that a response answers: it is written into a report that names none.
    """
    try:
        value = parse_json_file(raw, max_bytes=MAX_REPORT_BYTES)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    if answers is not None and isinstance(value, dict):
        if value.get("answers_request") not in (None, answers):
            raise ReportError(
                "The report names another question than the one that it is to answer.",
                reason="other-request",
                faults=[FieldFault("#/answers_request", "Leave this out, or give the id of the question.")],
            )
        value["answers_request"] = answers
    try:
        report = msgspec.convert(value, IndustryReport)
    except msgspec.ValidationError as error:
        misfits = list_misfits(value) or [make_fault(error)]
        asked = list_missing_cases(value, priority=priority, kind=kind) if isinstance(value, dict) else []
        raise ReportError("The report does not fit its model.", reason="bad-field", faults=[*misfits, *asked]) from None
    faults = list_faults(report, priority=priority, kind=kind)
    if faults:
        raise ReportError("The report misses something.", reason="bad-field", faults=faults)
    return report


def make_sealed_report(
    report: IndustryReport, *, clear: ClearFields, evidence: tuple[EvidenceReference, ...] = ()
) -> SealedIndustryReport:
    """Return what to seal: the report, how complete it is, what opens its evidence, and the clear fields again."""
    return SealedIndustryReport(
        clear=clear, completeness=measure_completeness(report), evidence=evidence, report=report
    )


def encode_sealed_report(report: SealedIndustryReport) -> bytes:
    """Return the canonical bytes to seal."""
    return encode(report)


def parse_sealed_report(raw: bytes) -> SealedIndustryReport:
    """Read what was sealed; raises `FormatError`.

    The JSON is canonical (RFC 8785), and a field without a value may be left out or spelled as empty: senders in other
    languages do the one or the other.
    """
    value: Any = parse_exact(raw, kind=Any, max_bytes=MAX_PADDED_BYTES)
    try:
        return msgspec.convert(value, SealedIndustryReport)
    except msgspec.ValidationError as error:
        said = describe_misfit(error, kind=SealedIndustryReport)
        raise FormatError(f"The JSON does not fit its model: {said}", reason="malformed") from None


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the report that a partner fills in."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(IndustryReport)}
