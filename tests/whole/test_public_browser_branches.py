"""Every branch of the form in a real browser without script, both languages, on a small screen to the stored report."""

import pytest
from playwright.sync_api import Browser

from gateway.public.journey import SCREEN_BY_NAME, SCREENS
from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.public.person import open_public_reports
from tests.whole.browser_walk import EVERY_WAY, SHORTEST, SIDEWAYS, check_stored_ways, walk_way
from tests.whole.public_server import PublicServer, open_phone

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
# Every way from one screen to another that the table knows.
TURNS = {
    (f"/{screen.path}", f"/{SCREEN_BY_NAME[name].path}")
    for screen in SCREENS
    for name in (screen.goes_to, *(branch.go for branch in screen.branches))
    if screen.path and screen.goes_to != screen.name
}


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
    check_stored_ways(server, language)


def test_shortest_way_of_a_child_is_eight_answers(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        paths = list(walk_way(phone.page, server.url, SHORTEST))
    assert len([path for path in paths if path in SHORTEST]) + len(["Send"]) == 8
    assert " ".join(paths) == "/2 /3 /4 /4b /5 /6 /7 /9 /9a /10 /11 /12 /12a /13 /14 /15"
    (report,) = open_public_reports(server.house, server.gateway)
    assert (report.name, report.contact.school, report.story) == ("Sam", "Ms Example", "")
