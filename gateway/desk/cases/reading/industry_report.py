"""Lays out an opened industry report in an analyst's order, as facts, tables, threads, and cards of people and places.

Codes and times become text; no other character ever changes. Never leaves out a field with a value: unnamed fields are
laid out in place. Only the report's own ids ever label a person as a child or suspect. A later report never replaces
the first: the page shows both whole, and each change.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, zip_longest
from typing import Any, Final

from msgspec import inspect

from gateway.desk.cases.reading.labels import get_field_label
from partner_sdk.report import Completeness, SealedIndustryReport, measure_completeness
from partner_sdk.report.model import MOMENT, Child, Conversation, IndustryReport, NotHeld, OtherPerson, Suspect
from partner_sdk.report.model import Message as SentMessage
from partner_sdk.report.outline import Field, Part, get_field, get_outline, get_value_type, is_answered, list_given

NOT_HELD: Final = {
    "none_exists": "none exists",
    "not_collected": "not collected",
    "no_longer_kept": "no longer kept",
    "deleted_by_user": "deleted by the user",
    "not_applicable": "does not apply",
    "not_yet_known": "not known yet",
    "law_forbids": "the law forbids it",
    "unknown": "they do not know why",
}
# Codes that need their own label, e.g. `sms`.
_CODES: Final = {
    "under_11": "Under 11",
    "11_12": "11 or 12",
    "13_15": "13 to 15",
    "16_17": "16 or 17",
    "18_plus": "18 or over",
    "unknown": "Not known",
    "email": "E-mail",
    "ncmec": "NCMEC",
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "pdq": "PDQ",
    "tmk": "TMK",
    "photodna": "PhotoDNA",
    "ai_generated": "AI-generated",
    "ai_tool": "AI tool",
    "voice_video": "Voice or video",
    "phone_sms": "Phone or SMS",
    "drawing_or_virtual": "Drawing or virtual",
    "solicitation": "Solicitation",
}
_LONG: Final = 80
# A table with more columns than this is harder to read than cards.
MOST_COLUMNS: Final = 5
MOST_CHANGES: Final = 100
# The reason for the change is shown above it, and the version adds nothing.
_LEFT_OUT: Final = frozenset({"change_reason", "answers_request", "schema_version"})


@dataclass(frozen=True, slots=True)
class Value:
    """One displayed value. `is_typed` marks text typed by a person; `is_long` needs room and keeps line breaks.

    `is_reason` is the sender's reason for having nothing: it follows the label "Not held".
    """

    text: str
    is_typed: bool = False
    is_held: bool = True
    is_long: bool = False
    is_reason: bool = False

    @property
    def full_text(self) -> str:
        """The text, with its prefix."""
        return f"Not held: {self.text}" if self.is_reason else self.text


BLANK: Final = Value("", is_held=False)


def format_value(field: Field, value: Any) -> Value:
    """Return how a value of this field is shown."""
    if isinstance(value, NotHeld):
        return format_not_held(value)
    if value is None or value == ():
        return Value("None", is_held=False)
    if isinstance(value, tuple):
        one = _get_format(field.pattern, field.type)
        parts = [_format_one(one, part) for part in value]
        # Typed text may contain commas: each value on its own line.
        text = ("\n" if one == "typed" else ", ").join(parts)
        return Value(text, is_typed=one == "typed", is_long=len(text) > _LONG)
    kind = _get_format(field.pattern, field.type)
    text = _format_one(kind, value)
    return Value(text, is_typed=kind == "typed", is_long=len(text) > _LONG or "\n" in text)


def format_not_held(value: NotHeld) -> Value:
    """Return the reason why the sender does not have something."""
    return Value(NOT_HELD[value.not_held], is_held=False, is_reason=True)


def format_code(code: str) -> str:
    """Return the label of a code."""
    return _CODES.get(code) or code.replace("_", " ").capitalize()


def format_moment(moment: str) -> str:
    """Return a wire time as text, e.g. `2026-11-25 08:30:00 UTC`."""
    return moment.replace("T", " ").replace("Z", " UTC")


def _format_one(kind: str, value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if kind == "code":
        return format_code(str(value))
    return format_moment(value) if kind == "moment" else str(value)


def _get_format(pattern: str, kind: inspect.Type) -> str:
    return _list_formats().setdefault(pattern, _choose_format(kind))


@cache
def _list_formats() -> dict[str, str]:
    return {}


def _choose_format(kind: inspect.Type) -> str:
    bare = get_value_type(kind)
    if isinstance(bare, inspect.VarTupleType):
        bare = get_value_type(bare.item_type)
    if isinstance(bare, inspect.LiteralType):
        return "code"
    if isinstance(bare, inspect.StrType):
        return "moment" if bare.pattern == MOMENT else "typed"
    return "typed" if not isinstance(bare, inspect.BoolType) else "code"


@dataclass(frozen=True, slots=True)
class Fact:
    """One field and its value."""

    title: str
    value: Value


@dataclass(frozen=True, slots=True)
class Grid:
    """Similar entries, as a table. A cell without text was left blank."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a thread. `side` is suspect, child or other; `to`, `notes` and `time` are text."""

    speaker: str
    side: str
    time: str
    to: str
    kind: str
    text: Value
    notes: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Related facts, with their tables, messages and inner blocks.

    `not_held` are fields with the sender's reason for having nothing, `unsaid` the titles of blank fields.
    """

    title: str = ""
    facts: tuple[Fact, ...] = ()
    not_held: tuple[Fact, ...] = ()
    grids: tuple[Grid, ...] = ()
    blocks: tuple["Block", ...] = ()
    messages: tuple[Message, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the block has no content."""
        return not any((self.facts, self.not_held, self.grids, self.blocks, self.messages))


