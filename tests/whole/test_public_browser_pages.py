"""Every page and every refusal, both languages, in a real browser: axe, 320 px, large text, dark, forced colours."""

import pytest
from playwright.sync_api import Browser

from gateway.public.journey import SCREEN_BY_NAME, SCREENS
from gateway.public.journey.places import SIDE_PATHS
from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.public_person import open_public_reports
from tests.whole.browser_walk import (
    EVERY_WAY,
    SHORTEST,
    SIDEWAYS,
    bring_browser_to,
    go_on,
    list_page_faults,
    list_refused,
    walk_way,
)
from tests.whole.public_server import PublicServer, open_phone

# Where the top that stays ends, and where what a link of a refusal leads to begins.
SHOWN = """() => [document.querySelector('.top').getBoundingClientRect().bottom,
  document.querySelector(location.hash).closest('.field').querySelector('.label').getBoundingClientRect().top]"""

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
PATHS = {f"/{screen.path}" for screen in SCREENS} - {"/"}
ASKED_AGAIN = {"/3", "/4", "/5", "/5b", "/6", "/11", "/12"}  # what can not be left blank
TYPED_ON = {"/7b", "/9", "/10", "/10a", "/10c", "/10d", "/11", "/12", "/12a", "/12b"}
# Every way from one screen to another that the table knows.
TURNS = {
    (f"/{screen.path}", f"/{SCREEN_BY_NAME[name].path}")
    for screen in SCREENS
    for name in (screen.goes_to, *(branch.go for branch in screen.branches))
    if screen.path and screen.goes_to != screen.name
}
# Nothing that a page could keep on the phone.
KEPT = """async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...await caches.keys(),
  ...(await indexedDB.databases()).map(one => one.name),
  ...(await navigator.serviceWorker.getRegistrations()).map(one => one.scope)]"""


def check_reports(server: PublicServer, language: str) -> None:
    """Check that each way ended in a report that carries its own answers and the language of the form."""
    reports = open_public_reports(server.house, server.gateway)
    assert len(reports) == len(EVERY_WAY)
    assert {report.language for report in reports} == {language}
    for report, way in zip(reports, EVERY_WAY, strict=True):
        assert report.under_18 == way["/4"]["under_18"]
        assert report.story == way.get("/9", {}).get("story", report.story)


@LANGUAGES_TO_RUN
def test_every_screen_and_refusal_is_right_for_everyone_and_every_way_is_stored(
    browser: Browser, server: PublicServer, language: str
):
    seen: set[str] = set()
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert list_page_faults(page, language=language) == [], stop
            seen.add(stop)

        for way in EVERY_WAY:
            for path in walk_way(page, server.url, way):
                if path in seen:
                    continue
                look(path)
                if path in ASKED_AGAIN | TYPED_ON:
                    for stop in list_refused(page, path):
                        look(stop)
            assert page.evaluate(KEPT) == []
        phone.check_silence(server.url)
    refused = {f"{path} blank" for path in ASKED_AGAIN} | {f"{path} too long" for path in TYPED_ON}
    assert seen == PATHS | refused
    check_reports(server, language)


@LANGUAGES_TO_RUN
def test_every_branch_without_script_stays_on_a_small_screen_and_is_stored(
    browser: Browser, server: PublicServer, language: str
):
    turns: set[tuple[str, str]] = set()
    with open_phone(browser, has_script=False, language=language) as phone:
        for way in EVERY_WAY:
            before = ""
            for path in walk_way(phone.page, server.url, way):
                assert phone.page.evaluate(SIDEWAYS) == [], path
                turns |= {(before, path)} if before else set()
                before = path
            assert before == "/15"
        phone.check_silence(server.url)
    assert turns == TURNS
    check_reports(server, language)


def test_shortest_way_of_a_child_is_eight_answers(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        paths = list(walk_way(phone.page, server.url, SHORTEST))
    assert len([path for path in paths if path in SHORTEST]) + len(["Send"]) == 8
    assert " ".join(paths) == "/2 /3 /4 /4b /5 /6 /7 /9 /10 /11 /12 /12a /13 /14 /15"
    (report,) = open_public_reports(server.house, server.gateway)
    assert (report.name, report.contact.school, report.story) == ("Sam", "Ms Example", "")


@LANGUAGES_TO_RUN
def test_every_side_page_is_right_for_everyone(browser: Browser, server: PublicServer, language: str):
    paths = ["/", "/16", *(f"/{side}" for side in SIDE_PATHS.values())]
    with open_phone(browser, has_script=True, language=language) as phone:
        for path in paths:
            phone.page.goto(server.url + path)
            assert list_page_faults(phone.page, language=language) == [], path


@LANGUAGES_TO_RUN
def test_link_of_a_refusal_shows_the_label_and_the_words_below_the_top_of_a_small_screen(
    browser: Browser, server: PublicServer, language: str
):
    with open_phone(browser, has_script=True, width=320, language=language) as phone:
        page = phone.page
        bring_browser_to(page, server, "/12", language=language)
        for way in ("call", "email"):
            page.check(f"#contact_ways-{way}")
        go_on(page)
        for field in ("phone", "email"):
            page.click(f"#faults a[href='#{field}']")
            top, label = page.evaluate(SHOWN)
            assert 50 < top < 75, "the top is one row"
            assert top <= label, field


def test_page_of_a_problem_of_machines_is_right_for_everyone(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        phone.page.goto(f"{server.url}/problems/malformed-request")
        assert list_page_faults(phone.page, language="en") == []
        assert phone.page.inner_text("h1") != ""
