"""A real browser at the public door: the whole journey without script, and leaving in a hurry with and without it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gateway.public.journey import SCREENS
from gateway.public.side_pages import SIDE_PATHS
from gateway.public.wording import LANGUAGES
from tests.gateway.public_person import open_public_reports
from tests.whole.browser_walk import BACK, SEND, START, go_on, list_stops, walk_browser_to
from tests.whole.public_server import PublicServer, open_chromium, serve_public

MARKER = "My very own words"
STORY = f"{MARKER}.\nA second line, with \U0001f642 and <b>.\n\nThe end. "
WEATHER = "https://www.bbc.co.uk/**"
LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
TARGETS = """() => [...document.querySelectorAll('main a, main button, nav a, header a, .pick, .box')]
  .map(part => [part.innerText || part.id || part.name, part.getBoundingClientRect()])
  .filter(([, box]) => box.width > 2 && (box.height < 43.5 || box.width < 43.5)).map(([name]) => name)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PublicServer]:
    """A public door on a port of this machine."""
    with serve_public(tmp_path) as server:
        yield server


def open_phone(
    browser: Browser, *, has_script: bool, width: int = 320, plays_weather: bool = False, language: str = "en"
) -> Page:
    """Open a new profile on a small screen. Playing a site turns the browser's cache off: only where it is needed."""
    context = browser.new_context(
        java_script_enabled=has_script, viewport={"width": width, "height": 640}, locale=language
    )
    page = context.new_page()
    if plays_weather:
        page.route(WEATHER, answer_as_another_site)
    return page


def answer_as_another_site(route: Route) -> None:
    """Play another site."""
    route.fulfill(body="<!doctype html><title>Elsewhere</title><p>Sunny.", content_type="text/html")


class ElsewhereHandler(BaseHTTPRequestHandler):
    """Another site on this machine."""

    def do_GET(self) -> None:
        """Answer with a page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title><p>Sunny.")

    def log_message(self, *_: object) -> None:
        """Drop the line."""


@contextmanager
def serve_elsewhere() -> Iterator[str]:
    """Serve another site; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ElsewhereHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def walk_to_story(page: Page, url: str) -> None:
    """Walk from the button's link to the story."""
    page.goto(f"{url}/?from=example-chat")
    go_on(page, START)
    walk_browser_to(page, url, "/9")
    expect(page).to_have_title("What happened?")


def walk_to_check(page: Page, url: str) -> None:
    """Walk on to the check page."""
    walk_to_story(page, url)
    page.fill("#story", STORY)
    go_on(page)
    walk_browser_to(page, url, "/12a")
    page.check("#say_who_we_are-no")
    go_on(page, "main button[name=more_safe]")
    page.fill("#safe_word", "pancake")
    go_on(page)
    walk_browser_to(page, url, "/14")
    expect(page).to_have_title("Check what you wrote")


@WAYS_TO_RUN
def test_whole_journey_arrives_as_it_was_typed(browser: Browser, server: PublicServer, *, has_script: bool):
    page = open_phone(browser, has_script=has_script)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    walk_to_check(page, server.url)
    go_on(page, SEND)
    expect(page).to_have_title("We have got what you sent")
    (report,) = open_public_reports(server.house, server.gateway)
    assert report.story == STORY.replace("\n", "\r\n")  # how every browser sends a line break
    assert (report.name, report.contact.school, report.contact.safe_word) == ("Sam", "Ms Example", "pancake")
    assert report.placement == "example-chat"
    assert faults == []
    page.context.close()


def leave(page: Page) -> None:
    page.click("#leave")
    expect(page).to_have_title("Elsewhere")


@WAYS_TO_RUN
def test_leaving_wipes_and_back_twice_shows_no_word(browser: Browser, server: PublicServer, *, has_script: bool):
    page = open_phone(browser, has_script=has_script, plays_weather=True)
    walk_to_story(page, server.url)
    page.fill("#story", STORY)
    go_on(page)
    go_on(page, BACK)
    expect(page.locator("#story")).to_have_value(STORY)
    leave(page)
    assert server.house.rows("drafts") == []
    assert page.context.cookies() == []
    for _ in range(2):
        page.go_back()
        assert MARKER not in read_everything(page)
    page.context.close()


def read_everything(page: Page) -> str:
    """Return all that the page shows or holds in fields."""
    fields = [
        part.input_value() for part in page.locator("textarea, input:not([type=radio]):not([type=checkbox])").all()
    ]
    return page.content() + " ".join(fields)


