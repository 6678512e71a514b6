"""The checker measures how far the button stands out from its surroundings, in light pages and in dark ones."""

from collections.abc import Iterator
from functools import partial
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser

from partner_sdk.console.check import Expected
from partner_sdk.console.check.browser_check import check_in_browser
from partner_sdk.wire.button import ButtonCheck
from tests.sdk.button.pages import PLAIN, WITH_SCRIPT, make_page
from tests.whole.example_service import serve_example_service
from tests.widget.agency_door import AgencyDoor
from tests.widget.checked_pages import NOW, PHONE, CheckBrowsers, check, list_all_codes, list_codes

DEMO_PAGES = ("/chat", "/messages", "/profile", "/lobby", "/help")
PAINTED = "<style>section {{ background: {} }} section, section a {{ color: {} }}</style>"


# Grounds, and the colour of the words on each.
GROUNDS = {
    "#000": "#fff",
    "#1b1b1f": "#eee",
    "#154650": "#fff",  # that of the icon's own field: its hand stands out
    "#f6c65b": "#000",  # that of its hand: the field stands out
    "linear-gradient(#fff, #ddd)": "#000",
}


def test_icon_stands_out_from_light_dark_and_its_own_colours(check_browser: Browser):
    painted = [
        f"<style>#place{'-' * place} {{ background: {ground} }} #place{'-' * place} a {{ color: {words} }}</style>"
        f'<div id="place{"-" * place}">{PLAIN}</div>'
        for place, (ground, words) in enumerate(GROUNDS.items())
    ]
    assert len(painted) <= 5  # a check measures so many buttons of a page
    # All are of one placement, and this alone is found.
    assert list_codes(check(check_browser, make_page("".join(painted)))) == ["same-placement-twice"]


def test_face_of_a_dressed_button_stands_out_where_the_icon_alone_would_not(check_browser: Browser):
    page = make_page(WITH_SCRIPT, head=PAINTED.format("#7a7a7a", "#000"))
    assert list_codes(check(check_browser, page)) == []


def test_faint_edge_is_advice_that_says_why_and_how_to_mend_it(check_browser: Browser):
    found = check(check_browser, make_page(PLAIN, head=PAINTED.format("#7a7a7a", "#000")))
    (one,) = found.findings
    assert (found.result, one.code, one.severity) == ("passes", "faint-edge", "advice")
    assert "1.4.11" in one.why
    assert "light or a dark ground" in one.mend


@pytest.fixture(scope="module")
def demo(served_agency: AgencyDoor) -> Iterator[str]:
    """The demonstration's service with this agency's button."""
    with serve_example_service(served_agency.url.rstrip("/")) as service:
        yield service


def check_demo(browser: Browser, address: str, *, agency: str) -> ButtonCheck:
    """Check a page of the demonstration on a phone: its colours are those of a light page and of a dark one."""
    with urlopen(address) as answer:  # noqa: S310 - a port of this machine
        raw, headers = answer.read(), dict(answer.headers)
    return check_in_browser(
        raw, browser=browser, address=address, expected=Expected(agency), now=NOW, headers=headers, screens=PHONE
    )


def test_pages_of_the_demonstration_have_no_finding_in_their_colours(
    check_browsers: CheckBrowsers, served_agency: AgencyDoor, demo: str
):
    look = partial(check_demo, agency=served_agency.url.rstrip("/"))
    found = list_all_codes(check_browsers, {path: partial(look, address=f"{demo}{path}") for path in DEMO_PAGES})
    assert found == {path: ["placement-not-compared"] for path in DEMO_PAGES}
