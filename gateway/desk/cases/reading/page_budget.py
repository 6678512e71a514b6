"""Cuts laid-out reports to fit one page: the first of everything stays, and each cut states how much it removed.

A page is built whole before it is sent, and a browser draws all of it: a sender must not be able to stop the desk with
a case of forty megabytes. Never cuts within a text, and never silently; the command `case show` cuts nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final, TypeVar

from gateway.desk.cases.reading.blocks import (
    Block,
    Change,
    Fact,
    Grid,
    Message,
    Value,
)
from gateway.desk.cases.reading.sections import ReportSection

# HTML bytes for all reports of a case together; the rest of a page is small.
PAGE_BYTES: Final = 1_400_000
# Messages are read one by one; longer threads are read in a file, not on a page.
MOST_MESSAGES: Final = 1000
MOST_MESSAGES_OF_LATER: Final = 50

# Roughly the size of the template's own HTML around each item.
_FACT_BYTES: Final = 60
_CELL_BYTES: Final = 60
_MESSAGE_BYTES: Final = 200
_BLOCK_BYTES: Final = 120
_CHANGE_BYTES: Final = 160

T = TypeVar("T")


@dataclass(slots=True)
class PageBudget:
    """The number of bytes of HTML that a page has left for reports."""

    left: int = PAGE_BYTES

    def split_half(self) -> "PageBudget":
        """Return a budget of half of the remaining bytes, so that an equal part is left for the rest."""
        return PageBudget(self.left // 2)

    def take(self, things: Sequence[T], measure: Callable[[T], int]) -> tuple[T, ...]:
        """Return the first items that fit, and take their bytes from the budget."""
        taken = []
        for one in things:
            size = measure(one)
            if size > self.left:
                break
            self.left -= size
            taken.append(one)
        return tuple(taken)


def fit_sections(sections: Sequence[ReportSection], budget: PageBudget) -> list[ReportSection]:
    """Return the sections that fit; no section takes more than half of the remaining budget."""
    fitted = []
    for section in sections:
        inner = budget.split_half()
        before = inner.left
        blocks, left_out = _fit_blocks(section.blocks, inner)
        budget.left -= before - inner.left
        fitted.append(replace(section, blocks=blocks, left_out=left_out))
    return fitted


def fit_changes(changes: Sequence[Change], budget: PageBudget) -> Sequence[Change]:
    """Return the first differences that fit."""
    return budget.take(changes, lambda one: _CHANGE_BYTES + _measure_all(one.title, one.before, one.after))


def fit_missing(missing: Sequence[str], budget: PageBudget) -> tuple[str, ...]:
    """Return the first missing fields that fit."""
    return budget.take(missing, lambda one: _FACT_BYTES + _measure(one))


def measure_html(text: str) -> int:
    """Return the size in bytes of a text on a page."""
    return _measure(text)


def has_cuts(sections: Sequence[ReportSection]) -> bool:
    """Return whether anything was left out."""
    return any(section.left_out or any(map(_is_cut, section.blocks)) for section in sections)


def _is_cut(block: Block) -> bool:
    return bool(
        block.left_out
        or block.messages_left
        or any(one.left_out for one in block.grids)
        or any(map(_is_cut, block.blocks))
    )


def _fit_blocks(blocks: Sequence[Block], budget: PageBudget) -> tuple[tuple[Block, ...], int]:
    fitted: list[Block] = []
    for number, block in enumerate(blocks):
        size = _BLOCK_BYTES + _measure(block.title)
        if size > budget.left:
            return tuple(fitted), len(blocks) - number
        budget.left -= size
        fitted.append(_fit_block(block, budget))
    return tuple(fitted), 0


def _fit_block(block: Block, budget: PageBudget) -> Block:
    facts = budget.take(block.facts, _measure_fact)
    not_held = budget.take(block.not_held, _measure_fact)
    unsaid = budget.take(block.unsaid, _measure)
    messages = budget.take(block.messages, _measure_message)
    grids = tuple(_fit_grid(one, budget) for one in block.grids)
    blocks, left_out = _fit_blocks(block.blocks, budget)
    for whole, kept in ((block.facts, facts), (block.not_held, not_held), (block.unsaid, unsaid)):
        left_out += len(whole) - len(kept)
    return replace(
        block,
        facts=facts,
        not_held=not_held,
        unsaid=unsaid,
        messages=messages,
        messages_left=block.messages_left + len(block.messages) - len(messages),
        grids=grids,
        blocks=blocks,
        left_out=left_out,
    )


def _fit_grid(grid: Grid, budget: PageBudget) -> Grid:
    rows = budget.take(grid.rows, _measure_row)
    return replace(grid, rows=rows, left_out=len(grid.rows) - len(rows))


def _measure(one: str | Value) -> int:
    return len(escape(one if isinstance(one, str) else one.text).encode())


def _measure_all(*words: str | Value) -> int:
    return sum(_measure(one) for one in words)


def _measure_fact(fact: Fact) -> int:
    return _FACT_BYTES + _measure(fact.title) + _measure(fact.value)


def _measure_row(row: Sequence[Value]) -> int:
    return sum(_CELL_BYTES + _measure(one) for one in row)


def _measure_message(message: Message) -> int:
    words = _measure_all(message.speaker, message.side, message.time, message.to, message.kind, message.text)
    return _MESSAGE_BYTES + words + sum(map(_measure_fact, message.notes))
