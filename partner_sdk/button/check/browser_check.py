"""Measures a page in Chromium: visible, covered, faint or small parts, the effect of a press, and its requests.

The page is the fetched source, at its own address; its resources load from their own addresses, but
requests after a press are inspected and stopped (details: `_press.py`). The profile is thrown away.
"""

import base64
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check._browser import CHECK_SECONDS, RequestWatch, SocketGate, end_browser_after
from partner_sdk.button.check._buttons import Expected, Notice
from partner_sdk.button.check._press import Pressed, press
from partner_sdk.button.check._script_rules import LEAST_SIZE, ReadResource
from partner_sdk.button.check.findings import format_notice
from partner_sdk.button.check.page import find_address, find_charset, guess_charset, list_policy_headers, parse_page
from partner_sdk.button.check.static_check import judge_page, make_check, make_unreachable, read_nothing
from partner_sdk.errors import TransportError
from partner_sdk.wire.button_check import ButtonCheck

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ElementHandle, Page, Route

# A page that came from a file is shown at this address, which no host has (RFC 6761 §6.4).
FILE_ADDRESS: Final = "https://page.invalid/"
LOAD_MS: Final = 20_000
SETTLE_MS: Final = 400
MOST_PRESSES_MORE: Final = 3
DRESSING_LOOKS: Final = 30
DRESSING_STEP_MS: Final = 50
_IS_DRESSED: Final = "() => [...document.querySelectorAll('report-abuse-button')].every(one => one.shadowRoot)"
# WCAG 2.2, 1.4.3; a little less, since the edges of letters are mixed with their ground.
LEAST_CONTRAST: Final = 4.3
# 1.4.11; fields of one colour, which are as they were written.
LEAST_EDGE_CONTRAST: Final = 3.0
LEAST_OPACITY: Final = 0.99
_OWN_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# Headers about the transfer of the page, not about the page.
_NOT_KEPT: Final = (
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "set-cookie",
    "content-type",
)

Prepare = Callable[["BrowserContext"], None]


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen, in CSS pixels."""

    width: int
    height: int


SCREENS: Final = (Screen(320, 640), Screen(360, 640), Screen(1280, 800))


def leave_as_it_is(_context: "BrowserContext") -> None:
    """Leave the page's requests as they are."""


def check_in_browser(
    raw: bytes,
    *,
    browser: "Browser",
    address: str,
    expected: Expected,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    read_resource: ReadResource = read_nothing,
    screens: tuple[Screen, ...] = SCREENS,
    prepare: Prepare = leave_as_it_is,
    deadline_seconds: float = CHECK_SECONDS,
) -> ButtonCheck:
    """Return the findings of the source and of each screen; raises as `check_page` does.

    Raises `TransportError` (`browser`) where the browser cannot show the page. `prepare` is given each new profile:
    who watches over many hosts decides there what a page may reach. After `deadline_seconds` for all screens together
    the browser is stopped, and the result is that the page did not come to rest, or the faults seen before that.
    """
    told = {} if headers is None else headers
    charset = find_charset(told) or (guess_charset(raw) if headers is None else None)
    page = parse_page(raw, address=address, charset=charset, policies=tuple(list_policy_headers(told)))
    seen_in_source = judge_page(page, expected=expected, read_resource=read_resource)
    shown = _Shown(raw=raw, headers=_list_kept(told, charset=charset), address=_get_shown_address(address))
    measured: dict[Notice, None] = {}
    with end_browser_after(deadline_seconds, browser=browser) as deadline:
        try:
            for screen in screens:
                is_told = Notice("press-tells-others") in measured
                for seen in _measure_on(
                    browser, shown, expected=expected, screen=screen, prepare=prepare, is_told=is_told
                ):
                    measured[seen] = None
        except TransportError:
            if not deadline.is_over:
                raise
            # A page may not get away with it by never coming to rest.
            if Notice("press-tells-others") not in measured:
                return make_unreachable(
                    address,
                    placement=expected.placement,
                    now=now,
                    method="browser",
                    findings=(format_notice(Notice("no-rest"), expected=expected),),
                )
    if Notice("nothing-to-measure") in measured and any(one.code in _TELLS_WHY for one in seen_in_source.notices):
        del measured[Notice("nothing-to-measure")]
    found = [*seen_in_source.notices, *_join_screens(list(measured))]
    return make_check(
        found, address=address, expected=expected, method="browser", now=now, placement=seen_in_source.placement
    )


# A button that a person cannot press is not pressed here.
_OUT_OF_REACH: Final = frozenset({"not-visible", "covered"})
# Where the source has no button, that is said already.
_TELLS_WHY: Final = frozenset({"no-button", "in-comment", "in-template", "in-noscript", "needs-script", "sandboxed"})


@dataclass(frozen=True, slots=True)
class _Shown:
    raw: bytes
    headers: dict[str, str]
    address: str


