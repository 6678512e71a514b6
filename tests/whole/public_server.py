"""The public door on a real port of this machine, with a gateway behind it, and real browsers that come to it."""

import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
from flask import Flask
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    Error,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response as WsgiResponse

from gateway.public.door import EXTENSION
from gateway.wiring import Gateway
from partner_sdk.key_files import Environment
from tests.builders import Agency, House, Partner, make_house
from tests.builders.local_servers import run_server
from tests.gateway.public.fixtures import PublicHouse

CHROMIUM_SETTINGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# Chromium makes a new frame for each page, even of one site. Where it keeps the frame, as until 2024, a page costs a
# quarter less. The first name is Playwright's own: the last statement of this setting counts.
KEEPS_FRAMES = "--enable-features=CDPScreenshotNewSurface,RenderDocument:level/crashed-frame"
# Debian builds both from one source. The shell is Chromium without windows and costs a third less; it remembers no page
# that was left, whatever it is told. Debian 12 has no such package.
SHELL_NAME = "chromium-headless-shell"
WHOLE_NAMES = ("chromium", "chromium-browser")
INSTALL_LINE = "No Chromium here. Install it with: apt-get install chromium"
# What Playwright turns off, and what every phone has: pages that come back as they were left.
HIDDEN_SETTING = "--disable-back-forward-cache"
ELSEWHERE = "<!doctype html><html lang=en><link rel=icon href=data:,><title>Elsewhere</title><p>Sunny."
POLICY_PARTS = ("default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'")
# How long anything may take on a busy machine before it counts as never coming.
PATIENCE_MILLISECONDS = 60_000
SHOWN_HEADERS = ("Content-Type", "Content-Security-Policy", "Referrer-Policy", "Cache-Control")


class QuietHandler(WSGIRequestHandler):
    """Logs no request, and names no server beside the one that the door names."""

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer."""
        self.send_response_only(code, message)
        self.send_header("Date", self.date_time_string())

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Drop the line."""


class ElsewhereHandler(BaseHTTPRequestHandler):
    """Another site on this machine."""

    def do_GET(self) -> None:
        """Answer with a page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(ELSEWHERE.encode())

    def log_message(self, *_: object) -> None:
        """Drop the line."""


@dataclass(frozen=True)
class PublicServer:
    """A running door: `url` is its origin, `elsewhere` the site to which it leaves."""

    public: PublicHouse
    url: str
    elsewhere: str

    @property
    def house(self) -> House:
        """Return the state behind the door."""
        return self.public.house

    @property
    def gateway(self) -> Gateway:
        """Return the gateway behind the door."""
        return self.public.gateway


class ShownPages:
    """Answers the addresses below /shown/ with pages that were made before, and all others as the form does."""

    def __init__(self, server: PublicServer, pages: Mapping[str, TestResponse]) -> None:
        self._form, app = server.public.app.wsgi_app, server.public.app
        self.addresses = {name: f"{server.url}/shown/{number}" for number, name in enumerate(pages)}
        self._pages = {f"/shown/{number}": page for number, page in enumerate(pages.values())}
        app.wsgi_app = self  # type: ignore[method-assign]  # as Flask documents it for middleware

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer one request."""
        page = self._pages.get(str(environ["PATH_INFO"]))
        if page is None:
            return self._form(environ, start_response)
        # A refusal with its own status would be a complaint of the browser.
        headers = {name: page.headers[name] for name in SHOWN_HEADERS if name in page.headers}
        return WsgiResponse(page.data, headers=headers)(environ, start_response)


@contextmanager
def serve_public(folder: Path, *, environment: Environment = "live") -> Iterator[PublicServer]:
    """Serve the public and the industry door of a new gateway on a free port; a sandbox's is for practice."""
    with hold_port() as held:
        url = url_of(held)
        house = make_house(folder / "gateway", agency=Agency(environment=environment), roles=("public", "industry"))
        house.config = msgspec.structs.replace(
            house.config, public_origin=url, agency_name="Example Child Safety Agency"
        )
        house.publish(Partner(environment=environment).entry())
        gateway = house.open_gateway()
        app = house.open_app("public", "industry", gateway=gateway)
        server = make_door_server(held, app)
    with serve_elsewhere() as elsewhere, run_server(server):
        leave_to(app, elsewhere)
        yield PublicServer(PublicHouse(house, gateway, app), url, elsewhere)


