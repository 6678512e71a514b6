"""The pages of the partners: invited, compared, approved, suspended and revoked in a browser, and published at once."""

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.test import TestResponse

from gateway.desk.keyring.publication import is_gateway_behind
from gateway.desk.office.organisations import list_partners
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.account_changes import list_changes
from gateway.desk.partners.enrolments import collect_enrolments
from partner_sdk.client.account import enrol, send_registration
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.enrolment import TEMPLATE, Invitation
from tests.desk.account_builders import Service
from tests.desk.desk_loop import ACTOR, FEED_ORIGIN, Loop
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.view_builders import Browser, Clock, has_fault_read_with

INVITED: dict[str, Any] = {"name": "Example Forum", "partner": "example-forum"}
READ_ALOUD: dict[str, Any] = {"read_aloud": "yes"}


def sign_in(desk: Desk) -> Browser:
    browser = Browser(desk).sign_in("p-manager", [Role.PARTNER_MANAGER])
    browser.get("/partners")
    return browser


def state_of(desk: Desk, partner: str) -> list[str]:
    with desk.store.read() as connection:
        return [row.state for row in list_partners(connection) if row.partner == partner]


def is_told(desk: Desk) -> bool:
    with desk.store.read() as connection:
        return not is_gateway_behind(connection, desk)


def read_invitation(answer: TestResponse) -> Invitation:
    shown = re.search(r'<pre class="to-copy"[^>]*>(.*?)</pre>', answer.text, re.DOTALL)
    assert shown is not None
    return parse_exact(html.unescape(shown[1]).encode(), kind=Invitation, max_bytes=4096)


def find_field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, name
    return found[1]


def test_the_whole_way_of_a_partner(loop: Loop, tmp_path: Path) -> None:
    desk, browser = loop.desk, sign_in(loop.desk)
    invited = browser.post("/partners", **INVITED)
    invitation = read_invitation(invited)
    assert invitation.partner == INVITED["partner"]
    assert invitation.secret not in browser.get("/partners").text  # shown once
    assert state_of(desk, INVITED["partner"]) == ["invited"]

    # The gateway knows the invitation already.
    service = Service(loop, tmp_path / "forum", INVITED["partner"])
    enrol(invitation, folder=service.folder, session=service.session, clock=loop.clock)
    collect_enrolments(desk, desk.make_feed(), actor=ACTOR)
    address = f"/partners/{INVITED['partner']}"
    page = browser.get(address).text
    key_id = find_field(page, "key_id")
    assert f"<code>{key_id}</code>" in page

    refused = browser.post(f"{address}/approve", key_id=key_id)
    assert refused.status_code == 409
    assert "Call the partner at a number that you knew before" in refused.text
    assert state_of(desk, INVITED["partner"]) == ["waiting"]
    other = browser.post(f"{address}/approve", key_id="of-another", **READ_ALOUD)
    assert "has enrolled again since you looked" in other.text
    assert browser.post(f"{address}/approve", key_id=key_id, **READ_ALOUD).status_code == 303
    assert (state_of(desk, INVITED["partner"]), is_told(desk)) == (["active"], True)

    for action, state in (("suspend", "suspended"), ("revoke", "revoked")):
        assert browser.post(f"{address}/{action}").status_code == 303
        assert (state_of(desk, INVITED["partner"]), is_told(desk)) == ([state], True)
        assert f">{state.capitalize()}</span>" in browser.get(address).text


def test_new_keys_are_accepted_only_once_their_ids_were_compared(service: Service) -> None:
    desk, browser = service.loop.desk, sign_in(service.loop.desk)
    service.rotate()
    service.take_changes()
    page = browser.get(f"/partners/{service.partner}").text
    change_id = find_field(page, "change_id")
    assert "It asks for new keys" in page
    refused = browser.post(f"/partners/{service.partner}/accept", change_id=change_id)
    assert refused.status_code == 409
    assert browser.post(f"/partners/{service.partner}/accept", change_id=change_id, **READ_ALOUD).status_code == 303
    assert is_told(desk)
    page = browser.get(f"/partners/{service.partner}").text
    assert re.search(r"Former key</dt><dd><code>[^<]+</code> ends", page)
    former = re.findall(r'<option value="([^"]+)">[^<]+, a former key', page)
    kept: dict[str, Any] = {"key_id": former[0], "keep_successor": "yes"}
    assert browser.post(f"/partners/{service.partner}/revoke", **kept).status_code == 303
    assert state_of(desk, service.partner) == ["active"]
    assert "revoked" in browser.get(f"/partners/{service.partner}").text


