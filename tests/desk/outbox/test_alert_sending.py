"""Alerts on their way: receivers, frequency, content; and one that cannot go out is never silent."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select

from gateway.desk.collection.collect import collect_reports
from gateway.desk.outbox.alerts import AlertsSent, queue_alert
from gateway.desk.store.schema import AUDIT, QUARANTINE
from gateway.desk.vault import signing
from gateway.exchange.desk_statements import AlertNotice
from gateway.exchange.public_report import Meeting
from gateway.guidance.agency import load_agency
from partner_sdk.wire.canonical import format_time, parse_time
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
from tests.public_report_builders import make_known_person

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


def test_other_times_alert_the_other_body(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    set_pagers(loop, desk_pager, other_pager, now=SATURDAY)
    file_urgent(loop)
    send_alerts(loop.desk)
    assert desk_pager.taken == []
    ((_, body),) = other_pager.taken
    assert open_with_key_set(loop, body, target="out_of_hours").target == "out_of_hours"


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


def test_partners_urgent_report_alerts_too(loop: Loop) -> None:
    loop.send_industry(priority="P1")
    loop.collect()
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


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


def test_escalation_that_takes_nothing_is_tried_every_minute_until_it_does(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    loop.desk = replace(loop.desk, random=bytes)
    desk_pager.status = 500
    file_urgent(loop)
    waits = []
    for tries in range(1, 8):
        loop.desk = replace(loop.desk, random=lambda count, tries=tries: bytes([tries]) * count)
        sent = send_alerts(loop.desk)
        assert (sent.sent, sent.waiting, sent.is_stuck) == (0, 1, True)
        assert sent.warnings == [
            f"ALERT NOT DELIVERED: 1 urgent since {format_time(IN_HOURS)}, server-error. Phone the people on duty."
        ]
        next_try_at = parse_time(list_all_alerts(loop.desk)[0]["next_try_at"])
        waits.append((next_try_at - loop.clock()).total_seconds())
        loop.clock.now = next_try_at
    assert set(waits) == {45.0}
    desk_pager.status = 200
    loop.desk = replace(loop.desk, random=lambda count: bytes([9]) * count)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    assert len(desk_pager.taken) == 8


def test_run_that_dies_while_it_sends_leaves_the_alert_to_the_next(
    loop: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.vault.signing.sign_alert", die)
        with pytest.raises(KeyboardInterrupt):
            send_alerts(loop.desk)
    assert send_alerts(loop.desk).sent == 0
    loop.clock.advance(minutes=2)
    assert send_alerts(loop.desk).sent == 1


def test_alert_whose_cases_are_opened_while_it_is_on_its_way_is_not_taken_back(
    loop: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    sign = signing.sign_alert

    def open_first(*given: Any, **named: Any) -> bytes:
        open_all(loop)
        assert send_alerts(loop.desk).sent == 0  # another run
        return sign(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(signing, "sign_alert", open_first)
        assert send_alerts(loop.desk).sent == 1
    assert (len(desk_pager.taken), len(list_all_alerts(loop.desk)), dropped(loop)) == (1, 1, [])
    with loop.desk.store.read() as connection:
        noted = select(AUDIT.c.detail).where(AUDIT.c.action == "send-alert")
        assert connection.execute(noted).scalars().all() == ['{"call":1,"count":1,"turn":1}']


def test_report_filed_while_an_alert_is_sent_is_told_of_next(
    loop: Loop, desk_pager: Posts, other_pager: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    sign = signing.sign_alert

    def file_another_first(*given: Any, **named: Any) -> bytes:
        file_urgent(loop)
        return sign(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(signing, "sign_alert", file_another_first)
        assert send_alerts(loop.desk).sent == 1
    loop.clock.advance(minutes=1)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [2]
    assert [open_with_key_set(loop, body).count for _, body in desk_pager.taken] == [1, 2]


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


def test_notice_says_nothing_but_count_and_times(loop: Loop, desk_pager: Posts, other_pager: Posts) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    send_alerts(loop.desk)
    fields = {"count", "danger_today", "environment", "first_at", "issued_at", "link", "target"}
    assert set(AlertNotice.__struct_fields__) == fields
    assert len(desk_pager.taken[0][1]) < 700


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
    real = signing.sign_alert

    def sign_late(notice: AlertNotice, **rest: Any) -> bytes:
        monkeypatch.setattr(signing, "sign_alert", real)
        collect_as_other(loop, at=early)
        return real(notice, **rest)

    monkeypatch.setattr(signing, "sign_alert", sign_late)
    assert send_alerts(loop.desk).sent == 1
    loop.clock.advance(minutes=2)
    assert send_alerts(loop.desk).sent == 1
    assert len(desk_pager.taken) == 2
