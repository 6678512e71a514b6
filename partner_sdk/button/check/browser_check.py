"""Judges a page as Chromium shows it: the tree that its scripts leave, the look of the button, the effect of a press.

The page is the fetched source, at its own address; its resources load from their own addresses, but
requests after a press are inspected and stopped (details: `_press.py`). Every profile is thrown away.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check._browser import (
    CHECK_SECONDS,
    RequestWatch,
    SocketGate,
    end_browser_after,
    make_user_agent,
    name_as_person,
)
from partner_sdk.button.check._buttons import Expected, Notice
from partner_sdk.button.check._measure import DRESSED, Screen, judge_button, list_links, look_later, read_script
from partner_sdk.button.check._press import Pressed, list_told, press
from partner_sdk.button.check._script_rules import ReadResource
from partner_sdk.button.check.findings import format_notice, read_codes
from partner_sdk.button.check.page import Page as Source
from partner_sdk.button.check.page import find_address, find_charset, guess_charset, list_policy_headers, parse_page
from partner_sdk.button.check.signed_in import SignedIn, is_sign_in_address
from partner_sdk.button.check.static_check import PageSeen, judge_page, make_check, make_unreachable, read_nothing
from partner_sdk.errors import TransportError
from partner_sdk.wire.button import ButtonCheck

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

# A page that came from a file is shown at this address, which no host has (RFC 6761 §6.4).
FILE_ADDRESS: Final = "https://page.invalid/"
LOAD_MS: Final = 20_000
SETTLE_MS: Final = 400
# For a button that only a script builds, e.g. after it fetched the profile.
APPEAR_MS: Final = 5_000
MOST_PRESSES_MORE: Final = 3
DRESSING_LOOKS: Final = 30
DRESSING_STEP_MS: Final = 50
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
    signed_in: SignedIn | None = None,
    deadline_seconds: float = CHECK_SECONDS,
) -> ButtonCheck:
    """Return the findings of the rendered page and of each screen; raises as `check_page` does.

    Raises `TransportError` (`browser`) where the browser cannot show the page. `prepare` is given each new profile:
    who watches over many hosts decides there what a page may reach. After `deadline_seconds` for all screens together
    the browser is stopped, and the result is that the page did not come to rest, or the faults seen before that.
    """
    told = {} if headers is None else headers
    charset = find_charset(told) or (guess_charset(raw) if headers is None else None)
    source = parse_page(raw, address=address, charset=charset, policies=tuple(list_policy_headers(told)))
    run = _Run(
        browser=browser,
        raw=raw,
        headers=_list_kept(told, charset=charset),
        address=_get_shown_address(address),
        expected=expected,
        prepare=prepare,
        signed_in=signed_in,
    )
    measured: dict[Notice, None] = {}
    trees: list[str] = []
    is_judged = True
    with end_browser_after(deadline_seconds, browser=browser) as deadline:
        try:
            for screen in screens:
                is_told = not _TOLD.isdisjoint(one.code for one in measured)
                # A screen that waited for a button that never came has waited for all.
                appear_ms = 0 if Notice("nothing-to-measure") in measured else APPEAR_MS
                for seen in _measure_on(run, screen, trees=trees, is_told=is_told, appear_ms=appear_ms):
                    measured[seen] = None
            if _NOT_SEEN.isdisjoint(one.code for one in measured):
                for seen in _look_later(run, screens[0]):
                    measured[seen] = None
        except TransportError:
            if not deadline.is_over:
                raise
            # A page may not get away with it by never coming to rest.
            is_judged = not _TOLD.isdisjoint(one.code for one in measured)
    led = next((one for one in measured if one.code in _LED), None)
    if led is not None or not is_judged:
        return make_unreachable(
            address,
            placement=expected.placement,
            now=now,
            method="browser",
            findings=(format_notice(led or Notice("no-rest"), expected=expected),),
        )
    judged = _judge_trees(source, trees, expected=expected, read_resource=read_resource)
    if Notice("nothing-to-measure") in measured and any(one.code in _TELLS_WHY for one in judged.notices):
        del measured[Notice("nothing-to-measure")]
    found = [*judged.notices, *_join_screens(list(measured))]
    return make_check(found, address=address, expected=expected, method="browser", now=now, placement=judged.placement)


_TOLD: Final = frozenset({"press-tells-others", "stores-at-press"})
_LED: Final = frozenset({"asks-to-sign-in", "sent-elsewhere"})
_NOT_SEEN: Final = frozenset({*_LED, "nothing-to-measure", "not-visible"})
# A button that a person cannot press is not pressed here.
_OUT_OF_REACH: Final = frozenset({"not-visible", "covered"})
# Where the source has no button, that is said already.
_TELLS_WHY: Final = frozenset(
    {"no-button", "in-comment", "in-template", "in-noscript", "needs-script", "sandboxed", "goes-away"}
)


@dataclass(frozen=True, slots=True)
class _Run:
    """One page and how it is shown; the same on every screen."""

    browser: "Browser"
    raw: bytes
    headers: dict[str, str]
    address: str
    expected: Expected
    prepare: Prepare
    signed_in: SignedIn | None


@dataclass(frozen=True, slots=True)
class _Opened:
    page: "Page"
    watch: RequestWatch
    gate: SocketGate


def _judge_trees(source: Source, trees: list[str], *, expected: Expected, read_resource: ReadResource) -> PageSeen:
    """Judge the source, and the first rendered tree that holds a button; the last one where none does."""
    as_sent = judge_page(source, expected=expected, read_resource=read_resource)
    rendered = None
    for tree in dict.fromkeys(trees):
        page = parse_page(tree.encode(), address=source.address, charset="utf-8", policies=source.policies)
        rendered = judge_page(page, expected=expected, read_resource=read_resource)
        if rendered.has_button:
            break
    return as_sent if rendered is None else join_seen(as_sent, rendered)


def join_seen(as_sent: PageSeen, rendered: PageSeen) -> PageSeen:
    """Return what is so in the rendered page, at the lines of the source where the source has it too.

    E.g. React puts the button into an empty page: the page has its button, with the advice `built-by-script`.
    """
    if not rendered.has_button and not as_sent.has_button:
        return as_sent
    if not rendered.has_button:
        gone = Notice("goes-away", add="once the page's scripts have run")
        return PageSeen((gone,), as_sent.placement, has_button=False)
    found: dict[Notice, None] = {}
    for one in rendered.notices:
        if one.code == "not-deferred" and one not in as_sent.notices:
            continue  # a script that a script adds keeps nobody waiting
        same = [sent for sent in as_sent.notices if sent.code == one.code]
        found.update(dict.fromkeys(same or [replace(one, line=None)]))
    left = {one.code for one in as_sent.notices} - {one.code for one in rendered.notices}
    if any(read_codes()[code].severity == "fault" for code in left):
        found[Notice("built-by-script")] = None
    return PageSeen(tuple(found), rendered.placement, has_button=True)


def _get_shown_address(address: str) -> str:
    found = find_address(address)
    return address if found is not None and found.scheme in ("http", "https") else FILE_ADDRESS


def _list_kept(headers: Mapping[str, str], *, charset: str | None) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name.lower() not in _NOT_KEPT}
    return {**kept, "Content-Type": "text/html" if charset is None else f"text/html; charset={charset}"}


def _join_screens(notices: list[Notice]) -> list[Notice]:
    """Join notices that differ only by the screen: the joined one names all screens."""
    joined: dict[tuple[str, str], Notice] = {}
    if any(one.code == "not-by-tab" for one in notices):  # no wonder, then
        notices = [one for one in notices if one.code != "only-by-pointer"]
    for one in notices:
        earlier = joined.get((one.code, one.add))
        screens = one.screens if earlier is None else tuple(dict.fromkeys((*earlier.screens, *one.screens)))
        joined[one.code, one.add] = Notice(one.code, add=one.add, screens=screens)
    return list(joined.values())


def _measure_on(run: _Run, screen: Screen, *, trees: list[str], is_told: bool, appear_ms: int) -> Iterator[Notice]:
    """Yield the notices of a screen, and add its tree. `is_told`: an earlier screen has shown what a press does."""
    with _open_page(run, screen, appear_ms=appear_ms) as opened:
        led = _judge_arrival(opened.page.url, asked=run.address)
        if led is not None:
            yield led
            return
        trees.append(opened.page.evaluate(read_script("render.js.txt")))
        pressed = yield from _look(opened, expected=run.expected, screen=screen, is_first=len(trees) == 1)
    if pressed is None or is_told:
        return
    try:
        codes = _press_again(run, screen, first=pressed)
    except TransportError:
        # What the first press showed stands: nothing has spoken for the page since.
        yield from map(Notice, list_told([pressed.told], usual=pressed.usual))
        raise
    yield from map(Notice, codes)


def _judge_arrival(reached: str, *, asked: str) -> Notice | None:
    """Return where the page's own script has led to, if that is no longer the page that was asked for."""
    if is_sign_in_address(reached, asked=asked):
        return Notice("asks-to-sign-in")
    found, wanted = find_address(reached), find_address(asked)
    if found is None or wanted is None or found.host != wanted.host:
        return Notice("sent-elsewhere", add="A script of the page leads to another address at once.")
    return None


