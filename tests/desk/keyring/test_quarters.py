"""Quarters: fixed, whole, never overlapping, and closed before they are counted."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.keyring.key_set import (
    Quarter,
    QuarterError,
    check_closed,
    get_last_closed_quarter,
    get_quarter_of,
    parse_quarter,
)


@given(st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2098, 1, 1)))  # noqa: DTZ001 - made aware below
def test_every_moment_lies_in_exactly_one_quarter(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    quarter = get_quarter_of(moment)
    assert quarter.has(moment)
    assert not quarter.previous().has(moment)
    assert not quarter.next().has(moment)
    assert parse_quarter(quarter.name) == quarter


def test_quarters_follow_each_other_without_gap_or_overlap() -> None:
    quarter = Quarter(2026, 1)
    for _ in range(9):
        assert quarter.ends_at == quarter.next().starts_at
        assert quarter.next().previous() == quarter
        assert quarter < quarter.next()
        quarter = quarter.next()
    assert quarter == Quarter(2028, 2)


@pytest.mark.parametrize("text", ["2026-Q5", "2026-Q0", "2026Q3", "2026-q3", "26-Q3", "2026-Q3 ", "", "2026-07-01"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(QuarterError) as caught:
        parse_quarter(text)
    assert caught.value.reason == "unknown-quarter"


def test_a_quarter_is_closed_from_its_last_second_on() -> None:
    quarter = Quarter(2026, 3)
    with pytest.raises(QuarterError) as caught:
        check_closed(quarter, now=quarter.ends_at - timedelta(seconds=1))
    assert caught.value.reason == "quarter-not-closed"
    check_closed(quarter, now=quarter.ends_at)


def test_a_local_time_belongs_to_the_utc_quarter() -> None:
    london_summer = timezone(timedelta(hours=1))
    assert get_quarter_of(datetime(2026, 7, 1, 0, 30, tzinfo=london_summer)) == Quarter(2026, 2)


def test_the_last_closed_quarter_is_the_one_before_this() -> None:
    assert get_last_closed_quarter(datetime(2026, 1, 5, tzinfo=UTC)) == Quarter(2025, 4)


def test_days_name_the_whole_quarter() -> None:
    assert Quarter(2024, 1).first_day.isoformat() == "2024-01-01"
    assert Quarter(2024, 1).last_day.isoformat() == "2024-03-31"
