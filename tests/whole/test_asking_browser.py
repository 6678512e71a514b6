"""The pages of requests to services: looked at by axe on a phone and a desk, light and dark."""

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.desk.asking_builders import ask, make_stranger
from tests.desk.conftest import loop as loop
from tests.desk.desk_loop import Loop
from tests.desk.service_requests.test_asking import read_public
from tests.desk.view_builders import ORIGIN, Browser
from tests.whole.desk_door import list_page_faults, open_desk_page


@pytest.fixture
def database_uri() -> str:
    return ""


def test_axe_finds_nothing_on_the_pages_of_requests_to_services(browser: Chromium, loop: Loop) -> None:
    reference = read_public(loop)
    action = ask(loop, reference, make_stranger(loop))
    page = open_desk_page(browser, Browser(loop.desk).sign_in())
    found = []

    def look(state: str) -> None:
        found.extend(list_page_faults(page, state))

    page.goto(f"{ORIGIN}/cases/{reference}/ask")
    page.get_by_text("What each law covers").click()
    look("form")
    page.get_by_role("button", name="Ask the service").click()
    expect(page.get_by_role("heading", name="Nothing was asked yet")).to_be_visible()
    look("fault")
    page.goto(f"{ORIGIN}/service-requests/{action.action_id}")
    look("request")
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_text("night_owl7")).to_be_visible()
    look("opened")
    assert found == [], "\n".join(found)
