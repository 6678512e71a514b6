"""A service's sealed context from the link to the desk, in a real browser: gone from the address, shown, left out."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.app import make_app
from gateway.config import load_config
from gateway.desk.cases.opening import find_page_context, open_case
from gateway.desk.partners.placement_agreeing import Agreement, agree_placement
from gateway.exchange.public_report import PublicReport
from gateway.wiring import make_gateway
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.button import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS, seal_page_context
from tests.builders.local_servers import run_server
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop
from tests.gateway.public.context_builders import VIEWER, make_context
from tests.whole.browser_walk import (
    LANGUAGE,
    REFERENCE,
    SEND,
    START,
    WITHOUT_SIGNING,
    go_on,
    wait_until,
    walk_browser_to,
)
from tests.whole.public_server import (
    hold_port,
    leave_to,
    make_door_server,
    open_phone,
    serve_elsewhere,
    url_of,
)

HERE = "example-chat-profile"
NOTE, BOX, FIELD = "#passed-on", "#passed-on input", "input[name=context]"
LABEL = "Where this happened"
HOSTILE = {
    "nothing behind it": "#context=",
    "no token": "#context=1.a.b.c",
    "markup": '#context=<img src=x onerror=document.title="hacked">"><script>document.title="hacked"</script>',
    "a prototype": "#context=__proto__&__proto__[hidden]=false",
    "a longer name": "#context__proto__=1",
    "percent": "#context=1.example-chat.%00%0d%0a.AAAA",
    "a megabyte": "#context=1.example-chat." + "A" * 1_000_000,
}


class Door:
    """A gateway with a public door on a port, a desk that collects from it, and a token of the service's page."""

    def __init__(self, loop: Loop, url: str, elsewhere: str) -> None:
        self.loop, self.url, self.elsewhere = loop, url, elsewhere
        context_key = load_signing_key(loop.partner.key(KeyRole.CONTEXT))
        context = make_context(placement=HERE)
        self.token = seal_page_context(context, context_key=context_key, sealing_key=loop.sealing_key()).to_token()

    def link(self, fragment: str | None = None) -> str:
        """Return the address of the button's link."""
        return f"{self.url}/?from={HERE}{f'#{FRAGMENT_NAME}={self.token}' if fragment is None else fragment}"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """The gateway of a desk and a gateway that know each other, served with the form on a port of this machine."""
    loop, state = copy_loop(tmp_path), tmp_path / "gateway"
    agreement = Agreement(
        owner="example-chat",
        service="Example Chat",
        surface="profile",
        address="https://chat.example/profile",
        position="Under the name",
        link_id=HERE,
    )
    agree_placement(loop.desk, agreement, actor=ACTOR)
    loop.publish()
    with hold_port() as held:
        url = url_of(held)
        config = msgspec.structs.replace(load_config(state), public_origin=url)
        app = make_app(config, ("public",), state=state, gateway=make_gateway(config, state=state, clock=loop.clock))
        server = make_door_server(held, app)
    with serve_elsewhere() as elsewhere, run_server(server):
        leave_to(app, elsewhere)
        yield Door(loop, url, elsewhere)


def read_addresses(page: Page) -> str:
    """Return everything of an address that a page, or a script on it, can see now."""
    return str(page.evaluate("[location.href, document.referrer, JSON.stringify(history.state)].join(' ')"))


