"""Checks a page in a browser, for the tests: the agency by route, no other host, on a phone by default."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Route

from partner_sdk.console.check import Expected
from partner_sdk.console.check.browser import open_chromium
from partner_sdk.console.check.browser_check import Screen, check_in_browser
from partner_sdk.console.findings import ButtonCheck
from tests.sdk.button.pages import ADDRESS, ORIGIN, PLACEMENT

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EXPECTED: Final = Expected(ORIGIN, placement=PLACEMENT)
AT_ONCE: Final = 3
PHONE: Final = (Screen(360, 640),)
MEDIA: Final = {"js": "text/javascript", "svg": "image/svg+xml"}
Check = Callable[[Browser], ButtonCheck]
CheckBrowsers = list[tuple[ThreadPoolExecutor, Browser]]
LISTEN: Final = "<script>document.addEventListener('{}', event => {{ {} }}, true)</script>"


def serve_agency(context: BrowserContext) -> None:
    """Answer for the agency's host with the released files, and for no other host."""

    def answer(route: Route) -> None:
        if not route.request.url.startswith(f"{ORIGIN}/button/"):
            route.abort()
            return
        name = route.request.url.removeprefix(f"{ORIGIN}/button/")
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": MEDIA[name.rpartition(".")[2]]}
        route.fulfill(status=200, headers=headers, body=files("widget").joinpath(name).read_bytes())

    context.route("**/*", answer)


def check(browser: Browser, page: str, *, screens: tuple[Screen, ...] = PHONE, policy: str = "") -> ButtonCheck:
    """Check a page of the service, which may have a policy."""
    headers = {"Content-Type": "text/html; charset=utf-8", **({"Content-Security-Policy": policy} if policy else {})}
    return check_in_browser(
        page.encode(),
        browser=browser,
        address=ADDRESS,
        expected=EXPECTED,
        now=NOW,
        headers=headers,
        screens=screens,
        prepare=serve_agency,
    )


def find_shell() -> str | None:
    """Return the path of Chromium's shell, or None: a page can tell it from a person's browser, a rule cannot."""
    return shutil.which("chromium-headless-shell")


@contextmanager
def open_check_browsers() -> Iterator[CheckBrowsers]:
    """Start a few Chromiums, each in a thread of its own, as Playwright asks."""
    threads = [ThreadPoolExecutor(1) for _ in range(AT_ONCE)]
    stacks = [ExitStack() for _ in threads]
    opened = [
        thread.submit(stack.enter_context, open_chromium(is_root=True, path=find_shell()))
        for thread, stack in zip(threads, stacks, strict=True)
    ]
    try:
        yield [(thread, browser.result()) for thread, browser in zip(threads, opened, strict=True)]
    finally:
        for thread, stack in zip(threads, stacks, strict=True):
            thread.submit(stack.close)
            thread.shutdown()


def check_all(browsers: CheckBrowsers, checks: Mapping[str, Check]) -> dict[str, ButtonCheck]:
    """Return the results of several checks by name, a few at once: a check mostly waits, so that it misses nothing."""

    def check_some(browser: Browser, names: list[str]) -> dict[str, ButtonCheck]:
        return {name: checks[name](browser) for name in names}

    names = list(checks)
    parts = [
        thread.submit(check_some, browser, names[start :: len(browsers)])
        for start, (thread, browser) in enumerate(browsers)
    ]
    return {name: found for part in parts for name, found in part.result().items()}


def list_codes(found: ButtonCheck) -> list[str]:
    """Return the codes of the findings, in order."""
    return [one.code for one in found.findings]


def list_all_codes(browsers: CheckBrowsers, checks: Mapping[str, Check]) -> dict[str, list[str]]:
    """Return the codes of several checks by name."""
    return {name: list_codes(found) for name, found in check_all(browsers, checks).items()}
