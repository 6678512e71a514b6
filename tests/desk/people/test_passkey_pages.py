"""The desk's pages of passkeys, without a browser: sign-in, links, touches, locked sessions, recovery."""

import re
import secrets
from datetime import timedelta

import msgspec
import pytest
from werkzeug.test import TestResponse

from gateway.demo.soft_passkey import SoftPasskey
from gateway.desk.alarms import list_alarms
from gateway.desk.app import make_desk_app
from gateway.desk.people.passkeys import list_passkeys
from gateway.desk.people.permissions import Role
from gateway.desk.people.releases import verify_release
from gateway.desk.store.schema import AUDIT
from gateway.desk.wiring import Desk
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import ORIGIN, Browser, Clock

ANALYST, FIRST, SECOND = "a-okafor", "b-singh", "c-davies"


@pytest.fixture
def people(desk: Desk) -> Desk:
    """A live desk with an analyst and two supervisors."""
    with desk.store.write() as connection:
        for person, role in ((ANALYST, Role.ANALYST), (FIRST, Role.SUPERVISOR), (SECOND, Role.SUPERVISOR)):
            ensure_person(connection, person, [role])
    return desk


def enter(desk: Desk, person: str) -> tuple[Browser, SoftPasskey]:
    browser = Browser(desk)
    browser.passkey = browser.register(browser.make_link(person))
    return browser, browser.passkey


def sign_in(browser: Browser, passkey: SoftPasskey) -> TestResponse:
    browser.get("/sign-in")
    browser.passkey = passkey
    return browser.touch("/sign-in/begin", "/sign-in")


def touch(browser: Browser, passkey: SoftPasskey) -> TestResponse:
    browser.passkey = passkey
    return browser.touch("/touch/begin", "/touch")


def test_link_registers_a_passkey_once_and_the_passkey_signs_in(people: Desk) -> None:
    link = Browser(people).make_link(ANALYST)
    browser = Browser(people)
    page = browser.get(link).text
    assert "A Okafor (a-okafor)" in page
    assert "Sign in without a passkey" not in page
    passkey = browser.register(link)
    assert "blue key" in browser.get("/passkeys").text
    assert browser.get(link).status_code == 401
    other = Browser(people)
    assert other.get("/").status_code == 401
    assert sign_in(other, passkey).status_code == 303
    assert "A Okafor" in other.get("/").text


def test_second_link_registers_nothing_for_a_person_who_has_a_passkey_by_now(people: Desk) -> None:
    enter(people, FIRST)
    enter(people, SECOND)
    browser, unused = Browser(people), Browser(people).make_link(ANALYST)
    browser.get(unused)
    begun = browser.begin(f"{unused}/begin")
    enter(people, ANALYST)
    answer = SoftPasskey(ORIGIN, random=secrets.token_bytes).register(begun["options"])
    said = browser.post(f"{unused}/register", statement=begun["statement"], answer=answer, label="another key")
    assert (said.status_code, "Two supervisors recover lost ones" in said.text) == (401, True)
    assert browser.get("/").status_code == 401
    with people.store.read() as connection:
        assert [one.label for one in list_passkeys(connection, ANALYST)] == ["blue key"]


def test_link_of_a_live_desk_signs_nobody_in(people: Desk) -> None:
    browser, link = Browser(people), Browser(people).make_link(ANALYST)
    browser.get(link)
    said = browser.post(link)
    assert (said.status_code, "it signs nobody in" in said.text) == (409, True)
    assert browser.get("/").status_code == 401
    assert browser.get(link).status_code == 200  # it is not used up


def test_link_of_a_demonstration_may_sign_in(people: Desk) -> None:
    demonstration = msgspec.structs.replace(people.config, demonstration=True)
    desk = Desk(**{name: getattr(people, name) for name in Desk.__slots__} | {"config": demonstration})
    browser, link = Browser(desk), Browser(desk).make_link(ANALYST)
    assert "Sign in without a passkey" in browser.get(link).text
    assert browser.post(link).status_code == 303
    assert "You have none yet" in browser.get("/passkeys").text