def hold_port() -> socket.socket:
    """Take a free port for a server whose address must be known before it is made: no other process can get it
    meanwhile.
    """
    return socket.create_server(("127.0.0.1", 0))


def url_of(held: socket.socket) -> str:
    """Return the origin of a server on this port."""
    return f"http://127.0.0.1:{held.getsockname()[1]}"


def make_door_server(held: socket.socket, app: Flask) -> BaseWSGIServer:
    """Make a server on a port that is held; the one that holds it may then be closed."""
    port = held.getsockname()[1]
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler, fd=held.fileno())


def leave_to(app: Flask, url: str) -> None:
    """Leave to another site of this machine in place of the weather: pages played into the browser have no cache."""
    door = app.extensions[EXTENSION]
    weather = msgspec.structs.replace(door.signposts["weather"], url=url)
    app.extensions[EXTENSION] = replace(door, signposts={**door.signposts, "weather": weather})


@contextmanager
def serve_elsewhere() -> Iterator[str]:
    """Serve another site; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ElsewhereHandler)
    with run_server(server):
        yield f"http://localhost:{server.server_port}/"


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Start Chromium with a new profile."""
    with sync_playwright() as playwright, closing(launch_chromium(playwright.chromium)) as browser:
        yield browser


def launch_chromium(kind: BrowserType, *, remembers_pages: bool = False) -> Browser:
    """Start one more Chromium; fails with the line that installs it.

    `remembers_pages`: the whole one, where Back can show a page out of its memory, as every phone does.
    """
    expect.set_options(timeout=PATIENCE_MILLISECONDS)  # Playwright's own is 5 s
    return kind.launch(
        executable_path=find_chromium(WHOLE_NAMES if remembers_pages else (SHELL_NAME, *WHOLE_NAMES)),
        args=[*CHROMIUM_SETTINGS, *([] if remembers_pages else [KEEPS_FRAMES])],
        ignore_default_args=[HIDDEN_SETTING] if remembers_pages else [],
        timeout=PATIENCE_MILLISECONDS,
    )


def find_chromium(names: Iterable[str]) -> str:
    """Return the first of these programs that is here."""
    found = [path for path in map(shutil.which, names) if path is not None]
    assert found != [], INSTALL_LINE
    return found[0]


@contextmanager
def open_profile(kind: BrowserType, profile: Path) -> Iterator[Page]:
    """Start the whole Chromium with a profile that is kept, and go on where it ended, even by a crash."""
    path = profile / "Default/Preferences"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"session": {"restore_on_startup": 1}, "profile": {"exit_type": "Normal"}}', "utf-8")
    context = kind.launch_persistent_context(
        profile,
        executable_path=find_chromium(WHOLE_NAMES),
        args=CHROMIUM_SETTINGS,
        ignore_default_args=["about:blank"],  # it would stand in the place of the page that comes back
    )
    try:
        yield context.pages[0]
    finally:
        with suppress(Error):  # a test kills it
            context.close()


@dataclass
class Phone:
    """One new profile with one page, and a note of all that it asked for and complained about."""

    context: BrowserContext
    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.context.on("request", self._note_request)
        self.context.on("response", self._note_response)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def check_silence(self, origin: str) -> None:
        """Check that every request went to this origin, without complaints, and that each page had the policy."""
        assert [asked for asked in self.requests if not asked.startswith(f"{origin}/")] == []
        assert self.complaints == []
        (policy,) = self.policies
        assert [part for part in POLICY_PARTS if part not in policy] == []
        assert "unsafe" not in policy

    def _note_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _note_response(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self.policies.add(response.headers.get("content-security-policy", ""))


@contextmanager
def open_phone(browser: Browser, *, has_script: bool, width: int = 320, language: str = "en") -> Iterator[Phone]:
    """Open a new profile on a small screen."""
    context = browser.new_context(
        java_script_enabled=has_script,
        viewport={"width": width, "height": 640},
        locale=language,
        reduced_motion="reduce",  # a colour on its way to another one is no colour to measure
    )
    try:
        yield Phone(context, context.new_page())
    finally:
        context.close()
