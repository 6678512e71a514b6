"""A real browser at the public door: a form's expected behaviour, and the things that the browser must not learn."""

import pytest
from playwright.sync_api import Browser, expect

from tests.gateway.public.person import SHORT_ANSWERS
from tests.whole.browser_walk import (
    BACK,
    LANGUAGE,
    bring_browser_to,
    go_on,
    list_page_faults,
    path_of,
    start,
    walk_browser_to,
)
from tests.whole.public_server import PublicServer, open_phone

STORY = "My very own words.\nA second line, with \U0001f642 and <b>.\n\nThe end. "
WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
# What differs with the language does not differ with the script: each is there once.
EACH_LANGUAGE_AND_SCRIPT = pytest.mark.parametrize(
    ("language", "has_script"), [("en", True), ("cy", False)], ids=["en-script", "cy-no-script"]
)


@WAYS_TO_RUN
def test_reload_keeps_the_open_page(browser: Browser, server: PublicServer, *, has_script: bool):
    with open_phone(browser, has_script=has_script) as phone:
        bring_browser_to(phone.page, server, "/14", SHORT_ANSWERS | {"/9": {"story": STORY}})
        phone.page.reload()
        expect(phone.page).to_have_title("Check what you wrote")
        expect(phone.page.get_by_text("My very own words")).to_be_visible()


def test_back_button_of_the_page_keeps_every_letter(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        bring_browser_to(phone.page, server, "/9")
        phone.page.fill("#story", f"\n{STORY}")
        go_on(phone.page, BACK)
        go_on(phone.page)
        expect(phone.page.locator("#story")).to_have_value(f"\n{STORY}")


def test_other_language_keeps_what_was_typed_and_picked(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        page = phone.page
        bring_browser_to(page, server, "/7")
        page.check("[value=wants_to_meet]")
        go_on(page, LANGUAGE)
        assert page.get_attribute("html", "lang") == "cy"
        expect(page.locator("[value=wants_to_meet]")).to_be_checked()
        go_on(page)
        page.fill("#meeting_place", "By the clock")
        go_on(page, LANGUAGE)
        assert page.get_attribute("html", "lang") == "en"
        expect(page.locator("#meeting_place")).to_have_value("By the clock")


@WAYS_TO_RUN
def test_side_page_on_the_way_leads_back_to_what_was_typed(browser: Browser, server: PublicServer, *, has_script: bool):
    with open_phone(browser, has_script=has_script) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", STORY)
        go_on(page, "footer button[value='see:privacy']")
        assert path_of(page, server.url) == "/1f"
        assert not has_script or list_page_faults(page, language="en") == []  # axe is a script
        go_on(page, LANGUAGE)
        go_on(page, "main button[value=return]")
        assert (path_of(page, server.url), page.get_attribute("html", "lang")) == ("/9", "cy")
        expect(page.locator("#story")).to_have_value(STORY)


@EACH_LANGUAGE_AND_SCRIPT
def test_only_cookie_is_ours_and_ends_with_the_browser(
    browser: Browser, server: PublicServer, language: str, *, has_script: bool
):
    with open_phone(browser, has_script=has_script, language=language) as phone:
        start(phone.page, server.url)
        walk_browser_to(phone.page, server.url, "/9")
        (cookie,) = phone.context.cookies()
    assert cookie["name"] == server.public.app.config["SESSION_COOKIE_NAME"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Lax", -1)


def test_script_that_was_not_ours_does_not_run(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        phone.page.goto(server.url)
        phone.page.evaluate("""() => {
          const script = document.createElement('script');
          try { script.text = 'document.title = "ran"'; } catch {}
          document.head.append(script);
          const look = document.createElement('style');
          look.textContent = 'body { display: none }';
          document.head.append(look);
        }""")
        expect(phone.page).to_have_title("You can tell us here")
        expect(phone.page.locator("main")).to_be_visible()
        for refused in ("TrustedScript", "style-src 'self'"):
            assert [one for one in phone.complaints if refused in one], refused
