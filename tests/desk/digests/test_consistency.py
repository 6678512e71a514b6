"""Least squares after the noise: whole numbers, none negative, and every table adds up to the same total."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.digests.noise import make_consistent, project
from gateway.desk.digests.tables import MICRO, WEAKNESSES, Table, make_tables

TABLES = make_tables((("profile", "Profile page"), ("chat", "Chat")))
_draws = st.fixed_dictionaries(
    {
        table.name: st.lists(st.integers(-60, 400), min_size=len(table.labels), max_size=len(table.labels))
        for table in TABLES
    }
)


@given(_draws)
def test_every_table_is_whole_not_negative_and_adds_up_to_the_total(draws: dict[str, list[int]]) -> None:
    consistent = make_consistent(TABLES, draws)
    for table in TABLES:
        values = consistent.values[table.name]
        assert all(isinstance(value, int) and value >= 0 for value in values)
        if table.is_partition:
            assert sum(values) == consistent.total
        else:
            assert sum(values) <= 2 * consistent.total
            assert all(value <= consistent.total for value in values)
    assert consistent.values["total"] == [consistent.total]


@given(_draws)
def test_no_other_total_is_nearer_to_the_draws(draws: dict[str, list[int]]) -> None:
    total = make_consistent(TABLES, draws).total
    best = _get_cost(TABLES, draws, total)
    assert best <= _get_cost(TABLES, draws, total + 1)
    assert total == 0 or best <= _get_cost(TABLES, draws, total - 1)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=6), st.integers(0, 120), st.data())
def test_no_other_point_with_that_sum_is_nearer(values: list[int], total: int, data: st.DataObject) -> None:
    fitted = project(values, total=total)
    assert sum(fitted) == total
    assert min(fitted) >= 0
    # Convex: it is enough that no small step along the plane, from one part to another, comes nearer.
    here, there = data.draw(st.permutations(range(len(values))))[:2]
    step = min(Fraction(1, 7), fitted[here])
    moved = [*fitted]
    moved[here] -= step
    moved[there] += step
    assert _get_distance(fitted, values) <= _get_distance(moved, values)


def test_counts_that_agree_already_are_left_as_they_are() -> None:
    draws = {
        "total": [30],
        "kind": [10, 20, 0, 0, 0, 0, 0, 0],
        "age_band": [30, 0, 0, 0, 0, 0],
        "placement": [10, 10, 10],
        "outcome": [5, 5, 5, 5, 5, 5],
        "weakness": [place % 4 for place in range(len(WEAKNESSES))],
    }
    assert make_consistent(TABLES, draws).values == draws


def test_the_surer_table_has_more_weight() -> None:
    tables = tuple(table for table in TABLES if table.name in {"total", "kind"})
    total = make_consistent(tables, {"total": [100], "kind": [200, 0, 0, 0, 0, 0, 0, 0]}).total
    assert 150 < total <= 200


def test_a_lost_table_is_left_out_and_the_rest_still_agrees() -> None:
    draws = {"kind": [9, 9, 9, 0, 0, 0, 0, -4], "outcome": [30, 2, -3, 0, 0, 0]}
    consistent = make_consistent(TABLES, draws)
    assert set(consistent.values) == {"kind", "outcome"}
    assert sum(consistent.values["kind"]) == sum(consistent.values["outcome"]) == consistent.total


def test_nothing_but_noise_below_zero_becomes_zero() -> None:
    draws = {table.name: [-3] * len(table.labels) for table in TABLES}
    assert make_consistent(TABLES, draws).total == 0


def _get_cost(tables: tuple[Table, ...], draws: dict[str, list[int]], total: int) -> Fraction:
    """The same cost, written again from its definition, as the oracle."""
    cost = Fraction(0)
    for table in tables:
        if table.is_partition:
            fitted = project(draws[table.name], total=total)
            cost += Fraction(table.epsilon_micro, MICRO * table.sensitivity) ** 2 * _get_distance(
                fitted, draws[table.name]
            )
    return cost


def _get_distance(parts: list[Fraction], values: list[int]) -> Fraction:
    return sum(((part - value) ** 2 for part, value in zip(parts, values, strict=True)), Fraction(0))
