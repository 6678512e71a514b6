"""Alerts are acknowledged by name; until then they are escalated, and begin again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.desk.cases.model import list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.outbox.alerts import AlertsSent, acknowledge_alert
from gateway.desk.people.permissions import Role
from gateway.desk.people.register import end_person
from gateway.desk.store.schema import AUDIT
from gateway.desk.watch import settle_alarms
from partner_sdk.wire.canonical import format_time
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts, run_mail_server
from tests.desk.outbox_builders import (
    IN_HOURS,
    file_urgent,
    list_all_alerts,
    list_called,
    make_level,
    open_all,
    open_with_key_set,
    send_alerts,
    set_escalation,
    set_mail_server,
)
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import ORIGIN, Browser

NIGHT = "n-night"
# Boxing Day's substitute, ten past two in the morning.
HOLIDAY_NIGHT = datetime(2026, 12, 28, 2, 10, tzinfo=UTC)


def codes(loop: Loop) -> list[str]:
    others = {"crisis-unread", "audit-not-anchored"}
    return [one.code for one in settle_alarms(loop.desk) if one.code not in others]


def open_some(loop: Loop, count: int) -> None:
    with loop.desk.store.read() as connection:
        cases = list_cases(connection)[:count]
    for case in cases:
        open_case(loop.desk, case.case_id, actor=ACTOR)


def acknowledge(loop: Loop, number: int = 1, *, seen: int | None = None) -> int:
    with loop.desk.store.write() as connection:
        return acknowledge_alert(connection, number, actor="Alex", now=loop.clock(), seen=seen)


@pytest.fixture
def two(loop: Loop, desk_pager: Posts, other_pager: Posts) -> Loop:
    """Two levels: five minutes for the first, ten for the second."""
    set_escalation(
        loop,
        make_level("First duty officer", desk_pager.url),
        make_level("Night body", other_pager.url, wait_minutes=10, body="out_of_hours"),
        now=IN_HOURS,
    )
    return loop


@pytest.mark.databases("sqlite", "postgresql")
def test_alert_that_nobody_acknowledges_is_escalated_goes_on_from_the_top_and_is_an_alarm(
    two: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    file_urgent(two, 2)
    assert send_alerts(two.desk) == AlertsSent(sent=1)
    two.clock.advance(minutes=4, seconds=59)
    two.collect()
    assert send_alerts(two.desk) == AlertsSent()
    assert (len(other_pager.taken), codes(two)) == (0, [])
    two.clock.advance(seconds=2)
    assert send_alerts(two.desk) == AlertsSent(sent=1, unacknowledged=2)
    notice = open_with_key_set(two, other_pager.taken[0][1], target="out_of_hours")
    assert (notice.count, notice.first_at, notice.issued_at) == (2, format_time(IN_HOURS), format_time(two.clock()))
    assert codes(two) == ["alert-not-acknowledged"]
    two.clock.advance(minutes=9)
    two.collect()
    assert send_alerts(two.desk) == AlertsSent(unacknowledged=2)
    assert codes(two) == ["alert-not-acknowledged"]
    two.clock.advance(minutes=1)
    two.collect()
    assert send_alerts(two.desk) == AlertsSent(sent=1, unacknowledged=2)
    assert codes(two) == ["alert-not-acknowledged", "escalation-ran-out"]
    called = ("First duty officer", "Night body", "First duty officer")
    assert list_called(two.desk) == [(level, "taken") for level in called]
    assert acknowledge(two) == 2
    assert codes(two) == []
    two.clock.advance(minutes=30)
    two.collect()
    assert send_alerts(two.desk) == AlertsSent()
    with two.desk.store.read() as connection:
        entries = connection.execute(AUDIT.select().where(AUDIT.c.action == "acknowledge-alert")).all()
    assert [(entry.actor, entry.subject, entry.detail) for entry in entries] == [("Alex", "1", '{"count":2}')]


def test_case_filed_while_an_alert_is_escalated_is_told_at_once_and_does_not_hold_it_back(
    two: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    file_urgent(two)
    send_alerts(two.desk)
    for minute in range(1, 5):
        two.clock.advance(minutes=1)
        file_urgent(two)
        assert send_alerts(two.desk).sent == 1, minute
    assert [open_with_key_set(two, body).count for _, body in desk_pager.taken] == [1, 2, 3, 4, 5]
    two.clock.advance(minutes=1)
    assert send_alerts(two.desk).sent == 1
    assert open_with_key_set(two, other_pager.taken[0][1], target="out_of_hours").count == 5
    two.clock.advance(seconds=61)
    file_urgent(two)
    assert send_alerts(two.desk).sent == 1
    assert (len(desk_pager.taken), len(other_pager.taken)) == (5, 2)


@pytest.mark.databases("sqlite", "postgresql")
def test_acknowledgement_covers_what_its_person_saw_and_no_more(two: Loop, desk_pager: Posts) -> None:
    file_urgent(two)
    send_alerts(two.desk)
    two.clock.advance(seconds=61)
    file_urgent(two, 2)
    send_alerts(two.desk)
    two.clock.advance(seconds=1)
    file_urgent(two)  # not told yet
    assert acknowledge(two, seen=1) == 1
    assert [(one["count"], one["acknowledged_by"]) for one in list_all_alerts(two.desk)] == [(1, "Alex"), (3, None)]
    two.clock.advance(minutes=1)
    assert send_alerts(two.desk).sent == 1
    assert open_with_key_set(two, desk_pager.taken[-1][1]).count == 3
    assert acknowledge(two, 2) == 3


def test_case_that_was_read_before_an_acknowledgement_makes_no_new_alert(two: Loop, other_pager: Posts) -> None:
    file_urgent(two, 3)
    send_alerts(two.desk)
    open_some(two, 1)
    two.clock.advance(minutes=6)
    send_alerts(two.desk)
    notice = open_with_key_set(two, other_pager.taken[0][1], target="out_of_hours")
    assert notice.count == 2
    assert acknowledge(two, seen=notice.count) == 2
    assert len(list_all_alerts(two.desk)) == 1


def test_rung_that_takes_nothing_is_passed_by_in_the_same_run(two: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    desk_pager.status = 503
    file_urgent(two)
    assert send_alerts(two.desk) == AlertsSent(sent=1)
    assert list_called(two.desk) == [("First duty officer", "server-error"), ("Night body", "taken")]
    assert len(other_pager.taken) == 1
    two.clock.advance(minutes=11)
    desk_pager.status = 200
    assert send_alerts(two.desk).sent == 1
    assert list_called(two.desk)[-1] == ("First duty officer", "taken")


def test_mail_server_that_is_down_for_an_hour_loses_nothing_and_is_used_within_a_minute_of_its_return(
    loop: Loop,
) -> None:
    with run_mail_server() as mailbox:
        port = mailbox.port
    set_mail_server(loop, port, notes="off")
    set_escalation(loop, make_level("Duty officer", "mailto:duty@team.example"), now=HOLIDAY_NIGHT)
    file_urgent(loop)
    tried = 0
    for _ in range(60):
        sent = send_alerts(loop.desk)
        assert (sent.sent, sent.waiting, sent.is_stuck) == (0, 1, True)
        tried = len(list_called(loop.desk))
        loop.clock.advance(minutes=1)
        if loop.clock() > HOLIDAY_NIGHT + timedelta(minutes=2):
            assert "alert-not-sent" in codes(loop)
    assert tried == 60
    with run_mail_server() as mailbox:
        set_mail_server(loop, mailbox.port, notes="off")
        assert send_alerts(loop.desk) == AlertsSent(sent=1)
        assert len(mailbox.mails) == 1


@pytest.mark.parametrize("is_delivered", [True, False])
def test_run_killed_between_two_rungs_sends_nothing_twice_within_a_minute_and_forgets_nothing(
    two: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch, *, is_delivered: bool
) -> None:
    file_urgent(two)
    send_alerts(two.desk)
    two.clock.advance(minutes=6)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # Killed after the notice went but before that was noted, or before it went.
    place = "finish_call" if is_delivered else "_hand_over"
    with monkeypatch.context() as patch:
        patch.setattr(f"gateway.desk.outbox.alerts.{place}", die)
        with pytest.raises(KeyboardInterrupt):
            send_alerts(two.desk)
    assert len(other_pager.taken) == is_delivered
    two.clock.advance(seconds=61)
    assert send_alerts(two.desk).sent == 0
    two.clock.advance(minutes=1)
    assert send_alerts(two.desk).sent == 1
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 1 + is_delivered)
    assert list_called(two.desk)[1:] == [("Night body", "cut off"), ("Night body", "taken")]
    two.clock.advance(minutes=10)
    assert send_alerts(two.desk).sent == 1
    assert len(desk_pager.taken) == 2


def test_removed_duty_officer_is_passed_by_and_each_run_says_so(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_escalation(
        loop,
        make_level("First duty officer", desk_pager.url, person=NIGHT),
        make_level("Supervisor", other_pager.url),
        now=HOLIDAY_NIGHT,
    )
    with loop.desk.store.write() as connection:
        ensure_person(connection, NIGHT, {Role.DUTY_OFFICER})
    file_urgent(loop)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    with loop.desk.store.write() as connection:
        end_person(connection, NIGHT, actor=ACTOR, now=loop.clock())
    loop.clock.advance(minutes=1)
    sent = send_alerts(loop.desk)
    assert sent.warnings == [
        f"ESCALATION: {NIGHT} may not acknowledge alerts, so the level “First duty officer” is left out."
    ]
    loop.clock.advance(minutes=5)
    send_alerts(loop.desk)
    loop.clock.advance(minutes=6)
    send_alerts(loop.desk)
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 2)


def test_escalation_with_nobody_on_it_is_said_and_is_an_alarm_until_somebody_is_called(
    loop: Loop, desk_pager: Posts
) -> None:
    set_escalation(loop, now=HOLIDAY_NIGHT)
    file_urgent(loop)
    sent = send_alerts(loop.desk)
    assert (sent.sent, sent.waiting, sent.is_stuck) == (0, 1, True)
    assert sent.warnings[0].startswith("NOBODY TO ALERT")
    loop.clock.advance(minutes=3)
    assert "alert-not-sent" in codes(loop)
    set_escalation(loop, make_level("Day team", desk_pager.url, hours="open"))
    sent = send_alerts(loop.desk)
    assert sent.warnings == ["NOBODY ON DUTY NOW: an alert calls every level. Mend its hours in escalation.toml."]
    assert (sent.sent, len(desk_pager.taken), codes(loop)) == (1, 1, [])


def test_alert_with_all_cases_opened_needs_no_acknowledgement(two: Loop, other_pager: Posts) -> None:
    file_urgent(two)
    send_alerts(two.desk)
    open_all(two)
    two.clock.advance(hours=1)
    two.collect()
    assert send_alerts(two.desk) == AlertsSent()
    assert (other_pager.taken, codes(two)) == ([], [])
    (alert,) = list_all_alerts(two.desk)
    assert (alert["state"], alert["acknowledged_by"]) == ("sent", None)


def test_link_of_a_notice_is_signed_and_stored_as_a_hash_alone(two: Loop, desk_pager: Posts) -> None:
    config = msgspec.structs.replace(two.desk.config, pages_origin="https://desk.agency.example")
    two.desk = replace(two.desk, config=config)
    file_urgent(two)
    send_alerts(two.desk)
    link = open_with_key_set(two, desk_pager.taken[0][1]).link
    assert link is not None
    start, secret = link.rsplit("/", 1)
    assert (start, len(secret)) == ("https://desk.agency.example/duty/alerts", 22)
    files = [path for path in two.desk.paths.state.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not any(secret.encode() in path.read_bytes() for path in files)


def test_button_on_the_first_page_acknowledges_by_name_and_needs_its_token(two: Loop) -> None:
    file_urgent(two)
    send_alerts(two.desk)
    browser = Browser(two.desk).sign_in()
    assert '<button class="main-action" type="submit">I am dealing with it</button>' in browser.get("/").text
    assert browser.client.post("/alerts/1/acknowledge", base_url=ORIGIN).status_code == 400
    assert browser.post("/alerts/1/acknowledge", seen="1").status_code == 303
    assert "dealing with it" not in browser.get("/").text
    assert browser.post("/alerts/1/acknowledge").status_code == 409
    assert browser.post("/alerts/7x/acknowledge").status_code == 404
    shown = browser.get("/outbox").text
    assert "A Assessor (a-assessor)" in shown
    assert "First duty officer" in shown