@dataclass(frozen=True, slots=True)
class _Opened:
    page: "Page"
    watch: RequestWatch
    gate: SocketGate


def _get_shown_address(address: str) -> str:
    found = find_address(address)
    return address if found is not None and found.scheme in ("http", "https") else FILE_ADDRESS


def _list_kept(headers: Mapping[str, str], *, charset: str | None) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name.lower() not in _NOT_KEPT}
    return {**kept, "Content-Type": "text/html" if charset is None else f"text/html; charset={charset}"}


def _join_screens(notices: list[Notice]) -> list[Notice]:
    """Join notices that differ only by the screen: the joined one names all screens."""
    joined: dict[str, Notice] = {}
    for one in notices:
        earlier = joined.get(one.code)
        screens = one.screens if earlier is None else tuple(dict.fromkeys((*earlier.screens, *one.screens)))
        joined[one.code] = Notice(one.code, screens=screens)
    return list(joined.values())


def _measure_on(
    browser: "Browser", shown: _Shown, *, expected: Expected, screen: Screen, prepare: Prepare, is_told: bool
) -> Iterator[Notice]:
    """Yield the notices of a screen. `is_told`: an earlier screen has already shown the hosts that a press contacts."""
    with _open_page(browser, shown, expected=expected, screen=screen, prepare=prepare) as opened:
        pressed = yield from _look(opened, expected=expected, screen=screen)
    if pressed is None or is_told:
        return
    try:
        tells = _press_again(browser, shown, expected=expected, screen=screen, prepare=prepare, first=pressed)
    except TransportError:
        # What the first press showed stands: nothing has spoken for the page since.
        if pressed.told - pressed.usual:
            yield Notice("press-tells-others")
        raise
    if tells:
        yield Notice("press-tells-others")


def _press_again(
    browser: "Browser", shown: _Shown, *, expected: Expected, screen: Screen, prepare: Prepare, first: Pressed
) -> bool:
    """Return whether every press contacts a host that was not contacted before it, even a different one each time.

    A page's occasional requests may coincide with one press, but not with the next one too. And only a press that
    was watched for no longer than the page before it counts against the page.
    """
    pressed, usual, told = first, first.usual, [first.told]
    for _ in range(MOST_PRESSES_MORE):
        if not all(one - usual for one in told):
            break
        baseline = max(pressed.seconds, pressed.baseline) * 2
        with _open_page(
            browser, shown, expected=expected, screen=screen, prepare=prepare, waits_for_load=False
        ) as opened:
            links = _list_links(opened.page, expected=expected)
            if not links or links[0] is None:
                break
            pressed = press(
                opened.page, links[0], expected=expected, watch=opened.watch, gate=opened.gate, baseline=baseline
            )
        usual |= pressed.usual
        told.append(pressed.told)
        if pressed.is_well_watched:
            break
    return all(one - usual for one in told)


@contextmanager
def _open_page(
    browser: "Browser",
    shown: _Shown,
    *,
    expected: Expected,
    screen: Screen,
    prepare: Prepare,
    waits_for_load: bool = True,
) -> Iterator[_Opened]:
    """Show the page in a new profile, by default with all that it loads.

    Raises `TransportError` (`browser`) if opening it, or work on it, fails.
    """
    from playwright.sync_api import Error

    try:
        context = browser.new_context(
            viewport={"width": screen.width, "height": screen.height}, service_workers="block", locale="en-GB"
        )
    except Error:
        raise TransportError("The browser stopped.", reason="browser") from None
    try:
        if _is_here(shown.address) and _is_here(expected.origin):
            _allow_own_machine(context, address=shown.address)
        watch = RequestWatch(expected.origin)
        gate = SocketGate(watch)
        gate.guard(context)
        prepare(context)  # the last statement about a profile counts first
        context.set_default_timeout(LOAD_MS)
        page = context.new_page()
        page.route(shown.address, lambda route: _answer(route, shown))
        _open(page, shown, waits_for_load=waits_for_load)
        yield _Opened(page, watch=watch, gate=gate)
    except Error:
        raise TransportError(
            "The browser could not show the page, or could not finish measuring it.", reason="browser"
        ) from None
    finally:
        with suppress(Error):  # the browser may be gone
            context.close()


def _is_here(address: str) -> bool:
    """Return whether an address is one of this very machine, or stands for a file that lies on it."""
    found = find_address(address)
    return address == FILE_ADDRESS or (found is not None and found.host in _OWN_HOSTS)


def _allow_own_machine(context: "BrowserContext", *, address: str) -> None:
    """Let a page of this machine load from it: Chromium takes a page that was not loaded over a connection for one of
    the internet, and asks a person first (Local Network Access).
    """
    from playwright.sync_api import Error

    with suppress(Error):  # a Chromium from before 2025 neither asks nor knows the permission
        context.grant_permissions(["local-network-access"], origin=address)