def test_replayed_sign_in_is_refused(people: Desk) -> None:
    _, passkey = enter(people, ANALYST)
    browser = Browser(people)
    browser.get("/sign-in")
    found = browser.begin("/sign-in/begin")
    form = {"statement": found["statement"], "answer": passkey.touch(found["options"])}
    # In another browser, which was asked for no such touch.
    thief = Browser(people)
    thief.get("/sign-in")
    assert thief.post("/sign-in", **form).status_code == 401
    assert browser.post("/sign-in", **form).status_code == 303
    browser.get("/passkeys")
    again = browser.post("/sign-in", **form)
    assert (again.status_code, browser.get("/").status_code) == (401, 200)


def test_sign_in_after_five_minutes_is_refused(people: Desk, clock: Clock) -> None:
    _, passkey = enter(people, ANALYST)
    browser = Browser(people)
    browser.get("/sign-in")
    found = browser.begin("/sign-in/begin")
    clock.now += timedelta(minutes=5)
    said = browser.post("/sign-in", statement=found["statement"], answer=passkey.touch(found["options"]))
    assert (said.status_code, "longer than five minutes" in said.text) == (401, True)


def test_passkey_that_counts_backwards_is_refused_with_an_alarm(people: Desk) -> None:
    browser, passkey = enter(people, ANALYST)
    assert touch(browser, passkey).status_code == 200
    passkey.counter = 0
    said = touch(browser, passkey)
    assert (said.status_code, "may have been copied" in said.text) == (409, True)
    with people.store.read() as connection:
        assert [one.kind for one in list_alarms(connection)] == ["passkey-copied"]


def test_made_up_passkey_fills_no_audit_log(people: Desk) -> None:
    stranger = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    assert sign_in(Browser(people), stranger).status_code == 401
    with people.store.read() as connection:
        assert connection.execute(AUDIT.select().where(AUDIT.c.action == "refuse-touch")).all() == []


def test_session_is_locked_after_15_minutes_and_a_touch_brings_back_what_was_typed(people: Desk, clock: Clock) -> None:
    browser, passkey = enter(people, ANALYST)
    clock.now += timedelta(minutes=15)
    typed = "Typed <b>\r\n\u202eand \u200bkept\n"
    page = browser.post("/cases/x/reply/preview", reply_text=typed, csrf_token=browser.token)
    assert (page.status_code, "The desk is locked" in page.text) == (401, True)
    kept = "Typed &lt;b&gt;\r\n\u202eand \u200bkept\n"
    assert f'<input type="hidden" name="reply_text" value="{kept}">' in page.text
    assert 'action="/cases/x/reply/preview"' in page.text
    assert "Cases</a>" not in page.text
    # A page that was only looked at comes back with its address.
    page = browser.get("/?state=closed")
    assert (page.status_code, 'name="state" value="closed"' in page.text) == (401, True)
    assert touch(browser, passkey).status_code == 200
    assert browser.get("/?state=closed").status_code == 200


def test_locked_session_is_not_opened_by_another_persons_passkey(people: Desk, clock: Clock) -> None:
    browser, _ = enter(people, ANALYST)
    _, other = enter(people, FIRST)
    clock.now += timedelta(minutes=15)
    browser.get("/")
    assert touch(browser, other).status_code == 409
    assert browser.get("/").status_code == 401


def test_stolen_cookie_adds_and_ends_no_passkey(people: Desk, clock: Clock) -> None:
    browser, passkey = enter(people, ANALYST)
    clock.now += timedelta(minutes=5)
    browser.get("/passkeys")
    thief = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    found = browser.begin("/passkeys/begin")
    form = {"statement": found["statement"], "answer": thief.register(found["options"]), "label": "mine"}
    page = browser.post("/passkeys", **form)
    assert (page.status_code, "Touch your passkey" in page.text) == (401, True)
    assert browser.post("/touch", statement=found["statement"], answer="{}").status_code == 409
    assert touch(browser, passkey).status_code == 200
    assert browser.post("/passkeys", **form).status_code == 303
    page = browser.get("/passkeys").text
    numbers = re.findall(r"/passkeys/([0-9a-f]{8})/end", page)
    assert len(numbers) == 2
    clock.now += timedelta(minutes=5)
    assert browser.post(f"/passkeys/{numbers[0]}/end").status_code == 401


