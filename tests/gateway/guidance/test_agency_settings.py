"""The agency's own settings: hours in UK time, promises that count them, bank holidays against their rule, slips."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.cli import main as run_gateway
from gateway.config import StateFolder
from gateway.doctor import examine
from gateway.guidance.agency import AGENCY_EXAMPLE, Agency, load_agency
from gateway.web.settings import SettingsError
from tests.builders import NOW, StillClock, make_house

AGENCY = load_agency(AGENCY_EXAMPLE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def with_hours(**changes: object) -> Agency:
    return msgspec.structs.replace(AGENCY, desk=msgspec.structs.replace(AGENCY.desk, **changes))


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
    assert AGENCY.is_in_hours(at(moment)) is expected


def test_zone_of_the_caller_changes_nothing() -> None:
    tokyo = datetime.fromisoformat("2026-11-25T18:00:00+09:00")
    assert AGENCY.is_in_hours(tokyo) is AGENCY.is_in_hours(tokyo.astimezone(UTC)) is True
    in_utc = tokyo.astimezone(UTC)
    assert AGENCY.get_read_by(tokyo, urgency="other") == AGENCY.get_read_by(in_utc, urgency="other")


def test_holidays_of_another_nation_are_its_own() -> None:
    scotland = with_hours(bank_holidays="scotland")
    st_andrews = at("2027-11-30T12:00:00")
    assert (AGENCY.is_in_hours(st_andrews), scotland.is_in_hours(st_andrews)) == (True, False)


def test_desk_that_never_closes_is_always_there() -> None:
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    always = with_hours(days=days, opens=time(0), closes=time(0), bank_holidays="none")
    for moment in ("2026-12-25T00:00:00", "2026-12-25T23:59:59", "2027-03-28T01:00:00", "2027-10-31T00:30:00"):
        assert always.is_in_hours(at(moment))
    # Four hours are four hours, also in the nights whose clocks change.
    for moment in ("2027-03-27T23:00:00", "2027-10-30T23:00:00"):
        assert always.get_read_by(at(moment), urgency="other") == at(moment) + timedelta(hours=4)


def test_desk_is_closed_on_days_of_its_own() -> None:
    eve = at("2026-12-24T12:00:00")
    closed = with_hours(also_closed=frozenset({date(2026, 12, 24)}))
    assert (AGENCY.is_in_hours(eve), closed.is_in_hours(eve)) == (True, False)
    assert closed.get_read_by(at("2026-12-23T16:00:00"), urgency="other") == at("2026-12-29T12:00:00")


@pytest.mark.parametrize(
    ("sent_at", "read_by", "reply_by"),
    [
        # Within hours: the rest of the day counts.
        ("2026-11-25T08:30:00", "2026-11-25T13:00:00", "2026-11-27"),
        ("2026-11-25T09:00:00", "2026-11-25T13:00:00", "2026-11-27"),
        ("2026-11-25T13:00:00", "2026-11-25T17:00:00", "2026-11-27"),
        ("2026-11-25T13:00:01", "2026-11-26T09:00:01", "2026-11-27"),
        ("2026-11-25T16:59:59", "2026-11-26T12:59:59", "2026-11-27"),
        ("2026-11-25T17:00:00", "2026-11-26T13:00:00", "2026-11-30"),
        # A Friday night and a weekend.
        ("2026-11-27T22:15:00", "2026-11-30T13:00:00", "2026-12-02"),
        ("2026-11-29T03:00:00", "2026-11-30T13:00:00", "2026-12-02"),
        # Christmas 2026: Friday 25 December, and Monday 28 for Boxing Day.
        ("2026-12-23T16:00:00", "2026-12-24T12:00:00", "2026-12-29"),
        ("2026-12-24T15:00:00", "2026-12-29T11:00:00", "2026-12-30"),
        ("2026-12-24T18:00:00", "2026-12-29T13:00:00", "2026-12-31"),
        ("2026-12-25T12:00:00", "2026-12-29T13:00:00", "2026-12-31"),
        ("2026-12-31T16:30:00", "2027-01-04T12:30:00", "2027-01-05"),
        # Easter 2027: Good Friday 26 March, Monday 29; the clocks go forward on Sunday 28, so 13:00 is 12:00 UTC.
        ("2027-03-25T16:00:00", "2027-03-30T11:00:00", "2027-03-31"),
        ("2027-03-25T18:00:00", "2027-03-30T12:00:00", "2027-04-01"),
        # The clocks go forward, no holiday near (26 March 2028), and back (31 October 2027).
        ("2028-03-24T16:00:00", "2028-03-27T11:00:00", "2028-03-28"),
        ("2027-10-29T15:00:00", "2027-11-01T12:00:00", "2027-11-02"),
        # Half past eleven at night in UTC is the next day in summer.
        ("2027-06-01T23:30:00", "2027-06-02T12:00:00", "2027-06-04"),
    ],
)
def test_promise_counts_only_the_time_at_which_the_desk_is_there(sent_at: str, read_by: str, reply_by: str) -> None:
    assert AGENCY.get_read_by(at(sent_at), urgency="other") == at(read_by)
    assert AGENCY.get_reply_by(at(sent_at), urgency="other") == date.fromisoformat(reply_by)


@pytest.mark.parametrize(
    ("sent_at", "reply_by"),
    [
        ("2026-11-25T12:00:00", "2026-11-27"),
        ("2026-11-27T22:15:00", "2026-11-29"),
        ("2026-12-24T18:00:00", "2026-12-26"),
        ("2026-12-25T03:00:00", "2026-12-27"),
        ("2027-03-26T12:00:00", "2027-03-28"),
        ("2027-06-01T23:30:00", "2027-06-04"),
        ("2027-03-28T00:30:00", "2027-03-30"),
        ("2027-10-31T00:30:00", "2027-11-02"),
    ],
)
def test_promise_of_a_crisis_waits_for_no_office_hours(sent_at: str, reply_by: str) -> None:
    assert AGENCY.get_read_by(at(sent_at), urgency="crisis") == at(sent_at) + timedelta(hours=1)
    assert AGENCY.get_reply_by(at(sent_at), urgency="crisis") == date.fromisoformat(reply_by)


def test_numbers_of_the_settings_are_the_ones_that_are_promised() -> None:
    promises = msgspec.structs.replace(AGENCY.promises, read_within_hours=1, reply_within_days=1)
    hasty = msgspec.structs.replace(AGENCY, promises=promises)
    friday = at("2026-11-27T16:30:00")
    assert hasty.get_read_by(friday, urgency="other") == at("2026-11-30T09:30:00")
    assert hasty.get_reply_by(friday, urgency="other") == date(2026, 11, 30)


def test_new_gateway_has_settings_of_its_own_that_nothing_of_the_release_changes(tmp_path: Path) -> None:
    house = make_house(tmp_path / "gateway")
    own = StateFolder(house.state).agency
    assert own.read_bytes() == AGENCY_EXAMPLE.read_bytes()
    own.write_text(own.read_text("utf-8").replace("closes = 17:00:00", "closes = 19:00:00"), "utf-8")
    assert house.open_gateway().agency.is_in_hours(at("2026-11-25T18:00:00"))
    assert not AGENCY.is_in_hours(at("2026-11-25T18:00:00"))


BREAKS: list[tuple[str, Callable[[str], str], str]] = [
    ("an unknown key", lambda text: text.replace("opens =", "opens_at ="), "opens_at"),
    ("hours that end before they begin", lambda text: text.replace("opens = 09", "opens = 18"), "desk.closes"),
    (
        "no days",
        lambda text: text.replace('days = ["monday", "tuesday", "wednesday", "thursday", "friday"]', "days = []"),
        "days",
    ),
    ("no time zone", lambda text: text.replace("Europe/London", "Europe/Lundun"), "desk.zone"),
    ("a zone outside the zones", lambda text: text.replace("Europe/London", "../London"), "desk.zone"),
    ("no promise", lambda text: text.replace("reply_within_days = 2", ""), "reply_within_days"),
    (
        "a promise of no time",
        lambda text: text.replace("reply_within_days = 2", "reply_within_days = 0"),
        "reply_within_days",
    ),
    ("another table", lambda text: text + "\n[more]\n", "more"),
]


@pytest.mark.parametrize(("change", "named"), [row[1:] for row in BREAKS], ids=[row[0] for row in BREAKS])
def test_slip_in_the_settings_stops_the_gateway_and_names_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], named: str
) -> None:
    house = make_house(tmp_path / "gateway")
    own = StateFolder(house.state).agency
    broken = change(own.read_text("utf-8"))
    assert broken != own.read_text("utf-8")
    own.write_text(broken, "utf-8")
    with pytest.raises(SettingsError, match=named) as caught:
        house.open_gateway()
    assert str(own) in str(caught.value)
    assert run_gateway(["doctor", "--state", str(house.state)]) == 1
    assert named in capsys.readouterr().out


def test_missing_settings_stop_serve_and_doctor_with_the_line_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = make_house(tmp_path / "gateway")
    own = StateFolder(house.state).agency
    own.unlink()
    for command, code in (("serve", 2), ("doctor", 1)):
        assert run_gateway([command, "--state", str(house.state)]) == code
        said = capsys.readouterr()
        assert f"cp {AGENCY_EXAMPLE} {own}" in said.out + said.err


def test_bank_holidays_that_end_soon_are_a_warning(tmp_path: Path) -> None:
    house = make_house(tmp_path / "gateway")
    (soon,) = [one for one in examine(house.state, clock=StillClock(NOW)) if one.name == "hours"]
    assert soon.verdict == "ok"
    late = StillClock(datetime(2028, 11, 20, tzinfo=UTC))
    (soon,) = [one for one in examine(house.state, clock=late) if one.name == "hours"]
    assert (soon.verdict, soon.detail) == ("warning", "The list of bank holidays ends in 41 days.")
    assert str(StateFolder(house.state).agency) in soon.fix
    assert with_hours(bank_holidays="none").find_stale_holidays(late()) is None
    last, after = datetime(2028, 12, 31, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    assert [(with_hours().find_stale_holidays(day) or ("",))[0] for day in (last, after)] == ["warning", "fault"]


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
    holidays = AGENCY.bank_holidays
    years = range(2027, holidays.known_until.year + 1)
    listed = holidays.of(nation)  # type: ignore[arg-type] - one of the three by the parameters above
    assert len(years) >= 2
    for year in years:
        assert {day for day in listed if day.year == year} == days_by_rule(nation, year), year
    assert {day for day in listed if day.year == 2026} == {
        day for day in days_by_rule(nation, 2026) if day >= holidays.checked_on
    }
    assert min(listed) >= holidays.checked_on
