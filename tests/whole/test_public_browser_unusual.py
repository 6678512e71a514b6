"""Pages for unusual turns in a browser: right for everyone, with the words that were typed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect

from partner_sdk.wire.public_codes import LANGUAGES
from tests.whole.browser_walk import (
    CONTINUE,
    SEND,
    bring_browser_to,
    go_on,
    list_page_faults,
    open_second_tab,
    start,
    type_in,
    walk_browser_to,
)
from tests.whole.public_server import Phone, PublicServer, open_phone, serve_public

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
MARKER = "My very own words"
Check = Callable[[str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    """A public door for all the visits here."""
    with serve_public(tmp_path_factory.mktemp("door")) as server:
        yield server


@pytest.fixture(scope="module")
def phones(browser: Browser) -> Iterator[dict[str, Phone]]:
    """A phone in each language."""
    with ExitStack() as stack:
        yield {
            language: stack.enter_context(open_phone(browser, has_script=True, language=language))
            for language in LANGUAGES
        }


@pytest.fixture
def look(phones: dict[str, Phone], server: PublicServer, language: str) -> tuple[Phone, Check]:
    """A phone without cookies on which the first page was started, and a check of the page that it shows."""
    words, phone = server.public.app.extensions["public_door"].wordings[language], phones[language]

    def check(page: str) -> None:
        assert list_page_faults(phone.page, language=language) == [], page
        shown = phone.page.evaluate("document.body.innerText")
        assert words.page(page)["title"] in shown
        assert "999" in shown

    phone.context.clear_cookies()
    # A second tab asks in the browser's own language once, so the language is picked, as a person would.
    start(phone.page, f"{server.url}/?lang={language}")
    return phone, check


def tell_story(page: Page, server: PublicServer) -> None:
    """Type a story that was not saved yet, in the language of the open page."""
    bring_browser_to(page, server, "/9", language=page.evaluate("document.documentElement.lang"))
    type_in(page, "#story", MARKER)


@LANGUAGES_TO_RUN
def test_missing_page_and_too_large_an_answer_are_explained(server: PublicServer, look: tuple[Phone, Check]):
    phone, check = look
    tell_story(phone.page, server)
    phone.page.evaluate("document.querySelector('form').enctype = 'multipart/form-data'")
    go_on(phone.page)
    check("files")
    phone.page.goto(f"{server.url}/nothing")
    check("not_found")
    start(phone.page, server.url)
    tell_story(phone.page, server)
    phone.page.fill("#story", MARKER * 20_000)
    go_on(phone.page)
    check("too_big")


@LANGUAGES_TO_RUN
def test_words_are_shown_after_an_hour_away(server: PublicServer, look: tuple[Phone, Check]):
    phone, check = look
    tell_story(phone.page, server)
    server.house.clock.advance(hours=2)
    go_on(phone.page)
    expect(phone.page.get_by_text(MARKER)).to_be_visible()
    check("expired")


@LANGUAGES_TO_RUN
def test_two_tabs_show_both_texts(server: PublicServer, look: tuple[Phone, Check]):
    phone, check = look
    walk_browser_to(phone.page, server.url, "/7")
    phone.page.check("[value=extra_nice]")
    other = open_second_tab(phone.page, CONTINUE, address=f"{server.url}/9")
    go_on(phone.page)
    other.fill("#story", "What the other tab said.")
    go_on(other)
    walk_browser_to(other, server.url, "/14")
    phone.page.fill("#story", MARKER)
    go_on(phone.page)
    for said in (MARKER, "What the other tab said."):
        expect(phone.page.get_by_text(said)).to_be_visible()
    check("stale")
    go_on(phone.page, "main button[value=keep_typed]")
    go_on(other, SEND)
    for said in (MARKER, "What the other tab said."):
        expect(other.get_by_text(said)).to_be_visible()


def be_over(name: str, *, subject: str | None = None) -> bool:
    """Put this network over every limit; a wait that was waited for is good once."""
    return name != "public-wait"


@LANGUAGES_TO_RUN
def test_limit_waits_with_the_words(server: PublicServer, look: tuple[Phone, Check], monkeypatch: pytest.MonkeyPatch):
    phone, check = look
    tell_story(phone.page, server)
    monkeypatch.setattr(server.gateway.limits, "is_over", be_over)
    go_on(phone.page)
    expect(phone.page.locator("#story")).to_have_value(MARKER)
    check("slow")
    server.house.clock.advance(seconds=5)
    go_on(phone.page)
    assert phone.page.url == f"{server.url}/9a"
    phone.context.clear_cookies()
    phone.page.goto(f"{server.url}/16")
    phone.page.fill("#words_typed", MARKER)
    go_on(phone.page)
    expect(phone.page.locator("#words_typed")).to_have_value(MARKER)
    check("slow")
    phone.context.clear_cookies()
    start(phone.page, server.url)
    check("slow")


@LANGUAGES_TO_RUN
def test_lost_cookie_asks_for_the_button_again_and_no_cookie_gives_numbers(
    server: PublicServer, look: tuple[Phone, Check]
):
    phone, check = look
    tell_story(phone.page, server)
    phone.context.clear_cookies()
    go_on(phone.page)
    expect(phone.page.locator("#story")).to_have_value(MARKER)
    check("again")
    phone.context.clear_cookies()
    go_on(phone.page)
    expect(phone.page.get_by_text(MARKER)).to_be_visible()
    check("no_cookies")
    phone.page.goto(f"{server.url}/16")
    phone.context.clear_cookies()
    go_on(phone.page)
    check("again")
    phone.page.goto(server.url)
    phone.context.clear_cookies()
    go_on(phone.page, "main button[value=start]")
    check("no_cookies")


@LANGUAGES_TO_RUN
def test_what_cannot_be_sealed_or_stored_stays_on_the_page(server: PublicServer, look: tuple[Phone, Check]):
    phone, check = look
    before = len(server.public.reports())
    tell_story(phone.page, server)
    with server.public.broken("missing"):
        go_on(phone.page)
        expect(phone.page.locator("#story")).to_have_value(MARKER)
        check("not_stored")
    go_on(phone.page)
    walk_browser_to(phone.page, server.url, "/14")
    with server.public.broken("no-key"):
        go_on(phone.page, SEND)
        expect(phone.page.get_by_text(MARKER)).to_be_visible()
        check("not_stored")
        assert len(server.public.reports()) == before
    go_on(phone.page, "main .actions button[value=send]")
    with server.public.broken("missing"):
        phone.page.reload()
        check("thanks_later")
    assert [report.story for report in server.public.reports()][before:] == [MARKER]


@LANGUAGES_TO_RUN
def test_form_that_cannot_be_taken_is_not_open(server: PublicServer, look: tuple[Phone, Check]):
    phone, check = look
    with server.public.broken("no-key"):
        phone.page.goto(server.url)
        check("not_ready")
    with server.public.broken("missing"):
        phone.page.goto(f"{server.url}/16")
        phone.page.fill("#reference", "C5H6-6S35C-3")
        phone.page.fill("#words_typed", "lemon kite otter zebra acorn")
        go_on(phone.page)
        check("not_ready")
