"""Requests that no key of the desk opens are declined together: counted first, never one that can be read."""

import html
import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.desk.cli import main
from gateway.desk.commands.frame import DONE, LOOK, WRONG_USE
from gateway.desk.partnership.adoption_clearing import decline_unreadable, get_unreadable
from gateway.desk.partnership.adoption_decisions import decline_adoption
from gateway.desk.partnership.adoptions import AdoptionError, get_adoption, open_adoption
from gateway.desk.store.adoption_tables import ADOPTION_REQUESTS
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault import SEALING_KEY_FILES
from gateway.desk.wiring import Desk
from tests.desk.adoption_builders import CALLED, add_waiting, list_actions
from tests.desk.view_builders import Browser, Clock, make_test_desk
from tests.gateway.adoption_builders import make_id

WHY = "Sealed to no key of ours."


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


@pytest.fixture
def browser(desk: Desk) -> Browser:
    return Browser(desk).sign_in()


def spoil(desk: Desk, number: int, envelope: bytes = b"not a box") -> str:
    """Add a request that waits and does not open."""
    request_id = add_waiting(desk, number)
    with desk.store.write() as connection:
        is_it = ADOPTION_REQUESTS.c.request_id == request_id
        connection.execute(update(ADOPTION_REQUESTS).where(is_it).values(envelope=envelope))
    return request_id


def envelope_of(desk: Desk, request_id: str) -> bytes:
    with desk.store.read() as connection:
        query = select(ADOPTION_REQUESTS.c.envelope).where(ADOPTION_REQUESTS.c.request_id == request_id)
        return bytes(connection.execute(query).scalar_one())


def state_of(desk: Desk, request_id: str) -> str:
    with desk.store.read() as connection:
        return get_adoption(connection, request_id).state


def test_all_that_do_not_open_are_declined_and_all_that_do_stay(desk: Desk) -> None:
    readable = add_waiting(desk, 1)
    other_id = spoil(desk, 2, envelope_of(desk, readable))
    spoiled = [other_id, spoil(desk, 3), spoil(desk, 4, b""), spoil(desk, 5, "\N{SNOWMAN}".encode())]
    invited = add_waiting(desk, 6, state="invited")

    found = get_unreadable(desk)
    assert (found.count, found.waiting, found.key_missing) == (4, 5, 0)
    assert list(found.reasons) == spoiled

    assert decline_unreadable(desk, confirmed=4, reason=WHY, actor="A. Analyst") == 4

    assert [state_of(desk, one) for one in spoiled] == ["declined"] * 4
    assert (state_of(desk, readable), state_of(desk, invited)) == ("waiting", "invited")
    with desk.store.read() as connection:
        line = get_adoption(connection, other_id)
        entry = connection.execute(select(AUDIT).where(AUDIT.c.subject == other_id)).one()
    assert (line.reason, line.decided_by, line.owner) == (WHY, "A. Analyst", None)
    assert (entry.actor, entry.action) == ("A. Analyst", "decline-adoption")
    assert json.loads(entry.detail) == {"owner": None, "together_with": 4, "unreadable": "does-not-open"}
    assert list_actions(desk, readable) == []
    open_adoption(desk, readable, actor="A. Analyst")


def test_box_for_somebody_elses_key_counts_and_one_whose_key_file_is_missing_never_does(desk: Desk) -> None:
    ours = add_waiting(desk, 1)
    raw = bytearray(envelope_of(desk, ours))
    # The key id stands behind the first byte of an envelope: another one is nobody's.
    raw[4:8] = b"AAAA"
    spoil(desk, 2, bytes(raw))
    assert get_unreadable(desk).count == 1

    for path in desk.paths.keys.glob(SEALING_KEY_FILES):
        path.rename(path.with_suffix(".away"))

    found = get_unreadable(desk)
    assert (found.count, found.waiting, found.key_missing) == (1, 2, 1)
    assert list(found.reasons.values()) == ["unknown-key"]
    assert decline_unreadable(desk, confirmed=1, reason=WHY, actor="test") == 1
    assert state_of(desk, ours) == "waiting"


@pytest.mark.parametrize(
    ("confirmed", "why", "reason"),
    [(1, WHY, "count-changed"), (3, WHY, "count-changed"), (0, WHY, "count-changed"), (2, " ", "no-reason")],
)
def test_nothing_is_declined_unless_the_number_and_the_reason_are_said(
    confirmed: int, why: str, reason: str, desk: Desk
) -> None:
    spoiled = [spoil(desk, 1), spoil(desk, 2)]

    with pytest.raises(AdoptionError) as caught:
        decline_unreadable(desk, confirmed=confirmed, reason=why, actor="test")

    assert caught.value.reason == reason
    assert [state_of(desk, one) for one in spoiled] == ["waiting", "waiting"]
    assert [list_actions(desk, one) for one in spoiled] == [[], []]


