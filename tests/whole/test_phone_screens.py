"""The screens that the script shows on the person's own phone are those of the plain way, for any answers.

Both pages are read by one reader in Chromium: every text, input, answer, button, link, mark and fault, in their order.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from difflib import unified_diff
from random import Random
from typing import Any, Final

import pytest
from flask import g
from playwright.sync_api import Browser

from gateway.public.door import EXTENSION, PublicDoor
from gateway.public.journey import (
    CHECK,
    SCREENS,
    START,
    THANKS,
    TYPED,
    Answers,
    Field,
    is_owed_an_answer,
    keep_on_path,
    list_path,
    list_urgent,
    make_profile,
)
from gateway.public.pages import FormState, render_screen
from gateway.public.phone_document import make_phone_document
from gateway.public.sending import list_advice_codes
from gateway.public.views.check import format_hour, render_check, render_thanks
from gateway.public.visit import NO_VERSION, Sent
from gateway.public.wording import format_day
from partner_sdk.wire.button import LANGUAGES, Language
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.walks import EVERY_WAY, flatten
from tests.whole.phone_pages import open_document
from tests.whole.public_server import open_chromium

BLANK: Final = FormState("", "", NO_VERSION)
CASES: Final = 150  # sets of answers; each is compared on every screen of its way, and a few beside it
# Reads a page into a list. What belongs to a visit or to the plain way's post is passed over: the script's has none.
# Nor has it the taps of "Was this OK" (`#ok`): each would be a request from a phone that has sent.
READ: Final = """
const SAID = ['href', 'name', 'value', 'type', 'for', 'role', 'target', 'aria-invalid', 'aria-describedby',
  'aria-labelledby'];
