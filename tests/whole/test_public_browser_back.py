"""The phone's Back inside the form: with script it is the page's own Back."""

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.public.journey import FIELD_BY_NAME, TYPED
from tests.gateway.public.walks import LONG_WAY
from tests.whole.browser_walk import (
    BACK,
    CONTINUE,
    bring_browser_to,
    go_on,
    name_option,
    walk_browser_to,
    walk_on,
    walk_way,
)
from tests.whole.public_server import PublicServer, open_phone

STORY = "My very own words."
PAGES_WITH_MORE = ("/14", "/10")  # Back leads from both to the last page that must be answered


def list_kept(page: Page, path: str) -> list[str]:
    """Return the fields of a page that still hold what the long way typed or picked there."""
    kept = []
    for name, value in LONG_WAY[path].items():
        field = FIELD_BY_NAME[name]
        if field.kind in TYPED or field.kind == "select":
            kept += [name] if page.input_value(f"#{name}") == value else []
        elif field.kind not in {"choice", "more"}:
            codes = [value] if isinstance(value, str) else value
            kept += [name] if all(page.is_checked(name_option(name, code)) for code in codes) else []
    return kept


def test_back_from_every_screen_keeps_the_words_and_goes_one_screen_back(browser: Browser, server: PublicServer):
    before, backs = "", 0
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        for path in walk_way(page, server.url, LONG_WAY):
            if path == "/15":
                break
            if before:
                previous = "/12" if before in {"/12", "/14"} and path in PAGES_WITH_MORE else before
                page.click("h1")  # Back passes over untouched pages: there the server shows the blank start
                page.go_back()
                expect(page).to_have_url(f"{server.url}{previous}")
                asked = {name for name in LONG_WAY[previous] if FIELD_BY_NAME[name].kind not in {"choice", "more"}}
                assert set(list_kept(page, previous)) == asked, (path, previous)
                walk_on(page, LONG_WAY[previous])
                expect(page).to_have_url(f"{server.url}{path}")
                backs += 1
            before = path
        assert phone.complaints == []
    assert backs == len(LONG_WAY)  # every page but the first, and the check page twice
    assert len(server.public.reports()) == 1


@pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
def test_back_on_a_page_that_nobody_touched_offers_to_carry_on(
    browser: Browser, server: PublicServer, *, has_script: bool
):
    with open_phone(browser, has_script=has_script) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page)
        page.go_back()
        expect(page).to_have_url(f"{server.url}/")
        assert STORY not in page.content()
        go_on(page, "main button[value=carry_on]")
        expect(page).to_have_url(f"{server.url}/9a")
        go_on(page, BACK)
        expect(page.locator("#story")).to_have_value(STORY)


def test_page_is_ready_for_a_second_back_before_the_first_is_answered(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page)
        page.evaluate("document.querySelector('main button[value=back]').click = () => { document.title = 'pressed' }")
        page.click("h1")
        for _ in range(2):
            page.evaluate("document.title = ''; setTimeout(() => history.back())")
            expect(page).to_have_title("pressed")
            assert page.evaluate("history.state") == "here"


def test_back_pressed_again_before_the_next_page_comes_keeps_the_words(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page)
        page.click("h1")
        with page.expect_event("load"):
            # As soon as the page has heard of the first: of two in one moment it may hear too late (decision 0018).
            page.evaluate(
                "addEventListener('popstate', () => history.back(), { once: true }); setTimeout(() => history.back())"
            )
        expect(page).to_have_url(f"{server.url}/9")
        expect(page.locator("#story")).to_have_value(STORY)


def test_back_from_a_side_page_returns_to_the_words(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page, "footer button[value='see:privacy']")
        page.click("h1")
        page.go_back()
        expect(page).to_have_url(f"{server.url}/9")
        expect(page.locator("#story")).to_have_value(STORY)


def test_back_from_a_link_in_the_list_of_faults_stays_on_the_page(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/11")
        go_on(page, CONTINUE)
        page.click("#faults a")
        page.fill("#name", "Sam")
        page.go_back()
        expect(page.locator("#name")).to_have_value("Sam")
        go_on(page, CONTINUE)  # only a page that is still there can
        expect(page).to_have_url(f"{server.url}/12")


def test_back_from_a_page_with_a_fault_goes_back_and_keeps_the_words(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page)
        walk_browser_to(page, server.url, "/11")
        go_on(page)
        expect(page.locator("#faults")).to_be_visible()
        for path in ("/9a", "/9"):
            page.click("h1")
            page.go_back()
            expect(page).to_have_url(f"{server.url}{path}")
        expect(page.locator("#story")).to_have_value(STORY)
