"""Notes what a page asks for, and that it asked for the agency's form, in the order in which the page did.

Playwright tells of a request when the network has it, and no more of a page that has gone. What a click sends and the
form that it opens then come in either order, or one of them never. A DevTools session of the page's own has them as the
page asked (Chrome DevTools Protocol: `Network.requestWillBeSent`, `Page.frameRequestedNavigation`, `Page.windowOpen`).
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check.addresses import find_address

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class RequestWatch:
    """What was asked for since the last `forget`: origins and paths, any number in a path as 0: polls count on."""

    asked: set[str] = field(default_factory=set)
    leads: list[str] = field(default_factory=list)  # where the page itself said that it goes, or opens a tab

    def forget(self) -> set[str]:
        """Return what was asked for, and begin anew."""
        asked = set(self.asked)
        self.asked.clear()
        self.leads.clear()
        return asked

    def has_led_to(self, is_wanted: Callable[[str], bool]) -> bool:
        """Return whether the page went there: whatever it asked for before that is in `asked` by now."""
        return any(map(is_wanted, self.leads))

    def note(self, address: str) -> None:
        """Note a request; data and blobs go nowhere."""
        found = find_address(address)
        if found is not None and found.scheme in ("http", "https"):
            self.asked.add(found.origin + _DIGITS.sub("0", found.path))


def watch_requests(page: "Page") -> RequestWatch:
    """Begin to note what a page, its frames and its workers ask for."""
    watch = RequestWatch()
    page.context.on("request", lambda request: watch.note(request.url))
    for frame in page.frames:
        _listen(frame, page, watch)
    return watch


def _listen(frame: "Frame", page: "Page", watch: RequestWatch) -> None:
    from playwright.sync_api import Error

    def note_request(told: dict[str, Any]) -> None:
        watch.note(str(told["request"]["url"]))

    def note_lead(told: dict[str, Any]) -> None:
        watch.leads.append(str(told["url"]))

    with suppress(Error):  # a frame of the page's own process has no session of its own: the page's tells of it
        session = page.context.new_cdp_session(page if frame == page.main_frame else frame)
        session.on("Network.requestWillBeSent", note_request)
        session.on("Page.frameRequestedNavigation", note_lead)
        session.on("Page.windowOpen", note_lead)
        session.send("Network.enable")
        session.send("Page.enable")
