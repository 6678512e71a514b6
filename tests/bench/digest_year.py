"""A seeded year of made-up providers with their incidents, and the classical rule that digests are compared with."""

import random
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.desk.cases.choices import KINDS, WEAKNESSES, choose_facts
from gateway.desk.digests.synthetic import AGE_SHARES, FACT_SHARES, KIND_SHARES, OUTCOME_SHARES
from gateway.desk.digests.tables import (
    NOT_STATED,
    QUARTER_TABLES,
    Cluster,
    FrozenClusters,
    freeze,
    make_labels,
    make_year_tables,
)

PROVIDERS: Final = 400
QUARTERS: Final = 4
SEED: Final = 20261128
PLACES: Final = (("profile", "Profile page"), ("chat", "Chat"))
SIZE_OF_A_YEAR: Final = 400
# Every table that one incident of a year of that size is drawn in. A larger year has more tables, each with more noise.
TABLES: Final = (*QUARTER_TABLES, *make_year_tables(PLACES, drawn_total=SIZE_OF_A_YEAR))
QUARTERLY: Final = frozenset(table.name for table in QUARTER_TABLES)
YEARLY_KIND: Final = "kinds of the year"
_MOST_OF_A_QUARTER: Final = 20
# Four fifths of all incidents are with a fifth of the providers (Pareto); half the providers have under ten a quarter.
_EXPONENT, _FEWEST, _MOST = 1.16, 5, 2_000
# Six of the weaknesses, with the shares of the kinds. Of a hundred incidents so many have one, the others two.
WEAKNESS_SHARES: Final = dict(zip([code for code, _ in WEAKNESSES], KIND_SHARES.values(), strict=False))
_SINGLE: Final = 75
HIDDEN_BELOW: Final = 5
ROUNDED_TO: Final = 5


@dataclass(frozen=True, slots=True)
class Provider:
    """One made-up provider: its incidents of each quarter."""

    name: str
    quarters: tuple[list[Cluster], ...]


def make_year(*, providers: int = PROVIDERS, seed: int = SEED) -> list[Provider]:
    """Return the providers of a year; the same seed gives the same year on every machine."""
    source = random.Random(seed)
    made = []
    for number in range(providers):
        name, size = f"provider-{number:03d}", min(_FEWEST * source.paretovariate(_EXPONENT), _MOST)
        quarters = (
            [make_incident(source, f"{name}.{quarter}.{one}") for one in range(round(size * source.uniform(0.8, 1.2)))]
            for quarter in range(QUARTERS)
        )
        made.append(Provider(name, tuple(quarters)))
    return made


def make_incident(source: random.Random, name: str, **changes: Any) -> Cluster:
    """Return one incident: kind, age and outcome by the shares of the desk's synthetic cases, and a weakness or two."""
    some = source.choices((1, 2), weights=(_SINGLE, 100 - _SINGLE))[0]
    values = {
        "kind": _choose(source, KIND_SHARES),
        "age_band": _choose(source, AGE_SHARES),
        "outcome": _choose(source, OUTCOME_SHARES),
        "placement": source.choice(PLACES)[0],
        "weaknesses": tuple(dict.fromkeys(_choose(source, WEAKNESS_SHARES) for _ in range(some))),
        "facts": choose_facts({fact: _choose(source, shares) for fact, shares in FACT_SHARES.items()}),
    }
    return Cluster(cases=(name,), **(values | changes))


def make_exact_hundred(source: random.Random) -> list[Cluster]:
    """Return a hundred incidents whose kinds and weaknesses have exactly their shares: 34, 20, 20, 12, 9 and 5.

    75 have one weakness; 25 have two, which count half each.
    """
    kinds = _list_by(KIND_SHARES, KIND_SHARES.values())
    codes = list(WEAKNESS_SHARES)
    ones = [(code,) for code in _list_by(codes, (26, 15, 15, 9, 7, 3))]
    halves = _list_by(codes, (16, 10, 10, 6, 4, 4))
    weaknesses = [*ones, *zip(halves[:25], halves[25:], strict=True)]
    return [
        make_incident(source, f"exact-{number}", kind=kind, weaknesses=some)
        for number, (kind, some) in enumerate(zip(kinds, weaknesses, strict=True))
    ]


