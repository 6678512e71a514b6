"""Two browsers that make the same visits and report in the same words: the tests judge both alike."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from playwright.sync_api import Browser, Page, sync_playwright

from tests.whole.public_server import launch_chromium

FOLDER = Path(__file__).parent
WATCH = FOLDER / "watch.js"
LOOK = (FOLDER / "look.js").read_text("utf-8")
DRIVER = FOLDER / "firefox" / "driver.mjs"
INSTALL_LINE = "No {} here. Install what the tests need with: .ci/test-tools"
# What a visit does after it opened the page, in order: what to do and to what.
Step = tuple[str, str]
SEE: Step = ("look", LOOK)
# Two frames, and then more turns of the page than the element needs for drawing: each begins after one of its own.
TURNS = 12
SETTLED: Step = (
    "run",
    f"""async () => {{
      for (let turn = 0; turn < 2; turn++) await new Promise(requestAnimationFrame)
      for (let turn = 0; turn < {TURNS}; turn++) await new Promise(done => setTimeout(done))
      await new Promise(requestAnimationFrame)
    }}""",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One opening of a page in a new profile, and the steps there. Steps: see `_act`."""

    address: str
    steps: tuple[Step, ...] = (SETTLED, SEE)
    has_script: bool = True
    width: int = 800
    height: int = 640


@dataclass(frozen=True, slots=True)
class Sight:
    """The result of a visit: an entry of `seen` for each look."""

    seen: list[Any]
    requests: list[str]
    complaints: list[str]
    cookies: int
    address: str


class Visitor(Protocol):
    """A browser that visits pages."""

    name: str

    def visit(self, visit: Visit) -> Sight:
        """Make a visit in a new profile."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """Debian's Chromium, driven by Playwright."""

    browser: Browser
    name: str = "chromium"

    def visit(self, visit: Visit) -> Sight:
        """Make a visit in a new profile."""
        context = self.browser.new_context(
            java_script_enabled=visit.has_script, viewport={"width": visit.width, "height": visit.height}
        )
        try:
            page = context.new_page()
            requests: list[str] = []
            complaints: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.add_init_script(path=WATCH)
            page.goto(visit.address)
            seen: list[Any] = []
            for name, what in visit.steps:
                _act(page, name, what, seen)
            return Sight(seen, requests, complaints, len(context.cookies()), page.url)
        finally:
            context.close()


def _act(page: Page, name: str, what: str, seen: list[Any]) -> None:
    """Do one step, as `firefox/driver.mjs` does in Firefox."""
    steps: dict[str, Callable[[], object]] = {
        "look": lambda: seen.append(page.evaluate(what)),
        "run": lambda: page.evaluate(what),
        "press": lambda: page.keyboard.press(what),
        "follow": lambda: _follow(page, lambda: page.keyboard.press(what)),
        "click": lambda: _follow(page, lambda: page.click(what)),
    }
    steps[name]()


def _follow(page: Page, act: Callable[[], None]) -> None:
    with page.expect_navigation():
        act()


@dataclass(frozen=True, slots=True)
class Firefox:
    """Debian's Firefox, driven by a Node program, because Playwright cannot drive it."""

    driver: subprocess.Popen[str]
    name: str = "firefox"

    def visit(self, visit: Visit) -> Sight:
        """Make a visit in a new profile."""
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write(json.dumps(asdict(visit)) + "\n")
        self.driver.stdin.flush()
        line = self.driver.stdout.readline()
        assert line, "The driver of Firefox ended."
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return Sight(**answer)


@contextmanager
def open_chromium_visitor() -> Iterator[Chromium]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright.chromium)
        yield Chromium(browser)
        browser.close()


@contextmanager
def open_firefox_visitor(log: Path) -> Iterator[Firefox]:
    """Start Firefox, its driver's commands written to `log`; fail with the line that installs missing parts."""
    with log.open("wb") as commands:
        driver = subprocess.Popen(
            make_driver_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=commands,
            env={**os.environ, "DEBUG": "puppeteer:webDriverBiDi:SEND*"},
            text=True,
        )
    with driver:
        yield Firefox(driver)
        assert driver.stdin is not None
        driver.stdin.close()
        assert driver.wait(timeout=20) == 0


def make_driver_command() -> list[str]:
    """Return the command that drives Firefox; fail with the line that installs missing parts."""
    programs = {name: shutil.which(name) for name in ("firefox-esr", "node")}
    missing = [name for name, path in programs.items() if path is None]
    if not (DRIVER.parent / "node_modules" / "puppeteer-core").is_dir():
        missing.append("puppeteer-core")
    assert missing == [], INSTALL_LINE.format(", ".join(missing))
    return [str(programs["node"]), str(DRIVER), str(programs["firefox-esr"]), str(WATCH)]
