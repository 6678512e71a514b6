"""The form's promise from a fresh statement of the desk, and from the opening hours alone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from gateway.guidance.agency import AGENCY_EXAMPLE, Promise, ReadWithin, Staffing, load_agency, make_promise
from gateway.guidance.risk import Urgency
from partner_sdk.wire.canonical import format_time

AGENCY = load_agency(AGENCY_EXAMPLE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHT, THURSDAY = at("2026-11-25T22:00:00"), at("2026-11-26T09:00:00")
EVENING = at("2026-11-25T16:30:00")


def make_staffing(now: datetime, *, until: datetime | None, **within: int) -> Staffing:
    return Staffing(
        environment="live",
        expires_at=format_time(now + timedelta(minutes=5)),
        issued_at=format_time(now),
        next_hour=format_time(THURSDAY),
        read_within=ReadWithin(**{"crisis": 30, "other": 240, "urgent": 90, **within}),
        staffed_until=None if until is None else format_time(until),
    )


def promise(now: datetime, urgency: Urgency, **staffing: Any) -> Promise:
    stated = make_staffing(now, **staffing) if staffing else None
    return make_promise(AGENCY, stated, sent_at=now, urgency=urgency)


DAYS = date(2026, 11, 30)  # two working days after Thursday; after Wednesday it is Friday
HOURS_LATER = NIGHT + timedelta(hours=12)


@pytest.mark.parametrize(
    ("urgency", "expected"),
    [
        ("crisis", Promise(NIGHT + timedelta(minutes=30), None, date(2026, 11, 27))),
        ("urgent", Promise(NIGHT + timedelta(minutes=90), None, date(2026, 11, 27))),
        ("other", Promise(THURSDAY + timedelta(hours=4), None, DAYS)),
    ],
)
def test_each_class_of_report_has_its_own_time_while_people_are_there(urgency: Urgency, expected: Promise) -> None:
    assert promise(NIGHT, urgency, until=HOURS_LATER) == expected


@pytest.mark.parametrize("urgency", ["crisis", "urgent", "other"])
def test_without_a_statement_nobody_reads_and_only_the_next_opening_is_named(urgency: Urgency) -> None:
    assert promise(NIGHT, urgency) == Promise(None, THURSDAY, DAYS)
    # Within the hours too: that the desk should be there does not mean that it is.
    assert promise(EVENING, urgency) == Promise(None, THURSDAY, date(2026, 11, 27))


def test_with_nobody_there_the_time_counts_from_the_next_hour() -> None:
    assert promise(NIGHT, "crisis", until=None) == Promise(THURSDAY + timedelta(minutes=30), THURSDAY, DAYS)
    assert promise(NIGHT, "other", until=None) == Promise(THURSDAY + timedelta(hours=4), THURSDAY, DAYS)
    # An escalation that nobody answers in the hours of the desk.
    assert promise(EVENING, "other", until=None).read_by == THURSDAY + timedelta(hours=4)


def test_hour_that_ends_after_the_last_person_has_gone_is_not_promised() -> None:
    closes = EVENING + timedelta(minutes=30)
    assert promise(EVENING, "crisis", until=closes).read_by == closes
    assert promise(EVENING, "urgent", until=closes).read_by == THURSDAY + timedelta(minutes=90)
    late = promise(EVENING + timedelta(seconds=1), "crisis", until=closes)
    assert late == Promise(THURSDAY + timedelta(minutes=30), None, date(2026, 11, 27))
    assert promise(closes, "crisis", until=closes).next_hour == THURSDAY


def test_next_opening_is_after_now_also_on_the_last_day_before_christmas() -> None:
    assert AGENCY.get_next_opening(at("2026-11-25T08:59:59")) == at("2026-11-25T09:00:00")
    assert AGENCY.get_next_opening(at("2026-11-25T09:00:00")) == THURSDAY
    assert AGENCY.get_next_opening(at("2026-12-24T12:00:00")) == at("2026-12-29T09:00:00")