def _list_by(labels: Iterable[str], counts: Iterable[int]) -> list[str]:
    return [label for label, count in zip(labels, counts, strict=True) for _ in range(count)]


def _choose(source: random.Random, shares: dict[str, int]) -> str:
    return source.choices(list(shares), weights=list(shares.values()))[0]


def freeze_some(incidents: Iterable[Cluster]) -> FrozenClusters:
    """Return incidents as a digest counts them."""
    return freeze(((one.cases, one.answers) for one in incidents), labels=make_labels(PLACES))


def publish_classically(count: int) -> int | None:
    """Return a count under the classical rule: None below five, otherwise the nearest multiple of five."""
    return None if count < HIDDEN_BELOW else ROUNDED_TO * ((count + ROUNDED_TO // 2) // ROUNDED_TO)


def is_revealed(*cells: tuple[int, int]) -> bool:
    """Return whether the classical rule publishes something else in two worlds: then an attacker is certain."""
    return any(publish_classically(before) != publish_classically(after) for before, after in cells)


class ClassicalRule:
    """The share of the year's incidents that the classical rule reveals for certain, attack by attack.

    It hides each count under five and rounds the others to five, over the same tables in the same periods.
    """

    def __init__(self, year: Sequence[Provider], *, seed: int = SEED) -> None:
        self._source = random.Random(seed)
        # For each incident, by table: every count that it is in, with it and without it.
        self._cells: list[dict[str, list[tuple[int, int]]]] = []
        self._kinds: list[list[int]] = []
        self._totals: list[int] = []
        for provider in year:
            whole = count_mentions(one for quarter in provider.quarters for one in quarter)
            for quarter in provider.quarters:
                counts = count_mentions(quarter)
                for one in quarter[:_MOST_OF_A_QUARTER]:
                    cells = {
                        name: [(counts if name in QUARTERLY else whole)[name, label] for label in labels]
                        for name, labels in list_mentions(one).items()
                    }
                    cells[YEARLY_KIND] = [whole["kind", one.kind]]
                    self._cells.append({name: [(n, n - 1) for n in some] for name, some in cells.items()})
                    self._totals.append(len(quarter))
                    self._kinds.append([counts["kind", label] for label, _ in KINDS])

    def share(self, *names: str, providers: int = 1) -> float:
        """Return the share revealed by these tables together, in the digests of so many providers that count it."""
        revealed = 0
        for cells in self._cells:
            some = [cells, *self._source.sample(self._cells, providers - 1)]
            revealed += is_revealed(*(cell for one in some for name in names for cell in one[name]))
        return revealed / len(self._cells)

    def share_at(self, threshold: int) -> float:
        """Return the share of incidents without which a provider would not reach an exact threshold."""
        return statistics.mean(total == threshold for total in self._totals)

    def share_of_contents(self) -> float:
        """Return the share of incidents whose kind is distinguished from another one, chosen at random."""
        revealed = 0
        for cells, counts in zip(self._cells, self._kinds, strict=True):
            other = self._source.choice(counts)
            revealed += is_revealed(*cells["kind"], (other, other + 1))
        return revealed / len(self._cells)


def count_mentions(incidents: Iterable[Cluster]) -> Counter[tuple[str, str]]:
    """Return the plain number of incidents by table and label."""
    return Counter(
        (name, label) for one in incidents for name, labels in list_mentions(one).items() for label in labels
    )


def list_mentions(one: Cluster) -> dict[str, tuple[str, ...]]:
    """Return the labels of one incident by table."""
    return {
        "kind": (one.kind,),
        "weakness": one.weaknesses,
        "age_band": (one.age_band,),
        "outcome": (one.outcome,),
        "placement": (one.placement,),
        **{name: (code or NOT_STATED,) for name, code in one.facts.items()},
    }
