"""After Send, in a real browser: the one tap, coming back, replies and more words, and the whole form as practice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.public.sending.send import PRACTICE_REFERENCE
from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.return_builders import ANSWER, WRONG_WORDS, post_reply
from tests.gateway.public.walks import ADULT, SHORTEST
from tests.whole.browser_walk import REFERENCE, SEND, come_back, go_on, list_page_faults, send, walk_way
from tests.whole.public_server import PublicServer, open_phone, serve_public

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
# What differs with the language does not differ with the script: each is there once.
EACH_LANGUAGE_AND_SCRIPT = pytest.mark.parametrize(
    ("language", "has_script"), [("en", True), ("cy", False)], ids=["en-script", "cy-no-script"]
)
MORE = "More happened by the clock."


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[PublicServer]:
    """The door of a sandbox."""
    with serve_public(tmp_path, environment="sandbox") as server:
        yield server


def check_page(page: Page, path: str, language: str) -> None:
    """Check that this page is open, and right for everyone."""
    assert page.url.endswith(path)
    assert list_page_faults(page, language=language) == [], path


@LANGUAGES_TO_RUN
def test_thank_you_page_takes_one_tap_and_is_right_for_everyone(browser: Browser, server: PublicServer, language: str):
    with open_phone(browser, has_script=True, language=language) as phone:
        send(phone.page, server, ADULT, language=language)
        check_page(phone.page, "/15", language)
        taps = phone.page.locator("button[value^='ok:']")
        assert taps.count() >= 2
        with phone.page.expect_event("load"):
            taps.first.click()
        expect(phone.page.get_by_role("status")).to_be_visible()
        assert taps.count() == 0
        assert phone.page.locator(REFERENCE).count() == 2
        # The answer stands where the tap was: in sight, with the focus, and not at the top of the page.
        assert phone.page.evaluate("document.activeElement.id") == "ok"
        assert phone.page.evaluate("scrollY") > 0
        expect(phone.page.get_by_role("status")).to_be_in_viewport()
        check_page(phone.page, "/15#ok", language)


# Danger and self-harm, and a person who cannot call: the two longest blocks.
URGENT_ROUTES = (
    (
        SHORT_ANSWERS | {"/3": {"danger": "yes"}, "/3a": {"called": "carry_on"}, "/9a": {"feels": "hurting"}},
        ".call-now",
    ),
    (ADULT | {"/3": {"danger": "yes"}, "/3a": {"called": "cannot_call"}}, ".urgent li"),
)


@EACH_LANGUAGE_AND_SCRIPT
def test_urgent_steps_are_in_sight_without_scrolling(
    browser: Browser, server: PublicServer, language: str, *, has_script: bool
):
    for way, first in URGENT_ROUTES:
        with open_phone(browser, has_script=has_script, language=language) as phone:
            page = phone.page
            send(page, server, way, language=language)
            to_do, number = page.locator(first).first.bounding_box(), page.locator(REFERENCE).first.bounding_box()
            assert to_do is not None
            assert number is not None
            assert 0 < to_do["y"] + to_do["height"] < 640 < number["y"]
            if has_script:  # the ruler waits for timers, and there are none without
                check_page(page, "/15", language)
            page.reload()
            expect(page.locator(".urgent")).to_be_visible()


@LANGUAGES_TO_RUN
def test_way_back_is_right_for_everyone_from_the_refusal_to_what_was_added(
    browser: Browser, server: PublicServer, language: str
):
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        reference, words = send(page, server, language=language)
        (report,) = server.public.reports()
        page.click("main a[href='/16']")
        check_page(page, "/16", language)
        come_back(page, server.url, reference, WRONG_WORDS)
        expect(page.locator("#faults")).to_be_focused()
        check_page(page, "/16", language)
        come_back(page, server.url, reference, words)
        check_page(page, "/17", language)
        post_reply(server.public, report, reference)
        come_back(page, server.url, reference, words)
        expect(page.get_by_text(ANSWER)).to_be_visible()
        check_page(page, "/17", language)
        go_on(page, "main button[value=add]")
        check_page(page, "/3", language)
        page.check("[value=no]")
        go_on(page)
        check_page(page, "/9", language)
        page.fill("#story", MORE)
        go_on(page)
        check_page(page, "/14", language)
        go_on(page, SEND)
        check_page(page, "/15", language)
        assert page.locator(REFERENCE).first.inner_text() == reference
        check_nothing_is_shown_again(page, server)
        phone.check_silence(server.url)
    assert [one.story for one in server.public.reports()][1:] == [MORE]


def check_nothing_is_shown_again(page: Page, server: PublicServer) -> None:
    """Check that the page of replies leads to the empty page that asks for number and words."""
    page.goto(f"{server.url}/17")
    assert page.url == f"{server.url}/16"
    assert page.input_value("#reference") == ""
    assert ANSWER not in page.content()


def test_person_comes_back_adds_and_is_answered_without_script(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        reference, words = send(phone.page, server)
    (report,) = server.public.reports()
    post_reply(server.public, report, reference)
    with open_phone(browser, has_script=False) as phone:
        page = phone.page
        come_back(page, server.url, reference.lower(), words.upper())
        expect(page.get_by_text(ANSWER)).to_be_visible()
        go_on(page, "main button[value=add]")
        page.check("[value=no]")
        go_on(page)
        page.fill("#story", MORE)
        go_on(page)
        go_on(page, SEND)
        assert page.url == f"{server.url}/15"
        assert page.locator(REFERENCE).first.inner_text() == reference
        check_nothing_is_shown_again(page, server)


@LANGUAGES_TO_RUN
def test_every_practice_page_has_the_banner_and_is_right_for_everyone(
    browser: Browser, practice: PublicServer, language: str
):
    banner = practice.public.app.extensions["public_door"].wordings[language].common()["practice"]
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        for path in walk_way(page, practice.url, SHORTEST):
            expect(page.locator(".banner")).to_have_text(banner)
            if path in {"/3", "/12", "/14", "/15"}:
                check_page(page, path, language)
        assert page.locator(REFERENCE).first.inner_text() == PRACTICE_REFERENCE
        phone.check_silence(practice.url)
    assert practice.house.rows("reports") == []
