"""Attacks on the anonymity of a digest: the gain of the best attacker in each, beside the bound that it must keep.

The attacker knows the mechanism and every other incident, and sees the raw draws, from which everything published is
made. It has to decide which of two worlds it is in, e.g. with one incident or without it. Its advantage is its share of
right accusations less its share of wrong ones: 0 is a guess, 1 is certainty. The noise is OpenDP's and is never seeded.

Each interval holds the true figure with the stated certainty by Hoeffding's inequality or by Chernoff's in its exact
form: both are bounds for any number of draws, so nothing is approximated, and the intervals are rather too wide.

    .venv/bin/python -m tests.bench.digest_attacks --draws 1000000
"""

import itertools
import math
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.desk.digests import noise
from gateway.desk.digests.own_facts import DEFAULT_THRESHOLD, is_eligible
from gateway.desk.digests.tables import Cluster, Table, count_table
from tests.bench.digest_year import QUARTERLY, TABLES, YEARLY_KIND, ClassicalRule, freeze_some, make_incident, make_year
from tests.bench.figures import Figure, format_number, make_parser, print_figures

Draw = Callable[..., list[int]]
CERTAINTY_ERROR: Final = 0.05  # the chance that a printed interval misses; the tests set a millionth
LEAST_AUDITED: Final = 0.8
# Log-likelihoods are sums of floats: two that differ by less are equal.
_NOTHING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Cell:
    """A count that differs between the two worlds, and the noise that hides the difference."""

    table: str
    before: int
    after: int
    sensitivity: int
    epsilon_micro: int

    @property
    def scale(self) -> float:
        """The scale of the noise, from the library itself."""
        return noise.get_scale(sensitivity=self.sensitivity, epsilon_micro=self.epsilon_micro)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Draws in both worlds: a row of log-likelihood ratios for each cell, above zero in favour of the second world."""

    without: list[list[float]]
    with_it: list[list[float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured figure with its interval, the exact value of the stated mechanism, and the bound of its budget."""

    value: float
    low: float
    high: float
    exact: float
    bound: float


def list_changed_cells(tables: Sequence[Table], without: Sequence[Cluster], with_it: Sequence[Cluster]) -> list[Cell]:
    """Return the cells that the two worlds count differently. The others are equally distributed: no attacker gains."""
    cells = []
    for table in tables:
        worlds = (count_table(table, freeze_some(incidents)) for incidents in (without, with_it))
        for before, after in zip(*worlds, strict=True):
            if before != after:
                cells.append(Cell(table.name, before, after, table.sensitivity, table.epsilon_micro))
    return cells


def weigh(cell: Cell, value: int) -> float:
    """Return the log-likelihood ratio of one draw: above zero speaks for the second world."""
    return (abs(value - cell.before) - abs(value - cell.after)) / cell.scale


def observe(cells: Sequence[Cell], *, draws: int, draw: Draw = noise.draw) -> Evidence:
    """Draw each cell that often in both worlds with the product's own noise, or with a faulty one to test the test."""
    without, with_it = [], []
    for cell in cells:
        cost = {"sensitivity": cell.sensitivity, "epsilon_micro": cell.epsilon_micro}
        without.append(_weigh_all(cell, draw([cell.before] * draws, **cost)))
        with_it.append(_weigh_all(cell, draw([cell.after] * draws, **cost)))
    return Evidence(without, with_it)


def _weigh_all(cell: Cell, values: Sequence[int]) -> list[float]:
    # Thousands of draws are a few hundred numbers.
    weights = {value: weigh(cell, value) for value in set(values)}
    return [weights[value] for value in values]


