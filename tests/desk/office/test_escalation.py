"""The escalation: who is on duty, also on bank holidays and when the clocks change, and which files are refused."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.desk.office.config import CarriersConfig
from gateway.desk.office.escalation import NO_ESCALATION, Escalation, Level, load_escalation
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outbox.alerts import list_callable
from gateway.desk.running.doctor import examine
from gateway.guidance.agency import AGENCY_EXAMPLE, load_agency
from gateway.web.settings import SettingsError, format_settings
from tests.desk.outbox_builders import FROM, make_level

AGENCY = load_agency(AGENCY_EXAMPLE)
TEXT = """checked_on = 2026-11-28
source = "the duty plan of November"

[[level]]
title = "First duty officer"
person = "n-night"
hours = "closed"
target = "mailto:duty@team.example"
wait_minutes = 5

[[level]]
title = "Night body"
body = "out_of_hours"
hours = "always"
days = ["saturday", "sunday", "bank_holiday"]
begins = 22:00:00
ends = 06:30:00
target = "https://alerts.body.example/desk"
wait_minutes = 10
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AGENCY.zone).astimezone(UTC)


def make_escalation(*levels: Level) -> Escalation:
    return Escalation(checked_on=NO_ESCALATION.checked_on, source="a test's", level=levels)


def on_duty(moment: datetime, *levels: Level) -> list[str]:
    return [one.title for one in make_escalation(*levels).level if one.is_on_duty(AGENCY, moment)]


HOURS = (
    make_level("Open", "https://a.example", hours="open"),
    make_level("Closed", "https://b.example", hours="closed"),
)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at("2026-11-25T08:59:59"), ["Closed"]),
        (at("2026-11-25T09:00:00"), ["Open"]),
        (at("2026-11-25T17:00:00"), ["Closed"]),
        # The substitute of Boxing Day, a Monday.
        (at("2026-12-28T02:10:00"), ["Closed"]),
        (at("2026-12-28T12:00:00"), ["Closed"]),
        (at("2026-12-29T12:00:00"), ["Open"]),
        # The hour that comes twice, both times, and the one that the clocks skip.
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), ["Closed"]),
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), ["Closed"]),
        (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), ["Closed"]),
    ],
)
def test_hours_and_bank_holidays_of_the_agency_decide_who_is_on_duty(moment: datetime, expected: list[str]) -> None:
    assert on_duty(moment, *HOURS) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at("2026-12-26T22:00:00"), True),  # a Saturday
        (at("2026-12-27T06:29:59"), True),
        (at("2026-12-27T06:30:00"), False),
        (at("2026-12-28T02:10:00"), True),  # begun on Sunday
        (at("2026-12-28T21:59:00"), False),
        (at("2026-12-29T02:10:00"), True),  # begun on a Monday that is a bank holiday
        (at("2026-12-30T02:10:00"), False),
    ],
)
def test_shift_over_midnight_belongs_to_the_day_on_which_it_begins(moment: datetime, *, expected: bool) -> None:
    level = make_level(
        "Night", "https://a.example", days=("saturday", "sunday", "bank_holiday"), begins=time(22), ends=time(6, 30)
    )
    assert bool(on_duty(moment, level)) is expected


@pytest.mark.parametrize("day", ["2027-03-27", "2027-03-28", "2027-10-30", "2027-10-31"])
@pytest.mark.parametrize("change", [time(1), time(1, 30), time(2)])
def test_two_shifts_leave_no_minute_without_or_with_both_when_the_clocks_change(day: str, change: time) -> None:
    early = make_level("Early", "https://a.example", begins=time(12), ends=change)
    late = make_level("Late", "https://b.example", begins=change, ends=time(12))
    moment = at(f"{day}T12:00:00")
    for _ in range(26 * 60):
        assert len(on_duty(moment, early, late)) == 1, moment
        moment += timedelta(minutes=1)


def test_with_nobody_on_duty_everybody_is_called_and_the_gap_is_found(desk: Desk) -> None:
    escalation = make_escalation(HOURS[0])
    with desk.store.read() as connection:
        called = list_callable(replace(desk, escalation=escalation), connection, now=at("2026-12-28T02:10:00"))
    assert called == [*HOURS[:1]]
    assert escalation.find_gap(AGENCY, at("2026-11-25T12:00:00")) == at("2026-11-25T17:00:00")
    assert make_escalation(*HOURS).find_gap(AGENCY, at("2026-11-25T12:00:00")) is None
    weekdays = make_level("Night", "https://b.example", days=("monday", "tuesday", "wednesday", "thursday", "friday"))
    weekend = make_level("Weekend", "https://c.example", days=("saturday", "sunday"))
    # Nobody thought of Christmas.
    assert make_escalation(weekdays, weekend).find_gap(AGENCY, at("2026-11-25T12:00:00")) == at("2026-12-25T00:00:00")


def test_escalation_is_read_as_it_is_documented(tmp_path: Path) -> None:
    (tmp_path / "escalation.toml").write_text(TEXT, "utf-8")
    escalation = load_escalation(tmp_path / "escalation.toml", has_mail=True)
    assert [(one.title, one.person, one.wait_minutes) for one in escalation.level] == [
        ("First duty officer", "n-night", 5),
        ("Night body", None, 10),
    ]
    assert escalation.level[1].begins == time(22)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('target = "https://alerts.body.example/desk"', 'target = "http://alerts.body.example"', "needs a target"),
        ("mailto:duty@team.example", "mailto:duty@team.example?cc=x@y.example", "needs a target"),
        ('title = "Night body"', 'title = "First duty officer"', "title of another level"),
        ("wait_minutes = 10", "wait_minutes = 61", "wait_minutes"),
        ("wait_minutes = 10", "wait_minutes = 0", "wait_minutes"),
        ('"bank_holiday"', '"holiday"', "days"),
        ('source = "the duty plan of November"\n', "", "source"),
        ("checked_on", "looked_at", "looked_at"),
    ],
)
def test_file_that_is_wrong_names_the_rung_and_stops_the_start(desk: Desk, old: str, new: str, fault: str) -> None:
    assert old in TEXT
    desk.paths.escalation.write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_escalation(desk.paths.escalation, has_mail=True)
    assert fault in str(caught.value)
    config = msgspec.structs.replace(
        desk.config, carriers=CarriersConfig(mail="folder", folder="/var/out", mail_from=FROM)
    )
    desk.paths.config.write_text(format_settings(config), "utf-8")
    with pytest.raises(SettingsError) as at_start:
        open_desk(desk.paths.state)
    assert fault in str(at_start.value)
    (finding, *_) = [one for one in examine(desk.paths.state, clock=desk.clock) if one.verdict == "fault"]
    assert "escalation.toml" in finding.detail


def test_mail_without_a_mail_server_is_refused(tmp_path: Path) -> None:
    (tmp_path / "escalation.toml").write_text(TEXT, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_escalation(tmp_path / "escalation.toml", has_mail=False)
    assert "needs a mail carrier" in str(caught.value)
