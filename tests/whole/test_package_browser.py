"""A package in a real browser, on a duty officer's phone and at a desk, light and dark, and with script off."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.people.permissions import Role
from gateway.desk.wiring import Desk
from tests.desk.packages.package_forms import DUTY, FORM, SECOND, add_urgent, sign
from tests.desk.packages.package_forms import find as find_action
from tests.desk.view_builders import ORIGIN, Browser, Clock, add_sealed_case, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


def fill_in(page: Page) -> None:
    page.get_by_label("Which body?").select_option(FORM["destination"])
    page.get_by_label("Disclosure by the NCA").check()
    for field in ("why", "summary", "necessity", "guidance", "officer_telephone"):
        page.locator(f"#{field}").fill(str(FORM[field]))
    page.get_by_label("Named, with how to reach them safely").check()


def find_reference(desk: Desk, case_id: str) -> str:
    with desk.store.read() as connection:
        return get_case(connection, case_id).reference


def walk(chromium: Chromium, desk: Desk, *, width: int = 1280, has_script: bool = True) -> list[str]:
    """Build, preview, draft, read and send a package as the duty officer, and return the faults of every page."""
    case_id = add_urgent(desk, actor=DUTY, roles=[Role.DUTY_OFFICER])
    duty = Browser(desk).sign_in(DUTY)
    page = open_desk_page(chromium, duty, width=width, has_script=has_script)
    found: list[str] = []

    def look(state: str) -> None:
        if has_script:
            found.extend(list_page_faults(page, state, widths=(390, 1280)))

    page.goto(f"{ORIGIN}/cases/{case_id}")
    expect(page.get_by_text("Next: make the package.")).to_be_visible()
    page.get_by_role("button", name="Make a package").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Make a package")
    look("form")
    page.locator("#why").fill(FORM["why"])
    page.get_by_role("button", name="Preview the page").click()
    expect(page.get_by_role("heading", name="Nothing was kept yet")).to_be_visible()
    look("fault")
    assert page.locator("#why").input_value() == FORM["why"]
    fill_in(page)
    page.get_by_role("button", name="Preview the page").click()
    expect(page.get_by_role("heading", name="This is the page that the officer reads")).to_be_visible()
    look("preview")
    page.get_by_role("button", name="Keep it for a second person to sign").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Package to Kent Police")
    look("draft")
    expect(page.get_by_text("You may send this alone")).to_be_visible()
    page.get_by_role("button", name="Read its page").click()
    expect(page.get_by_role("heading", name="The page that the officer reads")).to_be_visible()
    look("read")
    page.get_by_role("button", name="Send it now, alone").click()
    expect(page.get_by_text("a second person has not reviewed it")).to_be_visible()
    expect(page.get_by_role("button", name="Save the sealed file")).to_be_visible()
    look("sent alone")
    action = find_action(desk, page.url.rpartition("/")[2])
    # The case is out of date while a form is open: the typed text waits.
    page.goto(f"{ORIGIN}/cases/{case_id}")
    page.get_by_role("button", name="Make a package").click()
    fill_in(page)
    open_case(desk, add_sealed_case(desk, marker="", adds_to=find_reference(desk, case_id)), actor=DUTY)
    page.get_by_role("button", name="Preview the page").click()
    expect(page.get_by_role("button", name="Go on with what I typed")).to_be_visible()
    look("kept")
    assert action.released_by == DUTY
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    other = open_desk_page(chromium, second, width=width, has_script=has_script)
    other.goto(f"{ORIGIN}/packages")
    expect(other.get_by_text("Released by one person alone: read it and sign it")).to_be_visible()
    page = other
    look("list")
    other.get_by_role("link", name="Kent Police").click()
    other.get_by_role("button", name="Read it, to sign it").click()
    expect(other.get_by_role("button", name="Sign that it was right to send")).to_be_visible()
    look("to sign")
    assert sign(second, action).status_code == 303
    other.goto(f"{ORIGIN}/packages/{action.action_id}")
    expect(other.get_by_role("button", name="Save the sealed file")).to_be_visible()
    look("to save")
    return found


def test_axe_finds_nothing_on_the_pages_of_a_package(browser: Chromium, desk: Desk) -> None:
    assert walk(browser, desk) == []


def test_package_leaves_with_script_off(browser: Chromium, desk: Desk) -> None:
    assert walk(browser, desk, width=390, has_script=False) == []
