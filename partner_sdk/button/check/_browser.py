"""The browser of a check: this machine's Chromium under Playwright, its deadline, and a watch on the page's requests.

A page that keeps its thread busy, or that answers nothing, leaves every call of Playwright waiting, whatever its
timeout: only the end of the browser's process ends that, so one deadline ends it.

Playwright reports a request when the network has it, and reports nothing more of a page that has gone. The requests of
a click and the form that it opens then come in either order, or one of them never. A DevTools session of the page has
them in the page's own order (`Network.requestWillBeSent`, `Page.frameRequestedNavigation`, `Page.windowOpen`).

Playwright stands in for the page's `WebSocket` from before the page is loaded, so that an open socket is stopped as
well as a new one. It does not know WebTransport, which is never let out: a page bears that, as on a network without
UDP.
"""

import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check.page import Address, find_address
from partner_sdk.errors import ReportAbuseError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, Page, WebSocketRoute

INSTALL_PLAYWRIGHT: Final = "pip install 'report-abuse-partner-sdk[browser]'"
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
