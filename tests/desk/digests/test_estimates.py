"""Estimates after the noise: least squares, intervals that hold the truth, and weaknesses that chance does not make.

The simulations have fixed seeds, so none fails by chance: each tries the law of the noise, not the library's draws.
"""

import math
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.desk.digests import estimates
from gateway.desk.digests.eligibility import DEFAULT_THRESHOLD
from gateway.desk.digests.estimates import DrawnTable, Estimates, add_up, make_estimates, project
from gateway.desk.digests.noise import get_scale, get_tail, get_threshold
from gateway.desk.digests.tables import QUARTER_TABLES, Table, make_year_tables
from tests.desk.digests.digest_builders import draw_noise

KIND, WEAKNESS = QUARTER_TABLES
AGE = make_year_tables((), drawn_total=1000)[0]
_values = st.lists(st.integers(-60, 400), min_size=1, max_size=9)


def make_drawn(table: Table, values: list[int], *, periods: int = 1) -> DrawnTable:
    scale = get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
    return DrawnTable(table.name, tuple(values), scale, periods, table.units, table.is_partition)


def add_noise(source: Random, drawn: DrawnTable) -> DrawnTable:
    """Return the table with noise of its law."""
    values = tuple(value + sum(draw_noise(source, drawn.scale) for _ in range(drawn.periods)) for value in drawn.values)
    return DrawnTable(drawn.name, values, drawn.scale, drawn.periods, drawn.units, drawn.is_partition)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6), st.integers(0, 120))
def test_the_fit_is_within_one_of_the_nearest_point_with_that_sum(values: list[int], total: int) -> None:
    fitted = project(values, total)
    assert sum(fitted) == total
    assert min(fitted) >= 0
    for whole, exact in zip(fitted, _project_exactly(values, total), strict=True):
        assert abs(whole - exact) < 1
        assert whole == 0 or exact > 0


@settings(max_examples=20)
@given(_values, _values, st.lists(st.integers(-90, 400), min_size=17, max_size=17))
def test_every_table_agrees_with_the_total_and_every_interval_holds_its_value(
    kinds: list[int], ages: list[int], weaknesses: list[int]
) -> None:
    drawn = [make_drawn(KIND, kinds, periods=4), make_drawn(AGE, ages), make_drawn(WEAKNESS, weaknesses)]
    found = make_estimates(drawn)
    for table in (KIND, AGE):
        assert sum(cell.value for cell in found.cells[table.name]) == found.total.value
    # Two halves may be rounded up at once.
    assert sum(cell.value for cell in found.cells["weakness"]) <= found.total.value + len(weaknesses) / 2
    for cell in (found.total, *(cell for cells in found.cells.values() for cell in cells)):
        assert 0 <= cell.low <= cell.value <= cell.high
    assert found == make_estimates(drawn)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-5, 600), min_size=8, max_size=8), st.lists(st.integers(-30, 300), min_size=17, max_size=17)
)
def test_ends_far_from_zero_are_those_of_fitting_each_repetition_again(kinds: list[int], weaknesses: list[int]) -> None:
    drawn = [make_drawn(KIND, kinds), make_drawn(WEAKNESS, weaknesses)]
    found = make_estimates(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "_find_far_ends", lambda *_: None)
        assert make_estimates(drawn) == found


def test_a_large_service_needs_no_second_fit_and_one_near_zero_or_its_total_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(estimates, "_make_near_ends", fail)
    large = [make_drawn(KIND, [340, 200, 200, 120, 90, 50, 40, 30])]
    make_estimates([*large, make_drawn(WEAKNESS, [600, 400, *[0] * 15])])
    for near in (
        [make_drawn(KIND, [340, 200, 200, 120, 90, 50, 40, 3])],
        [*large, make_drawn(WEAKNESS, [1000, 1000, 100, *[0] * 14])],
        [*large, make_drawn(AGE, [400, 300, 200, 100, 50, 20])],
    ):
        with pytest.raises(AssertionError):
            make_estimates(near)


def test_the_total_is_that_of_the_draws_with_what_is_below_zero() -> None:
    """Cutting first would give 12: a provider without incidents would seem to have some."""
    noise = [5, -6, 4, -3, 3, -4, 0, 0]
    assert add_up([make_drawn(KIND, noise)]) == -1
    assert make_estimates([make_drawn(KIND, noise)]).total.value == 0


def test_the_surer_table_has_more_weight() -> None:
    drawn = [make_drawn(KIND, [100, 0, 0, 0, 0, 0, 0, 0], periods=4), make_drawn(AGE, [200, 0, 0, 0, 0, 0])]
    assert 100 < add_up(drawn) < 130


