"""Presses a button in the browser and looks at what that asks for, of whom, and what the new page can know.

Nothing reaches the agency or anybody else: an empty page stands in the place of what the press opens. That page is held
back until the old one has told all that it asked for: once the new page is there, nobody tells of the old one any more.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.addresses import find_address
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.notices import Notice
from partner_sdk.button.check.request_watch import RequestWatch, watch_requests

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Frame, Page, Request, Route

BASELINE_SECONDS: Final = 0.7
# How long the form is held: what a page does a moment after the press is of the press too.
HOLD_SECONDS: Final = 0.5
# For a page that does not go to the form, and for one that said that it goes: a busy machine is slow to ask.
PRESS_SECONDS: Final = 3.0
ASKED_SECONDS: Final = 20.0
_STEP_MS: Final = 20
_EMPTY: Final = "<!doctype html><title>Stopped here</title>"


@dataclass(slots=True)
class Pressed:
    """What a press did. `told` names whom it told that is neither the agency nor usual; `seconds` is how long the page
    was watched from the press on, `baseline` how long before it.
    """

    baseline: float
    seconds: float = 0.0
    told: frozenset[str] = frozenset()
    notices: list[Notice] = field(default_factory=list)


def press(page: "Page", link: "ElementHandle", *, expected: Expected, baseline: float = BASELINE_SECONDS) -> Pressed:
    """Press in the middle of what is seen, and say what is not as it should be.

    `baseline` is for how many seconds the page is watched before: what it asks for all the time, pressed or not, says
    nothing of the press.
    """
    watch = watch_requests(page)
    page.wait_for_timeout(baseline * 1000)
    held: list[Route] = []

    def stop(route: "Route") -> None:
        if route.request.is_navigation_request() and _is_form(route.request.url, expected):
            held.append(route)
        else:
            route.abort()

    page.context.route("**/*", stop)
    page.route("**/*", stop)
    box = link.evaluate(
        """link => {
          link.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })
          const host = link.closest('report-abuse-button')
          const shown = host?.shadowRoot?.querySelector('div:not([hidden])') ?? link.querySelector('svg, img') ?? link
          const box = shown.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }"""
    )
    usual = watch.forget()
    began = time.monotonic()
    page.mouse.click(*box)
    _wait_for_form(page, held, watch, expected=expected)
    page.wait_for_timeout(HOLD_SECONDS * 1000)
    pressed = Pressed(baseline, seconds=time.monotonic() - began)
    pressed.told = frozenset(one for one in watch.asked - usual if not _is_agencys(one, expected))
    pressed.notices = list(_open_form(page, held, expected=expected)) if held else [Notice("leads-elsewhere")]
    return pressed


def _wait_for_form(page: "Page", held: "list[Route]", watch: RequestWatch, *, expected: Expected) -> None:
    """Wait until the form is asked for, and all was told that the page asked for before it; not for ever."""

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


def _open_form(page: "Page", held: "list[Route]", *, expected: Expected) -> Iterator[Notice]:
    """Let the form come, and look at what it can know: in this tab, in a new one or in a frame."""
    for route in held:
        route.fulfill(status=200, content_type="text/html", body=_EMPTY)
    opened = held[0].request
    if opened.header_value("referer") or opened.header_value("origin"):
        yield Notice("press-tells-page")
    found: list[Frame] = []

    def has_frame() -> bool:
        found.extend(_list_frames(opened))
        return bool(found)

    if not _wait(page, has_frame, seconds=ASKED_SECONDS):
        return
    new = found[0]
    new.wait_for_url(f"{expected.origin}/**", wait_until="load")
    if new.evaluate("() => window.opener !== null"):
        yield Notice("keeps-hold")


def _list_frames(request: "Request") -> "list[Frame]":
    """Return the frame in which a request opens its page; none yet for a tab that Playwright does not know yet."""
    from playwright.sync_api import Error

    try:
        return [request.frame]
    except Error:
        return []


def _is_agencys(address: str, expected: Expected) -> bool:
    found, agency = find_address(address), find_address(expected.origin)
    return found is not None and agency is not None and found.origin == agency.origin


def _is_form(address: str, expected: Expected) -> bool:
    found, agency = find_address(address), find_address(expected.origin)
    return found is not None and agency is not None and found.origin == agency.origin and found.path == "/"
