"""The counts of a digest: its tables, their shares of the budget, and the effect of one cluster on each.

The unit of privacy is one cluster (everything about one person or incident). For any case content, its cluster moves a
table by at most `sensitivity` units in L1, whether it is added or removed. Never lets the data choose a label: a label
that appears only after a report would be an exact answer.

A cluster is counted in one quarter and in the year of that quarter, so the tables of a quarter and those of its year
share one budget (`ledger.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.desk.digests.clusters import FrozenClusters
from gateway.desk.digests.facts import NOT_KNOWN, load_facts
from gateway.desk.digests.weaknesses import load_weaknesses

MICRO = 1_000_000
# Pure differential privacy, epsilon 1.0 for each cluster and partner, over everything that is ever drawn.
BUDGET_MICRO = 1 * MICRO
# The part of it for the outcome for the child, which the overview alone counts (docs/decisions/0044).
OUTCOME_MICRO: Final = 20_000
# The part for the tables of a year, shared equally among them (docs/decisions/0044).
YEAR_MICRO: Final = 180_000
# By the noisy number of incidents of a year: below it, noise would be more than a fifth of the largest cells.
SMALLEST_YEAR: Final = 100
# From there on three tables share the budget; each further one waits until all of them stay within a tenth or so.
FEWEST_YEAR_TABLES: Final = 3
INCIDENTS_FOR_A_TABLE: Final = 130

NOT_STATED = "not_stated"
MOST_WEAKNESSES = 2

KINDS = (
    ("meet_offline", "Asked to meet in person"),
    ("grooming", "Grooming"),
    ("coercion_blackmail", "Coercion or blackmail"),
    ("sexual_talk", "Sexual talk"),
    ("sexual_acts_live", "Sexual acts, live"),
    ("risk_behaviour", "Risky behaviour by a child"),
    ("something_else", "Something else"),
)
AGE_BANDS = (
    ("12_or_under", "12 or under"),
    ("13_15", "13 to 15"),
    ("16_17", "16 or 17"),
    ("18_plus", "18 or over"),
    ("unknown", "Not known"),
)
OUTCOMES = (
    ("used", "Used"),
    ("needs_more", "Needs more information"),
    ("duplicate", "Known already"),
    ("out_of_remit", "Out of remit"),
    ("actioned", "Actioned"),
)
WEAKNESSES = tuple((code, weakness.title) for code, weakness in load_weaknesses().weaknesses.items())
_WEAKNESS_COLUMNS = ("weakness_1", "weakness_2")


@dataclass(frozen=True, slots=True)
class Table:
    """One noisy table. `labels` is fixed before any data is read; `is_partition` means each cluster counts once.

    `columns` are those of the frozen clusters that it counts. `units` are those of one cluster: 2 for weaknesses, where
    two of them take one each and a single one takes both, so that one cluster moves the table by 2 units at most.
    `note` explains the count to its reader.
    """

    name: str
    title: str
    epsilon_micro: int
    labels: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    units: int = 1
    is_partition: bool = True
    note: str = ""

    @property
    def sensitivity(self) -> int:
        """The most units by which one cluster moves it."""
        return self.units


_STATED: Final = (NOT_STATED, "Not stated")
QUARTER_TABLES: Final[tuple[Table, ...]] = (
    Table("kind", "Main kind of report", 550_000, (*KINDS, _STATED), ("kind",)),
    Table(
        "weakness",
        "Weaknesses",
        250_000,
        WEAKNESSES,
        _WEAKNESS_COLUMNS,
        units=2,
        is_partition=False,
        note="An incident that shows two weaknesses counts half for each.",
    ),
)


def make_year_tables(placements: Sequence[tuple[str, str]], *, drawn_total: int) -> tuple[Table, ...]:
    """Return the tables of a year; `placements` are those agreed with the partner, never those found in cases.

    `drawn_total` is the noisy number of incidents of the year: below `SMALLEST_YEAR` no table is worth its budget, and
    every further table makes the others noisier. Those that a service can act on come first.
    """
    if drawn_total < SMALLEST_YEAR:
        return ()
    elsewhere, not_known = (NOT_STATED, "Elsewhere or not stated"), (NOT_STATED, NOT_KNOWN)
    known = [
        ("age_band", "Age of the child", (*AGE_BANDS, _STATED)),
        # One cell for everything would only repeat the total, at a price.
        *([("placement", "Place of the button", (*placements, elsewhere))] if placements else []),
        *((name, fact.title, (*fact.answers.items(), not_known)) for name, fact in load_facts().items()),
        ("outcome", "Outcome", (*OUTCOMES, _STATED)),
    ]
    wanted = known[: max(FEWEST_YEAR_TABLES, drawn_total // INCIDENTS_FOR_A_TABLE)]
    return tuple(Table(name, title, YEAR_MICRO // len(wanted), labels, (name,)) for name, title, labels in wanted)


def make_labels(placements: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each column of frozen clusters (`clusters.freeze`), from the same tuples as the tables."""
    weaknesses = _list_codes(WEAKNESSES)
    return {
        "age_band": _list_codes(AGE_BANDS),
        "kind": _list_codes(KINDS),
        "outcome": _list_codes(OUTCOMES),
        "placement": _list_codes(placements),
        **{name: tuple(fact.answers) for name, fact in load_facts().items()},
        **dict.fromkeys(_WEAKNESS_COLUMNS, weaknesses),
    }


def count_table(table: Table, clusters: FrozenClusters) -> list[int]:
    """Return the exact units in the order of the labels. Secret: only the noise may see them."""
    places = {label: place for place, (label, _) in enumerate(table.labels)}
    counts = [0] * len(places)
    for found, number in clusters.list_groups(table.columns):
        for label in found:
            if label in places:
                # Two weaknesses take a half each, a single one takes both.
                counts[places[label]] += number * table.units // len(found)
    if table.is_partition:
        # The last label takes every cluster without another.
        counts[-1] = len(clusters) - sum(counts[:-1])
    return counts


def _list_codes(labels: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(code for code, _ in labels)