def _press_again(run: _Run, screen: Screen, *, first: Pressed) -> list[str]:
    """Return what every press does that the page did not do before it, even to a different host each time.

    A page's occasional requests may coincide with one press, but not with the next one too. And only a press that
    was watched for no longer than the page before it counts against the page.
    """
    pressed, usual, told = first, first.usual, [first.told]
    for _ in range(MOST_PRESSES_MORE):
        if not list_told(told, usual=usual):
            break
        baseline = max(pressed.seconds, pressed.baseline) * 2
        with _open_page(run, screen, waits_for_load=False) as opened:
            links = list_links(opened.page, expected=run.expected)
            if not links:
                break
            pressed = press(
                opened.page, links[0], expected=run.expected, watch=opened.watch, gate=opened.gate, baseline=baseline
            )
        usual |= pressed.usual
        told.append(pressed.told)
        if pressed.is_well_watched:
            break
    return list_told(told, usual=usual)


def _look_later(run: _Run, screen: Screen) -> Iterator[Notice]:
    """Yield `goes-away` where a minute, a scroll or a turned screen takes the button away; in a profile of its own."""
    with _open_page(run, screen, has_own_clock=True) as opened:
        yield from look_later(opened.page, expected=run.expected, screen=screen)


@contextmanager
def _open_page(
    run: _Run,
    screen: Screen,
    *,
    waits_for_load: bool = True,
    has_own_clock: bool = False,
    appear_ms: int = APPEAR_MS,
) -> Iterator[_Opened]:
    """Show the page in a new profile, by default with all that it loads.

    Raises `TransportError` (`browser`) if opening it, or work on it, fails.
    """
    from playwright.sync_api import Error

    try:
        context = run.browser.new_context(
            viewport={"width": screen.width, "height": screen.height},
            has_touch=screen.has_touch,
            service_workers="block",
            locale="en-GB",
            user_agent=make_user_agent(run.browser),
            storage_state=None if run.signed_in is None else run.signed_in.make_state(run.address),
        )
    except Error:
        raise TransportError("The browser stopped.", reason="browser") from None
    try:
        if _is_here(run.address) and _is_here(run.expected.origin):
            _allow_own_machine(context, address=run.address)
        watch = RequestWatch(run.expected.origin)
        gate = SocketGate(watch)
        gate.guard(context)
        run.prepare(context)  # the last statement about a profile counts first
        context.set_default_timeout(LOAD_MS)
        if has_own_clock:
            context.clock.install()
        page = context.new_page()
        name_as_person(page)
        page.route(run.address, lambda route: _answer(route, run))
        settle_ms = 0 if has_own_clock else SETTLE_MS
        _open(page, run, waits_for_load=waits_for_load, settle_ms=settle_ms, appear_ms=appear_ms)
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


