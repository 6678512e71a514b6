"""The overview: one year of all services together, as the desk publishes it to every adopter of the button.

The unit of its privacy is a whole service: each one adds at most a fixed number to a table, and the noise covers that
number. So no reader learns whether one service is in it at all. Never names a service.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire import canonical
from partner_sdk.wire.digest import format_epsilon

OVERVIEW_VERSION: Final = "1"
MAX_OVERVIEW_BYTES: Final = 64 * 1024
MAX_OVERVIEW_TEXTS: Final = 10
MAX_OVERVIEW_CHARACTERS: Final = 500

# An overview is never empty without a word: in place of the numbers, and of the rows of one table.
NOTHING_SHOWN: Final = (
    "This overview has no number. Few services are counted so far, and the noise that hides each of them is larger "
    "than what they add up to. Each further service makes more of it visible."
)
NO_ROWS: Final = "No number here stands out from the noise, or one service could be most of it."

OverviewText = Annotated[str, Meta(min_length=1, max_length=MAX_OVERVIEW_CHARACTERS)]


class OverviewLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. In a table of services `value` is the noisy number, and the true one is from `low` to `high`.

    In a table of incidents, of which each service adds a few only, `value` and `high` are null: the true number is
    `low` or more. A line that is not shown has neither and a `low` of 0. `share_low` and `share_high` are the ends of a
    line's share of all lines, in per cent.
    """

    label: str
    title: str
    value: int | None
    low: int
    high: int | None
    share_low: int | None = None
    share_high: int | None = None


class OverviewTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table, its lines ranked by their noisy numbers. `unit` names what is counted, and the most of one service."""

    name: str
    title: str
    unit: str
    note: str
    epsilon_micro: int
    sensitivity: int
    lines: list[OverviewLine]

    @property
    def shown(self) -> list[OverviewLine]:
        """The lines that are shown, the first in rank first."""
        return [line for line in self.lines if line.low]


class Overview(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One overview. `patterns` are emerging patterns and `changes` the results of earlier feedback, in words.

    `epsilon_micro` is the privacy cost for any one service. The number of services is in no table.
    """

    overview_version: str
    environment: Literal["live", "sandbox"]
    period: str
    first_day: str
    last_day: str
    made_at: str
    synthetic: bool
    epsilon_micro: int
    interval_permille: int
    tables: list[OverviewTable]
    missing_tables: list[str]
    patterns: Annotated[list[OverviewText], Meta(max_length=MAX_OVERVIEW_TEXTS)]
    changes: Annotated[list[OverviewText], Meta(max_length=MAX_OVERVIEW_TEXTS)]

    @property
    def is_empty(self) -> bool:
        """Whether no table shows a line."""
        return not any(table.shown for table in self.tables)


def encode_overview(overview: Overview) -> bytes:
    """Return the canonical bytes, which are stored, signed and published."""
    raw = canonical.encode(overview)
    parse_overview(raw)
    return raw


def parse_overview(raw: bytes) -> Overview:
    """Return the overview of canonical bytes, or raise `FormatError`."""
    overview = canonical.parse_exact(raw, kind=Overview, max_bytes=MAX_OVERVIEW_BYTES)
    if overview.overview_version != OVERVIEW_VERSION:
        raise FormatError("This SDK cannot read this version of an overview: update it.", reason="unknown-version")
    if overview.epsilon_micro < sum(table.epsilon_micro for table in overview.tables):
        raise FormatError("The tables' privacy cost is higher than the overview states.", reason="bad-overview")
    for number, table in enumerate(overview.tables, start=1):
        if not all(map(_is_whole, table.lines)):
            raise FormatError(f"Table {number} contradicts itself.", reason="bad-overview")
    return overview


def _is_whole(line: OverviewLine) -> bool:
    ends = line.value, line.high, line.share_low, line.share_high
    if ends == (None, None, None, None):
        return line.low >= 0
    value, high, share_low, share_high = (-1 if one is None else one for one in ends)
    return 1 <= line.low <= value <= high and 0 <= share_low <= share_high <= 100


def describe_line(line: OverviewLine) -> str:
    """Return a line's number in words, e.g. `about 26 (20 to 32)` or `at least 5,200`."""
    if line.value is None:
        return f"at least {line.low:,}"
    return f"about {line.value:,} ({line.low:,} to {line.high:,})"


def describe_share(line: OverviewLine) -> str:
    """Return a line's share of all lines in words, e.g. `40 to 70 %`, or nothing."""
    return "" if line.share_low is None else f"{line.share_low} to {line.share_high} %"


def describe_rest(table: OverviewTable) -> str:
    """Return the lines that are not shown in one sentence, or nothing."""
    rest = "; ".join(line.title for line in table.lines if not line.low)
    return f"Not above the noise: {rest}." if rest else ""


def describe_noise(overview: Overview) -> str:
    """Return the reader's caveat for the whole overview."""
    return (
        "Noise is added to every number, enough to hide whether any one service is counted at all. Each range holds "
        f"the true number with {overview.interval_permille / 10:g} % certainty, and so does each “at least”. Lines "
        "whose ranges overlap may stand in either order."
    )


def render_overview(overview: Overview) -> str:
    """Return the whole overview as text that fits a terminal."""
    lines = [
        f"Overview of {overview.period}: all services together ({overview.environment})",
        f"{overview.first_day} to {overview.last_day}, made {overview.made_at}",
        *(["", "SYNTHETIC: this overview counts made-up cases. Nothing in it happened."] if overview.synthetic else []),
        "",
        *describe_noise(overview).replace(". ", ".\n").split("\n"),
        f"Privacy cost for each service: {format_epsilon(overview.epsilon_micro)} of at most 1.0 for this year.",
        *(["", NOTHING_SHOWN] if overview.is_empty else []),
    ]
    width = max((len(line.title) for table in overview.tables for line in table.shown), default=0)
    for table in overview.tables:
        lines += ["", f"{table.title} ({table.unit})", *([f"  {table.note}"] if table.note else [])]
        lines += [
            f"  {rank}. {line.title:<{width}}  {describe_line(line)}  {describe_share(line)}".rstrip()
            for rank, line in enumerate(table.shown, start=1)
        ] or [f"  {NO_ROWS}"]
        lines += [f"  {rest}" for rest in [describe_rest(table)] if rest]
    for title in overview.missing_tables:
        lines += ["", f"The table {title} is missing: its noise was lost, and noise is never drawn twice."]
    for title, texts in (("Emerging patterns", overview.patterns), ("Changed after feedback", overview.changes)):
        lines += ["", title, *(f"  - {text}" for text in texts or ["Nothing to report."])]
    return "\n".join(lines) + "\n"
