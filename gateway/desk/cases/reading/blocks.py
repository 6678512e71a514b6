"""Blocks of an opened industry report: facts, tables, cards of people and places, following the outline of the model.

Codes and times become text; no other character ever changes. Never leaves out a field with a value: unnamed fields are
laid out in place. A later report never replaces the first: the page shows both whole, and each change.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, zip_longest
from typing import Any, Final

from msgspec import inspect

from gateway.desk.cases.reading.labels import get_field_label
from partner_sdk.report import IndustryReport
from partner_sdk.report.outline import Field, Part, get_outline, get_value_type, is_answered
from partner_sdk.report.values import MOMENT, NotHeld

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
    """Similar entries, as a table. A cell without text was left blank; `left_out` rows are not in it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    left_out: int = 0


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

    `not_held` are fields with the sender's reason for having nothing, `unsaid` the titles of blank fields. Values that
    do not fit on a page are counted in `messages_left` and `left_out`.
    """

    title: str = ""
    facts: tuple[Fact, ...] = ()
    not_held: tuple[Fact, ...] = ()
    grids: tuple[Grid, ...] = ()
    blocks: tuple["Block", ...] = ()
    messages: tuple[Message, ...] = ()
    unsaid: tuple[str, ...] = ()
    messages_left: int = 0
    left_out: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the block has no content."""
        said = (self.facts, self.not_held, self.grids, self.blocks, self.messages, self.messages_left, self.left_out)
        return not any(said)


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
    elif _is_flat(field_.part):
        making.grids.append(_make_grid(label, field_.part, value))
    else:
        making.blocks += [
            make_block(one, field_.part, title=f"{label} {number}" if len(value) > 1 else label)
            for number, one in enumerate(value, start=1)
        ]


def _is_flat(part: Part) -> bool:
    return len(part.fields) <= MOST_COLUMNS and all(one.part is None for one in part.fields)


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
