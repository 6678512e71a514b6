"""Lists that have grown: thousands of requests, 20,000 placements. Pages show a part, and counts are of all."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.desk.office.views import page as page_base
from gateway.desk.office.wiring import Desk
from gateway.desk.partners import placement_checks as checks
from gateway.desk.partners.adoption import list_adoptions
from gateway.desk.partners.placement_agreeing import end_placement, suspend_placement
from gateway.desk.partners.placement_checks import (
    ConditionCode,
    get_last_checks,
    list_checks,
    list_conditions,
    list_glances,
    take_checks,
)
from gateway.desk.store.agency_tables import ADOPTION_REQUESTS
from partner_sdk.console.findings import ButtonCheck
from partner_sdk.wire.canonical import format_time, parse_exact
from tests.desk.placement_builders import agree, make_check, make_finding, make_post
from tests.desk.view_builders import Browser, Clock
from tests.gateway.adoption_builders import make_id

MANY = 601
NEVER_ASKED = (make_finding(code="not-https", severity="unseen"),)


def add_requests(desk: Desk, *states: str) -> list[str]:
    """Put unopenable requests in the table, one for each state, in order."""
    ids = [make_id(number) for number in range(len(states))]
    rows = [
        {"request_id": one, "state": state, "envelope": b"", "received_at": format_time(desk.clock())}
        for one, state in zip(ids, states, strict=True)
    ]
    with desk.store.write() as connection:
        connection.execute(insert(ADOPTION_REQUESTS), rows)
    return ids


def add_places(desk: Desk, *names: str) -> None:
    for name in names:
        agree(desk, link_id=name, service=f"Service {name}", address=page_of(name), look_at=None)


def page_of(name: str) -> str:
    return f"https://chat.example/{name}"


def look_at(desk: Desk, name: str, **changes: object) -> ButtonCheck:
    values: dict[str, object] = {"address": page_of(name), "placement": name, **changes}
    check = make_check(**values)
    assert take_checks(desk, make_post(check), channel="runner", actor="runner").taken == 1
    return check


def test_every_request_is_counted_however_many_wait(desk: Desk, browser: Browser) -> None:
    ids = add_requests(desk, *["waiting"] * MANY)

    page = browser.get("/adoption").text
    assert f"<b>{MANY}</b> wait" in page
    assert f"Page 1 of 7, {MANY} requests" in page
    assert sum(f'href="/adoption/{one}"' in page for one in ids) == 100
    assert f"({MANY} waiting)" in browser.get("/placements").text


def test_pages_of_requests_show_each_once_with_the_waiting_ones_first(
    desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_base, "MOST_LISTED", 2)
    ids = add_requests(desk, "declined", "waiting", "invited", "waiting", "waiting")
    waiting = [ids[1], ids[3], ids[4]]

    def list_shown(query: str) -> list[str]:
        page = browser.get(f"/adoption?{query}").text
        return sorted((one for one in ids if f'href="/adoption/{one}"' in page), key=lambda one: page.index(one))

    assert list_shown("") == waiting[:2]
    assert list_shown("page=2") == list_shown("page=99") == waiting[2:]
    assert [*list_shown("show=all"), *list_shown("show=all&page=2")] == [*waiting, ids[0]]
    assert list_shown("show=all&page=3") == [ids[2]]
    assert 'href="/adoption?page=1&amp;show=all"' in browser.get("/adoption?show=all&page=2").text
    assert "<b>3</b> wait" in browser.get("/adoption?show=all&page=3").text


@pytest.mark.parametrize("asked", ["0", "-1", "x", "9" * 40, ""])
def test_page_of_a_list_that_is_none_is_the_first(
    asked: str, desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_base, "MOST_LISTED", 2)
    add_requests(desk, *["waiting"] * 3)

    assert "Page 1 of 2" in browser.get(f"/adoption?page={asked}").text


def test_long_list_judges_each_placement_as_its_own_page_does(desk: Desk, clock: Clock) -> None:
    add_places(desk, "forgotten", "old", "edge")
    look_at(desk, "old", checked_at=format_time(clock()))
    clock.now += timedelta(seconds=1)
    look_at(desk, "edge", checked_at=format_time(clock()))
    clock.now += timedelta(days=30)
    now = format_time(clock())
    add_places(desk, "fine", "small", "away", "other", "new", "held", "gone")
    look_at(desk, "fine", checked_at=now)
    look_at(desk, "small", checked_at=now, result="faults", findings=(make_finding(),))
    look_at(desk, "away", checked_at=now, result="unreachable", placement=None)
    look_at(desk, "other", checked_at=now, placement="elsewhere")
    suspend_placement(desk, "held", reason="x", actor="test")
    end_placement(desk, "gone", reason="x", actor="test")

    with desk.store.read() as connection:
        glances = list_glances(connection, now=clock())
        conditions = list_conditions(connection, now=clock())

    assert [(one.placement, one.state, one.code) for one in glances] == [
        (one.placement.placement, one.placement.state, one.code) for one in conditions
    ]
    codes: dict[str, ConditionCode] = {one.placement: one.code for one in glances}
    assert codes == {
        "away": "not_reached",
        "fine": "as_agreed",
        "forgotten": "long_ago",
        "old": "long_ago",
        "edge": "as_agreed",
        "gone": "not_looked_at",
        "held": "not_looked_at",
        "new": "not_looked_at",
        "other": "with_faults",
        "small": "with_faults",
    }


def test_last_check_is_the_first_of_a_placements_own_list(desk: Desk) -> None:
    add_places(desk, "seen", "never", "twice", "none")
    look_at(desk, "seen", checked_at="2026-11-24T07:00:00Z")
    look_at(desk, "seen", checked_at="2026-11-25T07:00:00Z", result="unreachable", findings=NEVER_ASKED)
    look_at(desk, "never", checked_at="2026-11-24T07:00:00Z", result="unreachable", findings=NEVER_ASKED)
    look_at(desk, "never", checked_at="2026-11-25T07:00:00Z", result="unreachable", findings=NEVER_ASKED)
    look_at(desk, "twice", method="browser")
    look_at(desk, "twice", method="static")

    with desk.store.read() as connection:
        last = get_last_checks(connection)
        firsts = {name: list_checks(connection, name)[:1] for name in ("seen", "never", "twice", "none")}
        some = get_last_checks(connection, placements=["seen", "none"])

    assert {name: [last[name]] if name in last else [] for name in firsts} == firsts
    assert last["seen"].checked_at == "2026-11-24T07:00:00Z"
    assert last["never"].checked_at == "2026-11-25T07:00:00Z"
    assert last["twice"].method == "static"
    assert list(some) == ["seen"]


def test_list_of_placements_reads_findings_of_no_more_than_it_shows(
    desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_base, "MOST_LISTED", 2)
    add_places(desk, "a", "b", "c")
    for name in ("a", "b", "c"):
        look_at(desk, name, result="faults", findings=(make_finding(),))
    read: list[bytes] = []

    def count(raw: bytes, **bounds: Any) -> Any:
        read.append(raw)
        return parse_exact(raw, **bounds)

    monkeypatch.setattr(checks, "parse_exact", count)

    page = browser.get("/placements").text
    assert len(read) == 2
    assert "<b>3</b> to fix" in page
    assert page.count("1 fault") == 2
    assert "Page 1 of 2, 3 placements" in page

    read.clear()
    assert browser.get("/placements?page=2").text.count("1 fault") == 1
    assert len(read) == 1


def test_part_of_the_requests_leaves_out_as_many_as_it_is_told(desk: Desk) -> None:
    ids = add_requests(desk, *["waiting"] * 4)

    with desk.store.read() as connection:
        parts = [list_adoptions(connection, first=first, most=most) for first, most in ((0, 2), (2, 2), (1, None))]

    assert [[line.request_id for line in part] for part in parts] == [ids[:2], ids[2:], ids[1:]]
