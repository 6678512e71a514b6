"""The counts of a digest: its tables, their shares of the budget, and the effect of one cluster on each.

The unit of privacy is one cluster (everything about one person or incident). For any case content, its cluster enters a
table at most `sensitivity` times, so adding or removing a whole cluster moves a table by at most that much in L1. Never
lets the data choose a label: a label that appears only after a report would be an exact answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.desk.digests.clusters import FrozenClusters
from gateway.desk.digests.weaknesses import load_weaknesses

MICRO = 1_000_000
BUDGET_MICRO = 1 * MICRO
"""Pure differential privacy, epsilon 1.0 per partner and quarter over all tables together, eligibility included."""

NOT_STATED = "not_stated"
MOST_WEAKNESSES = 2
TOTAL = "total"

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

    `columns` are those of the frozen clusters that it counts; without one it counts every cluster.
    """

    name: str
    title: str
    epsilon_micro: int
    sensitivity: int
    labels: tuple[tuple[str, str], ...]
    is_partition: bool
    columns: tuple[str, ...]


def make_tables(placements: Sequence[tuple[str, str]]) -> tuple[Table, ...]:
    """Return the tables of one partner; `placements` are those agreed with it, never those found in cases."""
    stated = (NOT_STATED, "Not stated")
    elsewhere = (NOT_STATED, "Elsewhere or not stated")
    places = Table("placement", "Place of the button", 100_000, 1, (*placements, elsewhere), True, ("placement",))
    return (
        Table(TOTAL, "Incidents", 60_000, 1, ((TOTAL, "All incidents"),), True, ()),
        Table("kind", "Main kind of report", 400_000, 1, (*KINDS, stated), True, ("kind",)),
        Table("age_band", "Age of the child", 120_000, 1, (*AGE_BANDS, stated), True, ("age_band",)),
        *((places,) if placements else ()),  # one cell for everything would only repeat the total, at a price
        Table("outcome", "Outcome", 100_000, 1, (*OUTCOMES, stated), True, ("outcome",)),
        Table("weakness", "Weaknesses", 220_000, MOST_WEAKNESSES, WEAKNESSES, False, _WEAKNESS_COLUMNS),
    )


def make_labels(placements: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each column of frozen clusters (`clusters.freeze`), from the same tuples as the tables."""
    weaknesses = _list_codes(WEAKNESSES)
    return {
        "age_band": _list_codes(AGE_BANDS),
        "kind": _list_codes(KINDS),
        "outcome": _list_codes(OUTCOMES),
        "placement": _list_codes(placements),
        **dict.fromkeys(_WEAKNESS_COLUMNS, weaknesses),
    }


def count_table(table: Table, clusters: FrozenClusters) -> list[int]:
    """Return the exact counts in the order of the labels. Secret: only the noise may see them."""
    counts = [sum(clusters.count(label, column=one) for one in table.columns) for label, _ in table.labels]
    if table.is_partition:
        # The last label takes every cluster without another: the one label of a total, or "not stated".
        counts[-1] = len(clusters) - sum(counts[:-1])
    return counts


def _list_codes(labels: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(code for code, _ in labels)
