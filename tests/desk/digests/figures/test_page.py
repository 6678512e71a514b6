"""The page of figures: waits by lane and hour, hidden small numbers, open work without names."""

from datetime import date, timedelta

import pytest
from sqlalchemy import insert, update

from gateway.desk.cases.actions.ledger import record_sent
from gateway.desk.cases.model import get_case
from gateway.desk.digests.figures import LEAST_CASES, CaseWaits, count_actions, count_workload, make_waits
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.wire.canonical import format_time
from tests.builders import NOW
from tests.desk.action_builders import add_assessed, draft, release
from tests.desk.desk_loop import ACTOR
from tests.desk.digests.digest_builders import PARTNER, add_case
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.desk.work_builders import pass_case_on

HOUR = timedelta(hours=1)


def add_waited(desk: Desk, count: int, *, crisis: bool) -> list[str]:
    """File cases of 08:30 UK time that were read after 1, 2, 3, ... hours, and assessed twice, from a day later on."""
    made = []
    for number in range(1, count + 1):
        case_id = add_sealed_case(desk, marker="M", crisis=crisis)
        made.append(case_id)
        with desk.store.write() as connection:
            times = {"received_at": format_time(NOW - 24 * HOUR), "opened_at": format_time(NOW + (number - 24) * HOUR)}
            connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(**times))
            for nth in (0, 1):
                values = {"step_id": f"{case_id}-{nth}", "case_id": case_id, "by": "a-ann", "detail": "{}"}
                at = format_time(NOW + (number + nth) * HOUR)
                connection.execute(insert(CASE_STEPS).values(**values, kind="assess", at=at))
    return made


def read_waits(desk: Desk) -> CaseWaits:
    with desk.store.read() as connection:
        return make_waits(connection, since=NOW - 48 * HOUR, today=NOW.date())


@pytest.mark.databases("sqlite", "postgresql")
def test_median_and_ninetieth_percentile_by_lane_to_the_first_of_each(desk: Desk) -> None:
    add_waited(desk, 10, crisis=True)
    add_waited(desk, 5, crisis=False)
    waits = read_waits(desk)
    assert waits.received == 15
    read, assessed, passed, replied = waits.measures
    assert [(one.title, one.count, one.median_seconds, one.p90_seconds) for one in read.lanes] == [
        ("Crisis lane", 10, 5 * 3600, 9 * 3600),
        ("Other cases", 5, 3 * 3600, 5 * 3600),
    ]
    assert [(one.count, one.median_seconds) for one in assessed.lanes] == [(10, 29 * 3600), (5, 27 * 3600)]
    assert [one.count for one in (*passed.lanes, *replied.lanes)] == [0, 0, 0, 0]
    hour = (NOW - 24 * HOUR).hour
    assert waits.arrived[hour] == waits.hours[hour].count == 15


def test_time_of_few_cases_is_hidden(desk: Desk) -> None:
    add_waited(desk, LEAST_CASES - 1, crisis=True)
    (crisis, _) = read_waits(desk).measures[0].lanes
    assert (crisis.count, crisis.median_seconds, crisis.p90_seconds) == (LEAST_CASES - 1, None, None)


def test_open_work_counts_holders_and_names_none(desk: Desk) -> None:
    cases = add_waited(desk, 4, crisis=False)
    with desk.store.write() as connection:
        for case_id, holder in zip(cases, ("a-ann", "a-ann", "b-bob"), strict=False):
            connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(holder=holder))
        found = count_workload(connection)
    assert (found.held, found.holders, found.most) == (3, 2, 2)
    page = Browser(desk).sign_in("s-super", [Role.SUPERVISOR]).get("/figures").text
    assert "at most 2 each" in page
    assert "a-ann" not in page


def test_page_is_dated_and_takes_a_span(desk: Desk) -> None:
    add_waited(desk, LEAST_CASES, crisis=True)
    browser = Browser(desk).sign_in("u-auditor", [Role.AUDITOR])
    page = browser.get("/figures").text
    assert "as of <time" in page
    assert "3 h 0 min" in page
    assert "<svg" in page
    for query in ("7", "28", "8", "x", "999999"):
        assert browser.get(f"/figures?days={query}").status_code == 200