def _answer(route: "Route", shown: _Shown) -> None:
    if route.request.is_navigation_request():
        route.fulfill(status=200, headers=shown.headers, body=shown.raw)
    else:
        route.fallback()


def _open(page: "Page", shown: _Shown, *, waits_for_load: bool) -> None:
    from playwright.sync_api import TimeoutError as TooSlowError

    page.goto(shown.address, wait_until="domcontentloaded")
    if waits_for_load:
        with suppress(TooSlowError):  # one slow picture: the rest is measured
            page.wait_for_load_state("load")
    page.wait_for_timeout(SETTLE_MS)
    # The element draws in several small tasks: 30 looks, and not a time, so that a busy machine gets as many turns.
    for _ in range(DRESSING_LOOKS):
        if page.evaluate(_IS_DRESSED):
            break
        page.wait_for_timeout(DRESSING_STEP_MS)


def _look(opened: _Opened, *, expected: Expected, screen: Screen) -> Generator[Notice, None, Pressed | None]:
    page = opened.page
    links = _list_links(page, expected=expected)
    if not links:
        yield Notice("nothing-to-measure")
        return None
    can_be_pressed = True
    for place, link in enumerate(links):
        found = [] if link is None else list(_judge(page, link, screen=screen))
        yield from found
        if place == 0:
            can_be_pressed = _OUT_OF_REACH.isdisjoint(one.code for one in found)
    if links[0] is None or not can_be_pressed:
        return None
    pressed = press(page, links[0], expected=expected, watch=opened.watch, gate=opened.gate)
    yield from pressed.notices
    return pressed


def _list_links(page: "Page", *, expected: Expected) -> list["ElementHandle | None"]:
    agency = find_address(expected.origin)
    handle = page.evaluate_handle(_read("find.js.txt"), {"host": "" if agency is None else agency.host})
    return [one.as_element() for one in handle.get_properties().values()]


def _judge(page: "Page", link: "ElementHandle", *, screen: Screen) -> Iterator[Notice]:
    seen: dict[str, Any] = page.evaluate(_read("measure.js.txt"), {"link": link})
    box = seen["box"]
    if seen["dressed"] is False:
        yield Notice("not-dressed")
    if not seen["visible"] or box["width"] < 1 or box["height"] < 1 or seen["opacity"] == 0:
        yield Notice("not-visible")
        return
    if box["width"] < LEAST_SIZE or box["height"] < LEAST_SIZE:
        yield Notice("box-too-small")
    if not seen["above"]:
        # Prominent (R32); advice only, because the agreed place may be further down.
        yield Notice("below-the-fold", screens=(f"{screen.width} by {screen.height}",))
    if seen["free"] < seen["points"]:
        yield Notice("covered")
    elif seen["opacity"] < LEAST_OPACITY:
        yield Notice("see-through")
    else:
        yield from _judge_contrast(page, seen)
    if not _is_reached(page, link):
        yield Notice("not-by-tab")


def _judge_contrast(page: "Page", seen: dict[str, Any]) -> Iterator[Notice]:
    words, edge = seen["words"], seen["edge"]
    # In a page of its own: the policy of the service's page might allow no picture of ours.
    pictures = [_take_picture(page, box) for box in (words, edge["outer"] if edge else None)]
    paper = page.context.new_page()
    try:
        of_words = 21.0 if pictures[0] is None else paper.evaluate(_read("contrast.js.txt"), {"picture": pictures[0]})
        of_edge = 21.0
        if pictures[1] is not None:
            inner, outer = edge["inner"], edge["outer"]
            inner = {**inner, "x": inner["x"] - outer["x"], "y": inner["y"] - outer["y"]}
            of_edge = paper.evaluate(_read("edge.js.txt"), {"picture": pictures[1], "inner": inner})
    finally:
        paper.close()
    if of_words < LEAST_CONTRAST:
        yield Notice("low-contrast")
    if of_edge < LEAST_EDGE_CONTRAST:
        yield Notice("faint-edge")


def _take_picture(page: "Page", box: dict[str, float] | None) -> str | None:
    """Return a part of the page as PNG in base64; None, which is reported elsewhere, if it has no picture."""
    if box is None or box["width"] < 1 or box["height"] < 1:
        return None
    clip = {name: box[name] for name in ("x", "y", "width", "height")}
    picture = page.screenshot(clip=clip, animations="disabled", caret="hide")  # type: ignore[arg-type] # four numbers of a box
    return base64.b64encode(picture).decode("ascii")


def _is_reached(page: "Page", link: "ElementHandle") -> bool:
    """Return whether Tab goes to the link from the element right before it, wherever on the page that is."""
    page.evaluate("({ link }) => link.focus({ preventScroll: true })", {"link": link})
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    reached: bool = page.evaluate("({ link }) => link.getRootNode().activeElement === link", {"link": link})
    return reached


def _read(name: str) -> str:
    return files("partner_sdk.button.check").joinpath(name).read_text("utf-8")
