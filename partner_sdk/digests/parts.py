"""The parts of a digest's page, before any form: HTML and paper draw the same ones."""

from dataclasses import dataclass
from typing import Final

# Above the name and the period: a board member who gets the page alone reads here what it is, and from whom.
SUBJECT: Final = "What the public reported about a service, in figures from the agency that takes the reports"


@dataclass(frozen=True, slots=True)
class Bar:
    """One number: its words, the ends of its range, and its length in a chart (None for a number not shown)."""

    title: str
    shown: str
    between: str
    value: int | None
    low: int
    high: int
    own: str | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One table of bars with its explanation, and `rest` for the lines too small to have a number.

    `is_exact` figures have no ranges.
    """

    title: str
    explanation: str
    head: str
    bars: tuple[Bar, ...]
    rest: str = ""
    is_exact: bool = False

    @property
    def longest(self) -> int:
        """The number that fills the width."""
        return max((bar.high for bar in self.bars), default=0) or 1

    @property
    def has_own(self) -> bool:
        """Whether the partner's own numbers stand beside."""
        return any(bar.own is not None for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers side by side: a heading for each column, and rows of a title, a remark (e.g. `more`) and cells."""

    title: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """One weakness that is often named, with the change that is recommended."""

    rank: int
    title: str
    feature: str
    text: str
    change: str
    solved: str
    sureness: str


@dataclass(frozen=True, slots=True)
class Callout:
    """A paragraph that no reader should miss."""

    text: str


@dataclass(frozen=True, slots=True)
class Steps:
    """Sentences in an order, e.g. what to do next."""

    items: tuple[str, ...]


Block = str | Callout | Figure | Grid | Advice | Steps


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and its blocks; a string is a paragraph."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class DigestPage:
    """The whole page. `summary` pairs a short heading with one or two sentences: all that a hurried reader needs."""

    partner: str
    period_words: str
    banner: str
    summary: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]
