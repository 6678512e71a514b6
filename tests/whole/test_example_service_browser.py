"""The example service in Chromium: calm on a phone and a wide screen, the button in sight, nothing that axe finds."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from gateway.demo.service import PLACES
from tests.pictures import check_is_dressed
from tests.whole.browser_walk import AXE_FAULTS, AXE_SCRIPT, AXE_TAGS, SIDEWAYS
from tests.whole.example_service import serve_example_service
from tests.widget.agency_door import AgencyDoor, open_agency_door

PATHS = [one.path for one in PLACES]
# A phone by day and a wide screen at night.
SCREENS = {"light": {"width": 320, "height": 568}, "dark": {"width": 1280, "height": 720}}

MORE_MESSAGES = """
const list = document.querySelector('.talk');
for (let number = 0; number < 60; number++) list.append(list.lastElementChild.cloneNode(true));
"""


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgencyDoor]:
    with open_agency_door(tmp_path_factory.mktemp("agency")) as door:
        yield door


@pytest.fixture(scope="module")
def service(agency: AgencyDoor) -> Iterator[str]:
    with serve_example_service(agency.url) as origin:
        yield origin


@pytest.fixture
def complaints() -> list[str]:
    """The browser's complaints, such as a block by the policy."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))  # a browser's own wish
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    yield page
    context.close()


@pytest.mark.parametrize("path", PATHS)
def test_page_fits_shows_its_button_without_scrolling_and_has_no_fault(
    page: Page, service: str, path: str, complaints: list[str]
) -> None:
    for scheme, size in SCREENS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{service}{path}")
        check_is_dressed(page)
        assert page.evaluate(SIDEWAYS) == [], scheme
        icon = page.locator("report-abuse-button a svg").bounding_box()  # the link's own, below the face
        assert icon is not None
        assert (icon["width"], icon["height"]) == (44, 44)
        assert icon["y"] + icon["height"] <= size["height"], scheme
        assert complaints == []
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(AXE_FAULTS, AXE_TAGS) == [], scheme


@pytest.mark.parametrize("size", SCREENS.values(), ids=("phone", "wide"))
def test_button_of_the_chat_stays_in_sight_when_messages_come(page: Page, service: str, size: dict[str, int]) -> None:
    page.set_viewport_size(size)
    page.goto(f"{service}/chat")
    check_is_dressed(page)
    page.evaluate(f"() => {{ {MORE_MESSAGES} }}")
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    assert page.evaluate("scrollY") > size["height"]
    icon = page.locator("report-abuse-button a svg").bounding_box()
    assert icon is not None
    assert icon["y"] >= 0
    assert icon["y"] + icon["height"] <= size["height"]
    # In sight and not under the messages: what lies on top there is the button.
    middle = [icon["x"] + icon["width"] / 2, icon["y"] + icon["height"] / 2]
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('report-abuse-button') !== null", middle)


def test_button_of_the_page_opens_the_form_with_its_placement_and_no_referrer(
    page: Page, service: str, agency: AgencyDoor
) -> None:
    page.goto(f"{service}/lobby")
    check_is_dressed(page)
    agency.requests.clear()
    with page.expect_navigation():
        page.click("report-abuse-button a")
    assert page.url.startswith(f"{agency.url}/")
    (first, *_) = agency.requests
    assert (first.path, first.referer, first.cookie) == ("/?from=example-chat-lobby", None, None)
