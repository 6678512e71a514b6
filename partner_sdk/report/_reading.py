"""Reads and checks reports: the file that a partner fills in, and the part of it that is sealed.

Every fault names its JSON pointer and how to fix it. msgspec stops at the first mismatch; here every object is looked
at on its own, so that a person fixes all in one go. Never repeats a value of the report, nor a name that the model does
not have: both are part of a person's words.

Beyond the model: which fields a kind or a priority asks for, real days, and names that must be there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import inspect

from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report._completeness import measure_completeness
from partner_sdk.report.model import IndustryReport, SealedIndustryReport
from partner_sdk.report.outline import (
    Field,
    Trail,
    describe_type,
    follow,
    get_report_type,
    get_value_type,
    is_not_held,
    list_given,
    make_trail,
)
from partner_sdk.report.values import DAY, MOMENT, NotHeld
from partner_sdk.wire.canonical import check_reference, convert, describe_mismatch, encode, parse_exact, parse_json_file
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.sealing import MAX_PADDED_BYTES
from partner_sdk.wire.submission import ClearFields, Priority, ReportKind

SCHEMA_CALL: Final = "GET /v1/schema/report.json"

# Enough for a person to fix in one go.
MOST_FAULTS: Final = 50
MUST_BE_THERE: Final = "Add this field: it is required."

# The way from the report to a place in it: each step is a name, or a place in a list.
Steps = Sequence[tuple[str | None, str | None]]

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")


def list_mismatches(value: Any) -> list[FieldFault]:
    """List where JSON does not fit an `IndustryReport`, object by object, at most `MOST_FAULTS`; empty if it fits."""
    return list(islice(_list_in_object(value, IndustryReport, ()), MOST_FAULTS))


def _list_in_object(value: Any, cls: type[msgspec.Struct], above: Steps) -> Iterator[FieldFault]:
    if not isinstance(value, dict):
        yield from _list_first(value, cls, above)
        return
    pointer, fields = _format_pointer(above), msgspec.structs.fields(cls)
    absent = [field for field in fields if field.encode_name not in value]
    if len(value) > len(fields) - len(absent):
        yield FieldFault(pointer, _format_unknown(pointer, [field.encode_name for field in absent]))
    for field in fields:
        here = (*above, (field.encode_name, None))
        if field.encode_name in value:
            yield from _list_in_field(value[field.encode_name], field.type, here)
        elif field.required:
            yield FieldFault(_format_pointer(here), MUST_BE_THERE)


def _list_in_field(value: Any, kind: Any, here: Steps) -> Iterator[FieldFault]:
    first = list(_list_first(value, kind, here))
    if not first:
        return
    bare = get_value_type(_get_type(here))
    if isinstance(bare, inspect.StructType) and isinstance(value, dict):
        yield from _list_in_object(value, bare.cls, here)
    elif isinstance(bare, inspect.VarTupleType) and isinstance(value, list):
        item = get_value_type(bare.item_type)
        found = False
        if isinstance(item, inspect.StructType):
            for place, one in enumerate(value):
                for fault in _list_in_object(one, item.cls, (*here, (None, str(place)))):
                    found = True
                    yield fault
        if not found:
            yield from first
    else:
        yield from first


def _list_first(value: Any, kind: Any, above: Steps) -> Iterator[FieldFault]:
    try:
        convert(value, kind=kind)
    except msgspec.ValidationError as error:
        yield make_fault(error, above=above)


def make_fault(error: msgspec.ValidationError, *, above: Steps = ()) -> FieldFault:
    """Return the fault; `error` comes from reading an `IndustryReport`, or the part of one that lies at `above`."""
    text = str(error)
    place = _PLACE.search(text)
    found = _STEP.finditer(place["path"] if place else "")
    steps = [*above, *((step["name"], step["index"]) for step in found)]
    pointer = _format_pointer(steps)
    kind = _get_type(steps)
    named = _NAMED.match(_PLACE.sub("", text))
    if named is None or _is_object_for_a_value(kind):
        return FieldFault(pointer, f"Give {describe_type(kind)}.")
    if named["what"] == "missing required":
        return FieldFault(f"{pointer}/{named['name']}", MUST_BE_THERE)
    return FieldFault(pointer, _format_unknown(pointer, []))


def _format_pointer(steps: Steps) -> str:
    return "#" + "".join(f"/{name or index}" for name, index in steps)


def _format_unknown(pointer: str, absent: Sequence[str]) -> str:
    said = f"Remove the field directly under {pointer} that is not in the schema; see {SCHEMA_CALL}."
    return f"{said} If it is misspelt, the fields still missing here are {', '.join(absent)}." if absent else said


def _get_type(steps: Steps) -> inspect.Type:
    kind = get_report_type()
    for name, _index in steps:
        bare = inspect.type_info(NotHeld) if name == "not_held" else get_value_type(kind)
        if isinstance(bare, inspect.StructType):
            kind = next(field.type for field in bare.fields if field.encode_name == name)
        elif isinstance(bare, inspect.VarTupleType):
            kind = bare.item_type
    return kind


def _is_object_for_a_value(kind: inspect.Type) -> bool:
    # An object where a text or a list should stand was taken for a `not_held` that lacks its reason.
    bare = get_value_type(kind)
    return not isinstance(bare, inspect.StructType) or is_not_held(bare)


_NO_SUCH_DAY = "Give a date that exists."
_WHOLE_DAY = len("2011-05-30")
_KINDS_BY_FIELD: Final[dict[str, tuple[ReportKind, ...]]] = {
    "answers_request": ("response",),
    "change_reason": ("correction", "retraction"),
}


def list_faults(report: IndustryReport, *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    """List missing fields and contradictions; an empty list is a good report."""
    return [
        *_list_missing(report, priority=priority, kind=kind),
        *_list_of_other_kinds(report, kind=kind),
        *_list_false_days(report),
        *_list_false_references(report),
        *_list_unknown_files(report),
        *_list_messages_out_of_order(report),
    ]


def list_asked_fields(*, priority: Priority, kind: ReportKind) -> dict[str, str]:
    """Return the fields that this priority and kind require besides the musts, each with an instruction."""
    asked = {}
    if priority in {"P1", "P2"}:
        asked["priority_reason"] = f"Explain in one sentence why this is {priority}."
    if kind in {"correction", "retraction"}:
        asked["change_reason"] = f"Explain in one sentence why this is a {kind}."
    if kind == "response":
        asked["answers_request"] = "Copy the id of the request that this answers from its message."
    return asked


def list_missing_cases(said: Mapping[str, object], *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    """List the fields that this priority and kind require besides the musts and that `given`, fields by name, lacks."""
    asked = list_asked_fields(priority=priority, kind=kind)
    return [FieldFault(f"#/{name}", words) for name, words in asked.items() if said.get(name) is None]


def _list_missing(report: IndustryReport, *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    said = {name: getattr(report, name) for name in list_asked_fields(priority=priority, kind=kind)}
    return list_missing_cases(said, priority=priority, kind=kind)


def _list_of_other_kinds(report: IndustryReport, *, kind: ReportKind) -> Iterator[FieldFault]:
    # A forgotten kind would open a case of its own for a report that belongs to an open one.
    for name, kinds in _KINDS_BY_FIELD.items():
        if kind not in kinds and getattr(report, name) is not None:
            options = " or ".join(f"--kind {one}" for one in kinds)
            yield FieldFault(f"#/{name}", f"{name} goes with {options}: give the kind, or remove this field.")


@cache
def _get_day_trail() -> Trail:
    return make_trail(lambda field: _pattern_of(field) in {MOMENT, DAY})


def _pattern_of(field: Field) -> str | None:
    kind = get_value_type(field.type)
    return kind.pattern if isinstance(kind, inspect.StrType) else None


def _list_false_days(report: IndustryReport) -> Iterator[FieldFault]:
    # The patterns of the model let 31 February through.
    for visited in follow(_get_day_trail(), report):
        text = visited.value
        if not isinstance(text, str):
            continue
        try:
            if len(text) > _WHOLE_DAY:
                datetime.fromisoformat(text)
            elif len(text) == _WHOLE_DAY:
                date.fromisoformat(text)
        except ValueError:
            yield FieldFault(visited.pointer, _NO_SUCH_DAY)


def _list_false_references(report: IndustryReport) -> Iterator[FieldFault]:
    for place, reference in enumerate(list_given(report.linked_reports)):
        try:
            check_reference(reference)
        except FormatError:
            yield FieldFault(f"#/linked_reports/{place}", "Copy the reference from the receipt.")


def _list_unknown_files(report: IndustryReport) -> Iterator[FieldFault]:
    known: set[str] = set()
    for place, file in enumerate(list_given(report.files)):
        if file.file_id in known:
            yield FieldFault(f"#/files/{place}/file_id", "Give each file its own id.")
        known.add(file.file_id)
    for pointer, file_id in _list_named_files(report):
        if isinstance(file_id, str) and file_id not in known:
            yield FieldFault(pointer, "Name a file that is listed under #/files, or remove this.")


def _list_named_files(report: IndustryReport) -> Iterator[tuple[str, object]]:
    for place, suspect in enumerate(list_given(report.suspects)):
        yield f"#/suspects/{place}/avatar_file_id", suspect.avatar_file_id
    for thread, conversation in enumerate(list_given(report.conversations)):
        for place, message in enumerate(conversation.messages):
            yield f"#/conversations/{thread}/messages/{place}/file_id", message.file_id


def _list_messages_out_of_order(report: IndustryReport) -> Iterator[FieldFault]:
    for thread, conversation in enumerate(list_given(report.conversations)):
        latest = ""
        for place, message in enumerate(conversation.messages):
            if not isinstance(message.sent_at, str):
                continue
            if message.sent_at < latest:
                pointer = f"#/conversations/{thread}/messages/{place}/sent_at"
                yield FieldFault(pointer, "List the messages of a thread in the order in which they were sent.")
                break
            latest = message.sent_at


MAX_REPORT_BYTES = 1024 * 1024


def parse_report(
    raw: bytes, *, priority: Priority, kind: ReportKind = "initial", answers: str | None = None
) -> IndustryReport:
    """Read a report file, or raise `ReportError` whose faults name JSON pointers and the way to fix each.

        parse_report(Path("report.json").read_bytes(), priority="P2").category  # e.g. "grooming"

    `raw` is JSON in any layout, at most `MAX_REPORT_BYTES`.
    `answers` is the id of the question that a response answers: it is written into a report that names none.
    """
    try:
        value = parse_json_file(raw, max_bytes=MAX_REPORT_BYTES)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    if answers is not None and isinstance(value, dict):
        if value.get("answers_request") not in (None, answers):
            raise ReportError(
                "The report answers a different question from the one given.",
                reason="other-request",
                faults=[FieldFault("#/answers_request", "Leave this out, or give the same question id.")],
            )
        value["answers_request"] = answers
    try:
        report = convert(value, kind=IndustryReport)
    except msgspec.ValidationError as error:
        mismatches = list_mismatches(value) or [make_fault(error)]
        asked = list_missing_cases(value, priority=priority, kind=kind) if isinstance(value, dict) else []
        raise ReportError(
            "The report does not match its model.", reason="bad-field", faults=[*mismatches, *asked]
        ) from None
    faults = list_faults(report, priority=priority, kind=kind)
    if faults:
        raise ReportError("The report is incomplete or contradicts itself.", reason="bad-field", faults=faults)
    return report


def make_sealed_report(
    report: IndustryReport, *, clear: ClearFields, evidence: tuple[EvidenceReference, ...] = ()
) -> SealedIndustryReport:
    """Return the text to seal: the report, its completeness, the keys of its evidence, and the clear fields again."""
    return SealedIndustryReport(
        clear=clear, completeness=measure_completeness(report), evidence=evidence, report=report
    )


def encode_sealed_report(report: SealedIndustryReport) -> bytes:
    """Return the canonical bytes to seal."""
    return encode(report)


def parse_sealed_report(raw: bytes) -> SealedIndustryReport:
    """Read the sealed text; raises `FormatError`.

    The JSON is canonical (RFC 8785), and a field without a value may be left out or given as empty: senders in other
    languages do the one or the other.
    """
    value: Any = parse_exact(raw, kind=Any, max_bytes=MAX_PADDED_BYTES)
    try:
        return convert(value, kind=SealedIndustryReport)
    except msgspec.ValidationError as error:
        said = describe_mismatch(error, kind=SealedIndustryReport)
        raise FormatError(f"The JSON does not match its model: {said}", reason="malformed") from None


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the report that a partner fills in."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(IndustryReport)}
