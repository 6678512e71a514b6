"""Published figures: the digest of one partner for a period, and the overview of all services for a year.

One model for both sides, so that a desk's preview is exactly the partner's view. A digest is differentially private: it
never holds an exact count of anything but the partner's own reports and its own dealings with the agency, and never a
float.

The unit of the overview's privacy is a whole service: each one adds at most a fixed number to a table, and the noise
covers that number. So no reader learns whether one service is in it at all. Never names a service.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire import canonical

MAX_DIGEST_BYTES = 262_144
DIGEST_VERSION = "2"
# The label of the number of all incidents; the only table with the partner's own reports beside each number; and the
# one whose lines get advice.
TOTAL: Final = "total"
KIND: Final = "kind"
WEAKNESS: Final = "weakness"
# Below this a number says more about chance than about the service.
SMALLEST_SHOWN = 5
FEW: Final = "few"
# What a reader of any form has to know of the numbers as a whole.
COUNTED: Final = (
    "Counted are the incidents that the agency closed in this period, whenever they were reported.",
    "Lines need not add up to the total: each has noise of its own.",
)
# A line whose evidence is clear, by its table.

Evidence = Literal["clear", "not-clear"]


class DigestCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number with its interval, both ends included.

    `value` is null when it is under five or its interval begins at 0: noise alone reaches it in one of 40 draws. Then
    `shown` is `few`. `own` is the exact number of the partner's own reports that state this kind, null outside the
    kinds' table. `evidence` is null outside kinds and weaknesses. It is `clear` if the number is above `own`, or 0, by
    more than chance makes of any of their lines in a year of digests.
    """

    label: str
    title: str
    value: int | None
    low: int
    high: int
    shown: str
    own: int | None = None
    evidence: Evidence | None = None


class DigestTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table. `exact` tables cost nothing: they are the partner's own facts. `note` explains how it counts."""

    name: str
    title: str
    exact: bool
    epsilon_micro: int
    sensitivity: int
    cells: list[DigestCell]
    note: str


class DigestAdvice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recommended change, by the rank of its weakness; `feature` is the part of the service, e.g. Discovery.

    Given only for a weakness whose cell is `clear`. `solved` is how other services solved it.
    """

    rank: int
    label: str
    weakness: str
    feature: str
    text: str
    change: str
    solved: str


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One digest. Times and days are text in the one spelling of the wire.

    `period` is e.g. `2026-Q3` or `2026`, by `span`. A digest that is `waiting` has too few reports for useful figures:
    it holds exact tables alone and no total; the year counts its incidents again. `epsilon_micro` is the privacy cost,
    for any one incident, of everything drawn so far.
    """

    digest_version: str
    partner: str
    environment: Literal["live", "sandbox"]
    span: Literal["quarter", "year"]
    period: str
    first_day: str
    last_day: str
    made_at: str
    synthetic: bool
    status: Literal["published", "waiting"]
    epsilon_micro: int
    interval_permille: int
    total: DigestCell | None
    tables: list[DigestTable]
    missing_tables: list[str]
    recommendations: list[DigestAdvice]

    def to_rows(self) -> list[dict[str, str | int | bool | None]]:
        """Return one flat row for each number, as pandas and polars read them, e.g. `polars.DataFrame(rows)`.

        `value` is None for a number that chance could have made; `note` is the caveat of the row.
        """
        share = format_interval_share(self.interval_permille)
        noisy = f"Noise was added: the true number is between low and high with {share} % certainty."
        notes = ["SYNTHETIC: made up, nothing in it happened."] if self.synthetic else []
        rows: list[dict[str, str | int | bool | None]] = []
        for table, cell in _rows(self):
            is_exact = table is not None and table.exact
            small = [] if cell.value is not None else ["Few: chance could have made it, so it is not shown."]
            own = [] if cell.own is None else ["Own: your reports of this period, by the kind that you stated."]
            caveats = ["Counted exactly: your own."] if is_exact else [noisy, *COUNTED]
            caveats += [*small, *own, table.note if table else ""]
            rows.append(
                {
                    "period": self.period,
                    "table": "total" if table is None else table.name,
                    "label": cell.label,
                    "title": cell.title,
                    "value": cell.value,
                    "shown": cell.shown,
                    "low": cell.low,
                    "high": cell.high,
                    "exact": is_exact,
                    "own": cell.own,
                    "evidence": cell.evidence,
                    "synthetic": self.synthetic,
                    "note": " ".join(filter(None, [*notes, *caveats])),
                }
            )
        return rows


class DigestNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `digest-not-published`: this period has no digest and will have none. Gives no reason, no figure."""

    environment: Literal["live", "sandbox"]
    partner: str
    period: str


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
    if (digest.total is None) != (digest.status == "waiting"):
        raise FormatError("A digest has a total unless it waits.", reason="bad-digest")
    has_figures = digest.recommendations or not all(table.exact for table in digest.tables)
    if has_figures and (digest.total is None or digest.total.value is None):
        raise FormatError("A digest that waits holds figures, or its total is few.", reason="bad-digest")
    if digest.total is not None:
        _check_cell(digest.total, exact=False, place="The total")
    if len({table.name for table in digest.tables}) < len(digest.tables):
        raise FormatError("A digest has each table once.", reason="bad-digest")
    for number, table in enumerate(digest.tables, start=1):
        if table.exact and table.epsilon_micro:
            raise FormatError(f"Table {number} is exact and names a privacy cost.", reason="bad-digest")
        for row, cell in enumerate(table.cells, start=1):
            _check_cell(cell, exact=table.exact, place=f"Cell {row} of table {number}", table=table.name)
    if digest.epsilon_micro < sum(table.epsilon_micro for table in digest.tables):
        raise FormatError("The tables' privacy cost is higher than the digest states.", reason="bad-digest")


def _check_cell(cell: DigestCell, *, exact: bool, place: str, table: str = "") -> None:
    if cell.value is None:
        good = cell.low == 0 and cell.high >= SMALLEST_SHOWN - 1 and cell.shown == FEW
    elif exact:
        good = 0 <= cell.value == cell.low == cell.high
    else:
        good = cell.value >= SMALLEST_SHOWN and 1 <= cell.low <= cell.value <= cell.high
        good = good and cell.shown == str(cell.value)
    good = good and (cell.own is None or (table == KIND and cell.own >= 0))
    good = good and (cell.evidence is None or table in (KIND, WEAKNESS))
    if not good or (exact and (cell.value is None or cell.own is not None)):
        raise FormatError(f"{place} contradicts itself.", reason="bad-digest")


def format_interval_share(permille: int) -> str:
    """Return 950 as `95` and 975 as `97.5`, in per cent."""
    whole, rest = divmod(permille, 10)
    return f"{whole}.{rest}" if rest else str(whole)


def _rows(digest: Digest) -> list[tuple[DigestTable | None, DigestCell]]:
    rows: list[tuple[DigestTable | None, DigestCell]] = [] if digest.total is None else [(None, digest.total)]
    return rows + [(table, cell) for table in digest.tables for cell in table.cells]


MAX_OVERVIEW_TEXTS: Final = 10
MAX_OVERVIEW_CHARACTERS: Final = 500

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
