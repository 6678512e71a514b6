"""The pages of services that ask: sealed until opened, every deed behind a token, and no mail that the desk sends."""

import html
import re
from typing import Any

import msgspec
import pytest
from werkzeug.test import TestResponse

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.adoption import get_adoption
from partner_sdk.wire.button import format_request_number
from tests.desk.adoption_builders import CALLED, MARKED, MARKER, add_waiting, list_actions
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.view_builders import Browser, has_fault_read_with
from tests.gateway.adoption_builders import make_id


def read(answer: TestResponse) -> str:
    return html.unescape(answer.get_data(as_text=True))


def open_page(browser: Browser, request_id: str) -> str:
    browser.get(f"/adoption/{request_id}")
    return read(browser.post(f"/adoption/{request_id}/open"))


def state_of(desk: Desk, request_id: str) -> str:
    with desk.store.read() as connection:
        return get_adoption(connection, request_id).state


def test_list_shows_what_waits_and_no_word_of_who_asks(desk: Desk, browser: Browser) -> None:
    waiting, declined, unreadable = (
        add_waiting(desk, number, state=state)
        for number, state in enumerate(("waiting", "declined", "unreadable"), start=1)
    )
    page = read(browser.get("/adoption"))
    assert ("<b>1</b> waits" in page, "1 more cannot be read" in page) == (True, True)
    assert format_request_number(waiting) in page
    everything = read(browser.get("/adoption?show=all"))
    assert [one in page for one in (waiting, declined, unreadable)] == [True, False, False]
    assert [one in everything for one in (waiting, declined, unreadable)] == [True, True, True]
    closed = read(browser.get(f"/adoption/{waiting}"))
    for text in (MARKER, MARKED.organisation, MARKED.contact_email):
        assert text not in page + everything + closed
    assert "Requests for the button</a> (1 waiting)" in read(browser.get("/placements"))
    assert '<a href="/adoption">Request for the button <b>1</b></a>' in read(browser.get("/"))


def test_request_is_opened_by_a_post_and_that_is_noted(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    opened = open_page(browser, request_id)
    assert f"S. {MARKER}" in opened
    assert "The sender is not verified" in opened
    ((_, action),) = list_actions(desk, request_id)
    assert action == "open-adoption"


def test_invitation_is_shown_once_apart_from_the_mail(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk, service=msgspec.structs.replace(MARKED, wants_to_report=True))
    page = open_page(browser, request_id)
    assert 'name="with_keys" value="yes" checked' in page  # as it asked

    answer = browser.post(f"/adoption/{request_id}/invite", owner=CALLED, with_keys="yes")

    page = read(answer)
    (secret,) = re.findall(r'"secret":"([\w-]+)"', page)
    assert page.count(secret) == 1
    assert "send it yourself" in page
    assert page.index("what was decided here has no effect there") < page.index("To send to the service")
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret not in open_page(browser, request_id)
    assert state_of(desk, request_id) == "invited"


def test_service_without_keys_is_led_on_to_its_places(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    assert "It did not ask to send reports" in open_page(browser, request_id)
    page = read(browser.post(f"/adoption/{request_id}/invite", owner=CALLED))
    assert "The invitation, shown once" not in page
    assert 'href="/placements/new">Agree a place of the button with it' in page
    assert f'<option value="{CALLED}">' in browser.get("/placements/new").text


def test_request_is_declined_with_the_reason(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    page = read(browser.post(f"/adoption/{request_id}/decline", why="You asked twice."))
    assert "You asked twice." in page
    assert state_of(desk, request_id) == "declined"
    assert "Invite it" not in page
    again = browser.post(f"/adoption/{request_id}/decline", why="You asked twice.")
    assert (again.status_code, "That is final" in read(again)) == (409, True)


def test_request_that_does_not_open_can_be_declined_on_its_page(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    for file in desk.paths.keys.glob("sealing-*.key"):
        file.unlink()
    assert "cannot be read" in open_page(browser, request_id)
    browser.post(f"/adoption/{request_id}/decline", why="It cannot be read.")
    assert state_of(desk, request_id) == "declined"


def test_markup_in_a_request_is_text(desk: Desk, browser: Browser) -> None:
    hostile = msgspec.structs.replace(MARKED, organisation="<script>alert(1)</script>", message="<img src=x>")
    request_id = add_waiting(desk, service=hostile)
    browser.get(f"/adoption/{request_id}")
    raw = browser.post(f"/adoption/{request_id}/open").get_data(as_text=True)
    assert "<script>alert" not in raw
    assert "<img src=x>" not in raw
    assert "&lt;script&gt;alert" in raw


@pytest.mark.parametrize("deed", ["open", "invite", "decline"])
def test_deed_without_a_token_or_a_session_does_nothing(deed: str, desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    fields: dict[str, Any] = {"owner": CALLED, "why": "No."}
    assert browser.post(f"/adoption/{request_id}/{deed}", token="stale", **fields).status_code == 400
    stranger = Browser(desk)
    stranger.get("/adoption")
    assert stranger.post(f"/adoption/{request_id}/{deed}", token="", **fields).status_code in {400, 401}
    assert state_of(desk, request_id) == "waiting"
    assert list_actions(desk, request_id) == []


@pytest.mark.parametrize("deed", ["", "/open", "/invite", "/decline"])
def test_unknown_request_is_not_found(deed: str, browser: Browser) -> None:
    browser.get("/adoption")
    path = f"/adoption/{make_id(77)}{deed}"
    answer = browser.post(path, owner=CALLED) if deed else browser.get(path)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("deed", "typed", "field"),
    [
        ("invite", "", "owner"),
        ("invite", "Chat 1", "owner"),
        ("invite", PARTNER, "owner"),
        ("decline", "", "why"),
    ],
)
def test_each_fault_links_to_its_field_in_an_open_fold(
    desk: Desk, browser: Browser, deed: str, typed: str, field: str
) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    answer = browser.post(f"/adoption/{request_id}/{deed}", owner=typed, why=typed, known_owner="yes", with_keys="yes")
    page = read(answer)
    assert answer.status_code == 409
    assert has_fault_read_with(page, field)
    before = page[: page.index(f'id="{field}"')]
    assert before[before.rindex("<details") :].startswith("<details open>")
    assert page.count("<details open>") == 1
    assert state_of(desk, request_id) == "waiting"
