"""Reads and checks reports, measures how complete they are, and shows them as they will be sealed (WIRE.md §6.5).

Every fault names its JSON pointer and how to fix it. msgspec stops at the first mismatch; here every object is looked
at on its own, so that a person fixes all in one go. Never repeats a value of the report, nor a name that the model does
not have: both are part of a person's words. Beyond the model: which fields a kind or a priority asks for, real days,
and names that must be there.

Completeness: every kind of field that the model marks `should` counts once wherever its object is there: a hundred
messages weigh as much as one. `not_held` with its reason counts as an answer. Computed before sealing: the gateway
cannot read a report.

The preview never leaves a field out and never shortens one; only the id and the time are made at sealing. The cover of
a supplement that brings only digests of evidence has the required fields, and no word more: it is made from the report
before that is sealed.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import inspect, structs

from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report.model import (
    DAY,
    MOMENT,
    Completeness,
    Discovery,
    Incident,
    IndustryReport,
    NotHeld,
    ReportedFile,
    Reporter,
    SealedIndustryReport,
)
from partner_sdk.report.outline import (
    Field,
    Trail,
    Visited,
    describe_type,
    follow,
    get_field,
    get_report_type,
    get_value_type,
    is_answered,
    is_not_held,
    list_given,
    make_trail,
)
from partner_sdk.wire.canonical import check_reference, convert, describe_mismatch, encode, parse_exact, parse_json_file
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.sealing import MAX_PADDED_BYTES
from partner_sdk.wire.submission import ClearFields, Priority, ReportKind

# At most this many places of one kind of field are named: a thousand logins must not fill the page.
MOST_PLACES: Final = 3

# Fields that identify and protect a person come first: who, from where, which child, and the messages.
MOST_USEFUL: Final[tuple[str, ...]] = (
    "/children",
    "/suspects",
    "/incident/harm_signs",
    "/incident/meetings",
    "/children/locations",
    "/children/safe_to_contact",
    "/suspects/logins",
    "/suspects/logins/used_at",
    "/suspects/logins/port",
    "/suspects/emails",
    "/suspects/phones",
    "/suspects/username",
    "/suspects/locations",
    "/conversations",
    "/children/username",
    "/children/service_user_id",
    "/children/age_band",
    "/files/hashes",
    "/files/upload_ip",
    "/files/upload_port",
    "/files/uploaded_at",
    "/suspects/profile_urls",
    "/suspects/born_on",
    "/suspects/stated_name",
    "/suspects/devices",
    "/preservation",
    "/police",
    "/other_references",
    "/reporter/police_contacts",
    "/incident/off_platform_move",
    "/uk_link",
    "/countries",
)


def counts_where_given(_: Any, __: IndustryReport) -> bool:
    """Mark a field as never missing; a given value counts."""
    return False


# Where one answer makes another question idle. Each gets the object that holds the field, and the report.
APPLIES: Final[Mapping[str, Callable[[Any, IndustryReport], bool]]] = {
    "/children/age": counts_where_given,  # asked for is the band
    "/children/age_band": lambda child, _: not isinstance(child.age, int),
    "/children/emails/verified_at": lambda email, _: email.is_verified == "yes",
    "/children/phones/calling_code": lambda phone, _: not phone.number.startswith("+"),
    "/children/phones/verified_at": lambda phone, _: phone.is_verified == "yes",
    "/conversations/messages/file_id": lambda message, _: message.type in {"picture", "video", "voice", "file"},
    "/conversations/messages/text": lambda message, _: message.type in {"text", "link"},
    "/discovery/actions/taken_at": lambda action, _: action.action != "none",
    "/discovery/actions/user_was_told": lambda action, _: action.action != "none",
    "/incident/places/console": lambda _, report: report.incident.medium == "game",
    "/incident/places/game": lambda _, report: report.incident.medium == "game",
    "/other_people": lambda _, report: report.discovery.discovered_by == "user_complaint",
    "/suspects/emails/verified_at": lambda email, _: email.is_verified == "yes",
    "/suspects/phones/calling_code": lambda phone, _: not phone.number.startswith("+"),
    "/suspects/phones/verified_at": lambda phone, _: phone.is_verified == "yes",
}

_RANK: Final = {pattern: place for place, pattern in enumerate(MOST_USEFUL)}


def measure_completeness(report: IndustryReport) -> Completeness:
    """Return the score, 0 to 100, and the JSON pointers of missing fields, the most useful to police first.

    The score is the mean, rounded down, of the share of each kind of field in percent, rounded down.
    """
    asked: dict[str, int] = {}
    gaps: dict[str, list[Visited]] = {}
    for visited in follow(_get_trail(), report):
        pattern = visited.field.pattern
        if not is_answered(visited.value):
            applies = APPLIES.get(pattern)  # a given value counts, although the field is optional
            if applies is not None and not applies(visited.owner, report):
                continue
            gaps.setdefault(pattern, []).append(visited)
        asked[pattern] = asked.get(pattern, 0) + 1
    shares = (100 * (asked[one] - len(gaps[one])) // asked[one] for one in gaps)
    score = (100 * (len(asked) - len(gaps)) + sum(shares)) // len(asked)
    named = (gap for pattern in sorted(gaps, key=_rank) for gap in gaps[pattern][:MOST_PLACES])
    return Completeness(missing=tuple(gap.pointer for gap in named), score=score)


def list_missing_fields(completeness: Completeness) -> list[str]:
    """Return the missing fields among the `MOST_USEFUL`, each once and without its places, e.g. `/suspects/logins`."""
    named = (get_field(pointer).pattern for pointer in completeness.missing)
    return list(dict.fromkeys(one for one in named if one in _RANK))


@cache
def _get_trail() -> Trail:
    return make_trail(lambda field: field.needed == "should")


def _rank(pattern: str) -> int:
    return _RANK.get(pattern, len(_RANK))


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


class Preview(msgspec.Struct, frozen=True):
    """The text of one report that will be sealed, with the clear fields that are settled before sealing."""

    completeness: Completeness
    earlier_reference: str | None
    evidence_ids: tuple[str, ...]
    kind: ReportKind
    priority: Priority
    report: IndustryReport


def make_preview(
    report: IndustryReport,
    *,
    priority: Priority,
    kind: ReportKind = "initial",
    earlier_reference: str | None = None,
    evidence_ids: tuple[str, ...] = (),
) -> Preview:
    """Return the preview of a report that `parse_report` let pass."""
    return Preview(
        completeness=measure_completeness(report),
        earlier_reference=earlier_reference,
        evidence_ids=evidence_ids,
        kind=kind,
        priority=priority,
        report=report,
    )


def list_preview_fields(preview: Preview) -> dict[str, Any]:
    """Return the preview for JSON; `completeness` and `report` are as they will be sealed."""
    fields: dict[str, Any] = msgspec.to_builtins(preview)
    return fields


NARRATIVE: Final = (
    "The evidence that the earlier report names has been handed over whole. "
    "This supplement brings the fingerprints of the sealed files and says nothing else."
)
NEW_IDS: Final = " Changed since that report, and handed over under a new evidence id: "
TIME_MEANING: Final = "As in the earlier report."


def make_evidence_cover(report: IndustryReport, *, file_ids: Container[str]) -> IndustryReport:
    """Return the cover for the files with these ids: reporter, category, times, and each file's own facts."""
    reporter, discovery, incident = report.reporter, report.discovery, report.incident
    return IndustryReport(
        schema_version=report.schema_version,
        category=report.category,
        sub_label=report.sub_label,
        reporter=Reporter(
            declaration=reporter.declaration,
            organisation=reporter.organisation,
            sector=reporter.sector,
            service=reporter.service,
            submitter_name=reporter.submitter_name,
            submitter_email=reporter.submitter_email,
            submitter_telephone=reporter.submitter_telephone,
        ),
        discovery=Discovery(discovered_by=discovery.discovered_by, detected_at=discovery.detected_at),
        incident=Incident(
            happened_at=incident.happened_at, time_meaning=TIME_MEANING, medium=incident.medium, narrative=NARRATIVE
        ),
        files=tuple(_strip(file) for file in list_given(report.files) if file.file_id in file_ids),
    )


def note_new_ids(cover: IndustryReport, *, file_ids: Iterable[str]) -> IndustryReport:
    """Return the cover with a note about files whose evidence id differs from the earlier report's."""
    names = ", ".join(sorted(file_ids))
    narrative = f"{NARRATIVE}{NEW_IDS}{names}."
    return structs.replace(cover, incident=structs.replace(cover.incident, narrative=narrative))


def _strip(file: ReportedFile) -> ReportedFile:
    return ReportedFile(
        file_id=file.file_id,
        relevance=file.relevance,
        viewed_by_staff=file.viewed_by_staff,
        exif_viewed_by_staff=file.exif_viewed_by_staff,
        copy_kept_until=file.copy_kept_until,
    )
