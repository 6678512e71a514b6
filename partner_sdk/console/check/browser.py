"""The browser of a check: this machine's Chromium under Playwright, its deadline, and a press on the button.

A page that keeps its thread busy, or that answers nothing, leaves every call of Playwright waiting, whatever its
timeout: only the end of the browser's process ends that, so one deadline ends it.

Playwright reports a request when the network has it, and reports nothing more of a page that has gone. The requests of
a click and the form that it opens then come in either order, or one of them never. A DevTools session of the page has
them in the page's own order (`Network.requestWillBeSent`, `Page.frameRequestedNavigation`, `Page.windowOpen`).

Playwright stands in for the page's `WebSocket` from before the page is loaded, so that an open socket is stopped as
well as a new one. It does not know WebTransport, which is never let out: a page bears that, as on a network without
UDP.

The press does not reach the agency: an empty page stands in for the page that it opens. That page is held back until
the old one has sent all its requests. Requests and sockets of the press are noted and stopped. Not seen: a worker's own
socket, requests of a shared worker, and anything that a page sends while it is being left.
"""

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urldefrag

from partner_sdk.console.check.page_fetch import Address, find_address
from partner_sdk.console.findings import Expected, Notice
from partner_sdk.errors import ReportAbuseError, TransportError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ElementHandle, Frame, Page, Request, Route, WebSocketRoute

