"""Leaving in a hurry, in a real browser with its caches on: nothing typed comes back, and nothing stays behind."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from playwright.sync_api import Browser, Error, Page, Response, expect

from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.return_builders import ANSWER, post_reply
from tests.whole.browser_walk import BACK, SEND, bring_browser_to, come_back, go_on, send
from tests.whole.public_server import Phone, PublicServer, open_phone, serve_public

MARKER = "My very own words"
WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
# What a person sees or could read out of a field, and what a script of another hand could find.
WORDS = """() => [document.documentElement.outerHTML,
  ...[...document.querySelectorAll('input, textarea')].map(part => part.value)].join(' ')"""

COMES_FROM_MEMORY = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
TELLS_THAT_IT_WAS_REMEMBERED = """addEventListener('pageshow', event => {
  if (event.persisted && location.hostname === 'localhost') location.replace('/remembered');
})"""
LEAVES = "document.getElementById('leave').click()"
WIPES = """document.querySelector("main a[href='/leave']").click()"""
# What a page shows and holds when its script has run, and before the browser went anywhere.
SEEN_AT_ONCE = """() => {
  %s;
  return [getComputedStyle(document.body).display, document.title,
    [...document.querySelectorAll('textarea, input:not([type=radio], [type=checkbox])')]
      .map(field => field.value).join('')];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    """One door for all tests: Back may lead to the pages of the tests before."""
    with serve_public(tmp_path_factory.mktemp("door")) as server:
        yield server


@pytest.fixture(scope="module")
def phones(remembering_browser: Browser) -> Iterator[dict[bool, Phone]]:
    """A phone that runs script and one that does not, which remember the pages of every test before."""
    with ExitStack() as stack:
        yield {
            has_script: stack.enter_context(open_phone(remembering_browser, has_script=has_script))
            for has_script in (False, True)
        }


@pytest.fixture
def phone(phones: dict[bool, Phone], server: PublicServer, request: pytest.FixtureRequest) -> Phone:
    """The phone of a test, by default the one with script, without a cookie or a draft of the tests before."""
    found = phones[request.node.callspec.params.get("has_script", True) if hasattr(request.node, "callspec") else True]
    found.context.clear_cookies()
    with closing(sqlite3.connect(server.house.state / "gateway.sqlite", isolation_level=None)) as database:
        database.execute("DELETE FROM drafts")
    return found


def open_story(page: Page, server: PublicServer) -> list[str]:
    """Stand before a story that was saved once, and typed on."""
    bring_browser_to(page, server, "/9")
    page.fill("#story", MARKER)
    go_on(page)
    go_on(page, BACK)
    expect(page.locator("#story")).to_have_value(MARKER)
    page.fill("#story", f"{MARKER} and more")
    return [MARKER]


def open_contact(page: Page, server: PublicServer) -> list[str]:
    """Stand before the page that asks how to be reached, typed and not sent."""
    bring_browser_to(page, server, "/12")
    page.check("[value=school]")
    page.fill("#school", MARKER)
    return [MARKER]


def open_check(page: Page, server: PublicServer) -> list[str]:
    """Stand before everything that was typed."""
    bring_browser_to(page, server, "/14", SHORT_ANSWERS | {"/9": {"story": MARKER}})
    expect(page.get_by_text(MARKER)).to_be_visible()
    return [MARKER, "Ms Example"]


def open_thanks(page: Page, server: PublicServer) -> list[str]:
    """Stand before the number and the five words."""
    return send(page, server)


def open_come_back(page: Page, server: PublicServer) -> list[str]:
    """Stand before the page that asks for both, refused once and typed again."""
    come_back(page, server.url, "C5H6-6S35C-3", MARKER)
    page.fill("#words_typed", MARKER)
    return [MARKER, "C5H6-6S35C-3"]


def open_replies(page: Page, server: PublicServer) -> list[str]:
    """Stand before an answer."""
    reference, words = send(page, server)
    *_, report = server.public.reports()
    post_reply(server.public, report, reference)
    come_back(page, server.url, reference, words)
    expect(page.get_by_text(ANSWER)).to_be_visible()
    return [reference, words, ANSWER]


Opening = Callable[[Page, PublicServer], list[str]]
OPENINGS: tuple[Opening, ...] = (open_check, open_replies)


def check_redirect(left: Response, server: PublicServer) -> None:
    """Check that the way out is one redirect that clears all but the cache."""
    headers = left.all_headers()
    assert (left.status, headers["location"]) == (303, f"{server.elsewhere}#")
    assert headers["clear-site-data"] == '"cookies", "storage"'
    assert headers["cache-control"] == "no-store"


def check_gone(phone: Phone, server: PublicServer, words: list[str]) -> None:
    """Check that the phone is elsewhere and has nothing left, and that Back shows no word, however often."""
    page = phone.page
    expect(page).to_have_title("Elsewhere")
    assert page.url.startswith(server.elsewhere)
    assert phone.context.cookies() == []
    assert server.public.wait_for_no_drafts()
    for _ in range(2):
        press_back(page)
        shown = page.evaluate(WORDS)
        assert [word for word in words if word in shown] == [], page.url
    page.reload()
    assert [word for word in words if word in page.evaluate(WORDS)] == []


def press_back(page: Page) -> None:
    """Press Back. Where a form was answered without a redirect, the browser shows its own page, which asks first."""
    try:
        page.go_back()
    except Error as asked:
        assert "ERR_CACHE_MISS" in str(asked)  # noqa: PT017 - only this one may happen, and need not
        page.wait_for_url("chrome-error://**")


# With script every way out runs the same function: the tests below take the other pages.
@pytest.mark.parametrize(
    ("open_page", "has_script"),
    [*((opening, False) for opening in OPENINGS), (open_contact, True)],
    ids=lambda one: one.__name__ if callable(one) else "script" if one else "no-script",
)
def test_no_word_comes_back_and_no_row_stays_after_leaving(
    phone: Phone, server: PublicServer, open_page: Opening, *, has_script: bool
):
    words = open_page(phone.page, server)
    with phone.page.expect_response(f"{server.url}/leave") as left:
        phone.page.click("#leave")
    check_redirect(left.value, server)
    check_gone(phone, server, words)


@pytest.mark.parametrize(
    ("open_page", "has_script"),
    [(open_thanks, True), (open_thanks, False)],
    ids=["script", "no-script"],
)
def test_wiping_at_the_end_leaves_as_well(phone: Phone, server: PublicServer, open_page: Opening, *, has_script: bool):
    words = open_page(phone.page, server)
    if has_script:
        assert phone.page.evaluate(SEEN_AT_ONCE % WIPES) == ["none", "", ""]
    else:
        phone.page.click("main a[href='/leave']")
    check_gone(phone, server, words)


@pytest.mark.parametrize("open_page", [open_story, open_come_back], ids=lambda one: one.__name__)
def test_shift_three_times_in_a_row_leaves(phone: Phone, server: PublicServer, open_page: Opening):
    words = open_page(phone.page, server)
    if open_page is open_story:
        phone.page.focus("#story")
        for key in ("Shift", "Shift", "a", "Shift", "b"):
            phone.page.keyboard.press(key)
        expect(phone.page.locator("#story")).to_have_value(f"{MARKER} and moreab")
    for _ in range(3):
        phone.page.keyboard.press("Shift")
    check_gone(phone, server, words)


def test_browser_of_these_tests_shows_pages_out_of_its_memory(remembering_browser: Browser, server: PublicServer):
    # Else no word could come back, whatever a page does.
    with open_phone(remembering_browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(TELLS_THAT_IT_WAS_REMEMBERED)
        page.goto(server.elsewhere)
        page.goto(server.url)
        page.evaluate("setTimeout(() => history.back())")  # the answer comes before the page is gone
        page.wait_for_url(f"{server.elsewhere}remembered")


def go_elsewhere_and_back(phone: Phone, server: PublicServer) -> None:
    """Type another address, without leaving, and press Back: the blank start must stand there."""
    words = open_story(phone.page, server)
    phone.page.goto(server.elsewhere)
    phone.page.go_back()
    expect(phone.page).to_have_title("You can tell us here")
    assert [word for word in words if word in phone.page.evaluate(WORDS)] == []


def test_back_from_another_site_shows_the_blank_start_where_pages_are_remembered(phone: Phone, server: PublicServer):
    go_elsewhere_and_back(phone, server)


@WAYS_TO_RUN
def test_back_from_another_site_shows_the_blank_start_where_the_server_is_asked(
    browser: Browser, server: PublicServer, *, has_script: bool
):
    # Without script nothing that a server says keeps Chromium from remembering a page that was not left by our link.
    with open_phone(browser, has_script=has_script) as phone:
        go_elsewhere_and_back(phone, server)


def test_page_from_the_memory_of_the_browser_is_blank_at_once_and_then_the_start(phone: Phone, server: PublicServer):
    words = open_story(phone.page, server)
    assert phone.page.evaluate(SEEN_AT_ONCE % COMES_FROM_MEMORY)[0] == "none"
    expect(phone.page).to_have_title("You can tell us here")
    assert [word for word in words if word in phone.page.evaluate(WORDS)] == []


def test_page_is_blank_and_empty_before_anything_is_asked_of_the_server(phone: Phone, server: PublicServer):
    words = open_story(phone.page, server)
    assert phone.page.evaluate(SEEN_AT_ONCE % LEAVES) == ["none", "", ""]
    check_gone(phone, server, words)


@WAYS_TO_RUN
def test_back_after_send_shows_no_word_and_sends_nothing(phone: Phone, server: PublicServer, *, has_script: bool):
    words, before = open_check(phone.page, server), len(server.public.reports())
    go_on(phone.page, SEND)
    expect(phone.page).to_have_title("We have got what you sent")
    phone.page.go_back()
    expect(phone.page).to_have_title("You can tell us here")
    assert [word for word in words if word in phone.page.evaluate(WORDS)] == []
    assert len(server.public.reports()) == before + 1
