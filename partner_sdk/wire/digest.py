"""The digest: a partner's quarterly, differentially private figures, as the desk publishes and the partner reads them.

One model for both sides, so that a desk's preview is exactly the partner's view. Never holds an exact count of
anything but the partner's own industry reports, and never a float.
"""

import csv
import io
from typing import Literal

import msgspec

from partner_sdk.errors import FormatError
from partner_sdk.wire import canonical

MAX_DIGEST_BYTES = 262_144
DIGEST_VERSION = "1"
# Below this a number says more about chance than about the service.
SMALLEST_SHOWN = 5
FEWER_THAN_SHOWN = f"fewer than {SMALLEST_SHOWN}"


class DigestCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number with its interval. `value` is null when it is under five: then only `shown` is given."""

    label: str
    title: str
    value: int | None
    low: int
    high: int
    shown: str


class DigestTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table. `exact` tables cost nothing: they count the partner's own reports."""

    name: str
    title: str
    exact: bool
    epsilon_micro: int
    sensitivity: int
    cells: list[DigestCell]


class DigestTrend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change against the digest before, judged on the published kind of numbers only."""

    label: str
    title: str
    direction: Literal["up", "down", "unclear"]
    text: str


class DigestAdvice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recommended change, by the rank of its weakness."""

    rank: int
    label: str
    weakness: str
    change: str


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One digest. Times and days are text in the one spelling of the wire."""

    digest_version: str
    partner: str
    environment: Literal["live", "sandbox"]
    quarter: str
    first_day: str
    last_day: str
    made_at: str
    synthetic: bool
    epsilon_micro: int
    interval_permille: int
    total: DigestCell
    tables: list[DigestTable]
    missing_tables: list[str]
    trends: list[DigestTrend]
    recommendations: list[DigestAdvice]


def make_cell(label: str, *, title: str, value: int, low: int, high: int) -> DigestCell:
    """Return a cell in its published form: a value under five becomes words, and its interval reveals no more."""
    if value < SMALLEST_SHOWN:
        low, high = 0, max(high, SMALLEST_SHOWN - 1)
        return DigestCell(label=label, title=title, value=None, low=low, high=high, shown=FEWER_THAN_SHOWN)
    return DigestCell(label=label, title=title, value=value, low=low, high=high, shown=str(value))


def make_exact_cell(label: str, *, title: str, value: int) -> DigestCell:
    """Return a cell that the partner can count itself: no interval, nothing to hide."""
    return DigestCell(label=label, title=title, value=value, low=value, high=value, shown=str(value))


def encode_digest(digest: Digest) -> bytes:
    """Return the canonical bytes, which are stored, signed and published."""
    check_digest(digest)
    return canonical.encode(digest)


def parse_digest(raw: bytes) -> Digest:
    """Return the digest of canonical bytes, or raise `FormatError`."""
    digest = canonical.parse_exact(raw, kind=Digest, max_bytes=MAX_DIGEST_BYTES)
    check_digest(digest)
    return digest


def check_digest(digest: Digest) -> None:
    """Raise `FormatError` when figures contradict each other or the version is unknown."""
    if digest.digest_version != DIGEST_VERSION:
        raise FormatError("This SDK cannot read this version of a digest: update it.", reason="unknown-version")
    _check_cell(digest.total, exact=False, place="The total")
    for number, table in enumerate(digest.tables, start=1):
        if table.exact and table.epsilon_micro:
            raise FormatError(f"Table {number} is exact and names a privacy cost.", reason="bad-digest")
        for row, cell in enumerate(table.cells, start=1):
            _check_cell(cell, exact=table.exact, place=f"Cell {row} of table {number}")
    if digest.epsilon_micro < sum(table.epsilon_micro for table in digest.tables):
        raise FormatError("The tables' privacy cost is higher than the digest states.", reason="bad-digest")


def _check_cell(cell: DigestCell, *, exact: bool, place: str) -> None:
    if cell.value is None:
        good = not exact and cell.low == 0 and cell.high >= SMALLEST_SHOWN - 1 and cell.shown == FEWER_THAN_SHOWN
    else:
        smallest = 0 if exact else SMALLEST_SHOWN
        good = smallest <= cell.value and 0 <= cell.low <= cell.value <= cell.high and cell.shown == str(cell.value)
    if not good:
        raise FormatError(f"{place} contradicts itself.", reason="bad-digest")


def format_interval(cell: DigestCell, *, exact: bool = False) -> str:
    """Return the interval in words, or `exact` where the partner can count the number itself."""
    return "exact" if exact else f"{cell.low} to {cell.high}"


def format_epsilon(micro: int) -> str:
    """Return a privacy cost for people: 400000 becomes `0.4`."""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").ljust(len(str(whole)) + 2, "0")


def format_interval_share(permille: int) -> str:
    """Return 950 as `95` and 975 as `97.5`, in per cent."""
    whole, rest = divmod(permille, 10)
    return f"{whole}.{rest}" if rest else str(whole)


def render_table(digest: Digest) -> str:
    """Return the whole digest as text that fits a terminal."""
    lines = [
        f"Digest of {digest.quarter} for {digest.partner} ({digest.environment})",
        f"{digest.first_day} to {digest.last_day}, made {digest.made_at}",
    ]
    if digest.synthetic:
        lines += ["", "SYNTHETIC: this digest counts made-up cases. Nothing in it happened."]
    lines += [
        "",
        "Noise is added to every number, so that no one who reports or is reported can be identified.",
        f"Privacy cost: {format_epsilon(digest.epsilon_micro)} of at most 1.0 for this quarter.",
        f"Each true number lies in its interval with {format_interval_share(digest.interval_permille)} % certainty.",
        "",
    ]
    width = max(len(cell.title) for _, cell in _rows(digest))
    lines.append(_line(digest.total, exact=False, width=width))
    for table in digest.tables:
        cost = "exact: your own reports" if table.exact else f"privacy cost {format_epsilon(table.epsilon_micro)}"
        lines += ["", f"{table.title} ({cost})"]
        lines += [_line(cell, exact=table.exact, width=width) for cell in table.cells]
    for name in digest.missing_tables:
        lines += [
            "",
            f"The table {name} is missing: its noise was lost before it was stored, and noise is never drawn twice.",
        ]
    if digest.trends:
        lines += ["", "What changed"] + [f"  {trend.title}: {trend.text}" for trend in digest.trends]
    lines += ["", "Weaknesses, and what to do about them"]
    for advice in digest.recommendations:
        lines += [f"  {advice.rank}. {advice.weakness}", f"     {advice.change}"]
    if not digest.recommendations:
        lines.append("  No weakness stands out from the noise this quarter.")
    return "\n".join(lines) + "\n"


def render_csv(digest: Digest) -> str:
    """Return one line per number, for a spreadsheet; an empty `value` means fewer than five."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["quarter", "synthetic", "table", "label", "title", "value", "shown", "low", "high", "exact"])
    for name, cell in _rows(digest):
        exact = any(table.exact for table in digest.tables if table.name == name)
        value = "" if cell.value is None else cell.value
        flags = ["yes" if flag else "no" for flag in (digest.synthetic, exact)]
        row = [digest.quarter, flags[0], name, cell.label, cell.title, value, cell.shown, cell.low, cell.high, flags[1]]
        writer.writerow(row)
    return out.getvalue()


def render_json(digest: Digest) -> str:
    """Return the digest as indented JSON for a person or a machine; the canonical bytes are `encode_digest`."""
    return msgspec.json.format(encode_digest(digest), indent=2).decode("utf-8") + "\n"


def _rows(digest: Digest) -> list[tuple[str, DigestCell]]:
    rows = [("total", digest.total)]
    return rows + [(table.name, cell) for table in digest.tables for cell in table.cells]


def _line(cell: DigestCell, *, exact: bool, width: int) -> str:
    return f"  {cell.title:<{width}}  {cell.shown:>12}  {format_interval(cell, exact=exact)}"
