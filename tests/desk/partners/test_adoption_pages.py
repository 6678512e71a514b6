"""The pages of services that ask: sealed until opened, every deed behind a token, and no mail that the desk sends."""

import html
import re

import msgspec
import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from gateway.desk.partners.adoptions import AdoptionError, get_adoption
from gateway.desk.placements.register import list_placements
from gateway.desk.store.placement_tables import ADOPTION_REQUESTS
from gateway.desk.wiring import Desk
from partner_sdk.wire.adoption import format_request_number
from partner_sdk.wire.canonical import make_report_id
from tests.builders import NOW
from tests.desk.adoption_builders import CALLED, MARKED, MARKER, add_waiting, list_actions
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.view_builders import Browser, has_fault_read_with
from tests.gateway.adoption_builders import make_id

PLACE = {
    "owner": CALLED,
    "surface": "profile",
    "address": "https://chat.example/people/*",
    "position": "Under the name",
}


def read(answer: TestResponse) -> str:
    return html.unescape(answer.get_data(as_text=True))


def open_page(browser: Browser, request_id: str) -> str:
    browser.get(f"/adoption/{request_id}")
    return read(browser.post(f"/adoption/{request_id}/open"))


def find_linked(page: str) -> list[str]:
    """Return the fields that the faults link to; each is there, in an open fold, and read with its fault."""
    fields = re.findall(r'<li><a href="#([\w-]+)">', page)
    for field in fields:
        assert has_fault_read_with(page, field), field
        before = page[: page.index(f'id="{field}"')]
        assert before[before.rindex("<details") :].startswith("<details open>"), field
    return fields


def state_of(desk: Desk, request_id: str) -> str:
    with desk.store.read() as connection:
        return get_adoption(connection, request_id).state


def test_list_shows_what_waits_and_no_word_of_who_asks(desk: Desk, browser: Browser) -> None:
    waiting, declined = add_waiting(desk, 1), add_waiting(desk, 2, state="declined")

    page = read(browser.get("/adoption"))
    assert (waiting in page, declined in page, "<b>1</b> waits" in page) == (True, False, True)
    everything = read(browser.get("/adoption?show=all"))
    assert (waiting in everything, declined in everything) == (True, True)
    for text in (MARKER, MARKED.organisation, MARKED.contact_email):
        assert text not in page + everything
    assert "Requests for the button</a> (1 waiting)" in read(browser.get("/placements"))
    assert '<a href="/adoption">Request for the button <b>1</b></a>' in read(browser.get("/"))


def test_request_is_found_by_the_number_that_its_sender_quotes(desk: Desk, browser: Browser) -> None:
    first, other = add_waiting(desk, 1), add_waiting(desk, 2)
    number = format_request_number(first)

    assert number in read(browser.get("/adoption"))
    page = read(browser.get(f"/adoption/{number}"))
    assert (first in page, other in page) == (True, False)
    read(browser.post(f"/adoption/{number}/open"))
    assert [action for _, action in list_actions(desk, first)] == ["open-adoption"]
    assert browser.get("/adoption/ffff-ffff").status_code == 404


def test_number_of_two_requests_is_asked_for_whole(desk: Desk) -> None:
    first, second = (make_report_id(NOW, bytes([one, *range(9)])) for one in (1, 2))
    assert format_request_number(first) == format_request_number(second)
    for place, request_id in enumerate((first, second), 1):
        spoilt = add_waiting(desk, place)
        with desk.store.write() as connection:
            is_it = ADOPTION_REQUESTS.c.request_id == spoilt
            connection.execute(update(ADOPTION_REQUESTS).where(is_it).values(request_id=request_id))
    with desk.store.read() as connection, pytest.raises(AdoptionError, match="give the whole id"):
        get_adoption(connection, format_request_number(first))


