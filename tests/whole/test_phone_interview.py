"""The interview on the phone, in Chromium."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from flask import g
from playwright.sync_api import Browser, Page

from gateway.public.door import EXTENSION
from gateway.public.journey import FIELD_BY_NAME, SCREENS, keep_on_path
from gateway.public.phone_document import make_phone_document
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.every_page import ASKED_AGAIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import SHORT_ANSWERS, list_answers, wants_more
from tests.gateway.public.walks import EVERY_WAY, LONG_WAY, ScreenAnswers, flatten
from tests.whole.browser_walk import BACK, CONTINUE, SEND, fill_page, list_page_faults, wait_until
from tests.whole.phone_pages import FORM, SITE, open_document
from tests.whole.public_server import open_chromium

BOOT: Final = """
import * as screens from '/phone/screens.js';
import { startInterview } from '/phone/interview.js';
const data = JSON.parse(document.getElementById('journey').textContent);
globalThis.seen = { saved: [], sent: null, led: [] };
const taken = screens.takeScreens(document, data);
const sent = { reference: 'C5H6-6S35C-3', words: 'apple bread candle', urgency: 'other' };
startInterview(taken, {
  save: state => seen.saved.push(structuredClone(state)),
  send: async answers => { seen.sent = answers; screens.showThanks(taken, answers, sent); },
  lead: action => seen.led.push(action),
  getExtra: () => ({ service: '' }),
  isOver: () => seen.sent !== null,
});
"""
SHOWN: Final = "document.querySelector('main section[id^=screen-]')?.id.slice('screen-'.length)"
PATHS: Final = {screen.name: f"/{screen.path}" for screen in SCREENS}
FOCUS: Final = "document.activeElement.localName"


@dataclass
class Interview:
    page: Page
    requests: list[str] = field(default_factory=list)
    typed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def screen(self) -> str:
        return str(self.page.evaluate(SHOWN))

    def see(self, name: str) -> Any:
        return self.page.evaluate(f"seen.{name}")

    def press(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def walk_to(self, name: str, way: ScreenAnswers) -> list[str]:
        paths, is_more = [PATHS[self.screen]], wants_more(way)
        while self.screen != name or (name == "check" and is_more):
            path = PATHS[self.screen]
            is_more = is_more and path != PATHS["check"]
            self.typed |= flatten({path: list_answers(path, way)})
            self.press(fill_page(self.page, list_answers(path, way)))
            paths.append(PATHS[self.screen])
        return paths


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    return make_public_house(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="module")
def document(house: PublicHouse) -> str:
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = "en"
        return make_phone_document(house.app.extensions[EXTENSION])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def interview(chromium: Browser, document: str) -> Iterator[Interview]:
    page = open_document(chromium, document, boot=BOOT)
    page.set_default_timeout(10_000)
    opened = Interview(page)
    page.on("request", lambda request: opened.requests.append(request.url))
    yield opened
    page.close()


@pytest.mark.parametrize("way", EVERY_WAY)
def test_every_way_of_the_form_is_walked_without_a_request(
    house: PublicHouse, interview: Interview, way: ScreenAnswers
) -> None:
    plain = house.person().list_pages(way)
    paths = interview.walk_to("check", way)
    interview.press(SEND)
    assert [*paths, PATHS[interview.screen]] == plain
    expected = keep_on_path({name: FIELD_BY_NAME[name].read(values) for name, values in interview.typed.items()})
    assert interview.see("sent") == expected
    assert interview.requests == []
    assert interview.page.evaluate("history.length") >= len(plain) - 1
    assert set(interview.page.evaluate("Object.keys(history.state)")) == {"screen", "step", "isHelp"}
    assert interview.page.url == FORM


def test_back_by_button_and_by_the_browser_keeps_every_word(interview: Interview) -> None:
    page = interview.page
    interview.walk_to("story", LONG_WAY)
    page.fill("#story", "Half a sen")
    interview.press(BACK)
    wait_until(page, f"{SHOWN} === 'pictures_me'")
    page.go_back()
    wait_until(page, f"{SHOWN} === 'pictures'")
    page.evaluate("history.go(2)")
    wait_until(page, f"{SHOWN} === 'story'")
    assert page.input_value("#story") == "Half a sen"
    page.fill("#story", "Half a sentence")
    page.evaluate("history.back(); history.back()")  # two presses in one moment
    wait_until(page, f"{SHOWN} === 'pictures'")
    assert interview.see("saved.at(-1).answers")["story"] == ["Half a sentence"]
    assert page.locator("[name=pictures][value=me]").is_checked()
    assert page.evaluate(FOCUS) == "h1"


def test_change_leads_back_to_the_check_and_says_what_is_new(interview: Interview) -> None:
    interview.walk_to("check", SHORT_ANSWERS)
    interview.press("button[name=change][value='9']")
    assert interview.screen == "story"
    interview.page.fill("#story", "Something <b>else</b>")
    interview.press(CONTINUE)
    assert interview.screen == "check"
    assert "Something <b>else</b>" in interview.page.locator("dd").all_inner_texts()
    interview.press("button[name=change][value='6']")
    interview.page.check("[name=region][value=not_uk]")
    interview.press(CONTINUE)
    assert interview.screen == "country"  # new on the way, so it is shown


def test_fault_has_the_focus_and_its_link_leads_to_the_field(interview: Interview) -> None:
    page = interview.page
    interview.press(CONTINUE)
    steps = page.evaluate("history.length")
    interview.press(CONTINUE)
    assert (interview.screen, page.evaluate("document.activeElement.id")) == ("danger", "faults")
    assert page.title().startswith("Error: ")
    interview.press("#faults a")
    assert page.evaluate("document.activeElement.id") == "danger-yes"
    assert page.evaluate("history.length") == steps
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert (interview.screen, page.evaluate(FOCUS)) == ("danger_help", "h1")
    assert page.title() == "Help now"


def test_text_that_is_too_long_blocks_the_way_back_and_is_kept(interview: Interview) -> None:
    interview.walk_to("story", SHORT_ANSWERS)
    text = "x" * (FIELD_BY_NAME["story"].max_characters + 1)
    interview.page.fill("#story", text)
    interview.press(BACK)
    assert interview.screen == "story"
    assert interview.page.locator("#faults").count() == 1
    assert interview.page.input_value("#story") == text


@pytest.mark.parametrize(
    ("text", "helper"),
    [("We meet at 8 tonight.", "0800 1111"), ("I want to die.", "116 123")],
    ids=["meeting", "dying"],
)
def test_words_of_danger_today_are_met_once_with_help_and_change_no_answer(
    interview: Interview, text: str, helper: str
) -> None:
    page = interview.page
    interview.walk_to("story", SHORT_ANSWERS)
    page.fill("#story", text)
    interview.press(CONTINUE)
    assert (interview.screen, page.title(), page.evaluate(FOCUS)) == ("help_today", "Help today", "h1")
    assert helper in page.locator("main").inner_text()
    assert list_page_faults(page, language="en") == []
    interview.press(CONTINUE)
    after = interview.screen
    interview.press(BACK)
    wait_until(page, f"{SHOWN} === 'help_today'")
    interview.press(BACK)
    wait_until(page, f"{SHOWN} === 'story'")
    assert page.input_value("#story") == text
    interview.press(CONTINUE)
    assert (interview.screen, interview.see("saved.at(-1).answers")["story"]) == (after, [text])


def test_fault_behind_the_page_that_offers_help_is_shown_on_its_screen(interview: Interview) -> None:
    page = interview.page
    interview.walk_to("story", SHORT_ANSWERS)
    page.fill("#story", "We meet at 8 tonight.")
    interview.press(CONTINUE)
    interview.press(BACK)
    wait_until(page, f"{SHOWN} === 'story'")
    page.fill("#story", "x" * (FIELD_BY_NAME["story"].max_characters + 1))
    page.go_forward()
    wait_until(page, f"{SHOWN} === 'help_today'")
    interview.press(CONTINUE)
    assert (interview.screen, page.locator("#faults").count()) == ("story", 1)


def test_after_send_no_entry_of_the_history_shows_an_answer(interview: Interview) -> None:
    interview.walk_to("check", SHORT_ANSWERS)
    interview.press(SEND)
    page = interview.page
    page.evaluate("setTimeout(() => history.back())")
    page.wait_for_url(f"{SITE}/")


def test_other_pages_and_the_language_are_led_to_with_the_words_saved(interview: Interview) -> None:
    interview.walk_to("story", SHORT_ANSWERS)
    interview.page.fill("#story", "Blue kite")
    interview.press("button.tongue[value=language]")
    interview.press("footer button[value='see:privacy']")
    assert interview.see("led") == ["language", "see:privacy"]
    assert interview.see("saved.at(-1).answers")["story"] == ["Blue kite"]


def test_every_screen_is_without_faults_for_eyes_fingers_and_readers(interview: Interview) -> None:
    page, seen, is_more = interview.page, Counter[str](), True
    while interview.screen != "check" or is_more:
        assert list_page_faults(page, language="en") == [], interview.screen
        path = PATHS[interview.screen]
        is_more = is_more and path != PATHS["check"]
        if path in ASKED_AGAIN:
            interview.press(CONTINUE)
            assert list_page_faults(page, language="en") == [], f"{path} refused"
            seen["refused"] += page.locator("#faults").count()
        interview.press(fill_page(page, list_answers(path, LONG_WAY)))
        seen["screens"] += 1
    interview.press(SEND)
    assert list_page_faults(page, language="en") == []
    assert (seen["screens"] > 25, seen["refused"]) == (True, len(ASKED_AGAIN))
