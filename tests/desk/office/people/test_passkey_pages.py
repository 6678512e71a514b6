"""The desk's pages of passkeys, without a browser: sign-in, links, step_ups, locked sessions, recovery."""

import re
import secrets
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from gateway.demo.walks import SoftPasskey
from gateway.desk.cases.outbox_run import send_due
from gateway.desk.office.config import CarriersConfig
from gateway.desk.office.people.passkeys import list_passkeys, list_unacknowledged
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import set_mail
from gateway.desk.office.people.releases import ReleaseError, list_open, verify_release
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import queue
from gateway.desk.running.app import make_desk_app
from gateway.desk.store.agency_tables import PASSKEYS
from gateway.desk.store.audit import list_alarms
from gateway.desk.store.schema import AUDIT
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
    return browser.step_up("/sign-in/begin", "/sign-in")


def step_up(browser: Browser, passkey: SoftPasskey) -> TestResponse:
    browser.passkey = passkey
    return browser.step_up("/step-up/begin", "/step-up")


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


def test_passkey_that_counts_backwards_is_refused_with_an_alarm(people: Desk) -> None:
    browser, passkey = enter(people, ANALYST)
    assert step_up(browser, passkey).status_code == 200
    passkey.counter = 0
    said = step_up(browser, passkey)
    assert (said.status_code, "may have been copied" in said.text) == (409, True)
    with people.store.read() as connection:
        assert [one.kind for one in list_alarms(connection)] == ["passkey-copied"]


def test_made_up_passkey_fills_no_audit_log(people: Desk) -> None:
    stranger = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    assert sign_in(Browser(people), stranger).status_code == 401
    with people.store.read() as connection:
        assert connection.execute(AUDIT.select().where(AUDIT.c.action == "refuse-step-up")).all() == []


def test_session_is_locked_after_15_minutes_and_a_step_up_brings_back_the_form(people: Desk, clock: Clock) -> None:
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
    assert step_up(browser, passkey).status_code == 200
    assert browser.get("/?state=closed").status_code == 200


def test_locked_session_is_not_opened_by_another_persons_passkey(people: Desk, clock: Clock) -> None:
    browser, _ = enter(people, ANALYST)
    _, other = enter(people, FIRST)
    clock.now += timedelta(minutes=15)
    browser.get("/")
    assert step_up(browser, other).status_code == 409
    assert browser.get("/").status_code == 401


def propose(browser: Browser, new: SoftPasskey) -> tuple[str, dict[str, str]]:
    """Offer a new passkey on the person's page; return the page's confirmation and its fields."""
    browser.get("/passkeys")
    begun = browser.begin("/passkeys/begin")
    form = {"statement": begun["statement"], "answer": new.register(begun["options"]), "label": "grey key"}
    page = browser.post("/passkeys", **form).text
    begin = re.search(r'data-begin="(/passkeys/confirm/[0-9a-f]{64}/begin)"', page)
    assert begin is not None, page
    return begin[1], {"new_statement": form["statement"], "new_answer": form["answer"], "label": "grey key"}


def copy_cookie(browser: Browser) -> Browser:
    """Return a thief's browser with a copy of the cookie, within five minutes of a step-up and without the device."""
    thief = Browser(browser.desk)
    cookie = browser.client.get_cookie("desk", domain="localhost")
    assert cookie is not None
    thief.client.set_cookie("desk", cookie.value, domain="localhost")
    thief.passkey = SoftPasskey(ORIGIN, random=secrets.token_bytes)
    return thief


def test_copied_cookie_registers_no_passkey(people: Desk) -> None:
    victim, passkey = enter(people, ANALYST)
    victim.get("/passkeys")
    begun = victim.begin("/step-up/begin")
    replayed = {"statement": begun["statement"], "answer": passkey.step_up(begun["options"])}
    assert victim.post("/step-up", **replayed).status_code == 200
    thief = copy_cookie(victim)
    begin, fields = propose(thief, thief.passkey)
    assert thief.step_up(begin, "/passkeys/confirm", **fields).status_code == 409
    assert thief.post("/passkeys/confirm", **replayed, **fields).status_code == 409
    # A word for one key adds no other.
    own, other = propose(victim, SoftPasskey(ORIGIN, random=secrets.token_bytes)), propose(thief, thief.passkey)
    asked = victim.begin(own[0])
    word = {"statement": asked["statement"], "answer": passkey.step_up(asked["options"])}
    assert thief.post("/passkeys/confirm", **word, **other[1]).status_code == 409
    with people.store.read() as connection:
        assert [one.label for one in list_passkeys(connection, ANALYST)] == ["blue key"]
    assert sign_in(Browser(people), thief.passkey).status_code == 401
    assert victim.post("/passkeys/confirm", **word, **own[1]).status_code == 303


