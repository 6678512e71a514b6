"""Sending in a real browser: two tabs, two clicks, a lost answer, Back and Send again, and still one report."""

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.gateway.public.person import SHORT_ANSWERS
from tests.whole.browser_walk import (
    CONTINUE,
    REFERENCE,
    SEND,
    bring_browser_to,
    fill_page,
    go_on,
    open_second_tab,
    path_of,
    walk_browser_to,
)
from tests.whole.public_server import PublicServer, open_phone

THANKS = "We have got what you sent"
STORY = "My very own words.\nA second line, with \U0001f642 and <b>.\n\nThe end. "
# A form must work without script (decision 0005), and the scripts take no part in one: they leave, press Back and carry
# a context. So a test runs without, and also with script where it meets those, or is the whole journey.
WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])


def open_check(page: Page, server: PublicServer) -> None:
    """Come to the page with Send."""
    bring_browser_to(page, server, "/14")


def read_number(page: Page) -> str:
    """Return the number on the thank-you page."""
    expect(page).to_have_title(THANKS)
    return page.locator(REFERENCE).first.inner_text()


@WAYS_TO_RUN
def test_whole_journey_arrives_as_it_was_typed(browser: Browser, server: PublicServer, *, has_script: bool):
    with open_phone(browser, has_script=has_script) as phone:
        page = phone.page
        page.goto(f"{server.url}/?from=example-chat")
        go_on(page, "main button[value=start]")
        walk_browser_to(page, server.url, "/9")
        page.fill("#story", STORY)
        go_on(page)
        by_adult = {"/12": {"contact_ways": ["school", "adult"], "school": "Ms Example", "adult": "My aunt"}}
        walk_browser_to(page, server.url, "/12a", SHORT_ANSWERS | by_adult)
        page.check("[name=may_say_who_we_are][value=no]")
        page.fill("#safe_word", "pancake")
        go_on(page)
        walk_browser_to(page, server.url, "/14")
        go_on(page, SEND)
        read_number(page)
        assert phone.complaints == []
    (report,) = server.public.reports()
    assert report.story == STORY.replace("\n", "\r\n")  # how every browser sends a line break
    assert (report.name, report.contact.school, report.contact.safe_word) == ("Sam", "Ms Example", "pancake")
    assert report.placement == "example-chat"


def test_two_clicks_on_send_make_one_report(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        open_check(phone.page, server)
        phone.page.dblclick(SEND, no_wait_after=True)
        read_number(phone.page)
        assert len(server.public.reports()) == 1


def test_send_in_two_tabs_makes_one_report_with_one_number(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        bring_browser_to(phone.page, server, "/12")
        fill_page(phone.page, SHORT_ANSWERS["/12"])
        other = open_second_tab(phone.page, CONTINUE, address=f"{server.url}/14")
        go_on(phone.page)
        go_on(phone.page, SEND)
        go_on(other, SEND)
        assert read_number(phone.page) == read_number(other)
        assert len(server.public.reports()) == 1


def test_send_again_after_a_lost_answer_makes_one_report(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        open_check(phone.page, server)
        taken: list[int] = []

        def lose_answer(route: Route) -> None:
            taken.append(route.fetch(max_redirects=0).status)
            route.abort("aborted")

        phone.page.route(f"{server.url}/14", lose_answer, times=1)
        with phone.page.expect_event("requestfailed"):
            phone.page.click(SEND, no_wait_after=True)
        assert taken == [303]
        assert path_of(phone.page, server.url) == "/14"
        phone.page.click(SEND)
        read_number(phone.page)
        assert len(server.public.reports()) == 1


@WAYS_TO_RUN
def test_back_after_send_shows_no_word_and_sends_nothing(
    remembering_browser: Browser, server: PublicServer, *, has_script: bool
):
    with open_phone(remembering_browser, has_script=has_script) as phone:
        open_check(phone.page, server)
        go_on(phone.page, SEND)
        read_number(phone.page)
        phone.page.go_back()
        expect(phone.page).to_have_title("You can tell us here")
        assert "Ms Example" not in phone.page.content()
        assert len(server.public.reports()) == 1


def test_send_in_a_tab_that_stood_before_it_leads_to_the_same_number(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        bring_browser_to(phone.page, server, "/14")
        sent = open_second_tab(phone.page, SEND, address=f"{server.url}/15")
        number = read_number(sent)
        for _ in range(2):
            phone.page.bring_to_front()
            other = open_second_tab(phone.page, SEND, address=f"{server.url}/15")
            assert read_number(other) == number
        assert len(server.public.reports()) == 1


def test_second_tab_shows_both_texts_and_sends_what_was_picked(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        bring_browser_to(phone.page, server, "/7")
        phone.page.check("[value=extra_nice]")
        other = open_second_tab(phone.page, CONTINUE, address=f"{server.url}/9")
        go_on(phone.page)
        other.fill("#story", "What the first tab said.")
        go_on(other)
        phone.page.fill("#story", "What the second tab said.")
        go_on(phone.page)
        expect(phone.page).to_have_title("You have this page open twice")
        for said in ("What the first tab said.", "What the second tab said."):
            expect(phone.page.get_by_text(said)).to_be_visible()
        go_on(phone.page, "main button[value=keep_typed]")
        walk_browser_to(phone.page, server.url, "/14")
        go_on(phone.page, SEND)
        read_number(phone.page)
        (report,) = server.public.reports()
        assert report.story == "What the second tab said."
