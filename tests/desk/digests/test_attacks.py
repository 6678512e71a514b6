"""Attacks on the anonymity of a digest, each against the bound that `docs/anonymity.md` states.

The noise is never seeded, so a test of draws can fail although all is well: each with a chance of a millionth at most,
by bounds that hold for any number of draws (tests/bench/digest_attacks.py). All of them see noise of half the scale.
"""

import itertools
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.desk.cases.choices import AGE_BANDS, KINDS, OUTCOMES
from gateway.desk.collection.joining import add_link
from gateway.desk.digests import noise
from gateway.desk.digests.making import freeze_clusters, make_digest
from gateway.desk.digests.tables import (
    BUDGET_MICRO,
    MICRO,
    OUTCOME_MICRO,
    QUARTER_TABLES,
    YEAR_MICRO,
    count_table,
    make_year_tables,
)
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS
from tests.bench.digest_attacks import (
    LEAST_AUDITED,
    Cell,
    Draw,
    Evidence,
    audit_epsilon,
    bound_advantage,
    bound_share,
    compute_advantage,
    compute_epsilon,
    draw_half_the_noise,
    list_attacks,
    list_changed_cells,
    make_worlds,
    measure_advantage,
    measure_difference,
    observe,
)
from tests.bench.digest_usefulness import measure_false_advice, measure_hundred, publish_year
from tests.bench.digest_year import PLACES, TABLES, ClassicalRule, make_exact_hundred, make_year, publish_classically
from tests.desk.digests.digest_builders import NOW, PARTNER, QUARTER, add_case, add_cases, clock, make_order, make_store
from tests.desk.made_models import hold_open
from tests.house.sources import ROOT

# Of one comparison: no test makes more than twenty. With so many draws half the noise goes unseen as seldom.
FALSE_ALARM = 1e-6 / 20
DRAWS = 60_000
CELLS = list_changed_cells(TABLES, *make_worlds(TABLES))
OWN_REPORT = {"partner": PARTNER, "door": "industry", "report_kind": "initial", "stated_kind": "grooming"}
SIDES = ("without", "with_it")
NAMES = [table.name for table in TABLES]


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return observe(CELLS, draws=DRAWS)


@pytest.fixture(scope="module")
def faulty() -> dict[str, Evidence]:
    # A small epsilon takes more draws to be told from twice itself.
    found = {}
    for name in NAMES:
        cells = [cell for cell in CELLS if cell.table == name]
        draws = DRAWS if compute_epsilon(cells) < 0.2 else DRAWS // 3
        found[name] = observe(cells, draws=draws, draw=draw_half_the_noise)
    return found


def test_exact_optimum_is_that_of_a_count_over_all_outcomes() -> None:
    cells = [Cell("kind", 3, 4, 1, 550_000), Cell("weakness", 9, 7, 2, 250_000), Cell("age_band", 5, 4, 1, 100_000)]
    for some in itertools.chain.from_iterable(itertools.combinations(cells, count) for count in (1, 2)):
        laws = zip(*map(list_laws_of_draws, some), strict=True)
        worlds = [[math.prod(one) for one in itertools.product(*of_cells)] for of_cells in laws]
        distance = sum(abs(here - there) for here, there in zip(*worlds, strict=True)) / 2
        assert compute_advantage(some) == pytest.approx(distance, abs=1e-6)
    assert compute_advantage(cells[:1]) == pytest.approx(bound_advantage(0.55))


def list_laws_of_draws(cell: Cell) -> tuple[list[float], list[float]]:
    ratio = math.exp(-1 / cell.scale)
    places = range(-200, 200)
    return tuple([(1 - ratio) / (1 + ratio) * ratio ** abs(n - at) for n in places] for at in (cell.before, cell.after))


def test_interval_of_a_share_holds_the_exact_tail() -> None:
    low, high = bound_share(30, of=1000, error=1e-6)
    tail = sum(math.comb(1000, k) * low**k * (1 - low) ** (1000 - k) for k in range(30, 1001))
    other = sum(math.comb(1000, k) * high**k * (1 - high) ** (1000 - k) for k in range(31))
    assert 0 < tail <= 1e-6
    assert 0 < other <= 1e-6


