"""Notes what a page asks for, and that it asked for the agency's form, in the order in which the page did.

Playwright tells of a request when the network has it, and no more of a page that has gone. What a click sends and the
form that it opens then come in either order, or one of them never. A DevTools session of the page's own has them as the
page asked (Chrome DevTools Protocol: `Network.requestWillBeSent`, `Page.frameRequestedNavigation`, `Page.windowOpen`).
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check.addresses import Address, find_address

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

# A random name holds a digit as good as always, and so does one that counts.
_WITH_DIGIT: Final = re.compile(r"[^./]*\d[^./]*")
_NUMERIC: Final = re.compile(r"[\d.]+|.*:.*")  # an address of IPv4 or IPv6 in place of a name
_WEB_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class RequestWatch:
    """What was asked for since the last `forget`, but of the agency; it changes for as long as a page is watched.

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
        """Return the clues of what was asked for."""
        return frozenset(self._asked)

    def forget(self) -> frozenset[str]:
        """Return the clues of what was asked for, and begin anew."""
        asked = self.asked
        self._asked.clear()
        self._leads.clear()
        return asked

    def has_led_to(self, is_wanted: Callable[[str], bool]) -> bool:
        """Return whether the page went there: whatever it asked for before that is in `asked` by now."""
        return any(map(is_wanted, self._leads))

    def note(self, address: str, *, kind: str = "request") -> None:
        """Note that something was sent; data and blobs go nowhere. `kind` is the way: what is rare in one is seen."""
        found = find_address(address)
        if found is None or found.scheme not in _WEB_SCHEMES:
            return
        web = replace(found, scheme=_WEB_SCHEMES[found.scheme])  # a socket goes to whom a request goes
        if web.origin != self._agency:
            self._asked.update(_list_clues(web, kind=kind))

    def note_lead(self, address: str) -> None:
        """Note that the page goes to an address, or opens a tab of it."""
        self._leads.append(address)


def _list_clues(found: Address, *, kind: str) -> tuple[str, ...]:
    host = found.host if _NUMERIC.fullmatch(found.host) else _WITH_DIGIT.sub("0", found.host)
    kept = replace(found, host=host).origin
    path = _WITH_DIGIT.sub("0", found.path)
    return (found.origin, f"{kind} {kept}", f"{kind} {kept}{path}", f"{kind} {kept} {found.path.count('/')} deep")


def watch_requests(page: "Page", watch: RequestWatch) -> None:
    """Begin to note what a page, its frames and its workers ask for; sockets are noted where they are stopped."""
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