@pytest.mark.parametrize("label", ["<script>", "a\u202eb", "x" * 41, ""])
def test_hostile_label_is_refused_and_the_link_is_not_used_up(people: Desk, label: str) -> None:
    browser, link = Browser(people), Browser(people).make_link(ANALYST)
    browser.get(link)
    found = browser.begin(f"{link}/begin")
    passkey = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    answer = passkey.register(found["options"])
    said = browser.post(f"{link}/register", statement=found["statement"], answer=answer, label=label)
    assert (said.status_code, "Name the device" in said.text) == (409, True)
    assert "<script>\u202e" not in said.text
    assert browser.get(link).status_code == 200


def test_two_supervisors_recover_lost_passkeys_and_neither_half_works_alone(people: Desk) -> None:
    lost, _ = enter(people, ANALYST)
    first, first_key = enter(people, FIRST)
    second, second_key = enter(people, SECOND)
    first.get("/recoveries")
    page = first.post("/recoveries", person=ANALYST).text
    found = re.search(r'class="code">([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3})<', page)
    assert found is not None
    # The first cannot also be the second.
    number = 1
    refused = first.post(f"/releases/{number}/begin")
    assert (refused.status_code, "You prepared this" in refused.text) == (409, True)
    second.get("/recoveries")
    asked = second.begin(f"/releases/{number}/begin")
    signed = second.post(
        f"/recoveries/{number}", statement=asked["statement"], answer=second_key.touch(asked["options"])
    )
    link = re.search(rf'class="code">{re.escape(ORIGIN)}(/start/[\w-]+)<', signed.text)
    assert link is not None, signed.text
    browser = Browser(people)
    page = browser.get(link[1]).text
    assert "Your earlier passkeys end" in page
    begun = browser.begin(f"{link[1]}/begin")
    new = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    form = {"statement": begun["statement"], "answer": new.register(begun["options"]), "label": "new key"}
    assert browser.post(f"{link[1]}/register", code="00000-00000-00000-00000", **form).status_code == 409
    assert browser.post(f"{link[1]}/register", code=found[1].lower(), **form).status_code == 303
    assert lost.get("/").status_code == 401
    with people.store.read() as connection:
        assert [one.label for one in list_passkeys(connection, ANALYST)] == ["new key"]
        assert verify_release(connection, number).signed_by == SECOND
    assert first_key.counter == 0


def test_supervisor_recovers_nothing_of_their_own_and_an_analyst_nothing_at_all(people: Desk) -> None:
    first, _ = enter(people, FIRST)
    first.get("/recoveries")
    assert "Two other supervisors" in first.post("/recoveries", person=FIRST).text
    analyst, _ = enter(people, ANALYST)
    assert analyst.get("/recoveries").status_code == 403
    assert analyst.post("/recoveries", person=FIRST).status_code == 403


def test_pages_are_answered_at_their_own_name_alone_and_programs_at_the_number(people: Desk) -> None:
    browser = Browser(people)
    page = browser.get("/sign-in", base_url="http://127.0.0.1:8003")
    assert (page.status_code, ORIGIN in page.text) == (421, True)
    assert browser.get("/health", base_url="http://127.0.0.1:8003").status_code == 200
    assert browser.get("/health", base_url="http://evil.example:8003").status_code == 421


def test_desk_behind_the_agencys_own_proxy_is_bound_to_its_name(people: Desk) -> None:
    origin = "https://desk.agency.example"
    config = msgspec.structs.replace(people.config, pages_origin=origin)
    desk = Desk(**{name: getattr(people, name) for name in Desk.__slots__} | {"config": config})
    client = make_desk_app(desk, origin=origin, secret_key=b"k" * 32).test_client()
    page = client.get("/sign-in", base_url=origin)
    assert page.status_code == 200
    assert page.headers["Set-Cookie"].startswith("__Host-desk=")
    assert "Secure" in page.headers["Set-Cookie"]
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    headers = {"Referer": f"{origin}/sign-in"}
    begun = client.post("/sign-in/begin", base_url=origin, data={"csrf_token": token[1]}, headers=headers)
    assert begun.get_json()["options"]["rpId"] == "desk.agency.example"
    assert client.get("/health", base_url="http://127.0.0.1:8702").status_code == 200
    assert client.get("/sign-in", base_url="http://127.0.0.1:8702").status_code == 421