def _answer(route: "Route", run: _Run) -> None:
    if route.request.is_navigation_request():
        route.fulfill(status=200, headers=run.headers, body=run.raw)
    else:
        route.fallback()


def _open(page: "Page", run: _Run, *, waits_for_load: bool, settle_ms: int, appear_ms: int) -> None:
    from playwright.sync_api import TimeoutError as TooSlowError

    page.goto(run.address, wait_until="domcontentloaded")
    if waits_for_load:
        with suppress(TooSlowError):  # one slow picture: the rest is measured
            page.wait_for_load_state("load")
    page.wait_for_timeout(settle_ms)
    if page.evaluate("() => document.scripts.length > 0"):
        for _ in range(appear_ms // DRESSING_STEP_MS):
            if list_links(page, expected=run.expected):
                break
            page.wait_for_timeout(DRESSING_STEP_MS)
    # The element draws in several small tasks: 30 looks, and not a time, so that a busy machine gets as many turns.
    for _ in range(DRESSING_LOOKS):
        if page.evaluate(DRESSED):
            break
        page.wait_for_timeout(DRESSING_STEP_MS)


def _look(
    opened: _Opened, *, expected: Expected, screen: Screen, is_first: bool
) -> Generator[Notice, None, Pressed | None]:
    page = opened.page
    links = list_links(page, expected=expected)
    if not links:
        yield Notice("nothing-to-measure")
        return None
    can_be_pressed = True
    for place, link in enumerate(links):
        found = list(judge_button(page, link, screen=screen, in_dark=is_first))
        yield from found
        if place == 0:
            can_be_pressed = _OUT_OF_REACH.isdisjoint(one.code for one in found)
    if not can_be_pressed:
        return None
    pressed = press(page, links[0], expected=expected, watch=opened.watch, gate=opened.gate)
    yield from pressed.notices
    return pressed
