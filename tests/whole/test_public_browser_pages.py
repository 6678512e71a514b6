"""Every page beside the way in a real browser, both languages: axe, 320 px, large text, dark, forced colours."""

from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect

from gateway.demo.loop import BANNER
from gateway.public.door import EXTENSION
from gateway.public.navigation import SIDE_PATHS
from partner_sdk.wire.problems import RATE_LIMITED
from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.public.walks import SHORT_ANSWERS
from tests.pictures import CONTEXT
from tests.whole.browser_walk import START, bring_browser_to, go_on, list_page_faults
from tests.whole.public_server import PublicServer, open_phone

# Where the top that stays ends, and where what a link of a refusal leads to begins.
SHOWN = """() => [document.querySelector('.top').getBoundingClientRect().bottom,
  document.querySelector(location.hash).closest('.field').querySelector('.label').getBoundingClientRect().top]"""

# Where Start ends, whether the note of an app is shown, and how many banners there are.
BEGINNING = """start => [document.querySelector(start).getBoundingClientRect().bottom,
  document.querySelector('#passed-on').checkVisibility({visibilityProperty: true}),
  document.querySelectorAll('.banner').length]"""
SIZES = {"phone": (390, 664), "computer": (1280, 720)}

BANNERS = {"none": {}, "practice": {"is_practice": True}, "demonstration": {"banner": BANNER}}

LANGUAGES_TO_RUN = pytest.mark.parametrize("language", LANGUAGES)


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
            page.check(f"[value={way}]")
        go_on(page)
        for field in ("phone", "email"):
            page.click(f"#faults a[href='#{field}']")
            top, label = page.evaluate(SHOWN)
            assert 50 < top < 75, "the top is one row"
            assert top <= label, field


def test_page_of_a_problem_of_machines_is_right_for_everyone(browser: Browser, server: PublicServer):
    with open_phone(browser, has_script=True) as phone:
        phone.page.goto(f"{server.url}/problems/rate-limited")
        assert list_page_faults(phone.page, language="en") == []
        assert phone.page.inner_text("h1") == RATE_LIMITED.title
        assert RATE_LIMITED.advice in phone.page.inner_text("main")
        phone.page.click("a.tongue")
        expect(phone.page.get_by_text("Eisiau dweud rhywbeth wrthon ni?")).to_be_visible()
        phone.page.click("main a.button")
        assert phone.page.url == f"{server.url}/"


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
