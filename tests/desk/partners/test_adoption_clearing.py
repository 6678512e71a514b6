"""Requests that no key of the desk opens are declined together: counted first, never one that can be read."""

import html
import json

import pytest
from sqlalchemy import select, update

from gateway.desk.cli import main
from gateway.desk.partners import adoption_clearing
from gateway.desk.partners.adoption_clearing import decline_unreadable, get_unreadable
from gateway.desk.partners.adoption_decisions import decline_adoption
from gateway.desk.partners.adoptions import AdoptionError, get_adoption, open_adoption
from gateway.desk.placements.agreeing import end_placement, suspend_placement
from gateway.desk.store.key_tables import SEALING_KEYS
from gateway.desk.store.placement_tables import ADOPTION_REQUESTS
from gateway.desk.store.schema import AUDIT
from gateway.desk.terminal import DONE, LOOK, WRONG_USE
from gateway.desk.vault.key_folder import SEALING_KEY_FILES
from gateway.desk.wiring import Desk
from partner_sdk.wire.adoption import adoption_context
from partner_sdk.wire.canonical import encode, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.keys import make_sealing_key
from partner_sdk.wire.sealing import seal
from tests.desk.adoption_builders import CALLED, MARKED, add_waiting, list_actions
from tests.desk.people_builders import ACTOR
from tests.desk.view_builders import Browser
from tests.gateway.adoption_builders import make_id, make_request

WHY = "Sealed to no key of ours."


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


def add_newer(desk: Desk, number: int) -> str:
    """Add an honest request of a newer release, with an answer that this desk does not know."""
    raw = encode(make_request(number, service=MARKED))
    return add_sealed(desk, number, raw.replace(b'"many_children"', b'"schools_only"'))


def add_sealed(desk: Desk, number: int, raw: bytes) -> str:
    """Add a correctly sealed request to this desk, with any content."""
    request_id = make_id(number)
    with desk.store.read() as connection:
        row = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.quarter == "2026-Q4")).one()
    key = make_sealing_key(
        bytes(row.public_key),
        not_before=parse_time(row.not_before),
        seal_until=parse_time(row.seal_until),
        open_until=parse_time(row.open_until),
        state="active",
    )
    sealed = seal(raw, key=key, context=adoption_context(environment="live", request_id=request_id))
    return spoil(desk, number, to_base64url(sealed.to_bytes()).encode())


def state_of(desk: Desk, request_id: str) -> str:
    with desk.store.read() as connection:
        return get_adoption(connection, request_id).state


def test_all_that_do_not_open_are_declined_and_all_that_do_stay(desk: Desk) -> None:
    readable = add_waiting(desk, 1)
    other_id = spoil(desk, 2, envelope_of(desk, readable))
    spoiled = [other_id, spoil(desk, 3), spoil(desk, 4, b""), spoil(desk, 5, "\N{SNOWMAN}".encode())]
    invited = add_waiting(desk, 6, state="invited")

    found = get_unreadable(desk, actor="test")
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


def test_box_for_a_foreign_key_counts_and_one_with_a_missing_key_file_never_does(desk: Desk) -> None:
    ours = add_waiting(desk, 1)
    raw = bytearray(envelope_of(desk, ours))
    # The key id stands behind the first byte of an envelope: another one is nobody's.
    raw[4:8] = b"AAAA"
    spoil(desk, 2, bytes(raw))
    assert get_unreadable(desk, actor="test").count == 1

    for path in desk.paths.keys.glob(SEALING_KEY_FILES):
        path.rename(path.with_suffix(".away"))

    found = get_unreadable(desk, actor="test")
    assert (found.count, found.waiting, found.key_missing) == (1, 2, 1)
    assert list(found.reasons.values()) == ["unknown-key"]
    assert decline_unreadable(desk, confirmed=1, reason=WHY, actor="test") == 1
    assert state_of(desk, ours) == "waiting"


def test_damaged_key_file_makes_nothing_declinable(desk: Desk) -> None:
    ours = [add_waiting(desk, 1), add_waiting(desk, 2)]
    for path in desk.paths.keys.glob(SEALING_KEY_FILES):
        raw = path.read_bytes()
        secret = json.loads(raw)["secret"]
        other = to_base64url(bytes(len(parse_base64url(secret))))
        path.write_bytes(raw.replace(secret.encode(), other.encode()))

    found = get_unreadable(desk, actor="test")

    assert (found.count, found.waiting, found.key_missing) == (0, 2, 2)
    with pytest.raises(AdoptionError):
        decline_unreadable(desk, confirmed=2, reason=WHY, actor="test")
    assert [state_of(desk, one) for one in ours] == ["waiting", "waiting"]