def draw_half_the_noise(counts: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
    """The fault that every test must see: noise of half the scale, at twice the loss that the ledger paid for."""
    return noise.draw(counts, sensitivity=sensitivity, epsilon_micro=2 * epsilon_micro)


def list_laws(cell: Cell) -> list[tuple[float, float, float]]:
    """Return every log-likelihood ratio of a cell with its probability in the first and in the second world.

    Discrete Laplace noise of scale s has P(n) proportional to q^|n| with q = exp(-1/s).
    """
    step, ratio = abs(cell.after - cell.before), math.exp(-1 / cell.scale)
    inside = (1 - ratio) / (1 + ratio)
    first = [
        1 / (1 + ratio),
        *(inside * ratio**noise_value for noise_value in range(1, step)),
        ratio**step / (1 + ratio),
    ]
    places = [-step, *(2 * noise_value - step for noise_value in range(1, step)), step]
    return [(place / cell.scale, p, p * math.exp(place / cell.scale)) for place, p in zip(places, first, strict=True)]


def compute_advantage(cells: Iterable[Cell]) -> float:
    """Return the largest advantage that these cells allow any attacker, exactly (the total variation distance)."""
    combined = {0.0: (1.0, 1.0)}
    for cell in cells:
        grown: dict[float, tuple[float, float]] = {}
        for (sofar, (p, r)), (more, s, t) in itertools.product(combined.items(), list_laws(cell)):
            key = round(sofar + more, 9)
            old = grown.get(key, (0.0, 0.0))
            grown[key] = (old[0] + p * s, old[1] + r * t)
        combined = grown
    return sum(max(0.0, after - before) for before, after in combined.values())


def compute_epsilon(cells: Iterable[Cell]) -> float:
    """Return the largest log-likelihood ratio of any draw of these cells: the privacy loss between the two worlds."""
    return sum(abs(cell.after - cell.before) / cell.scale for cell in cells)


def bound_advantage(epsilon: float) -> float:
    """Return the largest advantage that pure differential privacy with that loss allows, e.g. 0.268 for 0.55."""
    return math.tanh(epsilon / 2)


def measure_advantage(evidence: Evidence, cells: Sequence[Cell], *, error: float = CERTAINTY_ERROR) -> Measured:
    """Return the advantage of the likelihood-ratio attacker on these draws; the interval fails with chance `error`."""
    wrong, right = (_count_above(rows) for rows in (evidence.without, evidence.with_it))
    draws = len(evidence.without[0])
    value = (right - wrong) / draws
    # 2 n bounded variables of range 1/n (Hoeffding 1963): P(off by t to either side) <= 2 exp(-n t^2).
    reach = math.sqrt(math.log(2 / error) / draws)
    return Measured(
        value, value - reach, value + reach, compute_advantage(cells), bound_advantage(compute_epsilon(cells))
    )


def audit_epsilon(evidence: Evidence, cells: Sequence[Cell], *, error: float = CERTAINTY_ERROR) -> Measured:
    """Return the privacy loss as draws show it in the tail: how much more often all cells at once speak for one world.

    No composition lowers it there, so a right mechanism comes close to its whole budget. Both tails are read; the
    higher loss counts.
    """
    losses = []
    for sign, first, second in ((1, evidence.with_it, evidence.without), (-1, evidence.without, evidence.with_it)):
        often, seldom = (_count_extreme(rows, cells, sign=sign) for rows in (first, second))
        (low, high), (lower, higher) = (bound_share(one, of=len(first[0]), error=error / 4) for one in (often, seldom))
        value = math.log(often / seldom) if often and seldom else math.inf
        losses.append(
            (value, math.log(low / higher) if low else -math.inf, math.log(high / lower) if lower else math.inf)
        )
    exact = compute_epsilon(cells)
    return Measured(*max(losses), exact, exact)


def bound_share(count: int, *, of: int, error: float) -> tuple[float, float]:
    """Return the interval of a probability seen `count` times, wrong to either side with chance `error` at most.

    Chernoff: P(a share of at least a, where p < a) <= exp(-n KL(a, p)), and likewise below.
    """
    share, allowed = count / of, math.log(1 / error) / of

    def is_far(other: float) -> bool:
        return _diverge(share, other) > allowed

    return _halve(is_far, share, 0.0), _halve(is_far, share, 1.0)


def _diverge(share: float, other: float) -> float:
    parts = ((share, other), (1 - share, 1 - other))
    return sum(a * math.log(a / b) if b else math.inf for a, b in parts if a)


def _halve(is_far: Callable[[float], bool], near: float, far: float) -> float:
    for _ in range(50):
        middle = (near + far) / 2
        near, far = (near, middle) if is_far(middle) else (middle, far)
    return far


def _count_above(rows: Sequence[Sequence[float]]) -> int:
    return sum(total > _NOTHING for total in map(sum, zip(*rows, strict=True)))


def _count_extreme(rows: Sequence[Sequence[float]], cells: Sequence[Cell], *, sign: int) -> int:
    most = compute_epsilon(cells) - _NOTHING
    return sum(sign * total > most for total in map(sum, zip(*rows, strict=True)))


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: its measured figure, and the share of incidents that the classical rule reveals to it for certain."""

    name: str
    measured: Measured
    classical: float | None = None


def select(evidence: Evidence, cells: Sequence[Cell], names: Iterable[str]) -> tuple[Evidence, list[Cell]]:
    """Return the part of the evidence that lies in these tables."""
    wanted = set(names)
    places = [place for place, cell in enumerate(cells) if cell.table in wanted]
    without, with_it = ([some[place] for place in places] for some in (evidence.without, evidence.with_it))
    return Evidence(without, with_it), [cells[place] for place in places]


def pool(evidence: Evidence, cells: Sequence[Cell], *, providers: int) -> tuple[Evidence, list[Cell]]:
    """Return the evidence of providers that put their digests together: each share of the draws is one provider's."""
    size = len(evidence.without[0]) // providers
    without, with_it = (
        [row[size * part : size * (part + 1)] for part in range(providers) for row in rows]
        for rows in (evidence.without, evidence.with_it)
    )
    return Evidence(without, with_it), [*cells] * providers


def swap_contents(evidence: Evidence, cells: Sequence[Cell]) -> tuple[Evidence, list[Cell]]:
    """Return the evidence on an incident known to exist: in one world it has these contents, in the other others.

    The cells of the first contents are the draws of one half read backwards, those of the others are the second half.
    """
    half = len(evidence.without[0]) // 2
    gone = [[-ratio for ratio in row[:half]] for row in evidence.with_it]
    there = [[-ratio for ratio in row[:half]] for row in evidence.without]
    without = [*gone, *(row[half : 2 * half] for row in evidence.without)]
    with_it = [*there, *(row[half : 2 * half] for row in evidence.with_it)]
    turned = [Cell(one.table, one.after, one.before, one.sensitivity, one.epsilon_micro) for one in cells]
    return Evidence(without, with_it), [*turned, *cells]


def measure_difference(cell: Cell, *, draws: int, error: float, draw: Draw = noise.draw) -> Measured:
    """Return the advantage in the difference between this quarter's count and the last one's, which was the same."""
    cost = {"sensitivity": cell.sensitivity, "epsilon_micro": cell.epsilon_micro}
    earlier = draw([cell.before] * draws, **cost)
    seen = []
    for count in (cell.before, cell.after):
        later = draw([count] * draws, **cost)
        seen.append(sum(new > old for new, old in zip(later, earlier, strict=True)))
    value, reach = (seen[1] - seen[0]) / draws, math.sqrt(math.log(2 / error) / draws)
    exact = compute_difference(cell)
    return Measured(value, value - reach, value + reach, exact, bound_advantage(compute_epsilon([cell])))


def compute_difference(cell: Cell) -> float:
    """Return the exact advantage in a difference of draws, for a step of 1: the chance that their noise is equal."""
    ratio = math.exp(-1 / cell.scale)
    return ((1 - ratio) / (1 + ratio)) ** 2 * (1 + ratio**2) / (1 - ratio**2)


def measure_absence(table: Table, *, draws: int, error: float) -> Measured:
    """Return the advantage in seeing only whether a digest comes, at the count where that reveals most."""
    labels = len(table.labels)
    cost = {"sensitivity": table.sensitivity, "epsilon_micro": table.epsilon_micro}
    seen = []
    for count in (DEFAULT_THRESHOLD - 1, DEFAULT_THRESHOLD):
        drawn = iter(noise.draw([count, *[0] * (labels - 1)] * draws, **cost))
        totals = (sum(itertools.islice(drawn, labels)) for _ in range(draws))
        seen.append(sum(is_eligible(adopted=False, drawn_total=total) for total in totals))
    value, reach = (seen[1] - seen[0]) / draws, math.sqrt(math.log(2 / error) / draws)
    scale = noise.get_scale(**cost)
    above = [noise.get_tail(scale=scale, draws=labels, least=least) for least in (0, 1)]
    return Measured(value, value - reach, value + reach, above[0] - above[1], bound_advantage(1 / scale))


def list_attacks(
    evidence: Evidence, cells: Sequence[Cell], *, error: float, classical: ClassicalRule | None = None
) -> list[Attack]:
    """Measure every attack on these draws; the classical rule stands beside each if it is given."""
    names = list(dict.fromkeys(cell.table for cell in cells))
    quarterly = [name for name in names if name in QUARTERLY]
    hundredth = (lambda *some, **more: classical.share(*some, **more)) if classical else (lambda *some, **more: None)

    def advantage(some: tuple[Evidence, list[Cell]]) -> Measured:
        return measure_advantage(*some, error=error)

    whole = evidence, list(cells)
    attacks = [
        Attack(f"one table: {name}", advantage(select(evidence, cells, [name])), hundredth(name)) for name in names
    ]
    attacks += [
        Attack("one quarter's digest", advantage(select(evidence, cells, quarterly)), hundredth(*quarterly)),
        Attack("everything of one provider in a year", advantage(whole), hundredth(*names)),
    ]
    for providers in (2, 4):
        attacks.append(
            Attack(
                f"{providers} providers pool everything",
                advantage(pool(*whole, providers=providers)),
                hundredth(*names, providers=providers),
            )
        )
    kinds = select(evidence, cells, ["kind"])
    contents = classical.share_of_contents() if classical else None
    attacks.append(Attack("which kind, of an incident known to exist", advantage(swap_contents(*kinds)), contents))
    attacks.append(Attack("all contents of an incident known to exist", advantage(swap_contents(*whole))))
    return attacks


def make_worlds(tables: Sequence[Table]) -> tuple[list[Cluster], list[Cluster]]:
    """Return sixty incidents, and the same ones with one more: of its forms the one that the tables hide worst."""
    source = random.Random(1)
    others = [make_incident(source, f"other-{number}") for number in range(60)]
    forms = [
        replace(make_incident(source, "the-one"), weaknesses=codes)
        for codes in (("open_direct_messages",), ("open_direct_messages", "weak_age_check"))
    ]
    return others, max(
        ([*others, one] for one in forms),
        key=lambda worlds: sum(compute_advantage(list_changed_cells([table], others, worlds)) for table in tables),
    )


def run(*, draws: int) -> list[Figure]:
    """Measure every attack with so many draws in each world."""
    cells = list_changed_cells(TABLES, *make_worlds(TABLES))
    evidence = observe(cells, draws=draws)
    classical = ClassicalRule(make_year())
    attacks = list_attacks(evidence, cells, error=CERTAINTY_ERROR, classical=classical)
    kind = next(cell for cell in cells if cell.table == "kind")
    difference = measure_difference(kind, draws=draws, error=CERTAINTY_ERROR)
    attacks.append(
        Attack("the kinds of this quarter less those of the last", difference, classical.share("kind", YEARLY_KIND))
    )
    kinds = next(table for table in TABLES if table.name == "kind")
    absent = measure_absence(kinds, draws=draws // 10, error=CERTAINTY_ERROR)
    attacks.append(
        Attack("whether a digest comes at all, without the button", absent, classical.share_at(DEFAULT_THRESHOLD))
    )
    audited = audit_epsilon(evidence, cells)
    is_met = audited.value >= LEAST_AUDITED and audited.low <= audited.bound
    bar = f"{LEAST_AUDITED} to {audited.bound:.3g}"
    audit = Figure("epsilon, audited in the tail", audited.value, "", audited.low, audited.high, bar, is_met)
    return [*map(make_attack_figure, attacks), audit]


def make_attack_figure(attack: Attack) -> Figure:
    """Return the row of an attack: met if the bound is within the interval or above it."""
    found = attack.measured
    beside = {
        "Exact optimum": format_number(found.exact),
        "Classical rule": "-" if attack.classical is None else f"{attack.classical:.0%} of incidents for certain",
    }
    bar, is_met = f"at most {format_number(found.bound)}", found.low <= found.bound
    return Figure(attack.name, found.value, "", found.low, found.high, bar, is_met, beside)


def main() -> int:
    """Run the attacks and print their figures."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--draws", type=int, default=400_000, help="draws of each cell in each world (default: 400,000)"
    )
    words = parser.parse_args()
    print_figures(run(draws=words.draws), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