INSTALL_PLAYWRIGHT: Final = "pip install 'report-abuse-partner-console[browser]'"
INSTALL_CHROMIUM: Final = "sudo apt-get install chromium"
# Not chromium-headless-shell, which starts quicker: it has no plugins and no `window.chrome`, so a page can tell it
# from a person's browser and show it another button.
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SETTINGS: Final = (
    *("--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"),
    # A page that hides from automation is judged as a person sees it: navigator.webdriver is false.
    "--disable-blink-features=AutomationControlled",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium of this machine, or None: none is ever downloaded."""
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


@contextmanager
def open_chromium(*, is_root: bool = False, path: str | None = None) -> Iterator["Browser"]:
    """Run Chromium until the block ends; raises `ReportAbuseError` (`browser-missing`) with the line that installs it.

    `path` names another build than that of `find_chromium`. `is_root`: without its sandbox, as Chromium asks of its
    caller under root; only for pages of one's own.
    """
    try:
        playwright = import_module("playwright.sync_api")
    except ImportError:
        raise ReportAbuseError(f"--browser needs Playwright: {INSTALL_PLAYWRIGHT}", reason="browser-missing") from None
    path = path or find_chromium()
    if path is None:
        raise ReportAbuseError(
            f"--browser needs Chromium: {INSTALL_CHROMIUM}",
            reason="browser-missing",
        )
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path=path, args=[*_SETTINGS, *(("--no-sandbox",) if is_root else ())]
            )
        except playwright.Error:
            raise ReportAbuseError(f"{path} does not start.", reason="browser-missing") from None
        try:
            yield browser
        finally:
            browser.close()


def make_user_agent(browser: "Browser") -> str:
    """Return the user agent of this Chromium with a window, as a person has it; the version is the true one."""
    return (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{browser.version} Safari/537.36"
    )


def name_as_person(page: "Page") -> None:
    """Take the headless brand out of the client hints too: Playwright's user agent leaves them as they are."""
    browser = page.context.browser
    if browser is None:
        return
    major = browser.version.partition(".")[0]
    metadata = {
        "brands": [{"brand": "Chromium", "version": major}, {"brand": "Not:A-Brand", "version": "8"}],
        "platform": "Linux",
        "platformVersion": "",
        "architecture": "x86",
        "model": "",
        "mobile": False,
    }
    page.context.new_cdp_session(page).send(
        "Emulation.setUserAgentOverride", {"userAgent": make_user_agent(browser), "userAgentMetadata": metadata}
    )


# Three screens of a slow page need less than half of it.
CHECK_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Whether the time is over, and with it the browser's process."""

    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Return whether the browser was ended."""
        return self._ended.is_set()

    def end(self, process_id: int) -> None:
        """End the browser; a call that waits for it then fails with Playwright's error."""
        self._ended.set()
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


@contextmanager
def end_browser_after(seconds: float, *, browser: "Browser") -> Iterator[Deadline]:
    """End the browser's process unless the block ends within some seconds; raises Playwright's error if it is gone."""
    deadline = Deadline()
    watch = threading.Timer(seconds, deadline.end, args=(_get_process_id(browser),))
    watch.daemon = True
    watch.start()
    try:
        yield deadline
    finally:
        watch.cancel()


def _get_process_id(browser: "Browser") -> int:
    session = browser.new_browser_cdp_session()
    try:
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    finally:
        session.detach()
    return next(int(one["id"]) for one in processes if one["type"] == "browser")


# A random name holds a digit as good as always, and so does one that counts.
_WITH_DIGIT: Final = re.compile(r"[^./]*\d[^./]*")
_NUMERIC: Final = re.compile(r"[\d.]+|.*:.*")  # an address of IPv4 or IPv6 in place of a name
_WEB_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class RequestWatch:
    """The requests since the last `forget`, without the agency's; they change while a page is watched.

    Each address is noted as several clues, from a whole origin to a path: a name that is another one each time hides
    no press from the coarse ones, and the fine ones tell apart what goes to a host that is asked all the time.
    """

    __slots__ = ("_agency", "_asked", "_leads")

    def __init__(self, agency: str) -> None:
        found = find_address(agency)
        self._agency: Final = "" if found is None else found.origin
        self._asked: set[str] = set()
        self._leads: list[str] = []  # where the page itself said that it goes, or opens a tab

    @property
    def asked(self) -> frozenset[str]:
        """Return the clues of the requests."""
        return frozenset(self._asked)

    def forget(self) -> frozenset[str]:
        """Return the clues of the requests, and begin anew."""
        asked = self.asked
        self._asked.clear()
        self._leads.clear()
        return asked

    def forget_leads(self) -> None:
        """Forget where the page went, and keep the requests: another press begins."""
        self._leads.clear()

    def has_led_to(self, is_wanted: Callable[[str], bool]) -> bool:
        """Return whether the page went there: its earlier requests are all in `asked` by now."""
        return any(map(is_wanted, self._leads))

    def note(self, address: str, *, kind: str = "request") -> None:
        """Note a request; data and blobs go nowhere. `kind` is the way that it went: a rare host is seen in each."""
        found = find_address(address)
        if found is None or found.scheme not in _WEB_SCHEMES:
            return
        web = replace(found, scheme=_WEB_SCHEMES[found.scheme])  # a socket goes to whom a request goes
        if web.origin != self._agency:
            self._asked.update(_list_clues(web, kind=kind))

    def note_lead(self, address: str) -> None:
        """Note that the page goes to an address, or opens a tab of it."""
        self._leads.append(address)


def hide_digits(text: str) -> str:
    """Return a text whose parts with a digit are all alike: they are made up, or count."""
    return _WITH_DIGIT.sub("0", text)


def _list_clues(found: Address, *, kind: str) -> tuple[str, ...]:
    host = found.host if _NUMERIC.fullmatch(found.host) else hide_digits(found.host)
    kept = replace(found, host=host).origin
    path = hide_digits(found.path)
    return (found.origin, f"{kind} {kept}", f"{kind} {kept}{path}", f"{kind} {kept} {found.path.count('/')} deep")


def watch_requests(page: "Page", watch: RequestWatch) -> None:
    """Begin to note the requests of a page, its frames and its workers; sockets are noted where they are stopped."""
    page.context.on("request", lambda request: watch.note(request.url))
    for frame in page.frames:
        _listen(frame, page, watch)


def _listen(frame: "Frame", page: "Page", watch: RequestWatch) -> None:
    from playwright.sync_api import Error

    def note_request(told: dict[str, Any]) -> None:
        watch.note(str(told["request"]["url"]))

    def note_lead(told: dict[str, Any]) -> None:
        watch.note_lead(str(told["url"]))

    def note_connection(told: dict[str, Any]) -> None:
        watch.note(str(told["url"]), kind="socket")

    with suppress(Error):  # a frame of the page's own process has no session of its own: the page's tells of it
        session = page.context.new_cdp_session(page if frame == page.main_frame else frame)
        session.on("Network.requestWillBeSent", note_request)
        session.on("Network.webSocketCreated", note_connection)
        session.on("Network.webTransportCreated", note_connection)
        session.on("Page.frameRequestedNavigation", note_lead)
        session.on("Page.windowOpen", note_lead)
        session.send("Network.enable")
        session.send("Page.enable")


_TELL: Final = "reportAbuseCheckTold"
# At an address that no host has (RFC 6761 §6.4) it fails as it does where the network lets none through.
_STOP_TRANSPORT: Final = f"""(() => {{
  const tell = globalThis.{_TELL}
  if (!globalThis.WebTransport) return
  globalThis.WebTransport = new Proxy(WebTransport, {{
    construct(target, [address]) {{
      tell(new URL(address, document.baseURI).href)
      return new target('https://page.invalid/')
    }}
  }})
}})()"""


class SocketGate:
    """Whether sockets are let through; it is shut once, at the press."""

    __slots__ = ("_is_shut", "_watch")

    def __init__(self, watch: RequestWatch) -> None:
        self._watch: Final = watch
        self._is_shut = False

    def shut(self) -> None:
        """Let nothing through any more."""
        self._is_shut = True

    def guard(self, context: "BrowserContext") -> None:
        """Stand before all sockets of the pages that a profile opens from now on."""

        def note_transport(_source: dict[str, Any], address: str) -> None:
            self._watch.note(address, kind="socket")

        context.route_web_socket("**/*", lambda socket: self._answer(socket))
        context.expose_binding(_TELL, note_transport)
        context.add_init_script(_STOP_TRANSPORT)

    def _answer(self, socket: "WebSocketRoute") -> None:
        self._watch.note(socket.url, kind="socket")
        if self._is_shut:
            socket.close()
            return
        server = socket.connect_to_server()

        def send(message: str | bytes) -> None:
            self._watch.note(socket.url, kind="message")
            if not self._is_shut:
                server.send(message)

        socket.on_message(send)


BASELINE_SECONDS: Final = 0.7
# How long the form is held: a request a moment after the press is of the press too.
HOLD_SECONDS: Final = 0.5
# For a page that does not go to the form, and for one that said that it goes: a busy machine is slow to ask.
PRESS_SECONDS: Final = 3.0
ASKED_SECONDS: Final = 20.0
KEY_ASKED_SECONDS: Final = 2.0  # a page that is still loading was given its time at the press before
_STEP_MS: Final = 20
_KEPT: Final = "kept in "
# Playwright's text while it has the request and not yet its tab: its errors have no kinds.
_NOT_YET: Final = "Frame for this navigation request is not available"
_EMPTY: Final = "<!doctype html><title>Stopped here</title>"


@dataclass(frozen=True, slots=True)
class Pressed:
    """The effects of one press. `told` are clues of third parties contacted and of storage written after it, except the
    agency and those in `usual`, which the page contacted or wrote before it; `seconds` is the time watched after the
    press, `baseline` before it.
    """

    baseline: float
    seconds: float
    usual: frozenset[str]
    told: frozenset[str]
    notices: tuple[Notice, ...]

    @property
    def is_well_watched(self) -> bool:
        """Return whether the page was watched before the press for as long as after it."""
        return self.seconds <= self.baseline


def press(
    page: "Page",
    link: "ElementHandle",
    *,
    expected: Expected,
    watch: RequestWatch,
    gate: SocketGate,
    baseline: float = BASELINE_SECONDS,
) -> Pressed:
    """Press in the middle of the visible part, and then Enter on the link; the notices are of both.

    `baseline` is for how many seconds the page is watched before: what it asks for all the time, pressed or not, says
    nothing about the press. Raises `TransportError` (`browser`) if the opened page does not load.
    """
    # Before the page is watched: a lazy picture that comes into sight by this is none of the press.
    link.evaluate("link => link.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })")
    address: str = link.evaluate("link => link.href")
    kept_first = _read_kept(page)
    watch.forget()
    watch_requests(page, watch)
    page.wait_for_timeout(baseline * 1000)
    held: list[Route] = []

    def stop(route: "Route") -> None:
        if route.request.is_navigation_request() and _is_form(route.request.url, expected):
            held.append(route)
        else:
            # As if a person had stopped it: after a failure a page that the press leads to would show as an error.
            route.abort("aborted" if route.request.is_navigation_request() else "failed")

    page.context.route("**/*", stop)
    page.route("**/*", stop)
    # From here on, and before any question to the page: what it does when it is asked for its size is of the press.
    usual = watch.forget()
    kept_before = _read_kept(page)
    gate.shut()
    began = time.monotonic()
    by_pointer = _press_pointer(page, link, held, watch, expected=expected)
    notices = list(_judge_tabs(page, by_pointer))
    kept_after = _read_kept(page)  # now: a page that is left may save its scroll, which tells nothing of a press
    by_key = _press_key(page, link, held, watch, expected=expected) if by_pointer else []
    seconds = time.monotonic() - began
    usual |= _list_changes(kept_first, kept_before)
    told = (watch.asked | _list_changes(kept_before, kept_after)) - usual
    notices += [*_judge_addresses(address, by_pointer, by_key), *_open_forms(page, held, expected=expected)]
    return Pressed(baseline, seconds=seconds, usual=usual, told=told, notices=tuple(dict.fromkeys(notices)))


def _press_pointer(
    page: "Page", link: "ElementHandle", held: "list[Route]", watch: RequestWatch, *, expected: Expected
) -> "list[Request]":
    """Return the requests for the form. They are not let through, and the page stays as it is."""
    box = link.evaluate(
        """link => {
          const host = link.closest('report-abuse-button')
          const parts = [host?.shadowRoot?.querySelector('div:not([hidden])'), link.querySelector('svg, img')]
          const shown = parts.find(one => one?.getBoundingClientRect().width) ?? link
          const box = shown.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }"""
    )
    if page.evaluate("() => navigator.maxTouchPoints > 0"):
        page.touchscreen.tap(*box)
    else:
        page.mouse.click(*box)
    _wait_for_form(page, held, watch, expected=expected, asked_seconds=ASKED_SECONDS)
    page.wait_for_timeout(HOLD_SECONDS * 1000)
    opened = [route.request for route in held]
    for route in held:
        route.abort("aborted")
    held.clear()
    watch.forget_leads()
    return opened


def _judge_tabs(page: "Page", opened: "list[Request]") -> Iterator[Notice]:
    """Judge the tabs that the pointer opened, which were left empty, and close them."""
    for request in opened:
        if request.header_value("referer") or request.header_value("origin"):
            yield Notice("press-tells-page")
        tab = find_frame(request)
        if tab is not None and tab.page is not page and tab.evaluate("() => window.opener !== null"):
            yield Notice("keeps-hold")
    for one in page.context.pages:
        if one is not page:
            one.close()


def _press_key(
    page: "Page", link: "ElementHandle", held: "list[Route]", watch: RequestWatch, *, expected: Expected
) -> "list[Request]":
    """Return the requests for the form, which are still held."""
    link.evaluate("link => link.focus({ preventScroll: true })")
    page.keyboard.press("Enter")
    _wait_for_form(page, held, watch, expected=expected, asked_seconds=KEY_ASKED_SECONDS)
    return [route.request for route in held]


def _judge_addresses(address: str, by_pointer: "list[Request]", by_key: "list[Request]") -> Iterator[Notice]:
    if not by_pointer:
        yield Notice("leads-elsewhere")
    elif not by_key:
        yield Notice("only-by-pointer")
    if any(urldefrag(one.url) != urldefrag(address) for one in (*by_pointer, *by_key)):
        yield Notice("changed-at-press")


# What a page keeps on the reader's device: a value for each pair of a place and a name. A page without an origin of its
# own has no local storage; what a session keeps ends with its tab.
Kept = dict[tuple[str, str], str]
_LIST_KEPT: Final = "() => { try { return Object.entries(localStorage) } catch { return [] } }"


def _read_kept(page: "Page") -> Kept:
    kept = {("cookie", cookie["name"]): cookie["value"] for cookie in page.context.cookies()}
    return kept | {("localStorage", str(name)): str(value) for name, value in page.evaluate(_LIST_KEPT)}


def _list_changes(before: Kept, after: Kept) -> frozenset[str]:
    """Return clues of what was written or deleted, coarse and fine, as those of requests."""
    changed = [one for one in before.keys() | after.keys() if before.get(one) != after.get(one)]
    return frozenset(
        clue for place, name in changed for clue in (f"{_KEPT}{place}", f"{_KEPT}{place} {hide_digits(name)}")
    )


def list_told(told: Iterable[frozenset[str]], *, usual: frozenset[str]) -> list[str]:
    """Return the codes of the faults that each of the presses shows."""
    new = [one - usual for one in told]
    codes = {
        "press-tells-others": all(any(not clue.startswith(_KEPT) for clue in one) for one in new),
        "stores-at-press": all(any(clue.startswith(_KEPT) for clue in one) for one in new),
    }
    return [code for code, is_so in codes.items() if is_so]


def _wait_for_form(
    page: "Page", held: "list[Route]", watch: RequestWatch, *, expected: Expected, asked_seconds: float
) -> None:
    """Wait, within limits, until the form and all earlier requests of the page were seen."""

    def has_led() -> bool:
        return watch.has_led_to(lambda address: _is_form(address, expected))

    _wait(page, lambda: bool(held) or has_led(), seconds=PRESS_SECONDS)
    if held:
        _wait(page, has_led, seconds=asked_seconds)
    elif has_led():
        _wait(page, lambda: bool(held), seconds=ASKED_SECONDS)


def _wait(page: "Page", is_so: Callable[[], bool], *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        page.wait_for_timeout(_STEP_MS)
    return True


def _open_forms(page: "Page", held: "list[Route]", *, expected: Expected) -> Iterator[Notice]:
    """Let the form come, wherever the press opened it, and look at the data that it gets.

    In this tab, in new ones and in frames: each may learn something of its own.
    """
    for route in held:
        route.fulfill(status=200, content_type="text/html", body=_EMPTY)
    for opened in [route.request for route in held]:
        if opened.header_value("referer") or opened.header_value("origin"):
            yield Notice("press-tells-page")
        new = _get_frame(page, opened)
        new.wait_for_url(f"{expected.origin}/**", wait_until="load")
        if new.evaluate("() => window.opener !== null"):
            yield Notice("keeps-hold")


def _get_frame(page: "Page", request: "Request") -> "Frame":
    """Return the frame in which a request opens its page; raises `TransportError` (`browser`) where none comes."""
    end = time.monotonic() + ASKED_SECONDS
    while (found := find_frame(request)) is None:
        if time.monotonic() > end:
            raise TransportError("The page that the press opens did not load in the browser.", reason="browser")
        page.wait_for_timeout(_STEP_MS)
    return found


def find_frame(request: "Request") -> "Frame | None":
    """Return the frame in which a request opens its page; None for a tab that Playwright does not know yet."""
    from playwright.sync_api import Error

    try:
        return request.frame
    except Error as error:
        if _NOT_YET not in error.message:
            raise
        return None


def _is_form(address: str, expected: Expected) -> bool:
    found, agency = find_address(address), find_address(expected.origin)
    return found is not None and agency is not None and found.origin == agency.origin and found.path == "/"
