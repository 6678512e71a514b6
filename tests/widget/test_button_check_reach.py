"""The checker in a browser: the Tab key wherever the button stands, and an agency that runs on this machine."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Route

from partner_sdk.button.snippet import make_snippet
from partner_sdk.console.check import Expected
from partner_sdk.console.check.browser_check import Screen, check_in_browser, leave_as_it_is
from tests.sdk.button.pages import PLACEMENT, PLAIN, make_page
from tests.widget.agency_door import AgencyDoor
from tests.widget.checked_pages import check, list_codes

LINKS = " ".join(f'<a href="/rooms/{number}">Room {number}</a>' for number in range(8))
HERE = "http://127.0.0.1:9/profile"


def test_button_behind_many_links_is_reached_by_tab(check_browser: Browser):
    assert list_codes(check(check_browser, make_page(PLAIN, before=f"<p>{LINKS}</p>"))) == []


def test_button_that_tab_passes_over_is_found_behind_many_links_too(check_browser: Browser):
    skipped = PLAIN.replace("<a ", '<a tabindex="-1" ')
    found = check(check_browser, make_page(skipped, before=f"<p>{LINKS}</p>"))
    assert list_codes(found) == ["not-by-tab"]


@pytest.mark.parametrize("address", [HERE, "profile.html"], ids=["address", "file"])
def test_element_of_an_agency_on_this_machine_is_dressed(check_browser: Browser, agency: AgencyDoor, address: str):
    origin = agency.url.rstrip("/")
    found = check_in_browser(
        make_page(make_snippet(origin, placement=PLACEMENT, form="script")).encode(),
        browser=check_browser,
        address=address,
        expected=Expected(origin, placement=PLACEMENT),
        now=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
        headers={"Content-Type": "text/html; charset=utf-8"},
        screens=(Screen(360, 640),),
        prepare=leave_as_it_is,
    )
    assert list_codes(found) == []
    assert any(path.endswith("report-abuse-button.js") for path in agency.paths)


def test_page_of_elsewhere_is_not_let_into_this_machine(check_browser: Browser, agency: AgencyDoor):
    asked: list[str] = []
    origin = agency.url.rstrip("/")
    page = make_page(PLAIN, after=f'<img alt="" src="{origin}/button.svg">')

    def note(route: Route) -> None:
        asked.append(route.request.url)
        route.fallback()

    check_in_browser(
        page.encode(),
        browser=check_browser,
        address="https://chat.example/profile",
        expected=Expected("https://report.agency.example", placement=PLACEMENT),
        now=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
        headers={"Content-Type": "text/html; charset=utf-8"},
        screens=(Screen(360, 640),),
        prepare=lambda context: context.route(f"{origin}/**", note),
    )
    assert asked
    assert agency.paths == []