def test_new_passkey_signs_nothing_for_a_day_and_its_person_is_told_until_they_answer(
    people: Desk, clock: Clock
) -> None:
    first, _ = enter(people, FIRST)
    victim, passkey = enter(people, SECOND)
    first.get("/recoveries")
    first.post("/recoveries", person=ANALYST)
    clock.now += timedelta(minutes=4)
    # The worst case: the person is brought to confirm a key of the thief's.
    thief = copy_cookie(victim)
    begin, fields = propose(thief, thief.passkey)
    asked = thief.begin(begin)
    word = {"statement": asked["statement"], "answer": passkey.step_up(asked["options"])}
    assert thief.post("/passkeys/confirm", **word, **fields).status_code == 303
    assert sign_in(thief, thief.passkey).status_code == 303
    thief.get("/recoveries")
    for _ in range(2):
        said = thief.step_up("/releases/1/begin", "/recoveries/1")
        assert (said.status_code, "This passkey is new: it signs from" in said.text) == (409, True)
        clock.now += timedelta(minutes=3)
    with people.store.read() as connection:
        (new,) = list_unacknowledged(connection, SECOND)
        assert list_open(connection, "passkey-recovery") != []
    # It neither speaks for itself nor pushes out the person's own.
    acknowledge = f"/passkeys/{new.number}/acknowledge"
    assert thief.step_up(f"{acknowledge}/begin", acknowledge).status_code == 409
    own = next(one for one in read_numbers(thief) if one != new.number)
    assert step_up(thief, thief.passkey).status_code == 200
    assert thief.post(f"/passkeys/{own}/end").status_code == 409
    for path in ("/", "/passkeys", "/recoveries"):
        assert "<bdi>grey key</bdi> joined your account" in victim.get(path).text
    assert victim.step_up(f"{acknowledge}/begin", acknowledge).status_code == 303
    assert "joined your account" not in victim.get("/").text
    # One who alters the register too is found by the audit log.
    with people.store.write() as connection:
        connection.execute(update(PASSKEYS).values(signs_from="2026-01-01T00:00:00Z"))
    assert thief.step_up("/releases/1/begin", "/recoveries/1").status_code == 200
    with people.store.read() as connection, pytest.raises(ReleaseError, match="no such passkey"):
        verify_release(connection, 1)


def read_numbers(browser: Browser) -> list[str]:
    return re.findall(r"/passkeys/([0-9a-f]{8})/end", browser.get("/passkeys").text)


def test_copied_cookie_without_a_fresh_step_up_ends_no_passkey(people: Desk, clock: Clock) -> None:
    browser, passkey = enter(people, ANALYST)
    begin, fields = propose(browser, SoftPasskey(ORIGIN, random=secrets.token_bytes))
    assert browser.step_up(begin, "/passkeys/confirm", **fields).status_code == 303
    numbers = read_numbers(browser)
    assert len(numbers) == 2
    clock.now += timedelta(minutes=5)
    page = browser.post(f"/passkeys/{numbers[1]}/end")
    assert (page.status_code, "Touch your passkey" in page.text) == (401, True)
    assert step_up(browser, passkey).status_code == 200
    assert sorted(browser.post(f"/passkeys/{number}/end").status_code for number in numbers) == [303, 409]


def test_person_is_told_of_a_new_passkey_by_mail(people: Desk, tmp_path: Path) -> None:
    enter(people, ANALYST)
    carriers = CarriersConfig(mail="folder", folder=str(tmp_path / "out"), mail_from="desk@agency.example")
    config = msgspec.structs.replace(people.config, carriers=carriers)
    desk = Desk(**{name: getattr(people, name) for name in Desk.__slots__} | {"config": config})
    with people.store.write() as connection:
        set_mail(connection, ANALYST, "a.okafor@agency.example", actor=FIRST, now=people.clock())
        queue(connection, "passkey", [f"{ANALYST} {list_passkeys(connection, ANALYST)[0].number}"], now=people.clock())
    assert send_due(desk, only=["passkey"]).of("passkey").sent == 1
    (mail,) = (tmp_path / "out").iterdir()
    text = message_from_bytes(mail.read_bytes(), policy=default).get_content()
    assert "blue key" in text
    assert "end it on the page Your passkeys" in " ".join(text.split())


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
        f"/recoveries/{number}", statement=asked["statement"], answer=second_key.step_up(asked["options"])
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