def test_best_attackers_gain_what_the_mechanism_allows_and_no_more(evidence: Evidence) -> None:
    attacks = list_attacks(evidence, CELLS, error=FALSE_ALARM)
    assert len(attacks) == len(TABLES) + 6
    off = [one for one in attacks if not one.measured.low <= one.measured.exact <= one.measured.high]
    assert off == []
    assert [one for one in attacks if one.measured.exact > one.measured.bound + 1e-9] == []
    # Each is worth something: an attacker who gains nothing measures nothing.
    assert [one for one in attacks if one.measured.low <= 0] == []


@pytest.mark.parametrize("table", NAMES)
def test_half_the_noise_is_seen_in_each_table(table: str, faulty: dict[str, Evidence]) -> None:
    measured = measure_advantage(faulty[table], [cell for cell in CELLS if cell.table == table], error=FALSE_ALARM)
    assert measured.low > measured.exact


def test_audit_in_the_tail_finds_the_whole_budget_and_no_more(evidence: Evidence) -> None:
    audited = audit_epsilon(evidence, CELLS, error=FALSE_ALARM)
    # The rest is for the outcome for the child, which is in the overview alone.
    assert audited.exact == pytest.approx((BUDGET_MICRO - OUTCOME_MICRO) / MICRO, abs=1e-5)
    assert audited.low <= BUDGET_MICRO / MICRO
    assert audited.high >= LEAST_AUDITED


def test_audit_in_the_tail_sees_half_the_noise(faulty: dict[str, Evidence]) -> None:
    draws = DRAWS // 3
    without, with_it = ([row[:draws] for one in faulty.values() for row in getattr(one, side)] for side in SIDES)
    assert audit_epsilon(Evidence(without, with_it), CELLS, error=FALSE_ALARM).low > BUDGET_MICRO / MICRO


def test_this_quarter_less_the_last_gives_less_than_the_quarter_alone() -> None:
    kind = next(cell for cell in CELLS if cell.table == "kind")
    found = measure_difference(kind, draws=10_000, error=FALSE_ALARM)
    assert found.low <= found.exact <= found.high
    assert found.exact < compute_advantage([kind])
    assert measure_difference(kind, draws=10_000, error=FALSE_ALARM, draw=draw_half_the_noise).low > found.exact


def test_classical_rule_makes_the_same_attackers_certain() -> None:
    rule = ClassicalRule(make_year(providers=60))
    assert min(rule.share(name) for name in NAMES) > 0.05
    assert rule.share(*NAMES) > 0.5
    assert rule.share(*NAMES, providers=4) > 0.9
    # Whatever the count of the others, a provider that adds up to four reports of its own is certain.
    for others in range(300):
        assert any(publish_classically(others + own) != publish_classically(others + own + 1) for own in range(5))


def make_bodies(folder: Path, monkeypatch: pytest.MonkeyPatch, *, draw: Draw, **order: Any) -> list[bytes | None]:
    """Make the digest of a desk without incidents, and of one with forty of every shape, with this draw."""
    monkeypatch.setattr(noise, "draw", draw)
    bodies = []
    for name in ("empty", "full"):
        (folder / name).mkdir()
        store = hold_open(make_store(folder / name))
        if name == "full":
            for number in range(40):
                kind, age, outcome = (codes[number % len(codes)][0] for codes in (KINDS, AGE_BANDS, OUTCOMES))
                add_case(store, kind=kind, age_band=age, outcome=outcome, weakness_2="weak_age_check", placement="chat")
        bodies.append(make_digest(store, make_order(placements=PLACES, **order), clock=clock).body)
    return bodies


