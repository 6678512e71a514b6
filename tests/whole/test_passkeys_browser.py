"""Passkeys in a real browser with a virtual device: register, sign in, a locked desk, a touch, recovery."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.desk.office.people.passkeys import list_passkeys
from gateway.desk.office.people.permissions import Role
from tests.desk.view_builders import add_sealed_case
from tests.whole.desk_browser import Colleague, ServedDesk, serve_desk

ANALYST, FIRST, SECOND = "a-okafor", "b-singh", "c-davies"
Open = Callable[[str], Colleague]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedDesk]:
    with serve_desk(tmp_path) as served:
        served.add(ANALYST, Role.ANALYST)
        served.add(FIRST, Role.SUPERVISOR)
        served.add(SECOND, Role.SUPERVISOR)
        yield served


@pytest.fixture
def open_window(browser: Chromium, served: ServedDesk) -> Iterator[Open]:
    opened: list[Colleague] = []

    def make(person: str) -> Colleague:
        opened.append(Colleague(browser, served, person))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_person_registers_signs_out_and_signs_in_by_touch_alone(open_window: Open) -> None:
    analyst = open_window(ANALYST).register()
    assert "work laptop" in analyst.read()
    analyst.press("Sign out")
    assert "Sign in to the desk" in analyst.read()
    analyst.open("/")
    analyst.press("Sign in with your passkey")
    expect(analyst.page.get_by_role("link", name="A Okafor")).to_be_visible()
    assert [one for one in analyst.errors if "401" not in one] == []


def test_device_that_does_not_confirm_its_person_is_told_in_words(open_window: Open) -> None:
    analyst = open_window(ANALYST).register()
    analyst.press("Sign out")
    analyst.set_verified(False)
    analyst.press("Sign in with your passkey")
    expect(analyst.page.get_by_role("alert").last).to_contain_text("No passkey was used")
    analyst.set_verified(True)
    analyst.press("Sign in with your passkey")
    expect(analyst.page.get_by_role("link", name="A Okafor")).to_be_visible()


def test_locked_desk_comes_back_with_what_was_typed(open_window: Open, served: ServedDesk) -> None:
    case_id = add_sealed_case(served.desk, marker="x")
    analyst = open_window(ANALYST).register()
    analyst.open(f"/cases/{case_id}")
    reason = "She rang: <two> lines & a\u200bblank"
    analyst.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    analyst.page.locator("[name=about_reason]").fill(reason)
    analyst.page.locator("#about").fill("no such service")
    served.clock.now += timedelta(minutes=15)
    analyst.press("Change the service")
    expect(analyst.page.get_by_role("heading", name="The desk is locked")).to_be_visible()
    assert "everything that you typed is kept" in analyst.read()
    analyst.press("Touch and go on")
    expect(analyst.page.locator("[name=about_reason]")).to_have_value(reason)
    assert analyst.page.locator("#about").input_value() == "no such service"
    assert [one for one in analyst.errors if "401" not in one and "409" not in one] == []


def test_second_device_needs_the_word_of_the_first(open_window: Open, served: ServedDesk) -> None:
    analyst = open_window(ANALYST).register()
    analyst.open("/passkeys")
    # The browser keeps one internal device, which is registered: the second is a key on USB.
    usb = analyst.add_device("usb")
    analyst.page.get_by_label("Name of the device").fill("blue key")
    analyst.press("Add this device")
    expect(analyst.page.get_by_role("heading", name="Now confirm it")).to_be_visible()
    # A hand touches one device only.
    analyst.devices.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": usb, "enabled": False})
    analyst.press("Confirm the new passkey")
    expect(analyst.page.get_by_role("rowheader")).to_have_count(2)
    with served.desk.store.read() as connection:
        assert {one.label for one in list_passkeys(connection, ANALYST)} == {"work laptop", "blue key"}
    analyst.press("Yes, I added blue key")
    expect(analyst.page.get_by_text("joined your account")).to_have_count(0)
    assert analyst.errors == []


@pytest.mark.parametrize("lost", ["locked", "restarted"])
def test_page_that_the_desk_no_longer_answers_says_to_reload(open_window: Open, served: ServedDesk, lost: str) -> None:
    analyst = open_window(ANALYST).register()
    analyst.open("/passkeys")
    analyst.page.get_by_label("Name of the device").fill("blue key")
    if lost == "locked":
        served.clock.now += timedelta(minutes=15)
    else:
        analyst.page.context.clear_cookies()
    analyst.press("Add this device")
    expect(analyst.page.get_by_role("alert").last).to_contain_text("Reload this page.")
    assert "Check the connection" not in analyst.read()


def test_two_supervisors_recover_a_person_whose_passkeys_are_lost(open_window: Open, served: ServedDesk) -> None:
    first, second = open_window(FIRST).register(), open_window(SECOND).register()
    with served.desk.store.read() as connection:
        assert list_passkeys(connection, ANALYST) == []
    first.open("/recoveries")
    first.page.get_by_label("Who lost their passkeys?").select_option(ANALYST)
    first.press("Ask, and get the code")
    code = first.page.locator(".code").inner_text()
    second.open("/recoveries")
    second.press("Sign, and get the link")
    link = second.page.locator(".code").inner_text()
    analyst = open_window(ANALYST)
    analyst.open(link)
    analyst.page.get_by_label("Code from the supervisor").fill(code)
    analyst.page.get_by_label("Name of the device").fill("new laptop")
    analyst.press("Register this device")
    analyst.page.wait_for_url("**/passkeys")
    assert "new laptop" in analyst.read()
    assert first.errors + second.errors + analyst.errors == []


def test_page_without_script_explains_what_is_missing(browser: Chromium, served: ServedDesk) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.origin}/sign-in")
    assert "A passkey needs script" in page.inner_text("main")
    page.get_by_role("button", name="Sign in with your passkey").click()
    assert "Try again" in page.inner_text("main")
    context.close()