@dataclass(slots=True)
class _Making:
    facts: list[Fact] = field(default_factory=list)
    not_held: list[Fact] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)


def make_block(owner: Any, part: Part, *, title: str = "", without: Collection[str] = ()) -> Block:
    """Lay out an object with all its fields except those shown elsewhere."""
    return _make(owner, [one for one in part.fields if one.name not in without], title=title)


def make_block_of(owner: Any, part: Part, names: Sequence[str], *, title: str = "") -> Block:
    """Lay out only these fields of an object, in this order."""
    by_name = {one.name: one for one in part.fields}
    return _make(owner, [by_name[name] for name in names], title=title)


def get_part(part: Part, name: str) -> Part:
    """Return the outline of a field's content."""
    (found,) = (one.part for one in part.fields if one.name == name)
    if found is None:
        raise LookupError(f"{name} holds no object.")
    return found


def _make(owner: Any, fields: Sequence[Field], *, title: str) -> Block:
    making = _Making()
    for one in fields:
        _add(making, one, getattr(owner, one.name))
    return Block(
        title=title,
        facts=tuple(making.facts),
        not_held=tuple(making.not_held),
        grids=tuple(making.grids),
        blocks=tuple(making.blocks),
        unsaid=tuple(making.unsaid),
    )


def _add(making: _Making, field_: Field, value: Any) -> None:
    label = get_field_label(field_)
    if not is_answered(value) and field_.needed != "must":
        making.unsaid.append(label)
    elif isinstance(value, NotHeld):
        making.not_held.append(Fact(label, format_not_held(value)))
    elif field_.part is None or not is_answered(value):
        making.facts.append(Fact(label, format_value(field_, value)))
    elif not field_.is_list:
        making.blocks.append(make_block(value, field_.part, title=label))
    elif len(field_.part.fields) <= MOST_COLUMNS and all(one.part is None for one in field_.part.fields):
        making.grids.append(_make_grid(label, field_.part, value))
    else:
        making.blocks += [
            make_block(one, field_.part, title=f"{label} {number}" if len(value) > 1 else label)
            for number, one in enumerate(value, start=1)
        ]