@pytest.mark.parametrize(("drawn", "adopted"), [(17, True), (17, False), (0, True), (0, False)])
def test_published_bytes_depend_on_incidents_through_the_draws_alone(
    drawn: int, adopted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal draws over different incidents: an exact number anywhere, or an absence decided by one, would differ."""
    bodies = make_bodies(tmp_path, monkeypatch, draw=lambda counts, **_: [drawn] * len(counts), adopted=adopted)
    assert bodies[0] == bodies[1]
    assert (bodies[0] is None) == (drawn == 0 and not adopted)


def test_published_bytes_do_depend_on_the_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = make_bodies(tmp_path, monkeypatch, draw=lambda counts, **_: list(counts), adopted=True)
    assert bodies[0] != bodies[1]


def test_exact_numbers_rest_only_on_what_the_partner_sent_and_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal draws: a linked child's report, another assessment and an outcome not yet sent change no byte."""
    monkeypatch.setattr(noise, "draw", lambda counts, **_: [20] * len(counts))
    coded = {"kind": "sexual_acts_live", "weakness_1": "slow_response", "weakness_2": "weak_age_check"}
    bodies = []
    for name, answers in (("alone", {"closed_at": None, "kind": None, "weakness_1": None}), ("linked", coded)):
        (tmp_path / name).mkdir()
        store = hold_open(make_store(tmp_path / name))
        own = add_case(store, **OWN_REPORT, **answers)
        add_case(store, **OWN_REPORT)
        if name == "linked":
            child = add_case(store, **coded)
            signal = dict.fromkeys(("decided_at", "held_until", "released_at"), "2026-08-03T08:00:00Z")
            signal |= {"signal_id": "s", "case_id": own, "partner": PARTNER, "outcome": "used", "decided_by": "A"}
            with store.write() as connection:
                add_link(connection, own, child, by="A. Analyst", now=NOW)
                connection.execute(insert(OUTCOME_SIGNALS).values(signal))
        bodies.append(make_digest(store, make_order(), clock=clock).body)
    assert bodies[0] is not None
    assert bodies[0] == bodies[1]


def test_document_states_the_budget_and_the_exact_figures() -> None:
    text = (ROOT / "docs" / "anonymity.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (`.+`) \| each (?:quarter|year) \| ([\d.]+)", text, re.MULTILINE))
    budget = {f"`{table.name}`": table.epsilon_micro / MICRO for table in QUARTER_TABLES}
    yearly = make_year_tables(PLACES, drawn_total=1_000_000)
    budget[", ".join(f"`{table.name}`" for table in yearly)] = YEAR_MICRO / MICRO
    assert {names: float(epsilon) for names, epsilon in rows.items()} == budget
    kind = [cell for cell in CELLS if cell.table == "kind"]
    stated = {
        "an advantage of {} over a coin": compute_advantage(CELLS),
        "that pool everything have {}": compute_advantage([*CELLS] * 2),
        "and four {}:": compute_advantage([*CELLS] * 4),
        "The advantage is {} for the kind": compute_advantage([*kind] * 2),
        "and {} for all contents together": compute_advantage([*CELLS] * 2),
    }
    assert [
        phrase for phrase, value in stated.items() if phrase.format(f"{value:.3f}") not in " ".join(text.split())
    ] == []
    assert f"right {50 + 50 * compute_advantage(CELLS):.0f} times in 100" in " ".join(text.split())


@pytest.mark.parametrize("order", [[(2, 1), (1, 0)], [(1, 0), (2, 1)], [(0, 1), (1, 2)], [(0, 2), (1, 2), (0, 1)]])
def test_three_reports_of_one_incident_give_no_more_than_one_in_any_order_of_links(
    order: list[tuple[int, int]], tmp_path: Path
) -> None:
    """Copied ids counted it twice in the first order, which gives 0.423 where one count gives 0.268."""
    store = hold_open(make_store(tmp_path))
    add_cases(store, 20)
    kind, counts = QUARTER_TABLES[0], []
    for reports in (0, 3):
        case_ids = [add_case(store) for _ in range(reports)]
        with store.write() as connection:
            for first, second in order if reports else []:
                add_link(connection, case_ids[first], case_ids[second], by="A. Analyst", now=NOW)
            frozen, _ = freeze_clusters(connection, partner=PARTNER, quarter=QUARTER, environment="live", places=PLACES)
        counts.append(count_table(kind, frozen))
    cells = [
        Cell("kind", before, after, kind.sensitivity, kind.epsilon_micro)
        for before, after in zip(*counts, strict=True)
        if before != after
    ]
    assert compute_advantage(cells) == pytest.approx(bound_advantage(kind.epsilon_micro / MICRO))


def test_figures_of_usefulness_are_measured_on_the_published_bytes() -> None:
    """The bars of the benchmark, over few digests: each fails by chance in a millionth of the runs."""
    _, _, right = measure_hundred(60, table="kind", classical=False)
    assert bound_share(round(60 * right), of=60, error=FALSE_ALARM)[1] >= 0.94
    assert bound_share(round(60 * measure_false_advice(60, [])), of=60, error=FALSE_ALARM)[0] <= 0.05
    assert publish_year([make_exact_hundred(random.Random(1))] * 4).total is not None
