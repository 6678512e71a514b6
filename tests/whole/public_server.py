"""The public door on a real port of this machine, with a gateway behind it, for a real browser."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.wiring import Gateway
from tests.builders import House, Partner, make_house

CHROMIUM_SETTINGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
INSTALL_LINE = "No Chromium here. Install it with: apt-get install chromium"


class QuietHandler(WSGIRequestHandler):
    """Says nothing about requests."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Drop the line."""


@dataclass(frozen=True)
class PublicServer:
    """A running door: `url` is its origin."""

    house: House
    gateway: Gateway
    url: str


@contextmanager
def serve_public(folder: Path) -> Iterator[PublicServer]:
    """Serve the public and the industry door of a new gateway on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    house = make_house(folder / "gateway", roles=("public", "industry"))
    house.config = msgspec.structs.replace(house.config, public_origin=url, agency_name="Example Child Safety Agency")
    house.publish(Partner().entry())
    gateway = house.open_gateway()
    app = house.open_app("public", "industry", gateway=gateway)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield PublicServer(house, gateway, url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Start Chromium with a new profile; fails with the line that installs it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, INSTALL_LINE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_SETTINGS))
        try:
            yield browser
        finally:
            browser.close()
