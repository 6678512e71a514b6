"""Sessions of people: how they end, and how little a copied cookie is worth."""

import os
import secrets
from datetime import timedelta

import pytest

from gateway.demo.walks import SoftPasskey
from gateway.desk.office.people.passkeys import LIFETIME, SESSION_LIFETIME, get_link_folder
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import PersonError, add_person, end_person, end_role, grant_role
from gateway.desk.office.wiring import Desk
from tests.builders import NOW
from tests.desk.people_builders import ACTOR, ensure_person
from tests.desk.view_builders import ORIGIN, Browser, Clock


def copy_cookie(source: Browser, target: Browser) -> None:
    cookie = source.client.get_cookie("desk", domain="localhost")
    assert cookie is not None
    target.client.set_cookie("desk", cookie.value, domain="localhost")


def test_a_session_is_locked_after_fifteen_minutes_without_a_request_until_a_step_up(desk: Desk, clock: Clock) -> None:
    browser = Browser(desk).sign_in()
    clock.now += timedelta(minutes=14, seconds=59)
    assert browser.get("/").status_code == 200  # and counts from here again
    clock.now += timedelta(minutes=14, seconds=59)
    assert browser.get("/").status_code == 200
    clock.now += timedelta(minutes=15)
    assert browser.get("/").status_code == 401
    assert browser.get("/desk.css").status_code == 200
    assert browser.step_up("/step-up/begin", "/step-up").status_code == 200
    assert browser.get("/").status_code == 200
    clock.now += timedelta(hours=8)
    assert "Sign in to the desk" in browser.get("/").text


def test_a_session_answers_only_to_the_browser_that_began_it(desk: Desk) -> None:
    person, thief = Browser(desk).sign_in(), Browser(desk)
    copy_cookie(person, thief)
    thief.client.environ_base["HTTP_USER_AGENT"] = "another/1.0"
    assert thief.get("/").status_code == 401
    assert person.get("/").status_code == 200


def test_a_session_that_begins_later_than_now_signs_nobody_in(desk: Desk, clock: Clock) -> None:
    browser = Browser(desk).sign_in()
    clock.now -= timedelta(seconds=1)  # the machine's clock was set back: no session may last longer for it
    assert browser.get("/").status_code == 401


def test_rows_of_old_sessions_and_files_of_old_links_go_with_the_next_ones(desk: Desk, clock: Clock) -> None:
    def count_sessions() -> int:
        with desk.store.read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one())

    Browser(desk).sign_in()
    link = Browser(desk).make_link("b-unused")
    folder = get_link_folder(desk.paths.state)
    (file,) = folder.iterdir()
    os.utime(file, times=(clock.now.timestamp(), clock.now.timestamp()))
    clock.now += 2 * LIFETIME
    Browser(desk).make_link("c-other")
    assert Browser(desk).get(link).status_code == 401
    assert (file.exists(), len(list(folder.iterdir()))) == (True, 2)
    clock.now += timedelta(seconds=1)
    Browser(desk).make_link("c-other")
    assert not file.exists()
    clock.now += SESSION_LIFETIME
    Browser(desk).sign_in("d-late")
    assert count_sessions() == 1


def test_a_link_of_a_person_without_a_role_does_not_sign_in(desk: Desk) -> None:
    browser = Browser(desk)
    link = browser.make_link("n-none", [])
    begun = (browser.get(link), browser.begin(f"{link}/begin"))[1]
    answer = SoftPasskey(ORIGIN, random=secrets.token_bytes).register(begun["options"])
    page = browser.post(f"{link}/register", statement=begun["statement"], answer=answer, label="key")
    assert page.status_code == 401
    assert "You have no role at this desk." in page.text
    assert browser.get("/").status_code == 401


def test_menu_and_first_page_are_those_that_the_person_may_open(desk: Desk) -> None:
    pages = {"auditor": ["Digests", "Figures"], "administrator": ["Outbox"], "spoc": ["Cases"]}
    for role, words in pages.items():
        person = f"o-{role}"
        Browser(desk).sign_in(person, [Role(role)])
        browser = Browser(desk).sign_in(person)
        page = browser.get(browser.step_up("/sign-in/begin", "/sign-in").location)
        assert page.status_code == 200
        nav = page.text.partition("<nav")[2].partition("</nav>")[0]
        assert [word for word in ("Cases", "Outbox", "Placements", "Digests", "Figures") if f">{word}<" in nav] == words


def test_two_administrators_who_end_each_other_leave_one(desk: Desk) -> None:
    with desk.store.write() as connection:
        for person in ("a-one", "b-two"):
            ensure_person(connection, person, [Role.ADMINISTRATOR])
        end_role(connection, ACTOR, Role.ADMINISTRATOR, actor="a-one", now=NOW)
    with desk.store.write() as connection:
        end_person(connection, "b-two", actor="a-one", now=NOW)
    with pytest.raises(PersonError, match="the last administrator"), desk.store.write() as connection:
        end_person(connection, "a-one", actor="b-two", now=NOW)


def test_names_are_shown_isolated_and_escaped(desk: Desk) -> None:
    with desk.store.write() as connection:
        person = add_person(connection, name="\u05d0\u05d1 O'Neil", actor=ACTOR, now=NOW)
        grant_role(connection, person, Role.SUPERVISOR, actor=ACTOR, now=NOW)
    page = Browser(desk).sign_in("a-analyst", [Role.ANALYST]).get("/placements").text
    page += Browser(desk).sign_in("b-auditor", [Role.AUDITOR]).get("/").text
    assert f"<bdi>\u05d0\u05d1 O&#39;Neil ({person})</bdi>" in page
