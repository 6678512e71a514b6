"""What a model alone can not say: which fields a kind or a priority asks for, real days, and names that must be there.

Every fault names its JSON pointer and says what to do; it never repeats what the report says.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import Final

from msgspec import inspect

from partner_sdk.errors import FieldFault, FormatError
from partner_sdk.report.model import IndustryReport
from partner_sdk.report.outline import Field, Trail, follow, get_value_type, make_trail
from partner_sdk.report.values import DAY, MOMENT, list_given
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.submission import Priority, ReportKind

_NO_SUCH_DAY = "Name a day that exists."
_WHOLE_DAY = len("2011-05-30")
_KINDS_BY_FIELD: Final[dict[str, tuple[ReportKind, ...]]] = {
    "answers_request": ("response",),
    "change_reason": ("correction", "retraction"),
}


def list_faults(report: IndustryReport, *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    """List what is missing or contradicts itself; an empty list is a good report."""
    return [
        *_list_missing(report, priority=priority, kind=kind),
        *_list_of_other_kinds(report, kind=kind),
        *_list_false_days(report),
        *_list_false_references(report),
        *_list_unknown_files(report),
        *_list_messages_out_of_order(report),
    ]


def list_asked_fields(*, priority: Priority, kind: ReportKind) -> dict[str, str]:
    """Return the fields that this priority and kind ask for besides the musts, each with what to do."""
    asked = {}
    if priority in {"P1", "P2"}:
        asked["priority_reason"] = f"Say in a sentence why this is {priority}."
    if kind in {"correction", "retraction"}:
        asked["change_reason"] = f"Say in a sentence why this is a {kind}."
    if kind == "response":
        asked["answers_request"] = "Name the request that this answers, as it stands in the message."
    return asked


def list_missing_cases(said: Mapping[str, object], *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    """List what this priority and kind ask for besides the musts and `said` has not: the fields of a report by name."""
    asked = list_asked_fields(priority=priority, kind=kind)
    return [FieldFault(f"#/{name}", words) for name, words in asked.items() if said.get(name) is None]


def _list_missing(report: IndustryReport, *, priority: Priority, kind: ReportKind) -> list[FieldFault]:
    said = {name: getattr(report, name) for name in list_asked_fields(priority=priority, kind=kind)}
    return list_missing_cases(said, priority=priority, kind=kind)


def _list_of_other_kinds(report: IndustryReport, *, kind: ReportKind) -> Iterator[FieldFault]:
    # A kind that was forgotten would make a case of its own of what belongs to one that is open.
    for name, kinds in _KINDS_BY_FIELD.items():
        if kind not in kinds and getattr(report, name) is not None:
            options = " or ".join(f"--kind {one}" for one in kinds)
            yield FieldFault(f"#/{name}", f"{name} goes with {options}: give the kind, or take this field out.")


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
            yield FieldFault(f"#/linked_reports/{place}", "Give a reference as it stands in the receipt.")


def _list_unknown_files(report: IndustryReport) -> Iterator[FieldFault]:
    known: set[str] = set()
    for place, file in enumerate(list_given(report.files)):
        if file.file_id in known:
            yield FieldFault(f"#/files/{place}/file_id", "Give each file an id of its own.")
        known.add(file.file_id)
    for pointer, file_id in _list_named_files(report):
        if isinstance(file_id, str) and file_id not in known:
            yield FieldFault(pointer, "Name a file that is listed under #/files, or take this out.")


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
