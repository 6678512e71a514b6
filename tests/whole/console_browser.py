"""A console before a real gateway and desk in this process, and a person at it in Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from flask import Flask
from playwright.sync_api import Browser, Page, expect

from gateway.config import utc_now
from gateway.testing import Sandbox
from partner_sdk.console.app import make_console_app
from partner_sdk.console.page import Console
from partner_sdk.console.server import ConsoleServer
from partner_sdk.console.session import Door
from tests.whole.browser_walk import SIDEWAYS
from tests.whole.desk_door import list_page_faults

NARROW, WIDE = {"width": 320, "height": 700}, {"width": 1280, "height": 800}


@dataclass
class ConsolePerson:
    """One person with a window at a console; `faults` are those of every page that was looked at."""

    page: Page
    sandbox: Sandbox
    state: Path
    app: Flask
    faults: list[str] = field(default_factory=list)
    shots: Path | None = None

    def look(self, state: str) -> None:
        """Note the faults of the open page: axe and the ruler at both widths, and the contrast in the dark."""
        page = self.page
        page.set_viewport_size(NARROW)
        self.faults += [f"{state}, narrow: {one}" for one in page.evaluate(SIDEWAYS)]
        self.shoot(page, f"{state}-320")
        page.set_viewport_size(WIDE)
        # As high as the page: the row of buttons that stays lies over no target then.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**WIDE, "height": max(WIDE["height"], height)})
        self.shoot(page, f"{state}-1280")
        self.faults += list_page_faults(page, state, widths=(WIDE["width"],))
        if self.shots is not None:
            page.emulate_media(color_scheme="dark")
            self.shoot(page, f"{state}-dark")
            page.emulate_media(color_scheme="light")

    def press(self, name: str) -> None:
        """Press the button of this name, and wait for the page that it leads to."""
        with self.page.expect_event("load"):
            self.page.get_by_role("button", name=name, exact=True).last.click()

    def follow(self, name: str) -> None:
        """Follow the link of this name."""
        with self.page.expect_event("load"):
            self.page.get_by_role("link", name=name).first.click()

    def sees(self, text: str) -> None:
        """Check that a text is on the page."""
        expect(self.page.locator("main")).to_contain_text(text)

    def shoot(self, page: Page, name: str) -> None:
        """Keep a picture of a page where pictures are wanted."""
        if self.shots is not None:
            page.screenshot(path=self.shots / f"{name}.png", full_page=True)


@contextmanager
def open_console(
    chromium: Browser, folder: Path, *, is_enrolled: bool = True, shots: Path | None = None, **options: Any
) -> Iterator[ConsolePerson]:
    """Serve the console of a partner, and yield a person at its open link."""
    # A page waits for the mailbox as long as a busy machine takes.
    patience = {"PAGE_WAITS_SECONDS": 60.0, "BUTTON_WAITS_SECONDS": 60.0}
    with Sandbox() as sandbox, mock.patch.multiple("partner_sdk.console.mailbox", **patience):
        state = folder / "partner"
        if is_enrolled:
            sandbox.enrol(state).close()
        console = Console(state=state, ca_file=None, clock=utc_now, open_session=sandbox.session, sleep=lambda _: None)
        server = ConsoleServer(port=0, clock=utc_now)
        door = Door(host=server.host, person=None)
        app = make_console_app(console, door)
        thread = threading.Thread(target=server.serve, args=(app,), kwargs={"idle": timedelta(hours=1)})
        thread.start()
        context = chromium.new_context(**options)
        try:
            person = ConsolePerson(context.new_page(), sandbox, state, app, shots=shots)
            person.page.on("pageerror", lambda error: person.faults.append(f"script: {error}"))
            person.page.goto(door.link)
            yield person
        finally:
            context.close()
            server.stop()
            thread.join()
