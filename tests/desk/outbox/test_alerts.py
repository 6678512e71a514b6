"""Alerts are acknowledged by name; until then they are escalated, and begin again.

Alerts on their way: receivers, frequency, content; and one that cannot go out is never silent.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select

from gateway.desk.cases.model import list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.watch import update_alarms
from gateway.desk.collection.collect import collect_reports
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import end_person
from gateway.desk.outbox.alerts import AlertsSent, acknowledge_alert, queue_alert
from gateway.desk.store.schema import AUDIT, QUARANTINE
from gateway.desk.vault import doors
from gateway.exchange.desk_statements import AlertNotice
from gateway.exchange.public_report import Meeting
from gateway.guidance.agency import load_agency
from partner_sdk.wire.canonical import format_time
from tests.builders import make_clear_fields
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
    set_pagers,
)
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import ORIGIN, Browser
from tests.public_report_builders import make_known_person

NIGHT = "n-night"
# Boxing Day's substitute, ten past two in the morning.
HOLIDAY_NIGHT = datetime(2026, 12, 28, 2, 10, tzinfo=UTC)


def codes(loop: Loop) -> list[str]:
    others = {"crisis-unread", "audit-not-anchored"}
    return [one.code for one in update_alarms(loop.desk) if one.code not in others]


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


SATURDAY = datetime(2026, 11, 28, 23, 0, tzinfo=UTC)


def test_urgent_report_alerts_the_desk_in_its_hours_with_a_signed_count(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    assert send_alerts(loop.desk) == AlertsSent()
    ((headers, body),) = desk_pager.taken
    assert headers["Content-Type"] == "application/json"
    moment = format_time(IN_HOURS)
    notice = open_with_key_set(loop, body)
    assert notice == AlertNotice(
        count=1,
        danger_today=1,
        environment="live",
        first_at=moment,
        issued_at=moment,
        link=notice.link,
        target="desk",
    )
    # Without an address of its own for browsers, the desk has the one of its machine.
    assert re.fullmatch(r"http://localhost:8702/duty/alerts/[\w-]{22}", notice.link or "")
    assert other_pager.taken == []


def test_own_hours_of_the_agency_decide_who_is_alerted(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    path = loop.desk.paths.agency
    days = 'days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]'
    lines = [days if line.startswith("days =") else line for line in path.read_text("utf-8").splitlines()]
    path.write_text("\n".join(lines).replace("closes = 17:00:00", "closes = 00:00:00"), "utf-8")
    loop.desk = replace(loop.desk, agency=load_agency(path))
    set_pagers(loop, desk_pager, other_pager, now=SATURDAY)
    file_urgent(loop)
    send_alerts(loop.desk)
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 0)


def test_waiting_alert_goes_to_the_people_on_duty_when_it_is_sent(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager, now=IN_HOURS.replace(hour=16, minute=59))
    desk_pager.status = 503
    file_urgent(loop)
    assert send_alerts(loop.desk).is_stuck
    loop.clock.advance(minutes=1)
    assert send_alerts(loop.desk).sent == 1
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "alerts"),
    [
        ({"clear": make_clear_fields("public", priority="P1")}, 1),
        ({"danger": "yes"}, 1),
        ({"meeting": Meeting(place="", when="today")}, 1),
        ({"meeting": Meeting(place="", when="next_days")}, 1),
        ({"meeting": Meeting(place="", when="later")}, 0),
        ({"feels": "hurting"}, 1),
        ({"danger": "not_sure"}, 0),
        ({}, 0),
    ],
)
def test_every_report_in_the_crisis_lane_raises_an_alert(loop: Loop, changes: dict[str, Any], alerts: int) -> None:
    loop.send_public(**changes)
    loop.collect()
    assert len(list_all_alerts(loop.desk)) == alerts


def test_one_minute_holds_one_notice_with_the_count_of_all_unread_cases(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop, 2)
    assert send_alerts(loop.desk).sent == 1
    loop.clock.advance(seconds=20)
    file_urgent(loop)
    loop.clock.advance(seconds=20)
    file_urgent(loop, 2)
    assert send_alerts(loop.desk) == AlertsSent(waiting=3)
    loop.clock.advance(seconds=20)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    counts = [open_with_key_set(loop, body) for _, body in desk_pager.taken]
    assert [(notice.count, notice.first_at) for notice in counts] == [
        (2, format_time(IN_HOURS)),
        (5, format_time(IN_HOURS)),
    ]


def test_alert_whose_cases_are_opened_while_it_is_on_its_way_is_not_taken_back(
    loop: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    sign = doors.Signer.sign

    def open_first(*given: Any) -> bytes:
        open_all(loop)
        assert send_alerts(loop.desk).sent == 0  # another run
        return sign(*given)

    with monkeypatch.context() as patch:
        patch.setattr(doors.Signer, "sign", open_first)
        assert send_alerts(loop.desk).sent == 1
    assert (len(desk_pager.taken), len(list_all_alerts(loop.desk)), dropped(loop)) == (1, 1, [])
    with loop.desk.store.read() as connection:
        noted = select(AUDIT.c.detail).where(AUDIT.c.action == "send-alert")
        assert connection.execute(noted).scalars().all() == ['{"call":1,"count":1,"turn":1}']


def test_notice_that_is_never_taken_names_its_rung_and_cause(loop: Loop, desk_pager: Posts) -> None:
    set_escalation(loop, make_level("Old number", "off"), make_level("Duty officer", desk_pager.url), now=SATURDAY)
    desk_pager.status = 403
    file_urgent(loop)
    assert send_alerts(loop.desk).is_stuck
    assert list_called(loop.desk) == [("Duty officer", "login-refused")]


def test_mail_pager_carries_the_notice_and_says_no_more(loop: Loop) -> None:
    loop.clock.now = IN_HOURS
    with run_mail_server() as mailbox:
        set_mail_server(loop, mailbox.port, notes="off")
        set_escalation(loop, make_level("Duty officer", "mailto:duty@team.example"))
        reference = loop.send_public(danger="yes", name="Quetzal").reference
        loop.collect()
        assert send_alerts(loop.desk).sent == 1
    (mail,) = mailbox.mails
    assert (mail["To"], mail["Subject"]) == ("duty@team.example", "1 urgent item at the desk, 1 with danger today")
    said = mail.get_body().get_content().replace("\n", " ")
    assert said.startswith("1 urgent item at the desk since 25 Nov 2026, 12:00 GMT, 1 with danger today (live).")
    assert "Sign in and say that you have it: http://localhost:8702/duty/alerts/" in said
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "page.json"
    assert open_with_key_set(loop, attached.get_content()).count == 1
    raw = mailbox.taken[0][1].decode()
    assert reference not in raw
    assert "Quetzal" not in raw


def test_notice_counts_the_unread_cases_with_danger_today(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    set_pagers(loop, desk_pager, other_pager)
    loop.send_public(kinds=("touched_or_hurt",), age_band="under_12", person=make_known_person(near="yes"))
    loop.send_public(kinds=("wants_to_meet",), meeting=Meeting(place="", when="today"))
    loop.collect()
    send_alerts(loop.desk)
    notice = open_with_key_set(loop, desk_pager.taken[0][1])
    assert (notice.count, notice.danger_today) == (2, 1)


def dropped(loop: Loop) -> list[str]:
    with loop.desk.store.read() as connection:
        return list(connection.execute(select(AUDIT.c.detail).where(AUDIT.c.action == "drop-alert")).scalars())


def test_unsent_alert_is_dropped_and_logged_once_every_case_is_open(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    desk_pager.status = 503
    file_urgent(loop, 3)
    assert send_alerts(loop.desk).waiting == 3
    open_all(loop)
    assert send_alerts(loop.desk) == AlertsSent()
    assert list_all_alerts(loop.desk) == []
    assert dropped(loop) == ['{"count":3}']


def test_waiting_alert_counts_only_unopened_cases(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    set_pagers(loop, desk_pager, other_pager)
    desk_pager.status = 503
    file_urgent(loop)
    send_alerts(loop.desk)
    open_all(loop)
    loop.clock.advance(minutes=1)
    file_urgent(loop, 2)
    desk_pager.status = 200
    loop.clock.advance(minutes=20)
    assert send_alerts(loop.desk).sent == 1
    assert open_with_key_set(loop, desk_pager.taken[-1][1]).count == 2
    assert dropped(loop) == []


def test_what_a_sender_adds_to_an_urgent_case_is_not_counted_beside_it(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    desk_pager.status = 503
    first = loop.send_industry(priority="P1").reference
    loop.send_industry(kind="supplement", earlier_reference=first, priority="P1")
    loop.collect()
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]
    loop.send_industry(kind="supplement", earlier_reference=first, priority="P1")
    loop.collect()
    assert send_alerts(loop.desk).waiting == 1


def test_alert_stays_while_a_quarantined_row_waits(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    set_pagers(loop, desk_pager, other_pager)
    desk_pager.status = 503
    file_urgent(loop)
    open_all(loop)
    with loop.desk.store.write() as connection:
        connection.execute(
            insert(QUARANTINE).values(
                row_sha256=b"x",
                reason="does-not-open",
                alarmed=True,
                priority="P2",
                row=b"",
                quarantined_at=format_time(loop.clock()),
            )
        )
    assert send_alerts(loop.desk).waiting == 1
    assert dropped(loop) == []


def collect_as_other(loop: Loop, *, at: datetime) -> None:
    """Collect as a process that read its clock then, and commits only now."""
    slow = replace(loop.desk, clock=lambda: at)
    collect_reports(slow, slow.make_feed(), actor="other")


def test_case_of_a_process_that_read_its_clock_before_the_alert_was_queued_is_counted(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    early = loop.clock()
    loop.send_public(feels="hurting")
    loop.clock.advance(seconds=1)
    with loop.desk.store.write() as connection:
        queue_alert(connection, count=1, now=loop.clock())
    collect_as_other(loop, at=early)
    assert send_alerts(loop.desk).sent == 1
    assert len(desk_pager.taken) == 1


def test_case_that_another_process_commits_while_an_alert_is_sent_is_told_of_next(
    loop: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    loop.send_public(feels="hurting")
    early = loop.clock()
    loop.clock.advance(seconds=2)
    real = doors.Signer.sign

    def sign_late(*given: Any) -> bytes:
        monkeypatch.setattr(doors.Signer, "sign", real)
        collect_as_other(loop, at=early)
        return real(*given)

    monkeypatch.setattr(doors.Signer, "sign", sign_late)
    assert send_alerts(loop.desk).sent == 1
    loop.clock.advance(minutes=2)
    assert send_alerts(loop.desk).sent == 1
    assert len(desk_pager.taken) == 2
