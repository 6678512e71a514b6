"""Blocks of an opened industry report: facts, tables, cards of people and places, made along the outline of the model.

Never leaves out a field that says something: what is not named here is laid out all the same, where it stands.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.desk.reading.report_values import BLANK, Value, spell, spell_not_held
from gateway.desk.reading.report_words import get_reading_words
from partner_sdk.report.outline import Field, Part, is_answered
from partner_sdk.report.values import NotHeld

# A table with more columns than this is read worse than cards.
MOST_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True)
class Fact:
    """One field and what it says."""

    title: str
    value: Value


@dataclass(frozen=True, slots=True)
class Grid:
    """Entries that are alike, as a table. A cell without text was left blank; `left_out` rows are not in it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a thread. `side` is suspect, child or other; `to`, `notes` and `time` are in words."""

    speaker: str
    side: str
    time: str
    to: str
    kind: str
    text: Value
    notes: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Facts that belong together, and what belongs to them.

    `not_held` are fields with the reason why the sender has nothing, `unsaid` the titles of those left blank. What a
    page has no room for is counted in `messages_left` and `left_out`.
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
        """Whether nothing is said in it."""
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
    """Lay out an object with all its fields but those that are shown elsewhere."""
    return _make(owner, [one for one in part.fields if one.name not in without], title=title)


def make_block_of(owner: Any, part: Part, names: Sequence[str], *, title: str = "") -> Block:
    """Lay out these fields of an object alone, in this order."""
    by_name = {one.name: one for one in part.fields}
    return _make(owner, [by_name[name] for name in names], title=title)


def get_part(part: Part, name: str) -> Part:
    """Return the outline of what a field holds."""
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
    words = get_reading_words(field_)
    if not is_answered(value) and field_.needed != "must":
        making.unsaid.append(words)
    elif isinstance(value, NotHeld):
        making.not_held.append(Fact(words, spell_not_held(value)))
    elif field_.part is None or not is_answered(value):
        making.facts.append(Fact(words, spell(field_, value)))
    elif not field_.is_list:
        making.blocks.append(make_block(value, field_.part, title=words))
    elif _is_flat(field_.part):
        making.grids.append(_make_grid(words, field_.part, value))
    else:
        making.blocks += [
            make_block(one, field_.part, title=f"{words} {number}" if len(value) > 1 else words)
            for number, one in enumerate(value, start=1)
        ]


def _is_flat(part: Part) -> bool:
    return len(part.fields) <= MOST_COLUMNS and all(one.part is None for one in part.fields)


def _make_grid(title: str, part: Part, rows: Sequence[Any]) -> Grid:
    shown = [one for one in part.fields if any(is_answered(getattr(row, one.name)) for row in rows)]
    return Grid(
        title=title,
        columns=tuple(get_reading_words(one) for one in shown),
        rows=tuple(
            tuple(spell(one, value) if is_answered(value := getattr(row, one.name)) else BLANK for one in shown)
            for row in rows
        ),
    )
