"""The desk's hours in UK time: summer time, weekends, bank holidays, edges; and the list of days against its rule."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from gateway.desk.paging.hours import get_target_on_duty, is_in_hours, load_hours


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Winter: UK time is UTC.
        ("2026-11-25T08:59:59", False),
        ("2026-11-25T09:00:00", True),
        ("2026-11-25T16:59:59", True),
        ("2026-11-25T17:00:00", False),
        # Summer: 09:00 in the UK is 08:00 UTC.
        ("2027-06-02T07:59:59", False),
        ("2027-06-02T08:00:00", True),
        ("2027-06-02T15:59:59", True),
        ("2027-06-02T16:00:00", False),
        # The Monday after the clocks went forward (28 March 2027 is Easter, so the Tuesday), and after they went back.
        ("2027-03-30T08:00:00", True),
        ("2027-03-30T16:30:00", False),
        ("2027-11-01T08:30:00", False),
        ("2027-11-01T16:30:00", True),
        # Friday evening, the weekend, and Monday.
        ("2026-11-27T18:00:00", False),
        ("2026-11-28T12:00:00", False),
        ("2026-11-29T12:00:00", False),
        ("2026-11-30T12:00:00", True),
        # Bank holidays, with substitute days; the day after is a day like any other.
        ("2026-12-25T12:00:00", False),
        ("2026-12-28T12:00:00", False),
        ("2026-12-29T12:00:00", True),
        ("2027-01-01T12:00:00", False),
        ("2027-03-26T12:00:00", False),
        ("2027-03-29T12:00:00", False),
        ("2027-12-27T12:00:00", False),
        ("2027-12-28T12:00:00", False),
        # The night in which an hour comes twice.
        ("2027-10-31T01:30:00", False),
    ],
)
def test_desk_is_there_in_its_hours_of_uk_time(moment: str, expected: bool) -> None:
    assert is_in_hours(at(moment)) is expected
    assert get_target_on_duty(at(moment)) == ("desk" if expected else "out_of_hours")


def test_zone_of_the_caller_changes_nothing() -> None:
    tokyo = datetime.fromisoformat("2026-11-25T18:00:00+09:00")
    assert is_in_hours(tokyo) is is_in_hours(tokyo.astimezone(UTC)) is True


def test_holidays_of_another_nation_are_its_own() -> None:
    hours = load_hours()
    scotland = msgspec.structs.replace(hours, desk=msgspec.structs.replace(hours.desk, bank_holidays="scotland"))
    st_andrews = at("2027-11-30T12:00:00")
    assert (is_in_hours(st_andrews), is_in_hours(st_andrews, hours=scotland)) == (True, False)


def find_easter(year: int) -> date:
    """Return Easter Sunday (the anonymous Gregorian rule)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    l = (32 + 2 * e + 2 * i - h - k) % 7  # noqa: E741 - the letters of the rule as it is printed
    m = (a + 11 * h + 22 * l) // 451
    month, day = divmod(h + l - 7 * m + 114, 31)
    return date(year, month, day + 1)


def find_monday(year: int, month: int, *, last: bool) -> date:
    days = [date(year, month, day) for day in range(1, 32 if month in {5, 8} else 31)]
    mondays = [day for day in days if day.weekday() == 0]
    return mondays[-1 if last else 0]


def substitute(*days: date) -> set[date]:
    """Move days at a weekend to the next weekday that is none of them."""
    found: set[date] = {day for day in days if day.weekday() < 5}
    for day in days:
        moved = day
        while moved.weekday() >= 5 or (moved in found and day.weekday() >= 5):
            moved += timedelta(days=1)
        found.add(moved)
    return found


def days_by_rule(nation: str, year: int) -> set[date]:
    easter = find_easter(year)
    days = {easter - timedelta(days=2), find_monday(year, 5, last=False), find_monday(year, 5, last=True)}
    days |= substitute(date(year, 12, 25), date(year, 12, 26))
    if nation == "scotland":
        return (
            days
            | substitute(date(year, 1, 1), date(year, 1, 2))
            | substitute(date(year, 11, 30))
            | {find_monday(year, 8, last=False)}
        )
    days |= {easter + timedelta(days=1), find_monday(year, 8, last=True)} | substitute(date(year, 1, 1))
    if nation == "northern-ireland":
        days |= substitute(date(year, 3, 17)) | substitute(date(year, 7, 12))
    return days


@pytest.mark.parametrize("nation", ["england-and-wales", "scotland", "northern-ireland"])
def test_listed_days_are_those_of_the_rule(nation: str) -> None:
    holidays = load_hours().bank_holidays
    years = range(2027, holidays.known_until.year + 1)
    listed = holidays.of(nation)  # type: ignore[arg-type] - one of the three by the parameters above
    assert len(years) >= 2
    for year in years:
        assert {day for day in listed if day.year == year} == days_by_rule(nation, year), year
    assert {day for day in listed if day.year == 2026} == {
        day for day in days_by_rule(nation, 2026) if day >= holidays.checked_on
    }
    assert min(listed) >= holidays.checked_on
