"""The keyboard alone, in a real browser: every stop is seen, the order is that of the page, and it leads to the end."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.public.walks import SHORTEST
from tests.whole.browser_walk import bring_browser_to, name_option, path_of, start, walk_browser_to
from tests.whole.public_server import PublicServer, open_phone

WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])
# What differs with the language does not differ with the script: each is there once.
EACH_LANGUAGE_AND_SCRIPT = pytest.mark.parametrize(
    ("language", "has_script"), [("en", True), ("cy", False)], ids=["en-script", "cy-no-script"]
)
LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)
MOST_STOPS = 40
CONTINUE, START, SEND = (f"main button[value={value}]" for value in ("continue", "start", "send"))
# Where the focus stands: is it drawn around, in sight and not under the row that stays, and where on the page.
STOP = """() => {
  const at = document.activeElement, mark = at.closest('.pick') || at;
  const look = getComputedStyle(mark), box = mark.getBoundingClientRect();
  const middle = document.elementFromPoint(box.x + box.width / 2, Math.min(box.y + box.height / 2, innerHeight - 1));
  return {
    name: at === document.body ? 'BODY' : at.type === 'radio' ? at.name : at.id || at.value || at.innerText,
    is_marked: look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2,
    is_in_sight: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
      && middle !== null && (mark.contains(middle) || middle.contains(mark)),
    is_in_main: at.closest('main') !== null,
    top: box.top + scrollY,
  };
}"""


@dataclass(frozen=True)
class Stop:
    """One place of the focus."""

    name: str
    is_marked: bool
    is_in_sight: bool
    is_in_main: bool
    top: float


def press_tab(page: Page) -> Stop:
    """Go one stop on; check that a person sees where that is."""
    page.keyboard.press("Tab")
    stop = Stop(**page.evaluate(STOP))
    assert (stop.is_marked, stop.is_in_sight) == (True, True), (page.url, stop)
    return stop


def tab_to(page: Page, wanted: str) -> None:
    """Go from stop to stop until the focus is on a selector's match; inside the page each stop is further down."""
    top = 0.0
    for _ in range(MOST_STOPS):
        stop = press_tab(page)
        if stop.is_in_main:
            assert stop.top >= top - 1, (page.url, stop)
            top = stop.top
        if page.locator(f"{wanted}:focus").count():
            return
    raise AssertionError(f"the keyboard never came to {wanted} on {page.url}")


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page."""
    with page.expect_event("load"):
        page.keyboard.press(key)


def answer(page: Page, answers: Mapping[str, str | list[str]]) -> None:
    """Pick and type with the keyboard."""
    for name, value in answers.items():
        for code in [value] if isinstance(value, str) else value:
            option = name_option(name, code)
            if page.locator(f"[type=checkbox]{option}").count():
                tab_to(page, option)
                page.keyboard.press("Space")
            elif page.locator(f"[type=radio]{option}").count():
                tab_to(page, f"[name={name}]")
                pick_radio(page, option)
            else:
                tab_to(page, f"#{name}")
                page.keyboard.type(code)


def pick_radio(page: Page, wanted: str) -> None:
    """Press Space on the first one, and the arrow until the wanted one is picked."""
    page.keyboard.press("Space")
    for _ in range(MOST_STOPS):
        if page.is_checked(wanted):
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"the arrows never came to {wanted}")


@EACH_LANGUAGE_AND_SCRIPT
def test_shortest_way_is_gone_with_the_keyboard_alone(
    browser: Browser, server: PublicServer, language: str, *, has_script: bool
):
    with open_phone(browser, has_script=has_script, language=language) as phone:
        page = phone.page
        page.goto(server.url)
        tab_to(page, START)
        press(page, "Enter")
        while (path := path_of(page, server.url)) != "/14":
            answer(page, SHORTEST.get(path, {}))
            tab_to(page, CONTINUE)
            press(page, "Space" if path in SHORTEST else "Enter")
        tab_to(page, SEND)
        press(page, "Enter")
        assert path_of(page, server.url) == "/15"
        tab_to(page, "main a[href='/leave']")
        press(page, "Enter")
        expect(page).to_have_title("Elsewhere")
    (report,) = server.public.reports()
    assert (report.danger, report.kinds, report.name) == ("no", ("extra_nice",), "Sam")
    assert (report.contact.school, report.language) == ("Ms Example", language)


@WAYS_TO_RUN
def test_first_stop_skips_to_the_words_and_the_second_leaves(
    browser: Browser, server: PublicServer, *, has_script: bool
):
    with open_phone(browser, has_script=has_script) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        assert press_tab(page).name == "Skip to the main words"
        page.keyboard.press("Enter")
        assert press_tab(page).name == "story"
        page.keyboard.type("My very own words")
        page.keyboard.press("Enter")  # a new line, and no way on
        page.reload()
        press_tab(page)
        assert press_tab(page).name == "Leave this site"
        press(page, "Enter")
        expect(page).to_have_title("Elsewhere")
        assert server.public.wait_for_no_drafts()


@LANGUAGES_TO_RUN
def test_every_stop_of_a_page_is_seen_from_the_first_to_the_last_and_back(
    browser: Browser, server: PublicServer, language: str
):
    with open_phone(browser, has_script=True, language=language) as phone:
        page = phone.page
        start(page, server.url)
        for path in ("/3", "/7", "/12"):
            walk_browser_to(page, server.url, path)
            stops = list_stops(page, "Tab")
            assert len(stops) == len(set(stops)) >= 9, stops
            assert list_stops(page, "Shift+Tab") == stops[::-1]


def list_stops(page: Page, key: str) -> list[str]:
    """List the stops from where the focus is to the end of the page."""
    names: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        stop = Stop(**page.evaluate(STOP))
        if stop.name in {"BODY", *names[:1]}:
            return names
        assert (stop.is_marked, stop.is_in_sight) == (True, True), (page.url, stop)
        names.append(stop.name)
    raise AssertionError(f"no end of stops on {page.url}")


@EACH_LANGUAGE_AND_SCRIPT
def test_list_of_faults_has_the_focus_and_leads_to_the_field(
    browser: Browser, server: PublicServer, language: str, *, has_script: bool
):
    with open_phone(browser, has_script=has_script, language=language) as phone:
        page = phone.page
        bring_browser_to(page, server, "/11", language=language)
        tab_to(page, CONTINUE)
        press(page, "Enter")
        expect(page.locator("#faults")).to_be_focused()
        assert page.title().startswith({"en": "Error: ", "cy": "Gwall: "}[language])
        press_tab(page)
        page.keyboard.press("Enter")
        expect(page.locator("#name")).to_be_focused()
        said = page.inner_text("#name-fault").removeprefix(page.inner_text("#name-fault .unseen")).strip()
        assert page.inner_text("#faults a") == said
        page.keyboard.type("Sam")
        press(page, "Enter")
        assert path_of(page, server.url) == "/12"
