"""A call is keyed in with the keyboard alone, with and without script, on every width and in every colour scheme."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.desk.cases.model import list_cases
from gateway.desk.wiring import Desk
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


@pytest.mark.parametrize("has_script", [True, False])
def test_a_call_is_keyed_in_with_the_keyboard_alone(browser: Chromium, desk: Desk, has_script: bool) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in(), has_script=has_script)
    page.goto(f"{ORIGIN}/key-in")
    page.locator("[name=danger][value=no]").focus()
    page.keyboard.press("Space")
    page.locator("#name").focus()
    page.keyboard.type("Sam jkno?")  # letters of the single keys
    page.locator("[name=contact-ways][value=call]").focus()
    page.keyboard.press("Space")
    page.locator("#story").focus()
    page.keyboard.type("They asked for a photo.")
    page.keyboard.press("Tab")
    page.locator("button.main-action").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="It is not filed yet")).to_be_visible()
    assert page.locator("#story").input_value() == "They asked for a photo."
    assert page.locator("#name").input_value() == "Sam jkno?"
    page.locator("#contact-phone").fill("07700 900123")
    page.get_by_role("button", name="Seal and file it").click()
    expect(page.get_by_role("heading", name="Filed. Read this out")).to_be_visible()
    with desk.store.read() as connection:
        (case,) = list_cases(connection)
    assert page.locator(".reference").inner_text() == case.reference
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_axe_finds_nothing_on_the_pages_of_a_call(browser: Chromium, desk: Desk) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    found = []

    def look(state: str) -> None:
        found.extend(list_page_faults(page, state))

    page.goto(f"{ORIGIN}/key-in")
    look("blank")
    page.get_by_role("button", name="Seal and file it").click()
    look("faults")
    page.locator("[name=danger][value=yes]").check()
    page.locator("#story").fill("They asked for a photo.")
    page.get_by_role("button", name="Seal and file it").click()
    expect(page.get_by_role("heading", name="Filed. Read this out")).to_be_visible()
    look("filed")
    assert found == []
