"""Ends the browser when a page does not come to rest: no script of a page can hold a check for ever.

A page that keeps its thread busy, or that answers nothing, leaves every call of Playwright waiting, whatever its
timeout: only the end of the browser's process ends that.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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
        """End the browser; what waits for it then fails with Playwright's error."""
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
