"""The checker presses: whoever is told of it is seen, whenever and in whatever way, and no poll is taken for it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from partner_sdk.button.check.browser_check import Screen
from partner_sdk.button.check.chromium import open_chromium
from tests.sdk.button_pages import PLAIN, make_page
from tests.widget.test_button_check_browser import LISTEN, check, list_codes

BEACON = "navigator.sendBeacon('https://count.example/')"
NEW_TAB = PLAIN.replace(' rel="', ' target="_blank" rel="')
POLL = "<script>setInterval(() => fetch('/poll/' + Date.now()).catch(() => 0), {})</script>"


@pytest.fixture(scope="module")
def check_browser() -> Iterator[Browser]:
    """Chromium, as the command starts it."""
    with open_chromium(is_root=True) as browser:
        yield browser


TELLERS = {
    "fetch": LISTEN.format("click", "fetch('https://count.example/', { mode: 'no-cors' })"),
    "at-the-finger": LISTEN.format("pointerdown", BEACON),
    "a-moment-later": LISTEN.format("click", f"setTimeout(() => {BEACON}, 100)"),
    "through-a-frame": f'<iframe srcdoc="<script>onmessage = () => {BEACON}</script>"></iframe>'
    + LISTEN.format("click", "frames[0].postMessage(1, '*')"),
}


@pytest.mark.parametrize("name", TELLERS)
def test_press_that_tells_others_is_found_however_the_page_tells_it(check_browser: Browser, name: str):
    assert list_codes(check(check_browser, make_page(PLAIN, after=TELLERS[name]))) == ["press-tells-others"]


def test_press_that_tells_others_is_found_where_a_new_tab_opens(check_browser: Browser):
    found = check(check_browser, make_page(NEW_TAB, after=LISTEN.format("click", BEACON)))
    assert list_codes(found) == ["press-tells-others", "new-tab"]


def test_press_that_tells_others_is_found_where_it_does_not_open_the_form(check_browser: Browser):
    page = make_page(PLAIN, after=LISTEN.format("click", f"event.preventDefault(); {BEACON}"))
    assert list_codes(check(check_browser, page)) == ["leads-elsewhere", "press-tells-others"]


def test_ping_of_the_link_is_seen_by_its_source_and_by_the_press(check_browser: Browser):
    page = make_page(PLAIN.replace(' rel="', ' ping="https://count.example/" rel="'))
    assert set(list_codes(check(check_browser, page))) == {"ping", "press-tells-others"}


@pytest.mark.parametrize("period", [100, 1_000], ids=["often", "now-and-then"])
def test_page_that_polls_all_the_time_is_not_said_to_tell_of_the_press(check_browser: Browser, period: int):
    screens = (Screen(320, 640), Screen(360, 640), Screen(1280, 800))
    page = make_page(PLAIN, after=POLL.format(period))
    assert list_codes(check(check_browser, page, screens=screens)) == []


def test_form_is_judged_in_its_own_tab_where_the_page_opens_another_one_too(check_browser: Browser):
    page = make_page(NEW_TAB, after=LISTEN.format("click", "setTimeout(() => open('about:blank'))"))
    assert list_codes(check(check_browser, page)) == ["new-tab"]


def test_form_that_opens_in_a_frame_of_the_page_is_judged_there(check_browser: Browser):
    link = PLAIN.replace(' rel="', ' target="help" rel="')
    page = make_page(link, after='<iframe name="help"></iframe>')
    assert list_codes(check(check_browser, page)) == ["into-frame"]