def test_page_says_what_is_wrong_with_a_key_file_that_cannot_be_used(desk: Desk, browser: Browser) -> None:
    spoiled = spoil(desk, 1)
    path = min(desk.paths.keys.glob(SEALING_KEY_FILES))
    path.chmod(0o644)

    page = browser.get("/adoption/unreadable")
    assert page.status_code == 409
    assert path.name in page.text
    assert "<form method" not in page.text.partition("<main")[2]

    path.chmod(0o600)
    browser.get("/adoption/unreadable")
    path.chmod(0o644)
    assert browser.post("/adoption/unreadable", count="1", why=WHY).status_code == 409
    assert state_of(desk, spoiled) == "waiting"


@pytest.mark.parametrize(
    ("confirmed", "why", "reason"),
    [
        (1, WHY, "count-changed"),
        (3, WHY, "count-changed"),
        (0, WHY, "count-changed"),
        (2, " ", "no-reason"),
        (2, "…", "no-reason"),
    ],
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


def test_request_of_a_newer_release_is_counted_apart_and_never_declined_together(
    desk: Desk, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = add_newer(desk, 1)
    words = ("adoption", "decline-unreadable", "--state", str(desk.paths.state), "--why", WHY)
    told = "1 opens, but this desk does not understand it: a newer release may have sent it. Update this desk"

    assert main(words) == DONE
    said = capsys.readouterr().out
    assert told in said
    assert newer in said
    page = browser.get("/adoption/unreadable").text
    assert told in page
    assert f'href="/adoption/{newer}"' in page
    assert "<form method" not in page.partition("<main")[2]
    with pytest.raises(AdoptionError) as caught:
        decline_unreadable(desk, confirmed=1, reason=WHY, actor="test")
    assert caught.value.reason == "nothing-unreadable"

    second, spoiled = add_newer(desk, 2), spoil(desk, 3)
    found = get_unreadable(desk, actor="test")
    assert (found.not_understood, list(found.reasons), found.waiting) == ((newer, second), [spoiled], 3)
    assert main([*words, "--json"]) == LOOK
    assert json.loads(capsys.readouterr().out)["not_understood"] == [newer, second]
    assert "2 open, but this desk does not understand them" in browser.get("/adoption/unreadable").text
    assert decline_unreadable(desk, confirmed=1, reason=WHY, actor="test") == 1
    assert [state_of(desk, one) for one in (newer, second, spoiled)] == ["waiting", "waiting", "declined"]


def test_request_of_a_newer_release_says_what_to_do_and_is_declined_by_itself(desk: Desk) -> None:
    newer = add_newer(desk, 1)

    with pytest.raises(AdoptionError, match="opens, but this desk does not understand it") as caught:
        open_adoption(desk, newer, actor="test")

    assert caught.value.reason == "not-understood"
    assert f"update this desk, or decline it (`adoption decline {newer}`)" in str(caught.value)
    assert decline_adoption(desk, newer, reason=WHY, actor="test") is None
    assert state_of(desk, newer) == "declined"


def test_box_that_names_another_request_inside_is_declined_with_those_that_do_not_open(desk: Desk) -> None:
    liar = add_sealed(desk, 1, encode(make_request(2)))

    assert get_unreadable(desk, actor="test").reasons == {liar: "wrong-id"}


def test_one_that_was_decided_meanwhile_keeps_all_from_being_declined(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = [spoil(desk, 1), spoil(desk, 2)]
    found = get_unreadable(desk, actor="test")
    decline_adoption(desk, spoiled[1], reason="By hand.", actor="B. Analyst")
    monkeypatch.setattr(adoption_clearing, "get_unreadable", lambda _, **__: found)

    with pytest.raises(AdoptionError) as caught:
        decline_unreadable(desk, confirmed=2, reason=WHY, actor="test")

    assert caught.value.reason == "count-changed"
    assert state_of(desk, spoiled[0]) == "waiting"
    assert list_actions(desk, spoiled[0]) == []
    with desk.store.read() as connection:
        assert get_adoption(connection, spoiled[1]).reason == "By hand."


def test_command_counts_first_and_declines_that_many(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    add_waiting(desk, 1)
    spoiled = [spoil(desk, 2), spoil(desk, 3)]
    words = ("adoption", "decline-unreadable", "--state", str(desk.paths.state), "--why", WHY)

    assert main(words) == LOOK
    said = capsys.readouterr().out
    assert "2 of the 3 waiting requests cannot be read." in said
    assert "Why: not-canonical (2)." in said
    assert "--confirm 2" in said
    assert [state_of(desk, one) for one in spoiled] == ["waiting", "waiting"]
    assert main([*words, "--confirm", "1"]) == WRONG_USE
    assert main([*words, "--confirm", "2"]) == DONE
    assert "Declined 2 requests." in capsys.readouterr().out
    assert list_actions(desk, spoiled[0]) == [(ACTOR, "decline-adoption")]
    assert main([*words, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out) == {
        "key_missing": 0,
        "not_understood": [],
        "unreadable": {},
        "waiting": 1,
    }


def test_page_says_how_many_before_and_after(desk: Desk, browser: Browser) -> None:
    readable, spoiled = add_waiting(desk, 1), [spoil(desk, 2), spoil(desk, 3)]
    assert 'href="/adoption/unreadable"' in browser.get("/adoption").text

    page = browser.get("/adoption/unreadable").text
    assert "2 of the 3 waiting requests cannot be read." in page
    assert "Why: not-canonical (2)." in page
    assert "Decline these 2</button>" in page

    assert browser.post("/adoption/unreadable", count="3", why=WHY).status_code == 409
    browser.get("/adoption/unreadable")
    assert browser.post("/adoption/unreadable", count="2", why="").status_code == 409
    assert {state_of(desk, one) for one in spoiled} == {"waiting"}

    browser.get("/adoption/unreadable")
    done = html.unescape(browser.post("/adoption/unreadable", count="2", why=WHY).text)
    assert "Declined 2 requests." in done
    assert "Every waiting request can be read." in done
    assert "<form method" not in done.partition("<main")[2]
    assert (state_of(desk, readable), {state_of(desk, one) for one in spoiled}) == ("waiting", {"declined"})
    ((actor, action),) = list_actions(desk, spoiled[0])
    assert action == "decline-adoption"
    assert actor != "test"


def test_page_declines_nothing_without_a_token_or_a_session(desk: Desk, browser: Browser) -> None:
    spoiled = spoil(desk, 1)
    assert browser.post("/adoption/unreadable", token="stale", count="1", why=WHY).status_code == 400
    stranger = Browser(desk)
    shown = stranger.get("/adoption/unreadable")
    assert (shown.status_code, "You are not signed in" in shown.text) == (401, True)
    assert "cannot be read" not in shown.text
    # A token is of one session: that of somebody who is signed in is none for a stranger.
    sent = stranger.post("/adoption/unreadable", token=browser.token, count="1", why=WHY)
    assert (sent.status_code, "The page is too old, or the form came from another site" in sent.text) == (400, True)
    assert state_of(desk, spoiled) == "waiting"


def test_declined_request_shows_time_person_and_reason(desk: Desk) -> None:
    request_id = spoil(desk, 1)
    decline_adoption(desk, request_id, reason="It cannot be read.", actor="A. Analyst")

    with pytest.raises(
        AdoptionError, match=r"declined on 2026-11-25 by A\. Analyst \(It cannot be read\.\)\. There is nothing left"
    ):
        decline_adoption(desk, request_id, reason="Again.", actor="test")
    with pytest.raises(AdoptionError, match="It is already declined: there is nothing left to do"):
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

    browser.get(f"/adoption/{request_id}")
    elsewhere = {**place, "address": "https://chat.example/members/*"}
    browser.post(f"/adoption/{request_id}/agree", owner=CALLED, **elsewhere)
    end_placement(desk, f"{CALLED}-profile", reason="Gone.", actor="test")
    with pytest.raises(AdoptionError, match=f'placement end {CALLED}-profile-2 --reason "…"'):
        decline_adoption(desk, request_id, reason="Too late.", actor="test")

    suspend_placement(desk, f"{CALLED}-profile-2", reason="Gone.", actor="test")
    with pytest.raises(AdoptionError) as caught:
        decline_adoption(desk, request_id, reason="Too late.", actor="test")
    assert "placement end" not in str(caught.value)
    assert f"in the register: {CALLED}-profile (ended), {CALLED}-profile-2 (suspended)." in str(caught.value)


def test_unknown_request_names_the_list_that_has_all(desk: Desk) -> None:
    with desk.store.read() as connection, pytest.raises(AdoptionError, match="adoption list --all"):
        get_adoption(connection, make_id(9))