@pytest.mark.databases("sqlite", "postgresql")
def test_time_to_dissemination_and_the_actions_of_each_kind(desk: Desk, clock: Clock) -> None:
    case_id, phoned = add_assessed(desk), add_assessed(desk)
    clock.now += HOUR
    sent = release(desk, draft(desk, case_id))
    with desk.store.write() as connection:
        record_sent(desk, connection, sent.action_id, actor=ACTOR)
    pass_case_on(desk, phoned)
    clock.now += HOUR
    pass_case_on(desk, case_id)  # the first way counts
    draft(desk, case_id)
    draft(desk, None, kind="alert", recipient=PARTNER, way="letter")
    with desk.store.read() as connection:
        passed = make_waits(connection, since=clock.now - 48 * HOUR, today=NOW.date()).measures[2]
        counts = count_actions(connection, since=clock.now - 48 * HOUR)
        assert count_actions(connection, since=clock.now + HOUR) == []
    assert [one.count for one in passed.lanes] == [0, 2]
    assert [(one.title, one.drafted, one.sent, one.acknowledged) for one in counts] == [
        ("Package", 2, 1, 0),
        ("Warning to services", 1, 0, 0),
    ]
    page = Browser(desk).sign_in().get("/figures").text
    assert "What left the house" in page
    assert '<td data-title="Drafted">2</td><td data-title="Sent">1</td>' in page


def test_time_to_dissemination_is_that_of_the_first_way(desk: Desk, clock: Clock) -> None:
    for number in range(1, LEAST_CASES + 1):
        case_id = add_assessed(desk)
        clock.now += number * HOUR
        pass_case_on(desk, case_id)
        clock.now += HOUR
        with desk.store.write() as connection:
            case = get_case(connection, case_id)
        assert case.received_at < format_time(clock.now)
    with desk.store.read() as connection:
        (_, others) = make_waits(connection, since=clock.now - 480 * HOUR, today=NOW.date()).measures[2].lanes
    assert (others.count, others.median_seconds) == (LEAST_CASES, 3 * 3600)


def test_replies_are_judged_by_the_day_that_was_promised_and_made_up_cases_do_not_count(desk: Desk) -> None:
    owed = {"reply_owed": True, "reply_by": "2026-11-24", "received_at": "2026-11-20T09:00:00Z", "closed_at": None}
    for changes in (
        {"reply_code": "replied_by_call", "reply_recorded_at": "2026-11-24T23:59:59Z"},
        {"reply_code": "replied_by_return_code", "reply_recorded_at": "2026-11-25T00:00:00Z"},
        {"reply_code": "no_safe_contact", "reply_recorded_at": "2026-11-21T00:00:00Z"},
        {},
        {"reply_by": "2026-11-25"},
        {"reply_by": None},
        {"reply_owed": False},
        {"synthetic": True},
    ):
        add_case(desk.store, **(owed | changes))
    with desk.store.read() as connection:
        replies = make_waits(connection, since=NOW - 480 * HOUR, today=date(2026, 11, 25)).replies
    assert replies == (
        ("In time", 1),
        ("Late", 1),
        ("Overdue", 1),
        ("Not due yet", 1),
        ("No safe way to reply", 1),
        ("No day was named", 1),
    )
    page = Browser(desk).sign_in().get("/figures").text
    assert '<th scope="row">Overdue</th><td data-title="Cases">1</td>' in page


def test_time_from_summer_to_winter_is_a_real_time_and_a_day_is_that_of_the_united_kingdom(desk: Desk) -> None:
    # Summer time: 23:30 UTC is the next day there.
    add_case(
        desk.store,
        closed_at=None,
        received_at="2026-07-01T22:00:00Z",
        reply_owed=True,
        reply_by="2026-07-01",
        reply_recorded_at="2026-07-01T23:30:00Z",
    )
    with desk.store.read() as connection:
        replies = dict(make_waits(connection, since=NOW - 4800 * HOUR, today=date(2026, 11, 25)).replies)
    assert (replies["In time"], replies["Late"]) == (0, 1)
