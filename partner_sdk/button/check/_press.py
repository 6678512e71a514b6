"""Presses a button in the browser, and records the hosts that are contacted and the facts that the new page learns.

The press does not reach the agency: an empty page stands in for the page that it opens. That page is held back until
the old one has sent all its requests, because the browser reports nothing of the old page once the new one is there.
Requests and sockets of the press are noted and stopped. Not seen: a worker's own socket, requests of a shared worker,
and anything that a page sends while it is being left.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check._browser import RequestWatch, SocketGate, watch_requests
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
_STEP_MS: Final = 20
# Playwright's text while it has the request and not yet its tab: its errors have no kinds.
_NOT_YET: Final = "Frame for this navigation request is not available"
_EMPTY: Final = "<!doctype html><title>Stopped here</title>"


@dataclass(frozen=True, slots=True)
class Pressed:
    """The effects of one press. `told` are clues of third parties contacted after it, except the agency and those in
    `usual`, which the page contacted before it; `seconds` is the time watched after the press, `baseline` before it.
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
    """Press in the middle of the visible part, and yield a notice for each fault.

    `baseline` is for how many seconds the page is watched before: what it asks for all the time, pressed or not, says
    nothing about the press. Raises `TransportError` (`browser`) if the opened page does not load.
    """
    # Before the page is watched: a lazy picture that comes into sight by this is none of the press.
    link.evaluate("link => link.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })")
    watch.forget()
    watch_requests(page, watch)
    page.wait_for_timeout(baseline * 1000)
    held: list[Route] = []

    def stop(route: "Route") -> None:
        if route.request.is_navigation_request() and _is_form(route.request.url, expected):
            held.append(route)
        else:
            route.abort()

    page.context.route("**/*", stop)
    page.route("**/*", stop)
    # From here on, and before any question to the page: what it does when it is asked for its size is of the press.
    usual = watch.forget()
    box = link.evaluate(
        """link => {
          const host = link.closest('report-abuse-button')
          const shown = host?.shadowRoot?.querySelector('div:not([hidden])') ?? link.querySelector('svg, img') ?? link
          const box = shown.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }"""
    )
    gate.shut()
    began = time.monotonic()
    page.mouse.click(*box)
    _wait_for_form(page, held, watch, expected=expected)
    page.wait_for_timeout(HOLD_SECONDS * 1000)
    seconds = time.monotonic() - began
    told = watch.asked - usual
    notices = tuple(dict.fromkeys(_open_forms(page, held, expected=expected))) or (
        () if held else (Notice("leads-elsewhere"),)
    )
    return Pressed(baseline, seconds=seconds, usual=usual, told=told, notices=notices)


def _wait_for_form(page: "Page", held: "list[Route]", watch: RequestWatch, *, expected: Expected) -> None:
    """Wait, within limits, until the form and all earlier requests of the page were seen."""

    def has_led() -> bool:
        return watch.has_led_to(lambda address: _is_form(address, expected))

    _wait(page, lambda: bool(held) or has_led(), seconds=PRESS_SECONDS)
    if held or has_led():
        _wait(page, lambda: bool(held) and has_led(), seconds=ASKED_SECONDS)


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
