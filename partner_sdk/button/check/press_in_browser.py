"""Presses a button in the browser and looks at what that asks for, of whom, and what the new page can know.

Nothing reaches the agency or anybody else: an empty page stands in the place of what the press opens.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.addresses import find_address
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.notices import Notice

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Page, Request, Route

BASELINE_MS: Final = 300
PRESS_MS: Final = 3_000
_STEP_MS: Final = 50
_EMPTY: Final = "<!doctype html><title>Stopped here</title>"


def press(page: "Page", link: "ElementHandle", *, expected: Expected) -> Iterator[Notice]:
    """Press in the middle of what is seen, and say what is not as it should be."""
    context = page.context
    asked: list[Request] = []
    context.on("request", lambda request: asked.append(request))
    page.wait_for_timeout(BASELINE_MS)
    # What the page asks for all the time, pressed or not, says nothing of the press.
    usual = {_name(one) for one in asked}
    asked.clear()
    context.route("**/*", lambda route: _stop(route, expected=expected))
    page.route("**/*", lambda route: _stop(route, expected=expected))
    box = link.evaluate(
        """link => {
          const host = link.closest('report-abuse-button')
          const shown = host?.shadowRoot?.querySelector('div:not([hidden])') ?? link.querySelector('svg, img') ?? link
          const box = shown.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }"""
    )
    page.mouse.click(*box)
    opened = _wait_for_form(page, asked, expected=expected)
    before = asked if opened is None else asked[: asked.index(opened)]
    if any(_name(one) not in usual and one is not opened for one in before if not _is_agencys(one, expected)):
        yield Notice("press-tells-others")
    if opened is None:
        yield Notice("leads-elsewhere")
        return
    if opened.header_value("referer") or opened.header_value("origin"):
        yield Notice("press-tells-page")
    new = context.pages[-1]  # a tab that the press opened, or this one
    new.wait_for_url(f"{expected.origin}/**", wait_until="load")
    if new.evaluate("() => window.opener !== null"):
        yield Notice("keeps-hold")


def _wait_for_form(page: "Page", asked: "list[Request]", *, expected: Expected) -> "Request | None":
    for _ in range(PRESS_MS // _STEP_MS):
        found = next((one for one in asked if one.is_navigation_request() and _is_form(one, expected)), None)
        if found is not None:
            return found
        page.wait_for_timeout(_STEP_MS)
    return None


def _is_agencys(request: "Request", expected: Expected) -> bool:
    address, agency = find_address(request.url), find_address(expected.origin)
    return address is not None and agency is not None and address.origin == agency.origin


def _is_form(request: "Request", expected: Expected) -> bool:
    address = find_address(request.url)
    return _is_agencys(request, expected) and address is not None and address.path == "/"


def _stop(route: "Route", *, expected: Expected) -> None:
    if _is_form(route.request, expected):
        route.fulfill(status=200, content_type="text/html", body=_EMPTY)
    else:
        route.abort()


def _name(request: "Request") -> str:
    return request.url.partition("?")[0].partition("#")[0]