@WAYS_TO_RUN
def test_words_typed_but_not_sent_are_gone_after_leaving(browser: Browser, server: PublicServer, *, has_script: bool):
    page = open_phone(browser, has_script=has_script, plays_weather=True)
    walk_to_story(page, server.url)
    page.fill("#story", STORY)
    leave(page)
    page.go_back()
    assert MARKER not in read_everything(page)
    page.context.close()


@WAYS_TO_RUN
def test_back_from_another_site_shows_the_blank_start(browser: Browser, server: PublicServer, *, has_script: bool):
    page = open_phone(browser, has_script=has_script)
    walk_to_story(page, server.url)
    page.fill("#story", STORY)
    go_on(page)
    go_on(page, BACK)
    expect(page.locator("#story")).to_have_value(STORY)
    with serve_elsewhere() as elsewhere:
        page.goto(elsewhere)
        page.go_back()
    expect(page).to_have_title("You can tell us here")
    assert MARKER not in read_everything(page)
    page.context.close()


def test_shift_three_times_leaves(browser: Browser, server: PublicServer):
    page = open_phone(browser, has_script=True, plays_weather=True)
    walk_to_story(page, server.url)
    page.fill("#story", STORY)
    for _ in range(3):
        page.keyboard.press("Shift")
    expect(page).to_have_title("Elsewhere")
    assert server.house.rows("drafts") == []
    page.context.close()


def test_reload_keeps_the_open_page(browser: Browser, server: PublicServer):
    page = open_phone(browser, has_script=False)
    walk_to_check(page, server.url)
    page.reload()
    expect(page).to_have_title("Check what you wrote")
    assert MARKER in page.content()
    page.context.close()


def test_error_summary_has_the_focus_without_script(browser: Browser, server: PublicServer):
    for has_script in (False, True):
        page = open_phone(browser, has_script=has_script)
        page.goto(server.url)
        go_on(page, START)
        walk_browser_to(page, server.url, "/3")
        go_on(page)
        expect(page).to_have_title("Error: Is someone in danger right now?")
        expect(page.locator("#faults")).to_be_focused()
        page.context.close()


@LANGUAGES_TO_RUN
def test_every_page_passes_axe_and_has_large_targets_on_a_small_phone(
    browser: Browser, server: PublicServer, language: str
):
    page = open_phone(browser, has_script=True, language=language)
    axe = Axe()
    seen = 0
    for stop in list_stops(page, server.url):
        assert page.locator("html").get_attribute("lang") == language, stop
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, (stop, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, stop
        assert page.evaluate(TARGETS) == [], stop
        seen += 1
    assert seen > len(SCREENS) + len(SIDE_PATHS)
    page.context.close()


@LANGUAGES_TO_RUN
def test_pages_hold_at_twice_the_text_size(browser: Browser, server: PublicServer, language: str):
    page = open_phone(browser, has_script=True, width=640, language=language)
    for stop in list_stops(page, server.url):
        page.evaluate("document.documentElement.style.fontSize = '225%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, stop
    page.context.close()


def test_enter_in_a_field_goes_on_and_keeps_the_language(browser: Browser, server: PublicServer):
    page = open_phone(browser, has_script=False)
    page.goto(server.url)
    go_on(page, START)
    walk_browser_to(page, server.url, "/11")
    page.fill("#name", "Sam")
    with page.expect_navigation():
        page.press("#name", "Enter")
    expect(page).to_have_title("How can we reach you?")
    page.context.close()


def test_toggle_keeps_the_words_in_a_real_browser(browser: Browser, server: PublicServer):
    page = open_phone(browser, has_script=False)
    walk_to_story(page, server.url)
    page.fill("#story", STORY)
    go_on(page, "button.tongue")
    assert page.locator("html").get_attribute("lang") == "cy"
    expect(page.locator("#story")).to_have_value(STORY)
    page.context.close()


def test_keyboard_alone_reaches_send(browser: Browser, server: PublicServer):
    context: BrowserContext = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the main words"
    page.keyboard.press("Enter")
    press_until(page, "Start")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Is it safe to do this now?")
    press_until(page, "It is safe. Go on.")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Is someone in danger right now?")
    page.focus("#danger-yes")
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_title("Are you under 18?")
    context.close()


def press_until(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.locator(":focus").inner_text() == name:
            return
    raise AssertionError(f"the keyboard never came to {name}")
