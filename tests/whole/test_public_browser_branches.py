"""Every branch of the form in a real browser, in Welsh without script, on a small screen, to the stored report."""

from playwright.sync_api import Browser

from gateway.public.journey import SCREEN_BY_NAME, SCREENS
from tests.gateway.public.person import open_public_reports
from tests.whole.browser_walk import (
    ASKED_AGAIN,
    EVERY_WAY,
    REFUSED,
    SHORTEST,
    TYPED_ON,
    check_stored_ways,
    list_layout_faults,
    list_refused,
    walk_way,
)
from tests.whole.public_server import PublicServer, open_phone

# Every way from one screen to another that the table knows.
TURNS_OF_THE_TABLE = {
    (f"/{screen.path}", f"/{SCREEN_BY_NAME[name].path}")
    for screen in SCREENS
    for name in (screen.goes_to, *(branch.go for branch in screen.branches))
    if screen.path and screen.goes_to != screen.name
}
# A person with more to say comes from the check page, not from the page before it.
TURNS = (TURNS_OF_THE_TABLE - {("/12", "/10")}) | {("/14", "/10")}


def test_every_branch_in_welsh_without_script_stays_on_a_small_screen_and_is_stored(
    browser: Browser, server: PublicServer
):
    turns: set[tuple[str, str]] = set()
    seen: set[str] = set()
    with open_phone(browser, has_script=False, language="cy") as phone:
        page = phone.page

        def look(stop: str) -> None:
            assert page.get_attribute("html", "lang") == "cy", stop
            assert list_layout_faults(page) == [], stop
            seen.add(stop)

        for way in EVERY_WAY:
            before = ""
            for path in walk_way(page, server.url, way):
                turns |= {(before, path)} if before else set()
                before = path
                if path in seen:
                    continue
                look(path)
                if path in ASKED_AGAIN | TYPED_ON:
                    for stop in list_refused(page, path):
                        look(stop)
            assert before == "/15"
        phone.check_silence(server.url)
    assert turns == TURNS
    assert seen == {f"/{screen.path}" for screen in SCREENS} - {"/"} | REFUSED
    check_stored_ways(server, "cy")


def test_shortest_way_of_a_child_is_seven_answers_on_twelve_pages(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=False) as phone:
        paths = list(walk_way(phone.page, server.url, SHORTEST))
    assert len([path for path in paths if path in SHORTEST]) + len(["Send"]) == 7
    assert " ".join(paths) == "/2 /3 /4 /4b /6 /7 /9 /9a /11 /12 /14 /15"
    (report,) = open_public_reports(server.house, server.gateway)
    assert (report.name, report.contact.school, report.story) == ("Sam", "Ms Example", "")