def test_a_partner_is_eligible_wrongly_at_40_incidents_in_one_per_cent_at_most_and_rightly_at_80_in_99() -> None:
    scale, cells = get_scale(sensitivity=1, epsilon_micro=KIND.epsilon_micro), len(KIND.labels)
    assert get_tail(scale=scale, draws=cells, least=DEFAULT_THRESHOLD - 40) <= 0.01
    assert 1 - get_tail(scale=scale, draws=cells, least=80 - DEFAULT_THRESHOLD + 1) >= 0.99
    assert get_tail(scale=scale, draws=cells, least=DEFAULT_THRESHOLD) < 1e-9


@pytest.mark.parametrize("scale", [0.3, 1.82, 8.0, 250.0])
def test_the_tail_of_one_draw_is_that_of_the_closed_form(scale: float) -> None:
    decay = math.exp(-1 / scale)
    for least in (1, 2, 20):
        expected = decay**least / (1 + decay)
        assert get_tail(scale=scale, draws=1, least=least) == pytest.approx(expected, rel=1e-9)
    for draws in (1, 2, 4):
        threshold = get_threshold(scale=scale, draws=draws, chance=0.003)
        assert get_tail(scale=scale, draws=draws, least=threshold) <= 0.003
        assert threshold == 1 or get_tail(scale=scale, draws=draws, least=threshold - 1) > 0.003


@pytest.mark.parametrize("periods", [1, 2, 4])
def test_a_provider_without_incidents_has_a_false_weakness_in_five_per_cent_of_digests_at_most(periods: int) -> None:
    """By the exact tail, over all codes together; one unit lower would be too often, so the test is not blunt."""
    drawn = make_drawn(WEAKNESS, [0] * len(WEAKNESS.labels), periods=periods)
    least = _find_least(drawn)
    for units, is_within in ((least, True), (least - 1, False)):
        each = get_tail(scale=drawn.scale, draws=periods, least=units)
        assert (1 - (1 - each) ** len(WEAKNESS.labels) <= 0.05) == is_within


@pytest.mark.parametrize(
    "drawn",
    [
        [make_drawn(KIND, [7, 4, 4, 2, 2, 1, 0, 0])],
        [make_drawn(KIND, [34, 20, 20, 12, 9, 5, 0, 0])],
        [make_drawn(KIND, [136, 80, 80, 48, 36, 20, 0, 0], periods=4), make_drawn(AGE, [180, 120, 60, 30, 10, 0])],
        [make_drawn(KIND, [34, 20, 20, 12, 9, 5, 0, 0]), make_drawn(WEAKNESS, [60, 40, 30, 20, 10, 6, *[0] * 11])],
    ],
    ids=["20 a quarter", "100 a quarter", "400 a year", "weaknesses at 100"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(drawn: list[DrawnTable]) -> None:
    """80 digests, 95 % stated: at least 93 % of all cells and 88 % of each, and no interval that is always right."""
    source, runs = Random(1), 80
    truth = [value / table.units for table in drawn for value in table.values]
    held = [0] * len(truth)
    for _ in range(runs):
        found = make_estimates([add_noise(source, table) for table in drawn])
        cells = [cell for table in drawn for cell in found.cells[table.name]]
        for place, (cell, true) in enumerate(zip(cells, truth, strict=True)):
            held[place] += cell.low <= true <= cell.high
    assert sum(held) / runs / len(held) >= 0.93
    assert min(held) / runs >= 0.88
    assert min(held) < runs


def test_intervals_are_as_narrow_as_the_noise_allows_and_hold_a_shown_value_in_their_middle() -> None:
    found = make_estimates([make_drawn(KIND, [36, 21, 19, 12, 9, 5, -2, 1])])
    for cell in found.cells["kind"]:
        assert cell.high - cell.low <= 16
    assert found.cells["kind"][0].low > 25


def _set_first(drawn: DrawnTable, value: int) -> DrawnTable:
    return DrawnTable(drawn.name, (value, *drawn.values[1:]), drawn.scale, drawn.periods, drawn.units, False)


def _find_least(drawn: DrawnTable) -> int:
    """Return the smallest draw that is likely, by halving."""
    low, high = 0, 1000
    kinds = make_drawn(KIND, [900] * 8)

    def is_likely(value: int) -> bool:
        found: Estimates = make_estimates([kinds, _set_first(drawn, value)])
        return found.cells["weakness"][0].is_likely

    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_likely(middle) else (middle, high)
    return high


def _project_exactly(values: list[int], total: int) -> list[Fraction]:
    """The same in exact fractions, written again from its definition, as the oracle."""
    for count in range(len(values), 0, -1):
        kept = sorted(values, reverse=True)[:count]
        shift = Fraction(total - sum(kept), count)
        if kept[-1] + shift >= 0:
            return [max(Fraction(0), value + shift) for value in values]
    raise AssertionError
