"""The counts of a digest: its tables, their shares of the budget, and the effect of one cluster on each.

The unit of privacy is one cluster (everything about one person or incident). For any case content, its cluster enters a
table at most `sensitivity` times, so adding or removing a whole cluster moves a table by at most that much in L1. Never
lets the data choose a label: a label that appears only after a report would be an exact answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class CountedCluster:
    """The frozen representative of one cluster: the only data about it that a digest ever sees."""

    cluster_id: str
    case_id: str
    kind: str
    age_band: str
    placement: str
    outcome: str
    weaknesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One noisy table. `labels` is fixed before any data is read; `is_partition` means each cluster counts once."""

    name: str
    title: str
    epsilon_micro: int
    sensitivity: int
    labels: tuple[tuple[str, str], ...]
    is_partition: bool
    labels_of: Callable[[CountedCluster], tuple[str, ...]]


def make_tables(placements: Sequence[tuple[str, str]]) -> tuple[Table, ...]:
    """Return the tables of one partner; `placements` are those agreed with it, never those found in cases."""
    stated = (NOT_STATED, "Not stated")
    elsewhere = (NOT_STATED, "Elsewhere or not stated")
    places = Table(
        "placement", "Place of the button", 100_000, 1, (*placements, elsewhere), True, lambda c: (c.placement,)
    )
    return (
        Table(TOTAL, "Incidents", 60_000, 1, ((TOTAL, "All incidents"),), True, _one),
        Table("kind", "Main kind of report", 400_000, 1, (*KINDS, stated), True, lambda c: (c.kind,)),
        Table("age_band", "Age of the child", 120_000, 1, (*AGE_BANDS, stated), True, lambda c: (c.age_band,)),
        *((places,) if placements else ()),  # one cell for everything would only repeat the total, at a price
        Table("outcome", "Outcome", 100_000, 1, (*OUTCOMES, stated), True, lambda c: (c.outcome,)),
        Table("weakness", "Weaknesses", 220_000, MOST_WEAKNESSES, WEAKNESSES, False, _weaknesses),
    )


def count_table(table: Table, clusters: Sequence[CountedCluster]) -> list[int]:
    """Return the exact counts in the order of the labels. Secret: only the noise may see them."""
    index = {label: place for place, (label, _) in enumerate(table.labels)}
    counts = [0] * len(table.labels)
    for cluster in _one_per_cluster(clusters):
        for label in table.labels_of(cluster):
            place = index.get(label, index.get(NOT_STATED))
            if place is not None:
                counts[place] += 1
    return counts


def _one_per_cluster(clusters: Sequence[CountedCluster]) -> list[CountedCluster]:
    # A second representative would double the privacy loss of one person: the first in the frozen order counts.
    first: dict[str, CountedCluster] = {}
    for cluster in clusters:
        first.setdefault(cluster.cluster_id, cluster)
    return list(first.values())


def _one(_: CountedCluster) -> tuple[str, ...]:
    return (TOTAL,)


def _weaknesses(cluster: CountedCluster) -> tuple[str, ...]:
    known = {label for label, _ in WEAKNESSES}
    return tuple(dict.fromkeys(code for code in cluster.weaknesses if code in known))[:MOST_WEAKNESSES]