const PASSED = 'noscript, script, .trap, .keys, input[type=hidden], .unseen[value], template, [hidden], #ok';
function read(doc, hasHelp) {
  const found = [doc.title];
  const walk = part => {
    for (const node of part.childNodes) {
      const text = node.nodeType === Node.TEXT_NODE && node.nodeValue.trim();
      if (text) found.push(text.split(/\\s+/).join(' '));
      if (node.nodeType !== Node.ELEMENT_NODE || node.matches(PASSED)) continue;
      if (!node.matches('form, div:not([class]), div.form, section[id^=screen-], b')) {
        const given = SAID.filter(one => node.hasAttribute(one) && !(one === 'value' && node.matches('input.box')));
        const names = [...node.classList].filter(one => one !== 'box').sort();
        found.push([node.localName, ...names, node.id, ...given.map(one =>
          `${one}=${node.getAttribute(one).trim()}`)].join(' '));
      }
      if (node.localName === 'input' && /radio|checkbox/.test(node.type)) found.push(`picked ${node.checked}`);
      else if (/^(input|textarea|select)$/.test(node.localName)) found.push(`value ${node.value}`);
      if (node.localName !== 'textarea') walk(node);
    }
  };
  if (hasHelp) walk(doc.querySelector('nav.help'));
  walk(doc.querySelector('main'));
  return found;
}
globalThis.compare = (plain, show) => {
  show();
  const hasHelp = true;
  return [read(new DOMParser().parseFromString(plain, 'text/html'), hasHelp), read(document, hasHelp)];
};
"""


BOOT: Final = """
import * as screens from '/phone/screens.js';
import * as journey from '/phone/journey.js';
const data = JSON.parse(document.getElementById('journey').textContent);
const taken = screens.takeScreens(document, data);
globalThis.showCase = ({ screen, answers, faults, extra, sent }, plain) => globalThis.compare(plain, () => {
  if (sent) return screens.showThanks(taken, answers, sent);
  const found = journey.getScreen(data, screen);
  const list = faults ? journey.listFaults(data, found, answers) : [];
  return screens.showScreen(taken, found, answers, { ...extra, faults: list });
});
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> PublicHouse:
    return make_public_house(tmp_path_factory.mktemp("phone"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


TEXTS: Final = ("Blue kite", "a\r\nb", " ", "<b>&amp;</b> ⟨talk⟩", "e\u0301 ŵ", 'It is "odd"', "yes")


def make_values(random: Random, field: Field, *, most: int = 1) -> list[str]:
    if field.kind in TYPED:
        text = random.choice(TEXTS) if random.random() < 0.9 else "x" * (field.max_characters + 1)
        return [] if random.random() < 0.3 else [text]
    codes = field.options or ("fr", "us", "au", "ca", "ie", "other", "zz")
    if field.kind == "checkboxes":
        most = min(3, len(codes))
    return random.sample(codes, random.randint(0 if random.random() < 0.3 else most, most))


def make_answers(random: Random, number: int) -> dict[str, list[str]]:
    if number % 2:
        answers = flatten(random.choice(EVERY_WAY))
        fields = [one for screen in SCREENS for one in screen.fields]
        answers |= {one.name: make_values(random, one) for one in random.sample(fields, 6)}
    else:
        answers = {
            one.name: make_values(random, one)
            for screen in SCREENS
            for one in screen.fields
            if one.kind != "more" or random.random() < 0.5
        }
        answers |= {"region": ["not_uk"]} if random.random() < 0.3 else {}
        answers |= {"age": ["18_plus"]} if random.random() < 0.2 else {}
    return {name: list(values) for name, values in answers.items() if values}


def make_sent(random: Random, door: PublicDoor, answers: Answers) -> Sent:
    profile = make_profile(answers)
    return Sent(
        report_ids=[""],
        reference="C5H6-6S35C-3",
        is_owed_an_answer=is_owed_an_answer(answers),
        sent_at="",
        text_macs=[],
        screen_macs={},
        reply_by=random.choice((None, "2026-12-08")),
        read_by=random.choice((None, "2026-12-09T11:30:00Z")),
        next_hour=random.choice((None, "2026-12-09T09:00:00Z")),
        urgency=random.choice(("other", "urgent", "crisis")),
        return_words="apple bread candle dream eagle",
        reply_key="key",
        advice=list_advice_codes(door, answers, audience=profile.reader),
        urgent=list(list_urgent(answers)),
        country=profile.country,
        country_there=profile.country_there,
        is_near=answers.get("near") == ["yes"],
        reader=profile.reader,
    )


def say_promise(door: PublicDoor, sent: Sent) -> dict[str, str | None]:
    is_soon = sent.urgency != "other"
    read_words = "read_by_time" if is_soon else "read_by_day"
    said = {
        "at": None if sent.next_hour is None else format_hour(door, sent.next_hour, words="at_time"),
        "read_by": None if sent.read_by is None else format_hour(door, sent.read_by, words=read_words),
        "reply_by": None if sent.reply_by is None else format_day(date.fromisoformat(sent.reply_by)),
    }
    return {name: text for name, text in said.items() if text is not None}


def list_pages(random: Random, door: PublicDoor, answers: dict[str, list[str]]) -> Iterator[tuple[dict[str, Any], str]]:
    names = {screen.name for screen in list_path(answers)} - {START}
    # Beside the way too, but for one that only the way leads to: it is about the country that was picked there.
    names |= set(random.sample([one.name for one in SCREENS if one.name not in {START, THANKS, "abroad"}], 3))
    for screen in (one for one in SCREENS if one.name in names):
        is_late, service = random.random() < 0.3, random.choice(("", "Example Chat"))
        case: dict[str, Any] = {"screen": screen.name, "answers": answers, "extra": {"isLate": is_late}}
        if screen.name == CHECK:
            kept, has_context = keep_on_path(answers), random.random() < 0.3
            case["extra"] = {"hasContext": has_context}
            yield case, render_check(door, None, kept, version=NO_VERSION, has_context=has_context)
            continue
        case["extra"]["service"] = service
        yield case, render_screen(door, screen, answers, BLANK, service=service, is_late=is_late)
        faults = screen.list_faults(answers)
        if faults:
            case = {**case, "faults": True}
            yield case, render_screen(door, screen, answers, BLANK, faults=faults, service=service, is_late=is_late)
    kept = keep_on_path(answers)
    sent = make_sent(random, door, kept)
    facts = {
        "reference": sent.reference,
        "words": sent.return_words,
        "urgency": sent.urgency,
        **say_promise(door, sent),
    }
    yield {"screen": THANKS, "answers": kept, "sent": facts}, render_thanks(door, sent, BLANK)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_says_asks_and_offers_what_the_plain_page_does(
    house: PublicHouse, chromium: Browser, language: Language
) -> None:
    random, seen = Random(f"screens {language}"), Counter[str]()
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = language
        door = house.app.extensions[EXTENSION]
        page = open_document(chromium, make_phone_document(door), boot=BOOT + READ)
        for number in range(CASES):
            for case, plain in list_pages(random, door, make_answers(random, number)):
                expected, found = page.evaluate("([one, plain]) => showCase(one, plain)", [case, plain])
                assert found == expected, [*unified_diff(expected, found, n=2), number, case]
                seen[case["screen"]] += 1
                seen["faults"] += bool(case.get("faults"))
        page.close()
    assert {screen.name for screen in SCREENS if seen[screen.name] < 3} == {START}
    assert min(seen[THANKS], seen[CHECK], seen["faults"]) >= CASES
