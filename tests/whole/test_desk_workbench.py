"""The desk's one screen in a real browser: keys and unsaved text."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, expect

from gateway.desk.cases.model import get_case, list_cases
from gateway.desk.office.wiring import Desk
from gateway.desk.running.app import read_sheet
from tests.desk.view_builders import (
    ORIGIN,
    Browser,
    Clock,
    add_sealed_case,
    make_code_key,
    make_code_seed,
    make_test_desk,
)
from tests.public_report_builders import make_contact
from tests.whole.desk_door import open_desk_page

REPORT = {
    "reply_key": make_code_key(make_code_seed("lamp")),
    "reply_by": "2026-11-27",
    "kinds": ("extra_nice",),
    "contact": make_contact(),
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


@pytest.fixture
def cases(desk: Desk) -> list[str]:
    """Three cases, the most urgent first."""
    columns = {"kind": "grooming", "report": REPORT}
    return [add_sealed_case(desk, marker="x", under_18="yes", score=score, **columns) for score in (90, 50, 10)]


def test_keys_move_through_the_list_open_a_case_its_report_and_the_next(
    browser: Chromium, desk: Desk, cases: list[str]
) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.goto(f"{ORIGIN}/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"/cases/{cases[0]}"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{cases[0]}")
    page.keyboard.press("o")
    page.wait_for_url("**/read")
    expect(page.get_by_text("Before you contact anyone")).to_be_visible()
    story = page.locator("#report details").first
    page.keyboard.press("o")
    assert story.evaluate("one => one.open")
    prepared = page.locator("#reply_text").input_value()
    assert prepared.startswith("Hello Sam")
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.name") == "reply_text"
    page.keyboard.type("jkno")  # typed, and no key acts
    assert page.locator("#reply_text").input_value() != prepared
    assert page.url.endswith("/read")


def test_keys_can_be_turned_off(browser: Chromium, desk: Desk, cases: list[str]) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.goto(f"{ORIGIN}/")
    page.keyboard.press("?")
    page.get_by_role("button", name="Turn the keys off").click()
    expect(page.locator("body[data-no-keys]")).to_be_visible()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.goto(f"{ORIGIN}/cases/{cases[0]}")
    page.get_by_text("Keys", exact=True).click()
    page.get_by_role("button", name="Turn the keys on").click()
    page.wait_for_url(f"{ORIGIN}/")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "A"


def test_text_of_another_form_comes_back_and_nothing_is_stored(browser: Chromium, desk: Desk, cases: list[str]) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.goto(f"{ORIGIN}/cases/{cases[0]}")
    page.get_by_role("button", name="Open the report").click()
    page.get_by_text("Move it in the queue").click()
    page.fill("[name=move_reason]", "The school rang")
    page.fill("#reply_text", "Hello Sam. We have read it.")
    page.check("[name=counts][value=no]")
    page.get_by_role("button", name="Check it before you send it").click()
    expect(page.get_by_text("This is the reply they will see")).to_be_visible()
    assert page.locator("[name=move_reason]").input_value() == "The school rang"
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


MOST_CLICKS = 9  # from the queue to closed; it was 26


def test_public_case_goes_from_the_queue_to_closed_in_nine_clicks(
    browser: Chromium, desk: Desk, cases: list[str]
) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.on("dialog", lambda dialog: dialog.accept())
    clicks = 0

    def click(found: Locator) -> None:
        nonlocal clicks
        clicks += 1
        found.click()

    page.goto(f"{ORIGIN}/")
    click(page.get_by_role("link", name="Next to read"))
    click(page.get_by_role("button", name="Open the report"))
    click(page.get_by_text("The story"))
    expect(page.get_by_text("Someone asks me to write elsewhere")).to_be_visible()
    click(page.get_by_role("button", name="Check it before you send it"))
    click(page.get_by_role("button", name="Send it to the return code"))
    expect(page.get_by_text("Through the return code alone, recorded")).to_be_visible()
    click(page.get_by_text("Not urgent: no child at immediate risk"))
    click(page.get_by_label("Harm Reduction", exact=True))
    # Filled in from the report's factors, and right here.
    assert [page.locator(f"#{name}").input_value() for name in ("kind", "age_band")] == ["grooming", "13_15"]
    # Typed, and reached with Tab from the choice before.
    page.locator("#assess_reasons").fill("Known to the school, which acts.")
    page.locator("#outcome").select_option("used")
    clicks += 1  # the outcome, for a person who opens the list with a click
    click(page.get_by_role("button", name="Record it and close the case"))
    expect(page.get_by_role("heading", name="Outcome", exact=True)).to_be_visible()
    with desk.store.read() as connection:
        assert get_case(connection, cases[0]).closed_at is not None
    assert clicks <= MOST_CLICKS


def test_leaving_with_unsaved_text_asks_first(browser: Chromium, desk: Desk, cases: list[str]) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(f"{ORIGIN}/cases/{cases[0]}")
    page.get_by_text("Move it in the queue").click()
    page.locator("[name=move_reason]").press_sequentially("The school rang")
    page.locator(".rows a").nth(1).click()
    assert asked == ["beforeunload"]
    assert page.url.endswith(f"/cases/{cases[0]}")


def test_recording_one_form_asks_before_text_in_another_is_lost(
    browser: Chromium, desk: Desk, cases: list[str]
) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(f"{ORIGIN}/cases/{cases[0]}")
    page.get_by_text("Move it in the queue").click()
    page.locator("[name=move_reason]").press_sequentially("The school rang")
    page.get_by_role("button", name="Open the report").click()
    expect(page.get_by_text("Before you contact anyone")).to_be_visible()
    page.locator("#reply_text").fill("Hello Sam. We have read it.")
    page.check("[name=counts][value=no]")
    page.get_by_role("button", name="Check it before you send it").click()
    expect(page.get_by_text("This is the reply they will see")).to_be_visible()
    page.get_by_text("Start from", exact=True).click()
    page.get_by_role("button", name="We would like to talk").click()
    expect(page.get_by_text("This is the reply they will see")).to_be_hidden()
    page.get_by_role("button", name="Check it before you send it").click()
    expect(page.get_by_text("This is the reply they will see")).to_be_visible()
    assert asked == []  # these come back with every word
    # Unsaved on this page too, although nothing was typed since it came.
    for button in ("Take this case", "Record the assessment", "Move the case", "Send it to the return code"):
        page.get_by_role("button", name=button).click()
        assert asked.pop() == "beforeunload", button
        assert asked == []
    assert page.locator("#reply_text").input_value().startswith("Hello Sam")
    assert page.locator("[name=move_reason]").input_value() == "The school rang"


def test_typed_text_is_in_no_address_and_every_tick_comes_back(browser: Chromium, desk: Desk, cases: list[str]) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{ORIGIN}/cases/{cases[0]}")
    page.get_by_role("button", name="Open the report").click()
    page.get_by_text("Weaknesses of the service").click()
    for place in (0, 1):
        page.locator("[name=weakness]").nth(place).check()
    page.get_by_role("button", name="Check it before you send it").click()
    expect(page.get_by_text("This is the reply they will see")).to_be_visible()
    assert page.locator("[name=weakness]:checked").count() == 2
    page.get_by_text("Filter and sort").click()
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url(f"{ORIGIN}/?**")
    assert "weakness" not in page.url


def test_picture_is_grey_blurred_and_small_until_each_is_asked_for(browser: Chromium) -> None:
    page = browser.new_page()
    switches = "".join(f'<input type="checkbox" id="{name}">' for name in ("sharp", "colour", "large"))
    page.set_content(f'<style>{read_sheet()}</style><main class="look">{switches}<p class="picture"><img></p></main>')
    seen = []
    for name in ("", "sharp", "colour", "large"):
        if name:
            page.check(f"#{name}")
        seen.append(page.locator("img").evaluate("one => getComputedStyle(one).filter"))
    assert seen == ["grayscale(1) blur(20px)", "grayscale(1)", "none", "none"]
    page.close()


def test_a_call_is_entered_with_the_keyboard_alone(browser: Chromium, desk: Desk) -> None:
    page = open_desk_page(browser, Browser(desk).sign_in())
    page.goto(f"{ORIGIN}/manual-entry")
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