def test_request_is_opened_by_a_post_and_that_is_noted(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    closed = read(browser.get(f"/adoption/{request_id}"))
    assert MARKER not in closed
    assert MARKED.organisation not in closed

    opened = open_page(browser, request_id)

    assert f"S. {MARKER}" in opened
    assert "The sender is not verified" in opened
    ((_, action),) = list_actions(desk, request_id)
    assert action == "open-adoption"


def test_place_is_agreed_and_the_mail_is_shown_to_be_sent_by_hand(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)

    page = read(browser.post(f"/adoption/{request_id}/agree", **PLACE))

    with desk.store.read() as connection:
        (row,) = list_placements(connection, owner=CALLED)
    assert f"?from={row.placement}" in page
    assert f"report-abuse-partner button snippet --origin {desk.config.gateway_origin}" in page
    assert "send it yourself" in page
    assert page.index("what was decided here has no effect there") < page.index("To send to the service")
    assert state_of(desk, request_id) == "agreed"


def test_page_of_an_agreed_request_leads_to_the_end_of_its_invitation(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    browser.post(f"/adoption/{request_id}/invite", owner=CALLED)
    browser.post(f"/adoption/{request_id}/agree", **PLACE)

    page = open_page(browser, request_id)

    assert f'It can still enrol. <a href="/partners/{CALLED}">End its invitation</a>' in page


def test_same_place_is_not_agreed_twice_from_the_page(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    browser.post(f"/adoption/{request_id}/agree", **PLACE)

    again = browser.post(f"/adoption/{request_id}/agree", **PLACE)

    assert (again.status_code, f"{CALLED}-profile is already agreed there" in read(again)) == (409, True)
    with desk.store.read() as connection:
        assert len(list_placements(connection, owner=CALLED)) == 1


def test_what_is_missing_is_said_and_what_was_typed_stays(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)

    answer = browser.post(f"/adoption/{request_id}/agree", **(PLACE | {"surface": "", "position": " "}))

    page = read(answer)
    assert answer.status_code == 409
    assert find_linked(page) == ["agree-surface", "agree-position"]
    assert 'value="https://chat.example/people/*"' in page
    assert state_of(desk, request_id) == "waiting"


def test_invitation_is_shown_once_apart_from_the_mail(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)

    answer = browser.post(f"/adoption/{request_id}/invite", owner=CALLED)

    page = read(answer)
    (secret,) = re.findall(r'"secret":"([\w-]+)"', page)
    assert page.count(secret) == 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret not in open_page(browser, request_id)
    assert "already known here as" not in page
    refused = browser.post(f"/adoption/{add_waiting(desk, 2)}/invite", owner=PARTNER)
    assert (refused.status_code, "is already a partner" in read(refused)) == (409, True)


def test_request_is_declined_with_the_reason(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    assert browser.post(f"/adoption/{request_id}/decline", why="").status_code == 409
    assert state_of(desk, request_id) == "waiting"

    page = read(browser.post(f"/adoption/{request_id}/decline", why="You asked twice."))

    assert "You asked twice." in page
    assert state_of(desk, request_id) == "declined"
    assert "Agree a place" not in page


def test_request_that_does_not_open_can_be_declined_on_its_page(desk: Desk, browser: Browser) -> None:
    service = msgspec.structs.replace(MARKED, surfaces=("chat",))
    request_id = add_waiting(desk, service=service)
    for file in desk.paths.keys.glob("sealing-*.key"):
        file.unlink()

    page = open_page(browser, request_id)

    assert "cannot be read" in page
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


@pytest.mark.parametrize("deed", ["open", "agree", "invite", "decline"])
def test_deed_without_a_token_or_a_session_does_nothing(deed: str, desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    fields = {**PLACE, "why": "No."}

    assert browser.post(f"/adoption/{request_id}/{deed}", token="stale", **fields).status_code == 400
    stranger = Browser(desk)
    stranger.get("/adoption")
    assert stranger.post(f"/adoption/{request_id}/{deed}", **fields).status_code in {400, 401}

    assert state_of(desk, request_id) == "waiting"
    assert list_actions(desk, request_id) == []


@pytest.mark.parametrize("deed", ["", "/open", "/agree", "/invite", "/decline"])
def test_unknown_request_is_not_found(deed: str, browser: Browser) -> None:
    browser.get("/adoption")
    path = f"/adoption/{make_id(77)}{deed}"
    answer = browser.post(path, **PLACE) if deed else browser.get(path)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("deed", "fields", "linked"),
    [
        ("agree", {"owner": "Chat 1"}, ["agree-owner"]),
        ("agree", {"owner": PARTNER, "known_owner": ""}, ["agree-owner"]),
        ("agree", {"surface": "nowhere"}, ["agree-surface"]),
        ("agree", {"address": "http://chat.example/people"}, ["agree-address"]),
        ("agree", {"look_at": "https://other.example/people/7"}, ["agree-look_at"]),
        ("agree", {"link_id": "a b"}, ["agree-link_id"]),
        ("agree", {"position": "x" * 500}, ["agree-position"]),
        ("agree", {"service": "x" * 500}, ["agree-service"]),
        ("agree", {"owner": "", "surface": "", "address": "", "position": ""}, [f"agree-{name}" for name in PLACE]),
        ("invite", {"owner": ""}, ["invite-owner"]),
        ("invite", {"owner": "Chat 1"}, ["invite-owner"]),
        ("invite", {"owner": PARTNER}, ["invite-owner"]),
        ("decline", {"why": ""}, ["decline-why"]),
    ],
)
def test_each_fault_links_to_its_field_in_an_open_fold(
    desk: Desk, browser: Browser, deed: str, fields: dict[str, str], linked: list[str]
) -> None:
    request_id = add_waiting(desk)
    open_page(browser, request_id)
    sent = PLACE | {"known_owner": "yes"} | fields
    answer = browser.post(f"/adoption/{request_id}/{deed}", **sent)
    assert answer.status_code == 409
    page = read(answer)
    assert find_linked(page) == linked
    assert page.count("<details open>") == 1
    boxes = re.findall(r'name="known_owner" value="yes"( checked)?', page)
    assert boxes == [" checked" if deed == form and sent["known_owner"] else "" for form in ("agree", "invite")]
