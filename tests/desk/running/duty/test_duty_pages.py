"""The duty officer's pages: the link of a notice, the crisis cases, and the way from the one to the other."""

import re

import pytest

from gateway.desk.office.people.permissions import Role
from gateway.desk.outbox.alerts import list_alerts
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import file_urgent, send_alerts
from tests.desk.running.duty.duty_builders import NIGHT_OFFICER, send_and_get_path, set_night
from tests.desk.view_builders import Browser


def acknowledged_by(loop: Loop) -> list[str | None]:
    with loop.desk.store.read() as connection:
        return [one.acknowledged_by for one in list_alerts(connection, most=9)]


def sign_in(loop: Loop) -> Browser:
    return Browser(loop.desk).sign_in(NIGHT_OFFICER, {Role.DUTY_OFFICER})


@pytest.mark.databases("sqlite", "postgresql")
def test_link_of_a_notice_leads_through_the_sign_in_and_acknowledges_only_by_its_button(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_night(loop, desk_pager, other_pager)
    browser = sign_in(loop)
    browser.post("/sign-out")
    file_urgent(loop)
    path = send_and_get_path(loop, desk_pager)
    assert browser.get(path).status_code == 401
    answer = browser.step_up("/sign-in/begin", "/sign-in")
    assert (answer.status_code, answer.location) == (303, path)
    page = browser.get(path)
    assert "I am dealing with it" in page.text
    assert "First duty officer" in page.text
    assert browser.post(path, token="").status_code == 400
    assert acknowledged_by(loop) == [None]
    answer = browser.post(path)
    assert (answer.status_code, answer.location) == (303, "/duty")
    assert acknowledged_by(loop) == [NIGHT_OFFICER]
    # Used once: later it only says who has it.
    page = browser.get(path)
    assert "I am dealing" not in page.text
    assert "Somebody has it" in page.text
    assert browser.post(path).status_code == 409
    assert browser.get("/duty/alerts/AAAAAAAAAAAAAAAAAAAAAA").status_code == 404


def test_case_that_came_after_the_notice_of_a_link_is_not_acknowledged_by_it(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_night(loop, desk_pager, other_pager)
    browser = sign_in(loop)
    file_urgent(loop)
    path = send_and_get_path(loop, desk_pager)
    loop.clock.advance(minutes=1)
    file_urgent(loop)
    send_alerts(loop.desk)
    browser.get(path)
    assert browser.post(path).status_code == 303
    assert acknowledged_by(loop) == [None, NIGHT_OFFICER]
    loop.clock.advance(minutes=1)
    assert send_alerts(loop.desk).sent == 1
    assert "1 urgent case: nobody is dealing with it yet" in browser.get("/duty").text


def test_sign_in_returns_to_no_other_page(loop: Loop) -> None:
    browser = sign_in(loop)
    assert browser.get("/duty").status_code == 200
    browser.post("/sign-out")
    assert browser.get("/outbox").status_code == 401
    assert browser.step_up("/sign-in/begin", "/sign-in").location == "/duty"


def test_page_lists_the_crisis_cases_with_their_wait_and_holder_and_no_other(
    loop: Loop, desk_pager: Posts, other_pager: Posts
) -> None:
    set_night(loop, desk_pager, other_pager)
    browser = sign_in(loop)
    assert "No child in danger waits" in browser.get("/duty").text
    other = loop.send_public().reference
    file_urgent(loop)
    loop.clock.advance(minutes=12)
    page = browser.get("/duty").text
    assert "1 crisis case" in page
    assert other not in page
    assert "12 min" in page
    assert "Nobody has it" in page
    (path,) = set(re.findall(r'class="duty-case[^"]*" href="([^"?]+)', page))
    browser.post(f"{path}/claim")
    assert "You have it" in browser.get("/duty").text
