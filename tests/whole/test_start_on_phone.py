"""Start leads to the form on the phone in a browser that can seal there, and to the plain way in every other one."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.gateway.public.context_builders import CONTEXT_ID, make_closed_token
from tests.gateway.public.person import SHORT_ANSWERS, SHORT_STORY
from tests.whole.browser_walk import (
    CONTINUE,
    LANGUAGE,
    REFERENCE,
    SEND,
    START,
    WITHOUT_SIGNING,
    go_on,
    start,
    wait_until,
    walk_browser_to,
)
from tests.whole.public_server import Phone, PublicServer, open_chromium, open_phone, serve_public
from tests.whole.test_phone_interview import SHOWN
from tests.whole.test_phone_visit import Phone as Walker

STARTS = {"en": ("/", "/form"), "cy": ("/?lang=cy", "/cy/form")}
NOTE, BOX, FIELD = "#passed-on", "#passed-on input", "input[name=context]"
WHERE = {"en": "Where this happened", "cy": "Ble digwyddodd hyn"}
FIRST_SCREEN = "/2"  # of the plain way
TYPED = "Half a sentence."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with serve_public(tmp_path_factory.mktemp("start")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Phone]:
    with open_phone(chromium, has_script=True) as opened:
        yield opened


def path_of(page: Page) -> str:
    return str(page.evaluate("location.pathname"))


def send(page: Page) -> None:
    page.locator(SEND).first.click()
    wait_until(page, f"{SHOWN} === 'thanks'")


@pytest.mark.parametrize("language", STARTS)
def test_start_leads_to_the_form_on_the_phone_and_back_to_the_first_page(
    server: PublicServer, phone: Phone, language: str
) -> None:
    first, form = STARTS[language]
    phone.page.goto(f"{server.url}{first}")
    go_on(phone.page, START)
    assert (path_of(phone.page), phone.page.evaluate("document.documentElement.lang")) == (form, language)
    assert phone.page.evaluate(SHOWN) == "safe_now"
    phone.page.go_back()
    assert path_of(phone.page) == "/"
    assert phone.complaints == []


def without_signing(phone: Phone) -> None:
    phone.page.add_init_script(WITHOUT_SIGNING)


def without_storage(phone: Phone) -> None:
    phone.page.add_init_script("Object.defineProperty(globalThis, 'sessionStorage', { get() { throw new Error() } })")


def without_a_secure_page(phone: Phone) -> None:
    phone.page.add_init_script("Object.defineProperty(globalThis, 'isSecureContext', { value: false })")


@pytest.mark.parametrize("take_away", [without_signing, without_storage, without_a_secure_page])
def test_browser_that_cannot_seal_or_store_gets_the_plain_way(
    server: PublicServer, phone: Phone, take_away: Callable[[Phone], None]
) -> None:
    take_away(phone)
    phone.page.goto(server.url)
    go_on(phone.page, START)
    assert path_of(phone.page) == FIRST_SCREEN
    assert [asked for asked in phone.requests if "/form" in asked] == []
    assert phone.complaints == []


def test_script_that_never_comes_leads_to_the_plain_way(server: PublicServer, phone: Phone) -> None:
    phone.page.goto(server.url)
    phone.page.route("**/s/phone*", lambda route: route.abort())
    phone.page.locator(START).click()
    phone.page.wait_for_url(f"{server.url}{FIRST_SCREEN}")


def test_leaving_in_one_tab_empties_the_form_in_the_other(server: PublicServer, phone: Phone) -> None:
    phone.page.goto(server.url)
    go_on(phone.page, START)
    Walker(phone.page).walk_to("story")
    phone.page.fill("#story", TYPED)
    with phone.context.expect_page() as opened:
        phone.page.locator("footer button[value='see:privacy']").click()
    opened.value.locator("#leave").click()
    phone.page.wait_for_url(f"{server.url}/")
    assert phone.page.evaluate("sessionStorage.length") == 0
    phone.page.go_back()
    phone.page.wait_for_url(f"{server.url}/")
    assert TYPED not in phone.page.locator("body").inner_text()


def test_second_half_of_a_double_tap_presses_nothing_on_the_next_screen(server: PublicServer, phone: Phone) -> None:
    page = phone.page
    page.goto(server.url)
    go_on(page, START)
    Walker(page).walk_to("danger")
    page.check("[name=danger][value=yes]")
    page.locator(CONTINUE).dblclick()
    assert (page.evaluate(SHOWN), page.url) == ("danger_help", f"{server.url}/form")
    page.locator("main button[value=carry_on]").dblclick()
    assert (page.evaluate(SHOWN), page.locator("input:checked").count()) == ("age", 0)


@pytest.mark.parametrize("language", STARTS)
def test_visit_that_cannot_begin_leads_to_the_plain_way_at_once_with_the_context(
    server: PublicServer, phone: Phone, language: str
) -> None:
    first, form = STARTS[language]
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, body="{}")

    phone.context.route("**/form/visit", refuse)
    token = make_closed_token()
    phone.page.goto(f"{server.url}{first}#context={token}")
    phone.page.locator(START).click()
    phone.page.wait_for_url(f"{server.url}{FIRST_SCREEN}")
    assert (len(asked), form in phone.requests[-1]) == (1, False)
    assert phone.page.evaluate("document.documentElement.lang") == language
    walk_browser_to(phone.page, server.url, "/14")
    assert WHERE[language] in phone.page.locator("main").inner_text()
    assert phone.page.evaluate("sessionStorage.length") == 0


def test_language_is_changed_before_the_visit_has_begun(server: PublicServer, phone: Phone) -> None:
    held: list[Route] = []
    phone.page.goto(server.url)
    phone.context.route("**/form/visit", lambda route: held.append(route))
    go_on(phone.page, START)
    phone.page.locator("button[value=language]").click()
    held[0].continue_()
    phone.context.unroute("**/form/visit")
    phone.page.wait_for_url(f"{server.url}/cy/form")
    wait_until(phone.page, f"{SHOWN} === 'safe_now'")


def test_link_from_elsewhere_to_the_form_leaves_the_draft_of_the_plain_way(server: PublicServer, phone: Phone) -> None:
    start(phone.page, server.url)
    walk_browser_to(phone.page, server.url, "/9")
    before = server.public.house.rows("drafts")
    phone.page.goto(f"{server.url}/form")
    phone.page.wait_for_load_state("networkidle")
    assert server.public.house.rows("drafts") == before


def test_start_ends_the_visit_of_the_plain_way(server: PublicServer, phone: Phone) -> None:
    before = server.public.house.rows("drafts")
    with phone.context.new_page() as plain:
        start(plain, server.url)
        walk_browser_to(plain, server.url, "/9")
        assert len(server.public.house.rows("drafts")) == len(before) + 1
    phone.page.goto(server.url)
    go_on(phone.page, START)
    phone.page.wait_for_load_state("networkidle")
    assert server.public.house.rows("drafts") == before


def test_what_the_service_said_of_the_place_goes_with_the_report_unless_it_is_left_out(
    server: PublicServer, phone: Phone
) -> None:
    page, token = phone.page, make_closed_token()
    for is_told in (True, False):
        page.goto("about:blank")
        page.goto(f"{server.url}/#context={token}")
        expect(page.locator(NOTE)).to_be_visible()
        if not is_told:
            page.check(BOX)
        go_on(page, START)
        wait_until(page, "!location.hash")
        page.wait_for_load_state("networkidle")
        Walker(page).walk_to("check")
        assert (WHERE["en"] in page.locator("main").inner_text()) == is_told
        send(page)
        context = server.public.reports()[-1].context
        assert (context and context.split(".")[2]) == (CONTEXT_ID if is_told else None)
        assert "context" not in str(page.evaluate("[location.href, JSON.stringify(history.state)].join()"))
    assert phone.complaints == []


def test_other_language_keeps_the_place_the_words_and_what_the_service_said(server: PublicServer, phone: Phone) -> None:
    page = phone.page
    page.goto(f"{server.url}/#context={make_closed_token()}")
    go_on(page, START)
    page.wait_for_load_state("networkidle")
    Walker(page).walk_to("story")
    page.fill("#story", TYPED)
    go_on(page, LANGUAGE)
    page.wait_for_url(f"{server.url}/cy/form")
    wait_until(page, f"{SHOWN} === 'story'")
    assert (page.url, page.input_value("#story")) == (f"{server.url}/cy/form", TYPED)
    page.go_back()
    # Every entry from before is in the language of now.
    page.wait_for_url(f"{server.url}/cy/form")
    wait_until(page, f"{SHOWN} && {SHOWN} !== 'story'")
    page.go_forward()
    wait_until(page, f"{SHOWN} === 'story'")
    page.fill("#story", SHORT_STORY)
    page.locator(CONTINUE).click()
    Walker(page).walk_to("check")
    send(page)
    report = server.public.reports()[-1]
    assert (report.story, report.context is not None) == (SHORT_ANSWERS["/9"]["story"], True)
    assert page.locator(REFERENCE).count() == 2
