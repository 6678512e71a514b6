"""The form in a real browser, on a door of this machine: Back, the keyboard, Send, and foreign script.

How each page looks: test_form_pages.py. Leaving: test_public_browser_leave.py."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.demo.loop import BANNER
from gateway.public.door import EXTENSION
from gateway.public.journey import FIELD_BY_NAME, TYPED
from partner_sdk.wire.button import LANGUAGES
from tests.gateway.public.walks import ADULT, LONG_WAY, SHORT_ANSWERS, SHORTEST
from tests.pictures import CONTEXT
from tests.whole.browser_walk import (
    BACK,
    CONTINUE,
    REFERENCE,
    SEND,
    START,
    WITHOUT_SIGNING,
    bring_browser_to,
    go_on,
    list_page_faults,
    name_option,
    path_of,
    send,
    start,
    walk_browser_to,
    walk_on,
    walk_way,
)
from tests.whole.public_server import PublicServer, open_phone

STORY = "My very own words.\nA second line, with \U0001f642 and <b>.\n\nThe end. "


WAYS_TO_RUN = pytest.mark.parametrize("has_script", [False, True], ids=["no-script", "script"])


# What differs with the language does not differ with the script: each is there once.
EACH_LANGUAGE_AND_SCRIPT = pytest.mark.parametrize(
    ("language", "has_script"), [("en", True), ("cy", False)], ids=["en-script", "cy-no-script"]
)


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


def test_thank_you_page_takes_one_tap_and_answers_where_it_was(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        send(phone.page, server, ADULT)
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
            page.reload()
            expect(page.locator(".urgent")).to_be_visible()


# Where the top that stays ends, and where what a link of a refusal leads to begins.
SHOWN = """() => [document.querySelector('.top').getBoundingClientRect().bottom,
  document.querySelector(location.hash).closest('.field').querySelector('.label').getBoundingClientRect().top]"""


# Where Start ends, whether the note of an app is shown, and how many banners there are.
BEGINNING = """start => [document.querySelector(start).getBoundingClientRect().bottom,
  document.querySelector('#passed-on').checkVisibility({visibilityProperty: true}),
  document.querySelectorAll('.banner').length]"""


SIZES = {"phone": (390, 664), "computer": (1280, 720)}


BANNERS = {"none": {}, "practice": {"is_practice": True}, "demonstration": {"banner": BANNER}}


def test_link_of_a_refusal_shows_the_label_and_the_words_below_the_top_of_a_small_screen(
    browser: Browser, server: PublicServer
):
    with open_phone(browser, has_script=True, width=320, language="cy") as phone:
        page = phone.page
        bring_browser_to(page, server, "/12", language="cy")
        for way in ("call", "email"):
            page.check(f"[value={way}]")
        go_on(page)
        for field in ("phone", "email"):
            page.click(f"#faults a[href='#{field}']")
            top, label = page.evaluate(SHOWN)
            assert 50 < top < 75, "the top is one row"
            assert top <= label, field


@pytest.mark.parametrize("language", ["en", "cy"])
def test_row_with_the_way_out_is_one_row_on_every_phone(browser: Browser, server: PublicServer, language: str):
    heights = set()
    with open_phone(browser, has_script=False, language=language) as phone:
        phone.page.goto(server.url)
        for width in range(320, 431, 5):
            phone.page.set_viewport_size({"width": width, "height": 667})
            box = phone.page.locator("header").bounding_box()
            assert box is not None
            heights.add(round(box["height"]))
    assert max(heights) < 80, heights


@pytest.mark.parametrize("banner", BANNERS)
def test_start_is_seen_without_scrolling_on_a_phone_and_on_a_computer(
    browser: Browser, server: PublicServer, banner: str
):
    extensions = server.public.app.extensions
    extensions[EXTENSION] = replace(extensions[EXTENSION], **BANNERS[banner])
    ends: dict[tuple[str, ...], float] = {}
    for size, (width, height) in SIZES.items():
        with open_phone(browser, has_script=True) as phone:
            phone.page.set_viewport_size({"width": width, "height": height})
            for language in LANGUAGES:
                for name, fragment in (("", ""), ("with a context", CONTEXT), ("of a test link", "&from=test")):
                    phone.page.goto("about:blank")
                    phone.page.goto(f"{server.url}/?lang={language}{fragment}")
                    end, has_note, banners = phone.page.evaluate(BEGINNING, START)
                    assert has_note == (fragment == CONTEXT)
                    assert banners == (banner != "none")
                    ends[size, language, name] = end - height
    assert len(ends) == 12
    assert {where: over for where, over in ends.items() if over > 0} == {}


BOXES = """selector => [...document.querySelectorAll(selector)].map(part => part.getBoundingClientRect().toJSON())"""


def test_computer_shows_help_beside_the_question_and_equal_buttons(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        page.set_viewport_size({"width": 1280, "height": 720})
        bring_browser_to(page, server, "/3a", SHORT_ANSWERS | {"/3": {"danger": "yes"}})
        (question,), (beside,), (side,) = (page.evaluate(BOXES, part) for part in ("main", ".beside", ".side"))
        assert question["right"] < beside["left"]
        assert question["top"] < side["bottom"] < 720
        assert page.locator(".keys").first.is_visible()
        buttons = page.evaluate(BOXES, "form .actions > :not(.back)")
        assert len(buttons) == 3
        assert len({(box["width"], box["height"], box["left"]) for box in buttons}) == 1
        page.set_viewport_size({"width": 390, "height": 664})
        assert not page.locator(".side").is_visible()
        assert list_page_faults(page, language="en") == []


def test_card_of_a_helpline_is_one_link_and_a_computer_says_to_use_a_phone(browser: Browser, server: PublicServer):
    for is_phone in (False, True):
        context = browser.new_context(
            viewport={"width": 768, "height": 1024}, has_touch=is_phone, is_mobile=is_phone, locale="en"
        )
        page = context.new_page()
        page.goto(f"{server.url}/1b")
        cards, links = page.evaluate(BOXES, ".posts li"), page.evaluate(BOXES, ".posts li > a.call")
        assert len(cards) == 4
        assert links == cards
        said = page.get_by_text("Use a phone to call.")
        assert [line.is_visible() for line in said.all()] == [not is_phone]
        context.close()


MOST_STOPS = 40


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
        page.add_init_script(WITHOUT_SIGNING)
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


def test_every_stop_of_a_page_is_seen_from_the_first_to_the_last_and_back(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
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


WORDS = "My very own words."


PAGES_WITH_MORE = ("/14", "/10")  # Back leads from both to the last page that must be answered


def list_kept(page: Page, answers: Mapping[str, str | list[str]]) -> list[str]:
    """Return the fields of a page that still hold these answers."""
    kept = []
    for name, value in answers.items():
        field = FIELD_BY_NAME[name]
        if field.kind in TYPED or field.kind == "select":
            kept += [name] if page.input_value(f"#{name}") == value else []
        elif field.kind not in {"choice", "more"}:
            codes = [value] if isinstance(value, str) else value
            kept += [name] if all(page.is_checked(name_option(name, code)) for code in codes) else []
    return kept


def test_back_from_every_screen_keeps_the_words_and_goes_one_screen_back(browser: Browser, server: PublicServer):
    before, backs = "", 0
    way = LONG_WAY | {"/9": LONG_WAY["/9"] | {"story": f"\n{STORY}"}}
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        for path in walk_way(page, server.url, way):
            if path == "/15":
                break
            if before:
                previous = "/12" if before in {"/12", "/14"} and path in PAGES_WITH_MORE else before
                page.click("h1")  # Back passes over untouched pages: there the server shows the blank start
                page.go_back()
                expect(page).to_have_url(f"{server.url}{previous}")
                asked = {name for name in way[previous] if FIELD_BY_NAME[name].kind not in {"choice", "more"}}
                assert set(list_kept(page, way[previous])) == asked, (path, previous)
                walk_on(page, way[previous])
                expect(page).to_have_url(f"{server.url}{path}")
                backs += 1
            before = path
        assert phone.complaints == []
    assert backs == len(LONG_WAY)  # every page but the first, and the check page twice
    (report,) = server.public.reports()
    assert report.story == f"\n{STORY}".replace("\n", "\r\n")  # how every browser sends a line break


@WAYS_TO_RUN
def test_back_on_a_page_that_nobody_touched_offers_to_carry_on(
    browser: Browser, server: PublicServer, *, has_script: bool
):
    with open_phone(browser, has_script=has_script) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", WORDS)
        go_on(page)
        page.go_back()
        expect(page).to_have_url(f"{server.url}/")
        assert WORDS not in page.content()
        go_on(page, "main button[value=carry_on]")
        expect(page).to_have_url(f"{server.url}/9a")
        go_on(page, BACK)
        expect(page.locator("#story")).to_have_value(WORDS)


def test_page_is_ready_for_a_second_back_before_the_first_is_answered(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", WORDS)
        go_on(page)
        page.evaluate("document.querySelector('main button[value=back]').click = () => { document.title = 'pressed' }")
        page.click("h1")
        for _ in range(2):
            page.evaluate("document.title = ''; setTimeout(() => history.back())")
            expect(page).to_have_title("pressed")
            assert page.evaluate("history.state") == "here"


def test_back_after_a_fault_keeps_the_page_and_the_words(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        bring_browser_to(page, server, "/9")
        page.fill("#story", WORDS)
        go_on(page)
        walk_browser_to(page, server.url, "/11")
        go_on(page)
        page.click("#faults a")  # a place of the same page
        page.fill("#name", "Sam")
        page.go_back()
        expect(page.locator("#name")).to_have_value("Sam")
        for path in ("/9a", "/9"):
            page.click("h1")
            page.go_back()
            expect(page).to_have_url(f"{server.url}{path}")
        expect(page.locator("#story")).to_have_value(WORDS)