def test_requests_that_can_all_be_read_are_not_declined_together(desk: Desk) -> None:
    readable = add_waiting(desk)

    with pytest.raises(AdoptionError) as caught:
        decline_unreadable(desk, confirmed=1, reason=WHY, actor="test")

    assert caught.value.reason == "nothing-unreadable"
    assert state_of(desk, readable) == "waiting"


def test_command_counts_first_and_declines_that_many(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    add_waiting(desk, 1)
    spoiled = [spoil(desk, 2), spoil(desk, 3)]
    words = ("adoption", "decline-unreadable", "--state", str(desk.paths.state), "--as", "alex", "--why", WHY)

    assert main(words) == LOOK
    said = capsys.readouterr().out
    assert "2 of the 3 that wait can not be read." in said
    assert "--confirm 2" in said
    assert [state_of(desk, one) for one in spoiled] == ["waiting", "waiting"]
    assert main([*words, "--confirm", "1"]) == WRONG_USE
    assert main([*words, "--confirm", "2"]) == DONE
    assert "2 requests are declined." in capsys.readouterr().out
    assert list_actions(desk, spoiled[0]) == [("alex", "decline-adoption")]
    assert main([*words, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out) == {"key_missing": 0, "unreadable": {}, "waiting": 1}


def test_page_says_how_many_before_and_after(desk: Desk, browser: Browser) -> None:
    readable, spoiled = add_waiting(desk, 1), [spoil(desk, 2), spoil(desk, 3)]
    assert 'href="/adoption/unreadable"' in browser.get("/adoption").text

    page = browser.get("/adoption/unreadable").text
    assert "2 of the 3 that wait can not be read." in page
    assert "Decline these 2</button>" in page

    assert browser.post("/adoption/unreadable", count="3", why=WHY).status_code == 409
    browser.get("/adoption/unreadable")
    assert browser.post("/adoption/unreadable", count="2", why="").status_code == 409
    assert {state_of(desk, one) for one in spoiled} == {"waiting"}

    browser.get("/adoption/unreadable")
    done = html.unescape(browser.post("/adoption/unreadable", count="2", why=WHY).text)
    assert "2 requests are declined." in done
    assert "Every request that waits can be read." in done
    assert "<form method" not in done.partition("<main")[2]
    assert (state_of(desk, readable), {state_of(desk, one) for one in spoiled}) == ("waiting", {"declined"})
    ((actor, action),) = list_actions(desk, spoiled[0])
    assert action == "decline-adoption"
    assert actor != "test"


def test_page_declines_nothing_without_a_token_or_a_session(desk: Desk, browser: Browser) -> None:
    spoiled = spoil(desk, 1)
    assert browser.post("/adoption/unreadable", token="stale", count="1", why=WHY).status_code == 400
    stranger = Browser(desk)
    assert "can not be read" not in stranger.get("/adoption/unreadable").text
    assert stranger.post("/adoption/unreadable", token=browser.token, count="1", why=WHY).status_code != 200
    assert state_of(desk, spoiled) == "waiting"


def test_declined_request_says_when_by_whom_and_why(desk: Desk) -> None:
    request_id = spoil(desk, 1)
    decline_adoption(desk, request_id, reason="It can not be read.", actor="A. Analyst")

    with pytest.raises(
        AdoptionError, match=r"declined on 2026-11-25 by A\. Analyst: It can not be read\. Nothing is left"
    ):
        decline_adoption(desk, request_id, reason="Again.", actor="test")
    with pytest.raises(AdoptionError, match="It is declined already: nothing is left to do"):
        open_adoption(desk, request_id, actor="test")


def test_agreed_request_names_its_places_where_they_are_ended(desk: Desk, browser: Browser) -> None:
    request_id = add_waiting(desk)
    browser.get(f"/adoption/{request_id}")
    browser.post(f"/adoption/{request_id}/open")
    place = {"surface": "profile", "address": "https://chat.example/people/*", "position": "Under the name"}
    browser.post(f"/adoption/{request_id}/agree", owner=CALLED, **place)

    with pytest.raises(AdoptionError, match=f'placement end {CALLED}-profile --reason "…"'):
        decline_adoption(desk, request_id, reason="Too late.", actor="test")
    assert f'href="/placement/{CALLED}-profile"' in browser.get(f"/adoption/{request_id}").text


def test_unknown_request_names_the_list_that_has_all(desk: Desk) -> None:
    with desk.store.read() as connection, pytest.raises(AdoptionError, match="adoption list --all"):
        get_adoption(connection, make_id(9))
