"""A visit on the phone: nothing leaves before Send."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import pytest
from flask import g
from playwright.sync_api import Browser, Page, Route
from werkzeug.datastructures import MultiDict

from gateway.exchange.public_report import encode_public_report
from gateway.public.door import EXTENSION
from gateway.public.journey import find_packed_answers, keep_on_path, pack_answers
from gateway.public.phone_document import make_phone_document
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.submission import ClearFields, report_context
from tests.builders import NOW, PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import SHORT_ANSWERS, SHORT_STORY, list_answers, wants_more
from tests.gateway.public.walks import COMPARED_WAYS, ScreenAnswers, flatten
from tests.whole.browser_walk import BACK, CONTINUE, SEND, fill_page, wait_until
from tests.whole.phone_pages import FORM, SITE, open_document, serve_document
from tests.whole.public_server import launch_chromium, open_chromium
from tests.whole.test_phone_interview import PATHS, SHOWN
from tests.whole.test_sealing_browser import open_box

# What the scripts beside this one do: a store that hides nothing, a worker that seals nothing, and one that posts.
BOOT: Final = """
import { openVisit } from '/phone/visit.js';
globalThis.asked = [];
const store = {
  save: async state => sessionStorage.setItem('kept', JSON.stringify(state)),
  load: async () => JSON.parse(sessionStorage.getItem('kept')),
  wipe: () => sessionStorage.removeItem('kept'),
};
const ends = {
  check: () => ({}),
  words: () => ({ words: 'apple bread candle dream eagle', replyKey: 'key', tokenSha256: 'token' }),
  seal: ({ report }) => ({ envelope: report, place: new Uint8Array(3) }),
  receipt: () => ({ facts: {} }),
};
openVisit(document, {
  openStore: () => store,
  startSealer: url => ({
    ask: async (task, fields) => {
      asked.push(task);
      if (task === globalThis.broken) throw new Error('broken');
      return ends[task](fields);
    },
    stop() {},
  }),
  sendSealed: async (body, { csrfToken, fetch }) => {
    const headers = { 'X-CSRFToken': csrfToken };
    const answer = await fetch('/form', { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw { reason: await answer.text() };
    return { receipt: new Uint8Array(2) };
  },
  getUrgency: () => 'other',
});
"""
IS_READY: Final = "'asked' in globalThis && asked.includes('check')"
# The same with the worker that seals; only the receipt needs a gateway.
SEALING: Final = BOOT.replace(
    "startSealer: url =>",
    """startSealer: url => {
    const worker = new Worker(url, { type: 'module' }), open = new Map();
    worker.onmessage = ({ data }) => open.get(data.id)(data);
    const ask = async (task, fields) => {
      const end = await new Promise(done => {
        open.set(asked.length, done);
        worker.postMessage({ id: asked.length, do: task, ...fields });
      });
      asked.push(task);
      if (!end.ok) throw new Error(end.fault);
      return end;
    };
    return { ask: (task, fields) => (task === 'receipt' ? {} : ask(task, fields)), stop: () => worker.terminate() };
  },
  startPlainly: url =>""",
)
NOTICES: Final = ("sending", "waiting", "failed", "simple", "two_tabs", "restored", "later")
VISIT: Final = {
    "csrf_token": "csrf",
    "environment": "live",
    "report_id": "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18",
    "reference": "C5H6-6S35C-3",
    "proposal": "proposal",
    "store_key": "A" * 43,
    "key_set": "{}",
    "now": "2026-12-04T09:00:00Z",
    "placement": None,
    "copy_version": "2026-12",
    "promises": {"other": {"reply_by": "2026-12-08", "said": {"read_by": "by noon", "reply_by": "Tuesday 8 December"}}},
}


@dataclass
class Phone:
    page: Page
    posts: list[tuple[str, str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # of the next sends
    visit_status: int = 200
    facts: dict[str, str] = field(default_factory=dict)
    receipt: str = ""

    def answer(self, route: Route) -> None:
        path, body = route.request.url.removeprefix(SITE), route.request.post_data or ""
        self.posts.append((path, body))
        if path == "/form/visit":
            route.fulfill(
                status=self.visit_status, content_type="application/json", body=json.dumps(VISIT | self.facts)
            )
        elif path == "/form" and self.refusals:
            route.fulfill(status=503, body=self.refusals.pop(0))
        elif path == "/form" and self.receipt:
            route.fulfill(content_type="application/json", body=json.dumps({"receipt": self.receipt}))
        else:
            route.fulfill(content_type="text/html", body="<!doctype html><title>-</title><p>The plain way")

    def walk_to(self, name: str, way: ScreenAnswers = SHORT_ANSWERS) -> None:
        is_more = wants_more(way)
        while (screen := self.page.evaluate(SHOWN)) != name or (name == "check" and is_more):
            is_more = is_more and screen != "check"
            self.page.locator(fill_page(self.page, list_answers(PATHS[screen], way))).first.click()

    def list_shown(self) -> list[str]:
        return [name for name in NOTICES if self.page.locator(f"#notice-{name}").is_visible()]

    def read_sent(self) -> list[dict[str, Any]]:
        return [json.loads(body) for path, body in self.posts if path == "/form"]

    def wait_for(self, notice: str) -> None:
        wait_until(self.page, f"!document.getElementById('notice-{notice}').hidden")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_document(make_public_house(tmp_path_factory.mktemp("phone")))


def make_document(house: PublicHouse, language: str = "en") -> str:
    with house.app.test_request_context("/", base_url=PUBLIC_ORIGIN):
        g.public_language = language
        page = make_phone_document(house.app.extensions[EXTENSION])
    facts = 'data-root-fingerprint="00" data-environment="live" data-plain="/plain"'
    return page.replace("<main ", f'<script type="text/plain" data-worker="/worker.js"></script><main {facts} ')


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


def open_phone(chromium: Browser, document: str, *, visit_status: int = 200) -> Phone:
    phone = Phone(page=None, visit_status=visit_status)  # type: ignore[arg-type]  # its page asks it at once
    phone.page = open_document(chromium, document, boot=BOOT, answer_post=phone.answer)
    phone.page.set_default_timeout(10_000)
    phone.page.on("request", lambda request: phone.requests.append(request.url.removeprefix(SITE)))
    return phone


@pytest.fixture
def phone(chromium: Browser, document: str) -> Iterator[Phone]:
    opened = open_phone(chromium, document)
    wait_until(opened.page, "asked.includes('check')")
    yield opened
    opened.page.close()


def test_nothing_leaves_between_the_start_and_send_and_then_one_envelope(phone: Phone) -> None:
    phone.walk_to("check")
    assert (phone.requests, [path for path, _ in phone.posts]) == ([], ["/form/visit"])
    phone.page.locator(SEND).click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    (body,) = phone.read_sent()
    assert set(body) == {"proposal", "clear", "envelope", "language", "place", "token_sha256"}
    assert body["clear"] == json.loads(parse_base64url(body["envelope"]))["clear"]
    assert phone.page.evaluate("asked") == ["check", "words", "seal", "receipt"]
    assert phone.page.evaluate("sessionStorage.length") == 0
    said = phone.page.locator("main").inner_text()
    assert ("C5H6-6S35C-3" in said, "apple bread" in said, "Tuesday 8 December" in said) == (True, True, True)
    assert phone.list_shown() == []
    assert phone.page.locator("button[value=language]").count() == 0


def test_second_try_sends_the_same_bytes(phone: Phone) -> None:
    phone.refusals = ["waiting_failed"]
    phone.walk_to("check")
    phone.page.locator(SEND).click()
    phone.wait_for("failed")
    assert SHORT_STORY in phone.page.locator("main").inner_text()
    phone.page.locator("#notice-failed button").click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    first, second = phone.read_sent()
    assert first == second


def test_words_changed_after_a_failure_are_what_is_sent(phone: Phone) -> None:
    phone.refusals = ["waiting_failed"]
    phone.walk_to("check")
    phone.page.locator(SEND).click()
    phone.wait_for("failed")
    phone.page.locator("button[name=change][value='11']").click()
    assert phone.list_shown() == []
    phone.page.fill("#name", "Alexis")
    phone.page.locator(CONTINUE).click()
    phone.page.locator(SEND).click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    first, second = (json.loads(parse_base64url(body["envelope"])) for body in phone.read_sent())
    assert (first["name"], second["name"]) == ("Sam", "Alexis")


CONTEXT: Final = "1.example-chat.019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18.AAAA"


@pytest.mark.parametrize(
    ("token", "is_left_out", "sent"),
    [
        (CONTEXT, False, (CONTEXT, [])),
        (CONTEXT, True, (None, [])),
        ("1.x.y.z", False, (None, ["context_refused"])),
        (CONTEXT + "A" * 8_000, False, (None, ["context_refused"])),
    ],
    ids=["taken", "left-out", "malformed", "long"],
)
def test_context_of_a_service_is_in_the_report_unless_it_is_left_out_or_none(
    phone: Phone, token: str, is_left_out: bool, sent: tuple[str | None, list[str]]
) -> None:
    phone.page.goto(f"{SITE}/")
    phone.page.goto(f"{FORM}#context={token}")
    wait_until(phone.page, IS_READY)
    phone.walk_to("check")
    if is_left_out:
        phone.page.locator("button[value=leave_out]").click()
        assert phone.page.locator("button[value=leave_out]").count() == 0
    phone.page.locator(SEND).click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    (body,) = phone.read_sent()
    report = json.loads(parse_base64url(body["envelope"]))
    assert (report.get("context"), report.get("signals", [])) == sent


def test_second_tab_warns_in_both_of_them(phone: Phone) -> None:
    with phone.page.context.expect_page() as opened:
        phone.page.evaluate("globalThis.other = open(location.href)")
    second = opened.value
    wait_until(second, IS_READY)
    for page in (phone.page, second):
        wait_until(page, "!document.getElementById('notice-two_tabs').hidden")
    second.close()


def test_report_on_its_way_is_not_sent_again_from_an_earlier_screen(phone: Phone) -> None:
    page, held = phone.page, list[Route]()
    phone.walk_to("check")
    page.route(FORM, lambda route: held.append(route))
    page.locator(SEND).click()
    page.go_back()
    wait_until(page, f"{SHOWN} !== 'check'")
    wait_until(page, "[...document.querySelectorAll('main section button')].every(one => one.disabled)")
    page.go_forward()
    wait_until(page, f"{SHOWN} === 'check'")
    page.locator(SEND).click(force=True)
    assert (len(held), phone.list_shown()) == (1, ["sending"])
    phone.answer(held[0])
    wait_until(page, f"{SHOWN} === 'thanks'")


def test_number_that_was_taken_is_drawn_again_once(phone: Phone) -> None:
    phone.refusals = ["taken"]
    phone.walk_to("check")
    phone.page.locator(SEND).click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    assert [path for path, _ in phone.posts] == ["/form/visit", "/form", "/form/visit", "/form"]


@pytest.mark.parametrize("task", ["words", "seal", "receipt"])
def test_what_breaks_at_send_is_never_said_to_be_sent(phone: Phone, task: str) -> None:
    phone.walk_to("check")
    phone.page.evaluate("task => { globalThis.broken = task }", task)
    phone.page.locator(SEND).click()
    phone.wait_for("simple")
    assert phone.page.evaluate(SHOWN) == "check"


def test_simple_way_posts_what_was_typed_only_when_its_button_is_pressed(phone: Phone) -> None:
    phone.refusals = ["refused"]
    phone.walk_to("check")
    phone.page.locator(SEND).click()
    phone.wait_for("simple")
    readable = [path for path, body in phone.posts if SHORT_STORY in body]
    assert readable == []
    with phone.page.expect_event("load"):
        phone.page.locator("#notice-simple button").click()
    path, body = phone.posts[-1]
    assert path == "/14"
    answers = find_packed_answers(parse_qs(body)["words"][0])
    assert answers is not None
    assert keep_on_path(answers) == keep_on_path(flatten(SHORT_ANSWERS))
    assert phone.page.evaluate("sessionStorage.length") == 0


def test_text_that_is_too_long_is_shortened_before_it_goes_the_simple_way(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "a" * 20_000)
    phone.page.evaluate("history.back()")  # the browser's own Back keeps every word
    wait_until(phone.page, f"{SHOWN} === 'kind'")
    phone.page.evaluate("setTimeout(() => { throw new Error('broken') })")
    phone.wait_for("simple")
    phone.page.locator("#notice-simple button").click()
    wait_until(phone.page, f"{SHOWN} === 'story'")
    assert phone.page.locator("#faults").is_visible()
    phone.page.fill("#story", SHORT_STORY)
    phone.page.evaluate("setTimeout(() => { throw new Error('broken') })")
    phone.wait_for("simple")
    with phone.page.expect_event("load"):
        phone.page.locator("#notice-simple button").click()
    answers = find_packed_answers(parse_qs(phone.posts[-1][1])["words"][0])
    assert answers is not None
    assert answers["story"] == [SHORT_STORY]


def test_dropped_page_whose_visit_is_refused_keeps_the_words_for_another_try(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "Half a sen")
    phone.visit_status = 503
    phone.page.reload()
    phone.wait_for("later")
    assert "Half a sen" in phone.page.evaluate("sessionStorage.getItem('kept')")
    phone.visit_status = 200
    phone.page.locator("#notice-later button").click()
    wait_until(phone.page, "document.getElementById('story')?.value === 'Half a sen'")


def test_visit_that_is_refused_before_the_first_answer_leads_to_the_plain_way(chromium: Browser, document: str) -> None:
    opened = open_phone(chromium, document, visit_status=503)
    opened.page.wait_for_url(f"{SITE}/plain")
    opened.page.close()


def test_dropped_page_comes_back_with_every_word(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "Half a sen")
    phone.page.reload()
    wait_until(phone.page, f"{SHOWN} === 'story'")
    assert phone.page.input_value("#story") == "Half a sen"
    assert phone.list_shown() == ["restored"]
    phone.page.locator(BACK).click()
    wait_until(phone.page, f"{SHOWN} === 'kind'")
    assert phone.page.locator("[name=kinds][value=extra_nice]").is_checked()


def test_dropped_page_comes_back_to_the_help_that_the_words_brought_up(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "We meet at 8 tonight.")
    phone.page.locator(CONTINUE).click()
    phone.page.reload()
    wait_until(phone.page, f"{SHOWN} === 'help_today'")
    phone.page.locator(BACK).click()
    wait_until(phone.page, "document.getElementById('story')?.value === 'We meet at 8 tonight.'")


def test_new_start_in_the_same_tab_is_blank(phone: Phone) -> None:
    phone.walk_to("kind")
    phone.page.goto(f"{SITE}/")
    phone.page.goto(FORM)
    wait_until(phone.page, "asked.includes('check')")
    assert (phone.page.evaluate(SHOWN), phone.page.evaluate("sessionStorage.length")) == ("safe_now", 0)
    phone.page.locator(CONTINUE).click()
    assert not phone.page.locator("input:checked").count()


def test_leaving_wipes_and_its_entries_show_nothing(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "Half a sen")
    with phone.page.expect_event("load"):
        phone.page.locator("#leave").click()
    assert phone.page.evaluate("sessionStorage.length") == 0
    phone.page.evaluate("setTimeout(() => history.back())")
    phone.page.wait_for_url(f"{SITE}/")
    assert "Half a sen" not in phone.page.content()


def test_other_language_comes_with_the_words_saved(phone: Phone) -> None:
    phone.walk_to("story")
    phone.page.fill("#story", "Half a sen")
    with phone.page.expect_event("load"):
        phone.page.locator("button.tongue[value=language]").click()
    assert phone.page.url == f"{SITE}/cy/form#on"
    assert "Half a sen" in phone.page.evaluate("sessionStorage.getItem('kept')")


def test_plain_way_takes_the_words_without_a_visit_and_sends_them(tmp_path: Path) -> None:
    house = make_public_house(tmp_path)
    person = house.person()
    answers = keep_on_path(flatten(SHORT_ANSWERS))
    person.post("/14", MultiDict({"csrf_token": "", "journey": "", "version": "0", "words": pack_answers(answers)}))
    assert SHORT_STORY in person.text()
    person.send()
    assert person.path == "/15"
    assert [report.story for report in house.reports()] == [SHORT_STORY]


def test_page_beside_the_form_opens_in_a_tab_of_its_own(phone: Phone) -> None:
    phone.walk_to("story")
    with phone.page.context.expect_page() as opened:
        phone.page.locator("footer button[value='see:privacy']").click()
    opened.value.wait_for_url(f"{SITE}/1f")
    opened.value.close()
    assert phone.page.evaluate(SHOWN) == "story"


def test_page_in_the_browsers_memory_comes_back_with_its_words_and_after_leave_without(
    chromium: Browser, document: str
) -> None:
    with (
        serve_document(document, boot=BOOT, answer_post=json.dumps(VISIT)) as site,
        closing(launch_chromium(chromium.browser_type, remembers_pages=True)) as browser,
    ):
        phone = Phone(browser.new_page())
        for path in ("/", "/form"):
            phone.page.goto(f"{site}{path}")
        wait_until(phone.page, IS_READY)
        phone.walk_to("story")
        phone.page.fill("#story", "Half a sen")
        phone.page.goto(f"{site}/elsewhere")
        phone.page.evaluate("setTimeout(() => history.back())")
        phone.page.wait_for_url(f"{site}/form")
        wait_until(phone.page, "document.getElementById('story')?.value === 'Half a sen'")
        wait_until(phone.page, IS_READY)
        phone.page.locator("#leave").click()
        phone.page.wait_for_url(f"{site}/leave")
        phone.page.evaluate("setTimeout(() => history.back())")
        phone.page.wait_for_url(f"{site}/")
        wait_until(phone.page, "document.body.textContent === 'The first page'")


# What belongs to one Send, and no answer makes.
OF_SEND: Final = ("copy_version", "placement", "reply_by", "reply_key", "submitted_at", "signals")


@pytest.mark.parametrize(("way", "language"), [*((one, "en") for one in COMPARED_WAYS), (SHORT_ANSWERS, "cy")])
def test_desk_opens_the_same_report_whichever_way_it_came(
    chromium: Browser, document: str, tmp_path: Path, way: ScreenAnswers, language: str
) -> None:
    house = make_public_house(tmp_path)
    document = document if language == "en" else make_document(house, language)
    agency = house.house.agency
    facts = {"key_set": agency.bundle(serial=1).decode(), "now": format_time(NOW)}
    pinned = document.replace('fingerprint="00"', f'fingerprint="{agency.pin().root_fingerprint}"')
    phone = Phone(page=None, facts=facts)  # type: ignore[arg-type]  # its page asks it at once
    phone.page = open_document(chromium, pinned, boot=SEALING, answer_post=phone.answer)
    wait_until(phone.page, IS_READY)
    phone.walk_to("check", way)
    phone.page.locator(SEND).click()
    wait_until(phone.page, f"{SHOWN} === 'thanks'")
    (body,) = phone.read_sent()
    clear = msgspec.convert(body["clear"], ClearFields)
    seed = agency.key(KeyRole.SEALING).secret
    found = json.loads(open_box(parse_base64url(body["envelope"]), seed=seed, context=report_context(clear)))
    house.person_at("/15", way, language=language)
    (report,) = house.reports()
    plain = json.loads(encode_public_report(report))
    assert found["clear"] == {**plain["clear"], "report_id": VISIT["report_id"], "way": "phone"}
    assert set(found) == set(plain)
    differing = {name for name in found if found[name] != plain[name]}
    assert differing - {"clear", *OF_SEND} == set()
    assert found["language"] == language
    assert [one for one in found["signals"] if one.startswith("danger-")] == [
        one for one in plain["signals"] if one.startswith("danger-")
    ]
    phone.page.close()
