"""`/v1/docs` in a real browser: readable from a small phone to a wide screen, by day and by night, without a script."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.whole.browser_walk import AXE_FAULTS, AXE_SCRIPT, AXE_TAGS, SIDEWAYS
from tests.whole.public_server import PublicServer, serve_public

LEAST_CALLS = 15
OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"
SMALL_WORDS = """() => [...document.querySelectorAll('main *')]
  .filter(part => part.innerText && parseFloat(getComputedStyle(part).fontSize) < 12).map(part => part.innerText)"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    folder: Path = tmp_path_factory.mktemp("docs")
    with serve_public(folder) as server:
        yield server


def open_page(browser: Browser, server: PublicServer, *, width: int, scheme: str) -> tuple[Page, list[str], list[str]]:
    """Open the page in a new profile; return it with its complaints and its requests."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/v1/docs")
    return page, complaints, asked


# Colours follow the scheme and the layout follows the width: axe sees both schemes and both ends of the widths.
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_page_is_whole_for_eyes_and_readers(width: int, scheme: str, browser: Browser, served: PublicServer):
    page, complaints, asked = open_page(browser, served, width=width, scheme=scheme)
    page.evaluate(OPEN_ALL)

    for each in (width, 800):
        page.set_viewport_size({"width": each, "height": 800})
        assert page.evaluate(SIDEWAYS) == []
        assert page.evaluate(SMALL_WORDS) == []
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator("article").count() >= LEAST_CALLS
    assert complaints == []
    assert [address for address in asked if not address.startswith(f"{served.url}/v1/docs")] == []
    assert page.context.cookies() == []
    page.evaluate(AXE_SCRIPT)
    assert page.evaluate(AXE_FAULTS, AXE_TAGS) == []
    page.context.close()


def test_example_is_taken_whole_with_one_click(browser: Browser, served: PublicServer):
    page, _complaints, _asked = open_page(browser, served, width=800, scheme="light")
    example = page.locator("#post_report pre code").first

    example.click()

    assert page.evaluate("getSelection().toString()").strip() == example.inner_text().strip()
    page.context.close()


def test_way_from_the_list_to_a_call_and_back_needs_no_script(browser: Browser, served: PublicServer):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{served.url}/v1/docs")

    page.click("nav a[href='#post_report']")
    assert page.url.endswith("#post_report")
    page.click("#post_report details:last-of-type summary")
    assert page.locator("#post_report").get_by_text("conflicting-report").is_visible()
    page.click("#post_report .up a")
    assert page.url.endswith("#top")
    context.close()