def test_context_goes_from_the_link_to_the_desk_and_is_in_no_address_and_no_file(
    remembering_browser: Browser, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with open_phone(remembering_browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(WITHOUT_SIGNING)
        page.goto(door.link())
        expect(page.locator(NOTE)).to_be_visible()
        expect(page.get_by_text("The app told us where this happened.")).to_be_visible()
        assert page.url == door.link("")
        assert "context" not in read_addresses(page)
        assert page.locator(FIELD).input_value() == door.token
        # Each file is sent once, however often the page names it: tests/gateway/public/test_pages.py counts on it.
        page.wait_for_load_state("networkidle")
        sent = [record for record in caplog.records if record.getMessage() == "request"]
        assert len(sent) == len(set(phone.requests)) == 5
        go_on(page, START)
        page.go_back()
        expect(page.locator(NOTE)).to_be_hidden()
        assert "context" not in read_addresses(page)
        assert page.locator(FIELD).input_value() == ""
        page.go_forward()
        page.goto(door.link())
        go_on(page, START)
        walk_browser_to(page, door.url, "/14")
        expect(page.get_by_text(LABEL).first).to_be_visible()
        go_on(page, SEND)
        reference = page.locator(REFERENCE).first.inner_text()
        assert not [asked for asked in phone.requests if "context=" in asked]
        phone.check_silence(door.url)
    before = read_gateway(door)
    assert door.loop.collect().filed == 1
    opened = open_case(door.loop.desk, reference, actor=ACTOR)
    assert isinstance(opened.content, PublicReport)
    judged = find_page_context(door.loop.desk, opened.case, opened.content, actor="test")
    assert judged is not None
    assert (judged.outcome, judged.partner) == ("holds", "example-chat")
    assert judged.claim is not None
    assert judged.claim.viewer == VIEWER
    _, _, context_id, box = door.token.split(".")
    kept = before + read_gateway(door) + caplog.text.encode()
    assert len(kept) > 100_000
    for marker in (VIEWER.account_id, context_id, box[:40], box[-40:]):
        assert marker.encode() not in kept


def read_gateway(door: Door) -> bytes:
    return b"".join(path.read_bytes() for path in (door.loop.folder / "gateway").rglob("*") if path.is_file())


def test_box_of_the_first_page_stays_as_it_was_and_the_check_page_leaves_the_context_out(
    browser: Browser, door: Door
) -> None:
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(WITHOUT_SIGNING)
        page.goto(door.link())
        page.check(BOX)
        page.click(LANGUAGE)
        expect(page.locator(NOTE)).to_be_visible()
        assert page.is_checked(BOX)
        page.uncheck(BOX)
        go_on(page, START)
        walk_browser_to(page, door.url, "/14")
        go_on(page, "button[value=leave_out]")
        assert page.locator("button[value=leave_out]").count() == 0
        go_on(page, SEND)
        reference = page.locator(REFERENCE).first.inner_text()
        phone.check_silence(door.url)
    door.loop.collect()
    opened = open_case(door.loop.desk, reference, actor=ACTOR)
    assert find_page_context(door.loop.desk, opened.case, opened.content, actor="test") is None


def test_without_a_script_nothing_is_carried_and_leaving_takes_no_fragment_along(browser: Browser, door: Door) -> None:
    with open_phone(browser, has_script=False) as phone:
        page = phone.page
        page.goto(door.link())
        expect(page.locator(NOTE)).to_be_hidden()
        expect(page.locator(FIELD)).to_have_value("")
        page.click("#leave")
        page.wait_for_url(f"{door.elsewhere}**")
        assert "context" not in page.url
        page.goto(door.link())
        go_on(page, START)
        assert page.url == f"{door.url}/2"
        assert not [asked for asked in phone.requests if "context=" in asked]


def test_hostile_fragment_is_taken_out_and_the_form_opens_without_it(browser: Browser, door: Door) -> None:
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(WITHOUT_SIGNING)
        for name, fragment in HOSTILE.items():
            page.goto("about:blank")
            page.goto(door.link(fragment))
            title = page.title()
            assert page.url == door.link(""), name
            expect(page.locator(NOTE)).to_be_hidden()
            assert len(page.locator(FIELD).input_value()) <= 1, name
            assert title == "You can tell us here", name
        go_on(page, START)
        assert page.url == f"{door.url}/2"
        phone.check_silence(door.url)


def test_page_without_the_form_takes_the_context_out_of_the_address_and_leaves_other_marks_alone(
    browser: Browser, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.public.views.start.is_open", lambda _door: False)
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(WITHOUT_SIGNING)
        mark = door.link().partition("#")[2]
        for path, status in (("/", 503), ("/no-such-page", 404)):
            page.goto("about:blank")
            answer = page.goto(f"{door.url}{path}#{mark}")
            assert answer is not None
            assert (answer.status, page.locator(NOTE).count()) == (status, 0), path
            assert "context" not in read_addresses(page), path
            page.evaluate("mark => { location.hash = mark; }", mark)
            wait_until(page, "!location.hash")
            assert "context" not in read_addresses(page), path
            page.evaluate("() => { location.hash = 'main'; }")
            assert page.url.endswith("#main"), path
        assert not [asked for asked in phone.requests if "context=" in asked]


def test_link_that_is_followed_on_the_open_page_is_taken_too_and_its_own_marks_are_left_alone(
    browser: Browser, door: Door
) -> None:
    with open_phone(browser, has_script=True) as phone:
        page = phone.page
        page.add_init_script(WITHOUT_SIGNING)
        page.goto(door.link(""))
        expect(page.locator(NOTE)).to_be_hidden()
        page.evaluate("mark => { location.hash = mark; }", f"{FRAGMENT_NAME}={door.token}")
        expect(page.locator(NOTE)).to_be_visible()
        assert page.url == door.link("")
        page.evaluate("() => { location.hash = 'main'; }")
        assert page.url == door.link("#main")
        assert page.locator(FIELD).input_value() == door.token
        page.evaluate("mark => { location.hash = mark; }", f"{FRAGMENT_NAME}=1." + "a" * MAX_TOKEN_CHARACTERS)
        expect(page.locator(NOTE)).to_be_hidden()
        assert page.locator(FIELD).input_value() == "-"
        phone.check_silence(door.url)
