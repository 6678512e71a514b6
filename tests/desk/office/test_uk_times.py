"""Days of the United Kingdom, beside the days of UTC."""

from datetime import UTC, date, datetime

import pytest

from gateway.desk.office.uk_times import add_months, format_uk_day, format_uk_day_of, get_start_of


def test_day_of_a_time_is_that_of_the_united_kingdom() -> None:
    assert format_uk_day_of("2026-06-30T23:30:00Z") == "1 July 2026"
    assert format_uk_day_of("2026-11-30T23:30:00Z") == "30 November 2026"


def test_day_is_written_alike_stored_or_not() -> None:
    assert format_uk_day("2027-02-01") == format_uk_day(date(2027, 2, 1)) == "1 February 2027"


def test_day_begins_an_hour_earlier_in_summer() -> None:
    assert get_start_of(date(2026, 7, 1)) == datetime(2026, 6, 30, 23, tzinfo=UTC)
    assert get_start_of(date(2026, 12, 1)) == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 10, 31), 1, date(2026, 11, 30)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
    ],
)
def test_months_end_on_the_last_day_of_a_shorter_one(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later
