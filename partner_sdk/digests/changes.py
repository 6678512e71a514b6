"""Digests beside each other: which belong together, the changes, and flat rows for pandas and polars."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from partner_sdk.wire.digest import TOTAL, Digest, DigestCell, format_interval_share

Direction = Literal["up", "down", "unclear"]
# Two years of quarters: more would not be read.
MOST_PERIODS: Final = 8
# Standard deviations that hold 95 % of a bell curve, as a range does.
_REACH: Final = 1.96
# So much further for a change: of nine lines (kinds and total), chance then moves one in at most one digest of twenty
# (Sidak: 1 - 0.95 ** (1 / 9) is beyond 2.77 standard deviations).
_FURTHER: Final = 2.77 / _REACH


def list_earlier(digest: Digest, kept: Iterable[Digest]) -> list[Digest]:
    """Return the digests before this one that can stand beside it, oldest first.

    They have its partner, environment and span (e.g. quarters beside a quarter), and are made up only if it is. Of two
    for one period the first counts.
    """
    same = ("partner", "environment", "span", "synthetic")
    found: dict[str, Digest] = {}
    for one in kept:
        if one.first_day < digest.first_day and all(getattr(one, name) == getattr(digest, name) for name in same):
            found.setdefault(one.period, one)
    return sorted(found.values(), key=lambda one: one.first_day)[-(MOST_PERIODS - 1) :]


def list_cells(digest: Digest) -> list[tuple[str, str, bool, DigestCell]]:
    """Return every number with the name and title of its table and whether it is exact; the total comes first."""
    total = [] if digest.total is None else [(TOTAL, "Incidents", False, digest.total)]
    return total + [(table.name, table.title, table.exact, cell) for table in digest.tables for cell in table.cells]


def find_cell(digest: Digest, table: str, label: str) -> DigestCell | None:
    """Return one number of a digest, e.g. `kind` and `grooming`, or None."""
    return next((cell for name, _, _, cell in list_cells(digest) if (name, cell.label) == (table, label)), None)


def get_noticeable(now: DigestCell, before: DigestCell) -> int:
    """Return the smallest change between two numbers that chance would hardly make; 1 for exact ones.

    Neither the added noise nor the numbers' own ups and downs make it. Incidents come one by one, so their number
    varies at least as a Poisson count does: its variance is its mean.
    """
    noises = [(cell.high - cell.low) / 2 for cell in (now, before)]
    if not any(noises):
        return 1
    chance = _REACH * math.sqrt(get_middle(now) + get_middle(before))
    return math.ceil(_FURTHER * math.hypot(*noises, chance))


def judge_change(now: DigestCell, before: DigestCell) -> Direction:
    """Return `up` or `down` for a change that is large enough to notice."""
    change = get_middle(now) - get_middle(before)
    if abs(change) < get_noticeable(now, before):
        return "unclear"
    return "up" if change > 0 else "down"


def get_middle(cell: DigestCell) -> float:
    """Return a cell's number, or the middle of its range if it is too small to show."""
    return (cell.low + cell.high) / 2 if cell.value is None else cell.value


def list_changes(digests: Sequence[Digest]) -> list[dict[str, Any]]:
    """Return one flat row for each number and period, oldest first, each beside the period before it.

    `change` is `first`, `up`, `down` or `unclear`, and `noticeable` the smallest change that counts. `note` carries the
    caveat, so that a row copied out of its table still has it.
    """
    rows: list[dict[str, Any]] = []
    before: Digest | None = None
    for digest in sorted(digests, key=lambda one: one.first_day):
        rows += [_describe_change(row, digest, before) for row in digest.to_rows()]
        before = digest
    return rows


def _describe_change(row: dict[str, Any], digest: Digest, before: Digest | None) -> dict[str, Any]:
    now = find_cell(digest, row["table"], row["label"])
    earlier = None if before is None else find_cell(before, row["table"], row["label"])
    names = ("before", "value_before", "low_before", "high_before", "noticeable")
    fields: dict[str, Any] = {**dict.fromkeys(names), "change": "first"}
    if now is not None and before is not None and earlier is not None:
        values = before.period, earlier.value, earlier.low, earlier.high, get_noticeable(now, earlier)
        fields = {**dict(zip(names, values, strict=True)), "change": judge_change(now, earlier)}
    note = row["note"]
    if fields["change"] == "unclear" and not row["exact"]:
        note += f" We would notice a change of about {fields['noticeable']:,} from the period before."
    return {**row, **fields, "note": note}


def describe_certainty(digest: Digest) -> str:
    """Return the certainty of a range in words, e.g. `95 %`."""
    return f"{format_interval_share(digest.interval_permille)} %"
