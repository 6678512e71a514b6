"""The overview: one year of all services together, as the desk publishes it to every adopter of the button.

The unit of its privacy is a whole service: each one adds at most a fixed number to a table, and the noise covers that
number. So no reader learns whether one service is in it at all. Never names a service.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire import canonical
from partner_sdk.wire.digest import DigestTable, format_epsilon, format_interval

OVERVIEW_VERSION: Final = "1"
MAX_OVERVIEW_BYTES: Final = 64 * 1024
MAX_OVERVIEW_TEXTS: Final = 10
MAX_OVERVIEW_CHARACTERS: Final = 500

# An overview is never empty without a word: in place of the numbers, and of the rows of one table.
NOTHING_SHOWN: Final = (
    "This overview has no number. Few services are counted so far, and the noise that hides each of them is larger "
    "than what they add up to. Each further service makes more of it visible."
)
NO_ROWS: Final = (
    "No number here is large enough to show: one service could be most of it, or its range would reach further than "
    "half of it to each side."
)

OverviewText = Annotated[str, Meta(min_length=1, max_length=MAX_OVERVIEW_CHARACTERS)]


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
    tables: list[DigestTable]
    missing_tables: list[str]
    patterns: Annotated[list[OverviewText], Meta(max_length=MAX_OVERVIEW_TEXTS)]
    changes: Annotated[list[OverviewText], Meta(max_length=MAX_OVERVIEW_TEXTS)]


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
        bounds = (table.exact, *(not 0 <= cell.low <= (cell.value or cell.low) <= cell.high for cell in table.cells))
        if any(bounds):
            raise FormatError(f"Table {number} contradicts itself.", reason="bad-overview")
    return overview


def render_overview(overview: Overview) -> str:
    """Return the whole overview as text that fits a terminal."""
    lines = [
        f"Overview of {overview.period}: all services together ({overview.environment})",
        f"{overview.first_day} to {overview.last_day}, made {overview.made_at}",
        *(["", "SYNTHETIC: this overview counts made-up cases. Nothing in it happened."] if overview.synthetic else []),
        "",
        "Noise is added to every number, enough to hide whether any one service is counted at all.",
        f"Privacy cost for each service: {format_epsilon(overview.epsilon_micro)} of at most 1.0 for this year.",
    ]
    width = max((len(cell.title) for table in overview.tables for cell in table.cells), default=0)
    if not any(cell.value is not None for table in overview.tables for cell in table.cells):
        lines += ["", NOTHING_SHOWN]
    for table in overview.tables:
        lines += ["", table.title, f"  {table.note}"]
        if all(cell.value is None for cell in table.cells):
            lines.append(f"  {NO_ROWS}")
        lines += [f"  {cell.title:<{width}}  {cell.shown:>15}  {format_interval(cell)}" for cell in table.cells]
    for title in overview.missing_tables:
        lines += ["", f"The table {title} is missing: its noise was lost, and noise is never drawn twice."]
    for title, texts in (("Emerging patterns", overview.patterns), ("Changed after feedback", overview.changes)):
        lines += ["", title, *(f"  - {text}" for text in texts or ["Nothing to report."])]
    return "\n".join(lines) + "\n"
