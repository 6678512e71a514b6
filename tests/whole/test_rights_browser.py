"""The pages of requests to see, correct or wipe: looked at by axe on a phone and a desk, light and dark."""

from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from gateway.desk.wiring import Desk
from tests.desk.rights.test_requests import add, record
from tests.desk.view_builders import ORIGIN, Browser, Clock, make_test_desk
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_test_desk(tmp_path / "desk", Clock())


def test_axe_finds_nothing_on_the_pages_of_requests(browser: Chromium, desk: Desk) -> None:
    case_id = add(desk)
    record(desk, case_id)
    record(desk, case_id, "see", date(2026, 10, 20))
    page = open_desk_page(browser, Browser(desk).sign_in())
    found = []

    def look(state: str) -> None:
        found.extend(list_page_faults(page, state))

    page.goto(f"{ORIGIN}/requests")
    look("list")
    page.get_by_role("table").get_by_role("link").click()
    look("requests")
    page.get_by_role("button", name="Record the answer").click()
    expect(page.get_by_role("heading", name="Nothing was changed yet")).to_be_visible()
    look("fault")
    page.get_by_role("button", name="Show it in plain words").click()
    expect(page.get_by_role("heading", name="What you told us")).to_be_visible()
    look("export")
    assert found == []
