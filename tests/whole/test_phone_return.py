"""Coming back by script at a real gateway: number and words stay in the page, which shows what the plain way shows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.gateway.public.return_builders import ANSWER, REFUSED, WRONG_WORDS, post_reply, send
from tests.whole.browser_walk import CONTINUE, go_on, wait_until
from tests.whole.public_server import Phone, PublicServer, open_chromium, open_phone, serve_public

TITLE = "document.querySelector('main section[id^=screen-]')?.id"
BLANK = "Type both your number and your five words."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with serve_public(tmp_path_factory.mktemp("whole")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@dataclass
class Returner:
    phone: Phone
    url: str
    bodies: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.on("request", self._note)

    @property
    def page(self) -> Page:
        return self.phone.page

    def _note(self, request: Request) -> None:
        self.bodies.append((request.url.removeprefix(self.url), request.post_data or ""))

    def open(self, path: str = "/16", document: str = "/form") -> None:
        self.page.goto(f"{self.url}{path}")
        wait_until(self.page, f"{TITLE} === 'screen-come_back'")
        assert self.page.evaluate("location.pathname + location.hash") == document

    def type_both(self, reference: str, words: str) -> None:
        self.page.fill("#reference", reference)
        self.page.fill("#words_typed", words)
        self.page.locator(CONTINUE).click()

    def wait_for(self, screen: str) -> None:
        wait_until(self.page, f"{TITLE} === 'screen-{screen}'")

    def wait_for_end(self) -> None:
        wait_until(self.page, "!document.querySelector('main section button').disabled")

    def list_posts(self) -> list[tuple[str, str]]:
        return [(path, body) for path, body in self.bodies if body]

    def read(self) -> str:
        return self.page.locator("main").inner_text()


@pytest.fixture
def returner(server: PublicServer, chromium: Browser) -> Iterator[Returner]:
    with open_phone(chromium, has_script=True) as phone:
        yield Returner(phone, server.url)
        assert phone.complaints == []


def read_plainly(chromium: Browser, server: PublicServer, reference: str, words: str, *, query: str = "") -> str:
    with open_phone(chromium, has_script=False) as phone:
        phone.page.goto(f"{server.url}/16{query}")
        phone.page.fill("#reference", reference)
        phone.page.fill("#words_typed", words)
        go_on(phone.page)
        return phone.page.locator("main").inner_text()


@pytest.mark.parametrize("has_reply", [False, True])
def test_replies_are_those_of_the_plain_way_and_no_word_leaves_the_page(
    server: PublicServer, chromium: Browser, returner: Returner, has_reply: bool
) -> None:
    _, reference, words = send(server.public)
    if has_reply:
        *_, report = server.public.reports()
        post_reply(server.public, report, reference)
        post_reply(server.public, report, reference, body="The older one.", issued_at="2026-11-24T09:00:00Z")
    returner.open()
    returner.type_both(f" {reference.lower().replace('-', ' ')}", words.title())
    returner.wait_for("replies" if has_reply else "replies_none")
    assert returner.read() == read_plainly(chromium, server, reference, words)
    assert (ANSWER in returner.read()) is has_reply
    assert returner.page.evaluate("location.pathname + location.hash") == "/form"
    posts = returner.list_posts()
    assert [path for path, _ in posts] == ["/form/visit", "/16/sealed"]
    assert set(json.loads(posts[1][1])) == {"reference", "token"}
    sent = json.dumps(returner.bodies).lower()
    assert [word for word in words.split() if word in sent] == []
    assert returner.page.evaluate("sessionStorage.length + localStorage.length") == 0
    returner.page.locator("main button[value=add]").first.click()
    expect(returner.page.locator("#notice-add")).to_contain_text("the simple way")
    assert returner.list_posts() == posts
    go_on(returner.page, "#notice-add button")
    assert (returner.page.url, reference in returner.read()) == (f"{server.url}/17", True)


def test_welsh_pages_are_those_of_the_plain_way(server: PublicServer, chromium: Browser, returner: Returner) -> None:
    _, reference, words = send(server.public)
    *_, report = server.public.reports()
    post_reply(server.public, report, reference)
    returner.open()
    returner.page.locator("header button[value=language]").click()
    returner.page.wait_for_url(f"{server.url}/cy/form")
    returner.wait_for("come_back")
    returner.type_both(reference, words)
    returner.wait_for("replies")
    assert returner.read() == read_plainly(chromium, server, reference, words, query="?lang=cy")


def test_all_that_is_wrong_shows_the_one_sentence_and_keeps_what_was_typed(
    server: PublicServer, chromium: Browser, returner: Returner
) -> None:
    _, reference, words = send(server.public)
    returner.open()
    for typed in ((reference, WRONG_WORDS), (reference, "one two"), ("hello", words), ("C5H6-6S35C-3", words)):
        returner.type_both(*typed)
        returner.wait_for_end()
        returner.wait_for("come_back_refused")
        assert REFUSED in returner.read()
        assert returner.page.title().startswith("Error: ")
        assert returner.page.evaluate("document.activeElement.id") == "faults"
        assert [returner.page.input_value(f"#{name}") for name in ("reference", "words_typed")] == list(typed)
        refused = returner.read()
    assert refused == read_plainly(chromium, server, "C5H6-6S35C-3", words)
    for _ in range(9):  # ten tries an hour for one number
        returner.type_both(reference, WRONG_WORDS)
        returner.wait_for_end()
    returner.type_both(reference, words)
    returner.wait_for_end()
    assert returner.read() == refused
    assert len([body for path, body in returner.list_posts() if path == "/16/sealed"]) == 12


def test_empty_field_is_asked_for_and_its_link_leads_there(returner: Returner) -> None:
    returner.open()
    returner.type_both("K7QF-2M9TX-D", " ")
    returner.wait_for("come_back_blank")
    assert BLANK in returner.read()
    returner.page.fill("#words_typed", "")
    returner.page.locator(CONTINUE).click()
    returner.page.locator("#faults a").click()
    assert returner.page.evaluate("document.activeElement.id + location.hash") == "words_typed"
    assert [path for path, _ in returner.list_posts()] == ["/form/visit"]


def test_back_and_a_new_load_ask_again(server: PublicServer, returner: Returner) -> None:
    _, reference, words = send(server.public)
    returner.open()
    returner.type_both(reference, words)
    returner.wait_for("replies_none")
    returner.page.reload()
    returner.wait_for("come_back")
    assert returner.page.input_value("#reference") == ""
    returner.type_both(reference, words)
    returner.wait_for("replies_none")
    returner.page.go_back()
    returner.wait_for("come_back")
    assert reference not in returner.page.content()
    assert returner.page.input_value("#words_typed") == ""


def refuse(status: int) -> str:
    return json.dumps({"type": "about:blank", "title": "Refused", "status": status})


def test_words_go_readable_only_by_the_button_that_says_so(server: PublicServer, returner: Returner) -> None:
    _, reference, words = send(server.public)
    held: list[Route] = []
    returner.page.route("**/s/sealing*", lambda route: held.append(route))
    returner.open()
    returner.page.fill("#reference", reference)
    returner.page.fill("#words_typed", words)
    while not held:
        returner.page.wait_for_timeout(20)
    held[0].abort()
    wait_until(returner.page, "!document.getElementById('notice-simple').hidden")
    returner.page.locator(CONTINUE).click()
    assert [path for path, body in returner.list_posts() if "words" in body] == []
    with returner.page.expect_event("load"):
        returner.page.locator("#notice-simple button").click()
    assert returner.page.url == f"{server.url}/17"
    assert reference in returner.read()
    returner.phone.complaints.clear()  # of the file that never came


def test_page_that_cannot_work_leads_to_the_plain_page_before_anything_is_typed(
    server: PublicServer, returner: Returner
) -> None:
    returner.page.route("**/form/visit", lambda route: route.fulfill(status=503, body=refuse(503)))
    returner.page.goto(f"{server.url}/16")
    returner.page.wait_for_url(f"{server.url}/16#plain")
    assert returner.page.locator("form#answers").count() == 1
    returner.phone.complaints.clear()  # of the status


def test_lost_answer_is_asked_for_again_by_a_press(server: PublicServer, returner: Returner) -> None:
    _, reference, words = send(server.public)
    returner.open()
    statuses = [429, 503]

    def answer(route: Route) -> None:
        if not statuses:
            return route.continue_()
        status = statuses.pop(0)
        return route.fulfill(status=status, headers={"Retry-After": "1"}, body=refuse(status))

    returner.page.route("**/16/sealed", answer)
    returner.type_both(reference, words)
    wait_until(returner.page, "!document.getElementById('notice-failed').hidden")
    returner.page.locator("#notice-failed button").click()
    returner.wait_for("replies_none")
    assert [name for name in ("failed", "simple") if returner.page.locator(f"#notice-{name}").is_visible()] == []
    returner.phone.complaints.clear()  # of the statuses


def test_leaving_shows_nothing_more(server: PublicServer, returner: Returner) -> None:
    _, reference, words = send(server.public)
    returner.open()
    returner.type_both(reference, words)
    returner.wait_for("replies_none")
    with returner.page.expect_event("load"):
        returner.page.locator("#leave").click()
    returner.page.go_back()
    returner.page.wait_for_load_state()
    assert reference not in returner.page.content()
    returner.phone.complaints.clear()  # of what Leave clears
