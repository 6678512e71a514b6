"""Alerts are acknowledged by name; until then they go out again, to the other target."""

import pytest

from gateway.desk.cli import main
from gateway.desk.outbox.alert_sending import AlertsSent
from gateway.desk.outbox.alerts import acknowledge_alert
from gateway.desk.store.schema import AUDIT
from gateway.desk.terminal import DONE, LOOK, WRONG_USE
from gateway.desk.watch import settle_alarms
from partner_sdk.wire.canonical import format_time
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import IN_HOURS, file_urgent, open_all, open_with_key_set, send_alerts, set_pagers
from tests.desk.people_builders import ACTOR
from tests.desk.view_builders import ORIGIN, Browser


def codes(loop: Loop) -> list[str]:
    return [one.code for one in settle_alarms(loop.desk)]


def test_unacknowledged_alert_goes_to_the_other_target_and_is_an_alarm(
    loop: Loop,
    desk_pager: Posts,
    other_pager: Posts,
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop, 2)
    assert send_alerts(loop.desk) == AlertsSent(sent=1)
    loop.clock.advance(minutes=5)
    loop.collect()
    assert send_alerts(loop.desk) == AlertsSent()
    assert codes(loop) == []
    loop.clock.advance(seconds=1)
    assert send_alerts(loop.desk) == AlertsSent(unacknowledged=2)
    assert (len(desk_pager.taken), len(other_pager.taken)) == (1, 1)
    notice = open_with_key_set(loop, other_pager.taken[0][1], target="out_of_hours")
    assert (notice.count, notice.first_at, notice.issued_at) == (2, format_time(IN_HOURS), format_time(loop.clock()))
    assert codes(loop) == ["alert-not-acknowledged"]
    assert send_alerts(loop.desk) == AlertsSent(unacknowledged=2)  # not again at once
    assert len(other_pager.taken) == 1
    loop.clock.advance(minutes=5)
    loop.collect()
    send_alerts(loop.desk)  # and back, until somebody has it
    assert (len(desk_pager.taken), len(other_pager.taken)) == (2, 1)
    assert "alert-not-acknowledged" in codes(loop)
    with loop.desk.store.write() as connection:
        assert acknowledge_alert(connection, 1, actor="Alex", now=loop.clock()) == 1
    assert codes(loop) == []
    loop.clock.advance(minutes=30)
    loop.collect()
    assert send_alerts(loop.desk) == AlertsSent()
    with loop.desk.store.read() as connection:
        entries = connection.execute(AUDIT.select().where(AUDIT.c.action == "acknowledge-alert")).all()
    assert [(entry.actor, entry.subject) for entry in entries] == [("Alex", "1")]


def test_repeat_that_the_other_target_does_not_take_is_tried_again_and_said(
    loop: Loop,
    desk_pager: Posts,
    other_pager: Posts,
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    send_alerts(loop.desk)
    other_pager.status = 503
    loop.clock.advance(minutes=6)
    paged = send_alerts(loop.desk)
    assert (paged.is_stuck, paged.unacknowledged) == (True, 1)
    assert paged.warnings[-1].startswith("ALERT NOT REPEATED: 1 urgent since")
    other_pager.status = 200
    loop.clock.advance(seconds=1)
    assert send_alerts(loop.desk) == AlertsSent(unacknowledged=1)
    assert len(other_pager.taken) == 2


def test_alert_with_all_cases_opened_needs_no_acknowledgement(
    loop: Loop,
    desk_pager: Posts,
    other_pager: Posts,
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    send_alerts(loop.desk)
    open_all(loop)
    loop.clock.advance(hours=1)
    loop.collect()
    assert send_alerts(loop.desk) == AlertsSent()
    assert other_pager.taken == []
    assert codes(loop) == []


def test_button_on_the_first_page_acknowledges_by_name_and_needs_its_token(
    loop: Loop,
    desk_pager: Posts,
    other_pager: Posts,
) -> None:
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    send_alerts(loop.desk)
    browser = Browser(loop.desk).sign_in()
    assert '<button class="main-action" type="submit">I am dealing with it</button>' in browser.get("/").text
    assert browser.client.post("/alerts/1/acknowledge", base_url=ORIGIN).status_code == 400
    assert browser.post("/alerts/1/acknowledge").status_code == 303
    assert "dealing with it" not in browser.get("/").text
    assert browser.post("/alerts/1/acknowledge").status_code == 409
    assert browser.post("/alerts/7x/acknowledge").status_code == 404
    assert "A Assessor (a-assessor)" in browser.get("/outbox").text


def test_command_lists_and_acknowledges_alerts_by_name(
    loop: Loop,
    desk_pager: Posts,
    other_pager: Posts,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*words: str) -> int:
        return main(["alert", *words, "--state", str(loop.desk.paths.state)])

    assert run("list") == DONE
    set_pagers(loop, desk_pager, other_pager)
    file_urgent(loop)
    send_alerts(loop.desk)
    loop.clock.advance(minutes=1)
    file_urgent(loop)
    send_alerts(loop.desk)
    assert run("list") == LOOK
    assert capsys.readouterr().out.count("NOT ACKNOWLEDGED") == 2
    assert run("acknowledge", "2") == DONE
    assert "2 alerts in hand" in capsys.readouterr().out
    assert run("list") == DONE
    assert capsys.readouterr().out.count(f"acknowledged by {ACTOR} at") == 2
    assert run("acknowledge", "2") == WRONG_USE
    assert run("list", "--json") == DONE
