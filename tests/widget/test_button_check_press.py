"""The checker presses: it sees every recipient of a press, at any time and by any means, and takes no poll for one."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error

from partner_sdk.button.snippet import make_snippet
from partner_sdk.console.check import Expected, browser_check
from partner_sdk.console.check import browser as chromium_room
from partner_sdk.console.check.browser_check import Prepare, Screen, check_in_browser, leave_as_it_is
from partner_sdk.console.findings import ButtonCheck
from partner_sdk.errors import TransportError
from tests.sdk.button.pages import PLACEMENT, PLAIN, make_page
from tests.widget.agency_door import AgencyDoor
from tests.widget.checked_pages import LISTEN, NOW, PHONE, CheckBrowsers, check, list_all_codes, list_codes
from tests.widget.open_ears import OpenEars, listen

BEACON = "navigator.sendBeacon('https://count.example/')"
NEW_TAB = PLAIN.replace(' rel="', ' target="_blank" rel="')
POLL = "<script>setInterval(() => fetch('/poll/' + Date.now()).catch(() => 0), 1000)</script>"


RANDOM = "'https://count.example/' + crypto.randomUUID()"
HIDDEN = '<form method="post" action="https://count.example/form" target="{0}"></form><iframe name="{0}"></iframe>'
TELL = "navigator.sendBeacon('https://count.example/{}')"
# Each tells at a path of its own name.
WAYS = {
    "fetch": LISTEN.format("click", "fetch('https://count.example/fetch', { mode: 'no-cors' })"),
    "beacon": LISTEN.format("click", TELL.format("beacon")),
    "picture": LISTEN.format("click", "new Image().src = 'https://count.example/picture'"),
    "event-source": LISTEN.format("click", "new EventSource('https://count.example/event-source')"),
    "form": HIDDEN.format("count") + LISTEN.format("click", "document.forms[0].submit()"),
    "socket": LISTEN.format("click", "new WebSocket('wss://count.example/socket')"),
    "socket-at-the-finger": LISTEN.format("pointerdown", "new WebSocket('wss://count.example/socket-at-the-finger')"),
    "transport": LISTEN.format("click", "new WebTransport('https://count.example/transport').closed.catch(() => 0)"),
    "at-the-finger": LISTEN.format("pointerdown", TELL.format("at-the-finger")),
    "a-moment-later": LISTEN.format("click", f"setTimeout(() => {TELL.format('a-moment-later')}, 100)"),
    "through-a-frame": f'<iframe srcdoc="<script>onmessage = () => {TELL.format("through-a-frame")}</script>"></iframe>'
    + LISTEN.format("click", "frames[frames.length - 1].postMessage(1, '*')"),
}
# Each tells as if it were another one each time, or none.
IN_DISGUISE = {
    "another-path-each-time": LISTEN.format("click", f"navigator.sendBeacon({RANDOM})"),
    "another-socket-each-time": LISTEN.format("click", "new WebSocket('wss://count.example/' + crypto.randomUUID())"),
    "another-host-each-time": LISTEN.format(
        "click", "fetch(`https://${crypto.randomUUID()}.count.example/`, { mode: 'no-cors' })"
    ),
    "one-host-at-first-and-another-later": LISTEN.format(
        "click",
        "fetch(`https://${performance.now() < 1900 ? 'first' : 'later'}.example/`, { mode: 'no-cors' })",
    ),
    "letters-at-a-host-that-is-asked-all-the-time": LISTEN.format(
        "click",
        "fetch('/told/' + crypto.randomUUID().replace(/[^a-f]/g, one => 'ghijklmnop'[+one] ?? '-'))",
    )
    + "<script>setInterval(() => fetch('/poll').catch(() => 0), 100)</script>",
}


def test_press_that_tells_others_is_found_where_a_new_tab_opens(check_browser: Browser):
    found = check(check_browser, make_page(NEW_TAB, after=LISTEN.format("click", BEACON)))
    assert list_codes(found) == ["press-tells-others", "new-tab"]


def test_page_that_tells_as_soon_as_it_is_asked_for_its_size_is_found(check_browser: Browser):
    after = """<script>
      const closest = Element.prototype.closest
      Element.prototype.closest = function (what) {
        fetch('https://count.example/').catch(() => 0)
        return closest.call(this, what)
      }
    </script>"""
    page = make_page(PLAIN, after=after + LISTEN.format("click", "fetch('https://count.example/').catch(() => 0)"))
    assert list_codes(check(check_browser, page)) == ["press-tells-others"]


def test_clean_tab_does_not_hide_what_another_one_knows(check_browser: Browser):
    link = PLAIN.replace('rel="noreferrer noopener"', 'rel="opener" target="_blank"')
    opens = "open(document.querySelector('section a').href, '_blank', 'noopener,noreferrer')"
    found = check(check_browser, make_page(link, after=LISTEN.format("pointerdown", opens)))
    assert {"keeps-hold", "press-tells-page"} <= set(list_codes(found))


def test_picture_that_never_comes_does_not_hide_whom_the_press_tells(
    check_browser: Browser, agency: AgencyDoor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(browser_check, "LOAD_MS", 2_000)
    monkeypatch.setattr(chromium_room, "ASKED_SECONDS", 2.0)  # it may never report that it goes
    screens = (Screen(320, 640), Screen(360, 640), Screen(1280, 800))
    opened: list[BrowserContext] = []

    def hold_picture(context: BrowserContext) -> None:
        opened.append(context)
        context.route("**/never.png", lambda _route: None)

    after = '<img src="https://pictures.example/never.png" alt="">' + LISTEN.format("click", BEACON)
    found = check_here(check_browser, after, agency=agency, prepare=hold_picture, screens=screens)
    assert list_codes(found) == ["press-tells-others"]
    # One screen is pressed again, and the others know already; the last look is the one after a minute.
    assert len(opened) == len(screens) + 2


def test_page_that_polls_now_and_then_is_not_said_to_tell_of_the_press(check_browser: Browser):
    screens = (Screen(320, 640), Screen(360, 640), Screen(1280, 800))
    page = make_page(PLAIN, after=POLL)
    assert list_codes(check(check_browser, page, screens=screens)) == []


def check_here(
    browser: Browser,
    after: str,
    *,
    agency: AgencyDoor,
    ping: str = "",
    prepare: Prepare = leave_as_it_is,
    screens: tuple[Screen, ...] = PHONE,
) -> ButtonCheck:
    """Check a page of this machine, whose requests to others on it would arrive."""
    origin = agency.url.rstrip("/")
    link = make_snippet(origin, placement=PLACEMENT, form="link").replace(' rel="', f'{ping} rel="')
    return check_in_browser(
        make_page(link, after=after).encode(),
        browser=browser,
        address="http://127.0.0.1:9/profile",
        expected=Expected(origin, placement=PLACEMENT),
        now=NOW,
        headers={"Content-Type": "text/html; charset=utf-8"},
        screens=screens,
        prepare=prepare,
    )


def tell_to(ears: OpenEars, script: str) -> str:
    """Return a script that tells this machine in place of another one."""
    to_socket = script.replace("wss://count.example", f"ws://{ears.host}")
    return to_socket.replace("https://count.example", f"http://{ears.host}")


def test_each_press_sees_every_way_to_tell_others_and_reaches_nobody(
    check_browser: Browser, agency: AgencyDoor, monkeypatch: pytest.MonkeyPatch
):
    presses: list[chromium_room.Pressed] = []

    def press(*given: Any, **named: Any) -> chromium_room.Pressed:
        presses.append(chromium_room.press(*given, **named))
        return presses[-1]

    monkeypatch.setattr(browser_check, "press", press)
    with listen() as ears:
        found = check_here(check_browser, tell_to(ears, "".join(WAYS.values())), agency=agency)
    assert list_codes(found) == ["press-tells-others"]
    assert len(presses) >= 2
    for pressed in presses:
        assert {way for way in WAYS if any(clue.endswith(f"/{way}") for clue in pressed.told)} == set(WAYS)
    assert ears.heard == []


def test_press_that_tells_others_in_disguise_is_found_and_reaches_nobody(
    check_browsers: CheckBrowsers, agency: AgencyDoor
):
    with listen() as ears:
        found = list_all_codes(
            check_browsers,
            {
                name: partial(check_here, after=tell_to(ears, after), agency=agency)
                for name, after in IN_DISGUISE.items()
            },
        )
    assert found == {name: ["press-tells-others"] for name in IN_DISGUISE}
    assert ears.heard == []


def test_ping_of_the_link_does_not_arrive(check_browser: Browser, agency: AgencyDoor):
    with listen() as ears:
        found = check_here(check_browser, "", agency=agency, ping=f' ping="http://{ears.host}/"')
    assert set(list_codes(found)) == {"ping", "press-tells-others"}
    assert ears.heard == []


def test_socket_that_whoever_watches_stops_is_not_let_through(check_browser: Browser, agency: AgencyDoor):
    def stop_sockets(context: BrowserContext) -> None:
        context.route_web_socket("**/*", lambda socket: socket.close())

    with listen() as ears:
        after = f"<script>new WebSocket('ws://{ears.host}/open')</script>"
        found = check_here(check_browser, after, agency=agency, prepare=stop_sockets)
    assert list_codes(found) == []
    assert ears.heard == []


def test_word_through_a_socket_that_was_open_is_found_and_stopped(check_browser: Browser, agency: AgencyDoor):
    with listen() as ears:
        after = f"<script>const open = new WebSocket('ws://{ears.host}/open')</script>"
        after += "<script>open.onopen = () => open.send('hello')</script>"
        found = check_here(check_browser, after + LISTEN.format("click", "open.send('pressed')"), agency=agency)
    assert list_codes(found) == ["press-tells-others"]
    assert set(ears.heard) == {"/open", "hello"}


def test_page_that_chats_through_an_open_socket_is_not_said_to_tell(check_browser: Browser, agency: AgencyDoor):
    with listen() as ears:
        after = f"<script>const open = new WebSocket('ws://{ears.host}/open')\n"
        after += "open.onopen = () => setInterval(() => open.send(crypto.randomUUID()), 100)</script>"
        found = check_here(check_browser, after, agency=agency)
    assert list_codes(found) == []
    assert len(set(ears.heard)) > 2


def test_form_is_judged_in_its_own_tab_where_the_page_opens_another_one_too(check_browser: Browser):
    page = make_page(NEW_TAB, after=LISTEN.format("click", "setTimeout(() => open('about:blank'))"))
    assert list_codes(check(check_browser, page)) == ["new-tab"]


def test_form_that_opens_in_a_frame_of_the_page_is_judged_there(check_browser: Browser):
    link = PLAIN.replace(' rel="', ' target="help" rel="')
    page = make_page(link, after='<iframe name="help"></iframe>')
    assert list_codes(check(check_browser, page)) == ["into-frame"]


def test_page_does_not_pass_where_what_the_press_opens_never_comes(
    check_browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chromium_room, "find_frame", lambda _request: None)
    monkeypatch.setattr(chromium_room, "ASKED_SECONDS", 2.0)
    with pytest.raises(TransportError) as told:
        check(check_browser, make_page(PLAIN))
    assert told.value.reason == "browser"


@dataclass(frozen=True, slots=True)
class Opening:
    """A request for a page whose frame cannot be had."""

    words: str

    @property
    def frame(self) -> None:
        """Raise Playwright's error."""
        raise Error(self.words)


def test_ended_browser_is_not_taken_for_a_tab_that_is_still_to_come():
    is_early = Opening("Frame for this navigation request is not available, because the request\nwas issued")
    assert chromium_room.find_frame(is_early) is None  # type: ignore[arg-type] # stands in for a request
    with pytest.raises(Error, match="closed"):
        chromium_room.find_frame(Opening("Target page, context or browser has been closed"))  # type: ignore[arg-type] # as above


# At its own host, at another one, and through sockets.
CHATTING = f"""<script>
  setInterval(() => fetch('/poll/' + crypto.randomUUID()).catch(() => 0), 100)
  setInterval(() => fetch({RANDOM}, {{ mode: 'no-cors' }}).catch(() => 0), 100)
  setInterval(() => new WebSocket('wss://chat.example/' + crypto.randomUUID()), 200)
</script>"""


def test_page_that_chats_under_random_names_is_not_said_to_tell_of_the_press(check_browser: Browser):
    assert list_codes(check(check_browser, make_page(PLAIN, after=CHATTING))) == []
