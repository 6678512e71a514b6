"""Presses a button by key and by pointer: the hosts it contacts, the storage it writes, and what the new page learns.

The press does not reach the agency: an empty page stands in for the page that it opens. That page is held back until
the old one has sent all its requests, because the browser reports nothing of the old page once the new one is there.
Requests and sockets of the press are noted and stopped. Not seen: a worker's own socket, requests of a shared worker,
and anything that a page sends while it is being left.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urldefrag

from partner_sdk.button.check._browser import RequestWatch, SocketGate, hide_digits, watch_requests
from partner_sdk.button.check._buttons import Expected, Notice
from partner_sdk.button.check.page import find_address
from partner_sdk.errors import TransportError

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Frame, Page, Request, Route

BASELINE_SECONDS: Final = 0.7
# How long the form is held: a request a moment after the press is of the press too.
HOLD_SECONDS: Final = 0.5
# For a page that does not go to the form, and for one that said that it goes: a busy machine is slow to ask.
PRESS_SECONDS: Final = 3.0
ASKED_SECONDS: Final = 20.0
KEY_ASKED_SECONDS: Final = 2.0  # a page that is still loading was given its time at the press before
_STEP_MS: Final = 20
_KEPT: Final = "kept in "
# Playwright's text while it has the request and not yet its tab: its errors have no kinds.
_NOT_YET: Final = "Frame for this navigation request is not available"
_EMPTY: Final = "<!doctype html><title>Stopped here</title>"


@dataclass(frozen=True, slots=True)
class Pressed:
    """The effects of one press. `told` are clues of third parties contacted and of storage written after it, except the
    agency and those in `usual`, which the page contacted or wrote before it; `seconds` is the time watched after the
    press, `baseline` before it.
    """

    baseline: float
    seconds: float
    usual: frozenset[str]
    told: frozenset[str]
    notices: tuple[Notice, ...]

    @property
    def is_well_watched(self) -> bool:
        """Return whether the page was watched before the press for as long as after it."""
        return self.seconds <= self.baseline


def press(
    page: "Page",
    link: "ElementHandle",
    *,
    expected: Expected,
    watch: RequestWatch,
    gate: SocketGate,
    baseline: float = BASELINE_SECONDS,
) -> Pressed:
    """Press in the middle of the visible part, and then Enter on the link; the notices are of both.

    `baseline` is for how many seconds the page is watched before: what it asks for all the time, pressed or not, says
    nothing about the press. Raises `TransportError` (`browser`) if the opened page does not load.
    """
    # Before the page is watched: a lazy picture that comes into sight by this is none of the press.
    link.evaluate("link => link.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })")
    address: str = link.evaluate("link => link.href")
    kept_first = _read_kept(page)
    watch.forget()
    watch_requests(page, watch)
    page.wait_for_timeout(baseline * 1000)
    held: list[Route] = []

    def stop(route: "Route") -> None:
        if route.request.is_navigation_request() and _is_form(route.request.url, expected):
            held.append(route)
        else:
            # As if a person had stopped it: after a failure a page that the press leads to would show as an error.
            route.abort("aborted" if route.request.is_navigation_request() else "failed")

    page.context.route("**/*", stop)
    page.route("**/*", stop)
    # From here on, and before any question to the page: what it does when it is asked for its size is of the press.
    usual = watch.forget()
    kept_before = _read_kept(page)
    gate.shut()
    began = time.monotonic()
    by_pointer = _press_pointer(page, link, held, watch, expected=expected)
    notices = list(_judge_tabs(page, by_pointer))
    kept_after = _read_kept(page)  # now: a page that is left may save its scroll, which tells nothing of a press
    by_key = _press_key(page, link, held, watch, expected=expected) if by_pointer else []
    seconds = time.monotonic() - began
    usual |= _list_changes(kept_first, kept_before)
    told = (watch.asked | _list_changes(kept_before, kept_after)) - usual
    notices += [*_judge_addresses(address, by_pointer, by_key), *_open_forms(page, held, expected=expected)]
    return Pressed(baseline, seconds=seconds, usual=usual, told=told, notices=tuple(dict.fromkeys(notices)))


def _press_pointer(
    page: "Page", link: "ElementHandle", held: "list[Route]", watch: RequestWatch, *, expected: Expected
) -> "list[Request]":
    """Return the requests for the form. They are not let through, and the page stays as it is."""
    box = link.evaluate(
        """link => {
          const host = link.closest('report-abuse-button')
          const parts = [host?.shadowRoot?.querySelector('div:not([hidden])'), link.querySelector('svg, img')]
          const shown = parts.find(one => one?.getBoundingClientRect().width) ?? link
          const box = shown.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }"""
    )
    if page.evaluate("() => navigator.maxTouchPoints > 0"):
        page.touchscreen.tap(*box)
    else:
        page.mouse.click(*box)
    _wait_for_form(page, held, watch, expected=expected, asked_seconds=ASKED_SECONDS)
    page.wait_for_timeout(HOLD_SECONDS * 1000)
    opened = [route.request for route in held]
    for route in held:
        route.abort("aborted")
    held.clear()
    watch.forget_leads()
    return opened


def _judge_tabs(page: "Page", opened: "list[Request]") -> Iterator[Notice]:
    """Judge the tabs that the pointer opened, which were left empty, and close them."""
    for request in opened:
        if request.header_value("referer") or request.header_value("origin"):
            yield Notice("press-tells-page")
        tab = find_frame(request)
        if tab is not None and tab.page is not page and tab.evaluate("() => window.opener !== null"):
            yield Notice("keeps-hold")
    for one in page.context.pages:
        if one is not page:
            one.close()


def _press_key(
    page: "Page", link: "ElementHandle", held: "list[Route]", watch: RequestWatch, *, expected: Expected
) -> "list[Request]":
    """Return the requests for the form, which are still held."""
    link.evaluate("link => link.focus({ preventScroll: true })")
    page.keyboard.press("Enter")
    _wait_for_form(page, held, watch, expected=expected, asked_seconds=KEY_ASKED_SECONDS)
    return [route.request for route in held]


def _judge_addresses(address: str, by_pointer: "list[Request]", by_key: "list[Request]") -> Iterator[Notice]:
    if not by_pointer:
        yield Notice("leads-elsewhere")
    elif not by_key:
        yield Notice("only-by-pointer")
    if any(urldefrag(one.url) != urldefrag(address) for one in (*by_pointer, *by_key)):
        yield Notice("changed-at-press")


# What a page keeps on the reader's device: a value for each pair of a place and a name. A page without an origin of its
# own has no local storage; what a session keeps ends with its tab.
Kept = dict[tuple[str, str], str]
_LIST_KEPT: Final = "() => { try { return Object.entries(localStorage) } catch { return [] } }"


def _read_kept(page: "Page") -> Kept:
    kept = {("cookie", cookie["name"]): cookie["value"] for cookie in page.context.cookies()}
    return kept | {("localStorage", str(name)): str(value) for name, value in page.evaluate(_LIST_KEPT)}


def _list_changes(before: Kept, after: Kept) -> frozenset[str]:
    """Return clues of what was written or deleted, coarse and fine, as those of requests."""
    changed = [one for one in before.keys() | after.keys() if before.get(one) != after.get(one)]
    return frozenset(
        clue for place, name in changed for clue in (f"{_KEPT}{place}", f"{_KEPT}{place} {hide_digits(name)}")
    )


def list_told(told: Iterable[frozenset[str]], *, usual: frozenset[str]) -> list[str]:
    """Return the codes of the faults that each of the presses shows."""
    new = [one - usual for one in told]
    codes = {
        "press-tells-others": all(any(not clue.startswith(_KEPT) for clue in one) for one in new),
        "stores-at-press": all(any(clue.startswith(_KEPT) for clue in one) for one in new),
    }
    return [code for code, is_so in codes.items() if is_so]


def _wait_for_form(
    page: "Page", held: "list[Route]", watch: RequestWatch, *, expected: Expected, asked_seconds: float
) -> None:
    """Wait, within limits, until the form and all earlier requests of the page were seen."""

    def has_led() -> bool:
        return watch.has_led_to(lambda address: _is_form(address, expected))

    _wait(page, lambda: bool(held) or has_led(), seconds=PRESS_SECONDS)
    if held:
        _wait(page, has_led, seconds=asked_seconds)
    elif has_led():
        _wait(page, lambda: bool(held), seconds=ASKED_SECONDS)


def _wait(page: "Page", is_so: Callable[[], bool], *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        page.wait_for_timeout(_STEP_MS)
    return True


def _open_forms(page: "Page", held: "list[Route]", *, expected: Expected) -> Iterator[Notice]:
    """Let the form come, wherever the press opened it, and look at the data that it gets.

    In this tab, in new ones and in frames: each may learn something of its own.
    """
    for route in held:
        route.fulfill(status=200, content_type="text/html", body=_EMPTY)
    for opened in [route.request for route in held]:
        if opened.header_value("referer") or opened.header_value("origin"):
            yield Notice("press-tells-page")
        new = _get_frame(page, opened)
        new.wait_for_url(f"{expected.origin}/**", wait_until="load")
        if new.evaluate("() => window.opener !== null"):
            yield Notice("keeps-hold")


def _get_frame(page: "Page", request: "Request") -> "Frame":
    """Return the frame in which a request opens its page; raises `TransportError` (`browser`) where none comes."""
    end = time.monotonic() + ASKED_SECONDS
    while (found := find_frame(request)) is None:
        if time.monotonic() > end:
            raise TransportError("The page that the press opens did not load in the browser.", reason="browser")
        page.wait_for_timeout(_STEP_MS)
    return found


def find_frame(request: "Request") -> "Frame | None":
    """Return the frame in which a request opens its page; None for a tab that Playwright does not know yet."""
    from playwright.sync_api import Error

    try:
        return request.frame
    except Error as error:
        if _NOT_YET not in error.message:
            raise
        return None


def _is_form(address: str, expected: Expected) -> bool:
    found, agency = find_address(address), find_address(expected.origin)
    return found is not None and agency is not None and found.origin == agency.origin and found.path == "/"
