"""The browser that measures: the Chromium of this machine, driven by Playwright, which is an extra of this package."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from partner_sdk.errors import ReportAbuseError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

INSTALL_PLAYWRIGHT: Final = "pip install 'report-abuse-partner-sdk[browser]'"
INSTALL_CHROMIUM: Final = "sudo apt-get install chromium"
# Debian's build of the same source without any window first: it draws alike, and takes less to start.
_NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SETTINGS: Final = ("--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")


def find_chromium() -> str | None:
    """Return the path of a Chromium of this machine, or None: none is ever downloaded."""
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


@contextmanager
def open_chromium(*, is_root: bool = False) -> Iterator["Browser"]:
    """Run Chromium until the block ends; raises `ReportAbuseError` (`browser-missing`) with the line that installs it.

    `is_root`: without its sandbox, as Chromium asks of whoever runs it as root; only for pages of one's own.
    """
    try:
        playwright = import_module("playwright.sync_api")
    except ImportError:
        raise ReportAbuseError(f"--browser needs Playwright: {INSTALL_PLAYWRIGHT}", reason="browser-missing") from None
    path = find_chromium()
    if path is None:
        raise ReportAbuseError(
            f"--browser needs Chromium (on Debian chromium-headless-shell is enough, and lighter): {INSTALL_CHROMIUM}",
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