def _make_grid(title: str, part: Part, rows: Sequence[Any]) -> Grid:
    shown = [one for one in part.fields if any(is_answered(getattr(row, one.name)) for row in rows)]
    return Grid(
        title=title,
        columns=tuple(get_field_label(one) for one in shown),
        rows=tuple(
            tuple(format_value(one, value) if is_answered(value := getattr(row, one.name)) else BLANK for one in shown)
            for row in rows
        ),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs between two reports; a blank side has no text."""

    title: str
    before: Value
    after: Value


def list_changes(before: IndustryReport, after: IndustryReport, *, is_addition: bool = False) -> list[Change]:
    """Return the first hundred differences, in the order of the model.

    An addition need not repeat the first report, so a field that it leaves blank is no difference.
    """
    found = _compare(get_outline(), before, after, ())
    return list(islice((one for one in found if one.after != BLANK or not is_addition), MOST_CHANGES))


def _compare(part: Part, before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Change]:
    for each in part.fields:
        if not path and each.name in _LEFT_OUT:
            continue
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old != new:
            yield from _compare_field(each, old, new, (*path, get_field_label(each)))


def _compare_field(field: Field, old: Any, new: Any, path: tuple[str, ...]) -> Iterator[Change]:
    if field.part is None or isinstance(old, NotHeld) or isinstance(new, NotHeld) or not (old and new):
        yield Change(": ".join(path), _format_value(field, old), _format_value(field, new))
    elif not field.is_list:
        yield from _compare(field.part, old, new, path)
    else:
        for number, (one, other) in enumerate(zip_longest(old, new), start=1):
            here = (*path[:-1], f"{path[-1]} {number}")
            if one is None or other is None:
                yield Change(": ".join(here), _count(one), _count(other))
            elif one != other:
                yield from _compare(field.part, one, other, here)


def _format_value(field: Field, value: Any) -> Value:
    if not is_answered(value):
        return BLANK
    if field.part is not None and not isinstance(value, NotHeld):
        count = len(value) if field.is_list else 1
        return Value(f"{count} given")
    return format_value(field, value)


def _count(entry: Any) -> Value:
    return BLANK if entry is None else Value("Given")


_SAID: Final = frozenset({"sender", "type", "text", "sent_at", "recipients"})
_NO_TEXT: Final = Value("No text", is_held=False)
# Fields that are shown in other sections than in the model.
_TRACES: Final = ("logins", "devices")
_URGENT: Final = ("harm_signs", "meetings")
_ONE_OF: Final = {
    "children": "Child",
    "suspects": "Suspect",
    "other_people": "Other person",
    "conversations": "Thread",
    "files": "File",
    "messages": "message",
    "emails": "e-mail address",
    "phones": "telephone number",
    "logins": "login",
    "devices": "device",
    "locations": "location",
    "places": "place",
    "incident": "Incident",
    "reporter": "Reporter",
    "discovery": "Discovery",
    "police": "Police",
    "preservation": "Preservation",
}


def name_people(report: IndustryReport) -> dict[str, str]:
    """Return each person's name in this report, by service user id, e.g. `Child 1`."""
    named: dict[str, str] = {}
    groups: tuple[tuple[str, Sequence[Suspect | Child | OtherPerson]], ...] = (
        ("Other person", list_given(report.other_people)),
        ("Suspect", list_given(report.suspects)),
        ("Child", list_given(report.children)),
    )
    for word, people in groups:
        for number, person in enumerate(people, start=1):
            if isinstance(person.service_user_id, str):
                named[person.service_user_id] = f"{word} {number}"
    return named


def _make_thread(thread: Conversation, part: Part, *, people: Mapping[str, str]) -> Block:
    head = make_block(thread, part, without={"messages"})
    fields = {one.name: one for one in get_part(part, "messages").fields}
    ids = (user for sent in thread.messages for user in (sent.sender, *list_given(sent.recipients)))
    known = [user for user in dict.fromkeys(ids) if user in people]
    return Block(
        title=f"Thread {thread.thread_id}",
        # The key to the names, once: every message names people by their number.
        facts=(*head.facts, *(Fact(people[user], Value(user, is_typed=True)) for user in known)),
        not_held=head.not_held,
        messages=tuple(_make_message(one, fields, people=people) for one in thread.messages),
        unsaid=head.unsaid,
    )


def _make_message(sent: SentMessage, fields: Mapping[str, Field], *, people: Mapping[str, str]) -> Message:
    return Message(
        speaker=people.get(sent.sender, sent.sender),
        side=people.get(sent.sender, "Other").split()[0].lower(),
        time=format_value(fields["sent_at"], sent.sent_at).full_text if is_answered(sent.sent_at) else "No time given",
        to=format_not_held(sent.recipients).full_text
        if isinstance(sent.recipients, NotHeld)
        else ", ".join(people.get(one, one) for one in sent.recipients),
        kind=format_value(fields["type"], sent.type).text,
        text=format_value(fields["text"], sent.text) if is_answered(sent.text) else _NO_TEXT,
        notes=tuple(_list_notes(sent, fields)),
    )


def _list_notes(sent: SentMessage, fields: Mapping[str, Field]) -> Iterator[Fact]:
    for name, one in fields.items():
        value = getattr(sent, name)
        if name not in _SAID and is_answered(value) and value is not False:
            yield Fact(get_field_label(one), format_value(one, value))


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One part of a report. `name` is for addresses within the page, `count` is the number of entries."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    count: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A report's completeness by this desk's count; `said` is the sender's count if it differs.

    `missing_left` missing fields do not fit on the page.
    """

    score: int
    missing: tuple[str, ...]
    said: int | None
    missing_left: int = 0


def make_report_sections(
    content: SealedIndustryReport, *, people: Mapping[str, str] | None = None, whole: IndustryReport | None = None
) -> list[ReportSection]:
    """Return the sections of a report, without the empty ones.

    Where it was cut for a page, `whole` is the report as it was sent: it says why it is urgent and how many there are
    of each, so that length hides no danger. `people` are its names.
    """
    report, outline = content.report, get_outline()
    whole = report if whole is None else whole
    incident, elsewhere = (
        get_part(outline, "incident"),
        len(list_given(report.other_references) + list_given(report.police)),
    )

    def make(*names: str) -> Block:
        return make_block_of(report, outline, names)

    changed = [name for name in ("change_reason", "answers_request") if getattr(report, name) is not None]
    happened = make_block(report.incident, incident, without={*_URGENT, "places"})
    reporter = make_block(report.reporter, get_part(outline, "reporter"), title="Who reports")
    discovery = make_block(report.discovery, get_part(outline, "discovery"), title="How it was found")
    sections = (
        ReportSection("changes", "Changes and answers", (make(*changed),), is_open=True),
        make_urgency(content.clear.priority, whole),
        ReportSection(
            "elsewhere",
            "Who has it already",  # near the top, so that no two bodies do the same work
            (make("other_references", "police", "linked_reports"),),
            count=f"{elsewhere} elsewhere" if elsewhere else "no one else is named",
            is_open=True,
        ),
        _make_people(report, "children", whole=whole),
        _make_people(report, "suspects", whole=whole),
        ReportSection("events", "What happened", (make("category", "sub_label", "uk_link", "countries"), happened)),
        _make_conversations(report, name_people(report) if people is None else people),
        ReportSection(
            "places",
            "Where on the service",
            (make_block_of(report.incident, incident, ("places",)),),
            count=str(len(list_given(whole.incident.places))),
        ),
        ReportSection(
            "others", "Other people", (make("other_people"),), count=str(len(list_given(whole.other_people)))
        ),
        _make_files(report),
        _make_traces(report),
        ReportSection("senders", "Who reports, and who to ask", (reporter, discovery)),
        ReportSection(
            "preservation",
            "What is kept for police",
            (make("preservation"),),
            count=str(len(list_given(report.preservation))),
        ),
        _make_particulars(content),
    )
    return [one for one in sections if not all(block.is_empty and not block.unsaid for block in one.blocks)]


def count_completeness(content: SealedIndustryReport) -> Counted:
    """Count a report's completeness again: the sender's count is only a claim."""
    counted, said = measure_completeness(content.report), content.completeness
    return Counted(
        score=counted.score,
        missing=tuple(_format_missing(counted)),
        said=None if said is None or said == counted else said.score,
    )


def name_person(word: str, number: int, person: Any) -> str:
    """Return a person's heading: a number, plus the service's name or id for them."""
    names = (getattr(person, name, None) for name in ("username", "service_user_id", "name"))
    name = next((one for one in names if isinstance(one, str)), None)
    return f"{word} {number}" if name is None else f"{word} {number}: {name}"


def make_urgency(priority: str, report: IndustryReport) -> ReportSection:
    """Return the section that says why a report is urgent, with the children who are at risk now before the others."""
    outline = get_outline()
    head = make_block_of(report, outline, ("priority_reason",))
    signs = make_block_of(report.incident, get_part(outline, "incident"), _URGENT)
    children = sorted(enumerate(list_given(report.children), start=1), key=lambda one: one[1].at_risk_now != "yes")
    risks = [
        Fact(f"{name_person('Child', number, child)}: at risk now?", Value(format_code(child.at_risk_now)))
        for number, child in children
    ]
    block = Block(
        facts=(Fact("Priority", Value(priority)), *head.facts, *signs.facts, *risks),
        not_held=(*head.not_held, *signs.not_held),
        grids=signs.grids,
        blocks=signs.blocks,
        unsaid=(*head.unsaid, *signs.unsaid),
    )
    return ReportSection("urgency", "Why it is urgent", (block,), is_open=True)


def _make_people(report: IndustryReport, name: str, *, whole: IndustryReport) -> ReportSection:
    word, part = _ONE_OF[name], get_part(get_outline(), name)
    people = list_given(getattr(report, name))
    blocks = [
        make_block(person, part, title=name_person(word, number, person), without=_TRACES)
        for number, person in enumerate(people, start=1)
    ]
    title = "Children" if name == "children" else "Suspects"
    return ReportSection(
        name,
        title,
        tuple(blocks) or _make_empty_blocks(report, name),
        count=str(len(list_given(getattr(whole, name)))),
        is_open=True,
    )


def _make_conversations(report: IndustryReport, people: Mapping[str, str]) -> ReportSection:
    part = get_part(get_outline(), "conversations")
    threads = tuple(_make_thread(one, part, people=people) for one in list_given(report.conversations))
    count = sum(len(thread.messages) for thread in threads)
    return ReportSection(
        "conversations",
        "Conversation",
        threads or _make_empty_blocks(report, "conversations"),
        count=f"{count} message" + ("" if count == 1 else "s"),
    )


def _make_files(report: IndustryReport) -> ReportSection:
    part = get_part(get_outline(), "files")
    files = list_given(report.files)
    blocks = [make_block(one, part, title=f"File {one.file_id}", without={"file_id"}) for one in files]
    return ReportSection("files", "Files", tuple(blocks) or _make_empty_blocks(report, "files"), count=str(len(files)))


def _make_traces(report: IndustryReport) -> ReportSection:
    blocks, count = [], 0
    for name in ("suspects", "children"):
        part = get_part(get_outline(), name)
        for number, person in enumerate(list_given(getattr(report, name)), start=1):
            blocks.append(make_block_of(person, part, _TRACES, title=name_person(_ONE_OF[name], number, person)))
            count += sum(len(list_given(getattr(person, trace))) for trace in _TRACES)
    return ReportSection("traces", "Traces: logins and devices", tuple(blocks), count=str(count))


def _make_particulars(content: SealedIndustryReport) -> ReportSection:
    clear = content.clear
    facts = (
        Fact("Id of the report", Value(clear.report_id)),
        Fact("Sent by", Value(clear.partner)),
        Fact("Kind", Value(format_code(clear.kind))),
        Fact("Adds to", Value(clear.earlier_reference or "None", is_held=clear.earlier_reference is not None)),
        Fact("Environment", Value(format_code(clear.environment))),
        Fact("Evidence", Value("\n".join(clear.evidence_ids) or "None", is_held=bool(clear.evidence_ids))),
        Fact(
            "Version of the report, and of the format as sent",
            Value(f"{content.report.schema_version}, {clear.schema_version}"),
        ),
    )
    return ReportSection("particulars", "Particulars", (Block(facts=facts),))


def _make_empty_blocks(report: IndustryReport, name: str) -> tuple[Block, ...]:
    value = getattr(report, name)
    block = make_block_of(report, get_outline(), (name,))
    return (block,) if isinstance(value, NotHeld) else (Block(unsaid=block.unsaid),)


def _format_missing(counted: Completeness) -> Iterator[str]:
    for pointer in counted.missing:
        *parents, _ = pointer.removeprefix("#/").split("/")
        words: list[str] = []
        for step in parents:
            if step.isdigit():
                words[-1] = f"{words[-1]} {int(step) + 1}"
            else:
                words.append(_ONE_OF.get(step, step.replace("_", " ")))
        said = get_field_label(get_field(pointer))
        yield f"{', '.join(words)}: {said}" if words else said


def list_grids(block: Block) -> Iterator[Grid]:
    """Yield the tables of a block and of its inner blocks."""
    yield from block.grids
    for below in block.blocks:
        yield from list_grids(below)
