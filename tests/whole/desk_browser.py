"""The desk's pages served on a port of this machine, and people at it in Chromium with devices of the browser's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import CDPSession, Page
from werkzeug.serving import make_server

from gateway.desk.office.people.passkeys import StartLink, get_link_folder, make_start_link
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.running.app import make_desk_app
from tests.builders import StillClock
from tests.builders.local_servers import find_free_port, run_server
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Clock, make_test_desk

DEVICE: dict[str, Any] = {
    "protocol": "ctap2",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@dataclass(frozen=True)
class ServedDesk:
    """A live desk at its own origin."""

    desk: Desk
    clock: Clock | StillClock
    origin: str

    def add(self, person: str, *roles: Role) -> None:
        with self.desk.store.write() as connection:
            ensure_person(connection, person, roles)

    def make_link(self, person: str) -> str:
        now, folder = self.clock(), get_link_folder(self.desk.paths.state)
        link = StartLink.make(person, made_by="test", now=now)
        return f"{self.origin}/start/{make_start_link(folder, link, now=now, random=self.desk.random)}"


@contextmanager
def serve_desk(folder: Path) -> Iterator[ServedDesk]:
    """Serve a desk until the block ends, in threads as to people: a window asks for several files at once."""
    clock, port = Clock(), find_free_port()
    desk = make_test_desk(folder / "desk", clock)
    origin = f"http://localhost:{port}"
    app = make_desk_app(desk, origin=origin, secret_key=b"k" * 32)
    with run_server(make_server("127.0.0.1", port, app, threaded=True)):
        yield ServedDesk(desk, clock, origin)


class Colleague:
    """One person with a window and a device of their own."""

    def __init__(self, chromium: Chromium, served: ServedDesk, person: str, **options: Any) -> None:
        self.served, self.person = served, person
        self.page: Page = chromium.new_context(viewport={"width": 1024, "height": 768}, **options).new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.devices: CDPSession = self.page.context.new_cdp_session(self.page)
        self.devices.send("WebAuthn.enable")
        self.device = self.add_device()

    def add_device(self, transport: str = "internal") -> str:
        options = {**DEVICE, "transport": transport}
        made = self.devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return str(made["authenticatorId"])

    def set_verified(self, is_verified: bool) -> None:
        """Let the device confirm its person, or fail to."""
        values = {"authenticatorId": self.device, "isUserVerified": is_verified}
        self.devices.send("WebAuthn.setUserVerified", values)

    def open(self, path: str) -> None:
        self.page.goto(path if path.startswith("http") else f"{self.served.origin}{path}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def register(self, label: str = "work laptop") -> "Colleague":
        """Register this device by a one-time link, which signs in too."""
        self.open(self.served.make_link(self.person))
        self.page.get_by_label("Name of the device").fill(label)
        self.press("Register this device")
        self.page.wait_for_url("**/passkeys")
        return self

    def read(self) -> str:
        return self.page.inner_text("main")

    def close(self) -> None:
        self.page.context.close()