def test_newest_registration_is_shown_with_what_it_lacks_and_replaces_the_older(service: Service) -> None:
    browser = sign_in(service.loop.desk)
    older = send_registration(service.open(), TEMPLATE, now=service.loop.clock())
    service.loop.clock.advance(minutes=1)
    bare = msgspec.structs.replace(TEMPLATE, administrator=None, replacement=None)
    newer = send_registration(service.open(), bare, now=service.loop.clock())
    service.take_changes()
    address = f"/partners/{service.partner}"
    page = browser.get(address).text
    assert (find_field(page, "change_id"), older.change_id in page) == (newer.change_id, False)
    for words in ("1 older ones wait too", "Missing: administrator.", "Missing: replacement."):
        assert words in page
    assert "M. Moderator, Senior moderator, moderator@chat.example" in page
    assert "2 changes wait" in browser.get("/partners").text
    assert browser.post(f"{address}/accept", change_id=newer.change_id).status_code == 303
    assert "Missing: administrator." in browser.get(address).text
    again = browser.post(f"{address}/accept", change_id=older.change_id)
    assert (again.status_code, "A later change was accepted" in again.text) == (409, True)


@pytest.mark.parametrize("decision", ["accept", "refuse"])
def test_registration_is_read_and_decided(service: Service, decision: str) -> None:
    desk, browser = service.loop.desk, sign_in(service.loop.desk)
    send_registration(service.open(), TEMPLATE, now=service.loop.clock())
    service.take_changes()
    address = f"/partners/{service.partner}"
    page = browser.get(address).text
    assert "It asks to register" in page
    change_id = find_field(page, "change_id")
    if decision == "refuse":
        unsaid = browser.post(f"{address}/refuse", change_id=change_id)
        assert unsaid.status_code == 409
        assert has_fault_read_with(unsaid.text, f"why-{change_id}")
    assert browser.post(f"{address}/{decision}", change_id=change_id, why="more-needed").status_code == 303
    with desk.store.read() as connection:
        (change,) = list_changes(connection, with_decided=True)
    assert change.state == f"{decision}{'ed' if decision == 'accept' else 'd'}"
    assert ("Nothing is registered yet" in browser.get(address).text) is (decision == "refuse")
    again = browser.post(f"{address}/{decision}", change_id=change_id, why="more-needed")
    assert again.status_code == 409


def test_a_decision_stands_while_the_gateway_is_away_and_is_published_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, browser = service.loop.desk, sign_in(service.loop.desk)
    with monkeypatch.context() as away:
        away.delitem(desk.session.adapters, FEED_ORIGIN)
        assert browser.post(f"/partners/{service.partner}/suspend").status_code == 303
        assert state_of(desk, service.partner) == ["suspended"]
        assert "The gateway does not have the newest register" in browser.get("/partners").text
        failed = browser.post("/partners/publish")
        assert failed.status_code == 409
        assert not is_told(desk)
    assert browser.post("/partners/publish").status_code == 303
    assert is_told(desk)
    assert "The gateway does not have" not in browser.get("/partners").text


def test_an_invitation_is_ended(loop: Loop) -> None:
    browser = sign_in(loop.desk)
    browser.post("/partners", **INVITED)
    address = f"/partners/{INVITED['partner']}"
    assert browser.post(f"{address}/end-invitation").status_code == 303
    assert state_of(loop.desk, INVITED["partner"]) == []
    assert browser.post(f"{address}/end-invitation").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"partner": "Not An Id"}, "partner"),
        ({"name": ""}, "name"),
        ({"name": "…"}, "name"),
        ({"type": "police"}, "country"),
        ({"type": "police", "country": "gb"}, "country"),
        ({"country": "GB"}, "country"),
    ],
)
def test_a_fault_of_the_form_comes_back_at_its_field(desk: Desk, changes: dict[str, Any], field: str) -> None:
    answer = sign_in(desk).post("/partners", **(INVITED | changes))
    assert answer.status_code == 409
    assert has_fault_read_with(answer.text, field)


@pytest.mark.parametrize("action", ["approve", "suspend", "revoke", "accept"])
def test_decisions_about_keys_need_a_fresh_touch(desk: Desk, clock: Clock, action: str) -> None:
    browser = sign_in(desk)
    clock.now += timedelta(minutes=6)
    answer = browser.post(f"/partners/{PARTNER}/{action}", **READ_ALOUD)
    assert answer.status_code == 401
    assert state_of(desk, PARTNER) == ["active"]
