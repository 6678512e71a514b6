"""Judges a page as Chromium shows it: the tree that its scripts leave, the look of the button, the effect of a press.

The page is the fetched source, at its own address; its resources load from their own addresses, but requests after a
press are inspected and stopped (`browser.py`). Every profile is thrown away. One button is measured on each screen: its
size, its place, what covers it, its colours, and whether Tab reaches it. `look_later` looks again after a minute by the
page's own clock, after a scroll and after the screen was turned.
"""

import base64
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.snippet import WORDS
from partner_sdk.console.check.browser import (
    CHECK_SECONDS,
    Pressed,
    RequestWatch,
    SocketGate,
    end_browser_after,
    list_told,
    make_user_agent,
    name_as_person,
    press,
)
from partner_sdk.console.check.link_check import get_charset, judge_source
from partner_sdk.console.check.page_fetch import SignedIn, find_address, is_sign_in_address, join_address
from partner_sdk.console.check.rules import (
    LEAST_SIZE,
    SCRIPT_HASHES,
    SCRIPT_NAME,
    PageSeen,
    judge_page,
    list_released_shapes,
)
from partner_sdk.console.check.rules import (
    Page as PageFacts,
)
from partner_sdk.console.findings import (
    ButtonCheck,
    Expected,
    Notice,
    format_notice,
    make_check,
    make_unreachable,
    read_codes,
)
from partner_sdk.errors import TransportError
from partner_sdk.wire.canonical import convert

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ElementHandle, Page, Request, Response, Route

DRESSED: Final = "() => [...document.querySelectorAll('report-abuse-button')].every(one => one.shadowRoot)"
# WCAG 2.2, 1.4.3; a little less, since the edges of letters are mixed with their ground.
LEAST_CONTRAST: Final = 4.3
LEAST_READABLE: Final = 2.0
# 1.4.11; fields of one colour, which are as they were written.
LEAST_EDGE_CONTRAST: Final = 3.0
LEAST_OPACITY: Final = 0.99
TOUCHED_BELOW: Final = 600
# By measure.js.txt. Of the element in the way only its tag, and an id or classes that hold no digit, are named.
_CAUSES: Final = {
    "fixed": "{0} stays on the screen (position: fixed)",
    "sticky": "{0} sticks to the screen (position: sticky)",
    "placed": "{0} is laid over it (position: absolute or relative)",
    "dialog": "{0} is an open dialog or popover",
    "flow": "{0} is pushed over it by the layout, e.g. a negative margin",
    "own": "a style of the link itself keeps them away (e.g. pointer-events, clip-path, transform)",
    "cut": "{0}, around the button, cuts it off or takes its presses (overflow, clip-path, pointer-events)",
}
# Longer than most banners and timers wait; it passes at once, by the page's own clock.
LATER_MS: Final = 60_000
_LATER_STEPS: Final = 3  # a timer may set another one
_REST_MS: Final = 1_000
# A page that came from a file is shown at this address, which no host has (RFC 6761 §6.4).
FILE_ADDRESS: Final = "https://page.invalid/"
_MAX_FILE_BYTES: Final = 64 * 1024
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
)

Prepare = Callable[["BrowserContext"], None]


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen, in CSS pixels."""

    width: int
    height: int

    @property
    def name(self) -> str:
        """Its size in words."""
        return f"{self.width} by {self.height}"

    @property
    def has_touch(self) -> bool:
        """Whether a screen of this width is a phone's, which is tapped."""
        return self.width < TOUCHED_BELOW


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
    screens: tuple[Screen, ...] = SCREENS,
    prepare: Prepare = leave_as_it_is,
    signed_in: SignedIn | None = None,
    deadline_seconds: float = CHECK_SECONDS,
) -> ButtonCheck:
    """Return the findings of the rendered page and of each screen; raises as `judge_source` does.

    Raises `TransportError` (`browser`) where the browser cannot show the page. `prepare` is given each new profile:
    who watches over many hosts decides there what a page may reach. After `deadline_seconds` for all screens together
    the browser is stopped, and the result is that the page did not come to rest, or the faults seen before that.
    """
    charset = get_charset(raw, headers=headers or {})
    as_sent = judge_source(raw, address=address, expected=expected, charset=charset)
    kept = {name: value for name, value in (headers or {}).items() if name.lower() not in _NOT_KEPT}
    if headers is None:  # a file that says nothing else is read as UTF-8
        kept["Content-Type"] = f"text/html; charset={charset}"
    asked = find_address(address)
    is_on_web = asked is not None and asked.scheme in ("http", "https")
    run = _Run(
        browser=browser,
        raw=raw,
        headers={"Content-Type": "text/html", **kept},
        address=address if is_on_web else FILE_ADDRESS,
        expected=expected,
        prepare=prepare,
        signed_in=signed_in,
    )
    measured: dict[Notice, None] = {}
    pages: list[PageFacts] = []
    is_judged = True
    with end_browser_after(deadline_seconds, browser=browser) as deadline:
        try:
            for screen in screens:
                is_told = not _TOLD.isdisjoint(one.code for one in measured)
                # A screen that waited for a button that never came has waited for all.
                appear_ms = 0 if Notice("nothing-to-measure") in measured else APPEAR_MS
                for seen in _measure_on(run, screen, pages=pages, is_told=is_told, appear_ms=appear_ms):
                    measured[seen] = None
            if _NOT_SEEN.isdisjoint(one.code for one in measured):
                with _open_page(run, screens[0], has_own_clock=True) as opened:  # in a profile of its own
                    for seen in look_later(opened.page, expected=expected, screen=screens[0]):
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
    judged = _judge_pages(as_sent, pages, expected=expected)
    if Notice("nothing-to-measure") in measured and any(one.code in _TELLS_WHY for one in judged.notices):
        del measured[Notice("nothing-to-measure")]
    told = {one.code for one in judged.notices}  # a fault of the markup is not told again for its look
    found = [*judged.notices, *_join_screens([one for one in measured if one.code not in told])]
    return make_check(found, address=address, expected=expected, method="browser", now=now, placement=judged.placement)


_TOLD: Final = frozenset({"press-tells-others", "stores-at-press"})
_LED: Final = frozenset({"asks-to-sign-in", "sent-elsewhere"})
_NOT_SEEN: Final = frozenset({*_LED, "nothing-to-measure", "not-visible"})
# A button that a person cannot press is not pressed here.
_OUT_OF_REACH: Final = frozenset({"not-visible", "covered"})
# Where the source has no button, that is said already.
_TELLS_WHY: Final = frozenset({"no-button", "needs-script", "goes-away"})


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
    loads: "Loads"


@dataclass(frozen=True, slots=True)
class Loads:
    """The responses that the page loaded, and the addresses that its policy kept away."""

    came: "dict[str, Response]" = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)

    def watch(self, page: "Page") -> None:
        """Begin to note them."""

        def note_response(response: "Response") -> None:
            self.came[response.url] = response

        def note_failure(request: "Request") -> None:
            if "csp" in (request.failure or "").lower():
                self.blocked.add(request.url)

        page.on("response", note_response)
        page.on("requestfailed", note_failure)

    def read(self, address: str) -> bytes | None:
        """Return a file of at most 64 KiB that came; Chromium has no bytes of a picture that it cannot draw."""
        from playwright.sync_api import Error

        response = self.came.get(address)
        with suppress(Error):
            if response is not None and response.ok and len(raw := response.body()) <= _MAX_FILE_BYTES:
                return raw
        return None


def read_page(page: "Page", *, loads: Loads, address: str, expected: Expected) -> PageFacts:
    """Return the facts of an open page that the rules look at."""
    agency = find_address(expected.origin)
    told = {
        "host": "" if agency is None else agency.host,
        "labels": [words.label for words in WORDS.values()],
        "texts": [words.text.lower() for words in WORDS.values()],
        "outlines": [given["d"] for _, given in list_released_shapes() if "d" in given],
        "file": SCRIPT_NAME,
        "hashes": list(SCRIPT_HASHES),
    }
    facts = convert(_evaluate_apart(page, read_script("facts.js.txt"), told), kind=PageFacts)
    icons = [one.icon.attributes.get("src", "") for one in facts.buttons if one.icon is not None]
    own = {
        join_address(facts.base, one) for one in (*icons, *(script.get("src", "") for script in facts.scripts)) if one
    }
    read = {one: raw for one in own if (raw := loads.read(one)) is not None}
    return replace(facts, address=address, files=read, blocked=frozenset(loads.blocked))


def _judge_pages(as_sent: PageSeen, pages: list[PageFacts], *, expected: Expected) -> PageSeen:
    """Judge the first page, of those that the screens had, that holds a button; the last one where none does.

    E.g. React puts the button into an empty page: the page has its button, with the advice `built-by-script`.
    """
    rendered = as_sent
    for page in pages:
        rendered = judge_page(page, expected=expected)
        if rendered.has_button:
            break
    if as_sent.has_button and not rendered.has_button:
        gone = Notice("goes-away", add="once the page's scripts have run")
        return PageSeen((gone,), as_sent.placement, has_button=False)
    if not as_sent.has_button:  # a script that a script adds keeps nobody waiting
        rendered = replace(rendered, notices=tuple(one for one in rendered.notices if one.code != "not-deferred"))
    left = {one.code for one in as_sent.notices} - {one.code for one in rendered.notices}
    if rendered.has_button and any(read_codes()[code].severity == "fault" for code in left):
        return replace(rendered, notices=(*rendered.notices, Notice("built-by-script")))
    return rendered


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


def _measure_on(
    run: _Run, screen: Screen, *, pages: list[PageFacts], is_told: bool, appear_ms: int
) -> Iterator[Notice]:
    """Yield the notices of a screen, and add its page. `is_told`: an earlier screen has shown what a press does."""
    with _open_page(run, screen, appear_ms=appear_ms) as opened:
        led = _judge_arrival(opened.page.url, asked=run.address)
        if led is not None:
            yield led
            return
        pages.append(read_page(opened.page, loads=opened.loads, address=run.address, expected=run.expected))
        pressed = yield from _look(opened, expected=run.expected, screen=screen, is_first=len(pages) == 1)
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
        loads = Loads()
        loads.watch(page)
        name_as_person(page)
        page.route(run.address, lambda route: _answer(route, run))
        settle_ms = 0 if has_own_clock else SETTLE_MS
        _open(page, run, waits_for_load=waits_for_load, settle_ms=settle_ms, appear_ms=appear_ms)
        yield _Opened(page, watch=watch, gate=gate, loads=loads)
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


@cache
def read_script(name: str) -> str:
    """Return a script of this folder that runs in the page."""
    return files("partner_sdk.console.check").joinpath(name).read_text("utf-8")


def list_links(page: "Page", *, expected: Expected) -> list["ElementHandle"]:
    """Return the links to the agency's start page, and those in the button's element."""
    agency = find_address(expected.origin)
    handle = page.evaluate_handle(read_script("find.js.txt"), {"host": "" if agency is None else agency.host})
    found = (one.as_element() for one in handle.get_properties().values())
    return [one for one in found if one is not None]


def judge_button(page: "Page", link: "ElementHandle", *, screen: Screen, in_dark: bool) -> Iterator[Notice]:
    """Yield the notices of one button; `in_dark`: its colours in a dark page too."""
    seen: dict[str, Any] = page.evaluate(read_script("measure.js.txt"), {"link": link})
    box = seen["box"]
    if seen["dressed"] is False:
        yield Notice("not-dressed")
    if not _is_visible(seen):
        yield Notice("not-visible", screens=(screen.name,))
        return
    if seen["dressed"] is not True:
        yield from _judge_parts(seen)
    if box["width"] < LEAST_SIZE or box["height"] < LEAST_SIZE:
        yield Notice("box-too-small")
    if not seen["above"]:
        # Prominent (R32); advice only, because the agreed place may be further down.
        yield Notice("below-the-fold", screens=(screen.name,))
    if seen["cover"] is not None:
        cause = _CAUSES[seen["cover"]["cause"]].format(seen["cover"]["name"])
        yield Notice("covered", add=cause, screens=(screen.name,))
    elif seen["opacity"] < LEAST_OPACITY:
        yield Notice("see-through")
    else:
        yield from _judge_colours(page, seen, scheme="light")
        if in_dark:
            yield from _judge_in_dark(page, link)
    if not _is_reached(page, link):
        yield Notice("not-by-tab")


def _judge_parts(seen: dict[str, Any]) -> Iterator[Notice]:
    """Yield the notices of a plain link whose words or icon a style sheet hides: a dressed one draws its own."""
    if seen["words"]["width"] < 1 or seen["words"]["height"] < 1:
        yield Notice("words-changed")
    if seen["edge"] is None:
        yield Notice("no-icon")


def _is_visible(seen: dict[str, Any]) -> bool:
    is_outside = seen["cover"] is not None and seen["cover"]["cause"] == "outside"
    is_shown = seen["visible"] and seen["opacity"] > 0 and not is_outside
    return bool(is_shown and seen["box"]["width"] >= 1 and seen["box"]["height"] >= 1)


def _judge_in_dark(page: "Page", link: "ElementHandle") -> Iterator[Notice]:
    page.emulate_media(color_scheme="dark")
    seen: dict[str, Any] = page.evaluate(read_script("measure.js.txt"), {"link": link})
    if _is_visible(seen):
        yield from _judge_colours(page, seen, scheme="dark")
    else:
        yield Notice("not-visible", screens=(_name_scheme("dark"),))
    page.emulate_media(color_scheme="light")


def _name_scheme(scheme: str) -> str:
    return f"in a {scheme} page"


def _judge_colours(page: "Page", seen: dict[str, Any], *, scheme: str) -> Iterator[Notice]:
    edge = seen["edge"]
    words = _take_picture(page, seen["words"])
    around = _take_picture(page, edge["outer"] if edge else None)
    told: dict[str, Any] = {"words": words, "edge": None}
    if around is not None:
        inner, outer = edge["inner"], edge["outer"]
        told["edge"] = {
            "picture": around,
            "inner": {**inner, "x": inner["x"] - outer["x"], "y": inner["y"] - outer["y"]},
        }
    ratios = _evaluate_apart(page, read_script("contrast.js.txt"), told)
    if ratios["words"] < LEAST_CONTRAST:
        # The words of a plain link are as readable as the site's other links, unless they are hardly there.
        is_theme = seen["dressed"] is not True and ratios["words"] >= LEAST_READABLE
        yield Notice("theme-colours" if is_theme else "low-contrast", screens=(_name_scheme(scheme),))
    if ratios["edge"] < LEAST_EDGE_CONTRAST:
        yield Notice("faint-edge", screens=(_name_scheme(scheme),))


def _evaluate_apart(page: "Page", script: str, told: dict[str, Any]) -> Any:
    """Return the value of a function beside the page: in a world without anything that the page's scripts altered."""
    from playwright.sync_api import Error

    session = page.context.new_cdp_session(page)
    try:
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
        called = {"functionDeclaration": script, "executionContextId": world, "arguments": [{"value": told}]}
        answer = session.send("Runtime.callFunctionOn", {**called, "awaitPromise": True, "returnByValue": True})
    finally:
        session.detach()
    if "exceptionDetails" in answer:
        raise Error(str(answer["exceptionDetails"]["text"]))
    return answer["result"]["value"]


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
    if _has_focus(page, link):
        return False  # a script keeps the focus where it is
    page.keyboard.press("Tab")
    return _has_focus(page, link)


def _has_focus(page: "Page", link: "ElementHandle") -> bool:
    has_focus: bool = page.evaluate("({ link }) => link.getRootNode().activeElement === link", {"link": link})
    return has_focus


def look_later(page: "Page", *, expected: Expected, screen: Screen) -> Iterator[Notice]:
    """Yield `goes-away` for the first of the later moments at which the button is there no more."""
    if not _is_there(page, expected=expected):
        return  # never seen, which is said already
    moments: dict[str, Callable[[], object]] = {
        "within a minute": lambda: _let_pass(page, LATER_MS),
        "after a scroll to the end and back": lambda: _scroll(page),
        "after the screen was turned and turned back": lambda: _turn(page, screen),
    }
    for moment, act in moments.items():
        act()
        if not _is_there(page, expected=expected):
            yield Notice("goes-away", add=moment)
            return


def _is_there(page: "Page", *, expected: Expected) -> bool:
    links = list_links(page, expected=expected)
    return any(_is_visible(page.evaluate(read_script("measure.js.txt"), {"link": one})) for one in links)


def _let_pass(page: "Page", milliseconds: int) -> None:
    from playwright.sync_api import Error

    for _ in range(_LATER_STEPS):
        with suppress(Error):  # of a timer of the page, which is thrown here
            page.clock.fast_forward(milliseconds // _LATER_STEPS)
    # An animation without end has no end to go to.
    page.evaluate("() => document.getAnimations().forEach(one => { try { one.finish() } catch {} })")


def _scroll(page: "Page") -> None:
    # To the page's edges by a person's wheel, and not by `scrollTo`, which a page may have taken over.
    for sign in (1, -1):
        page.mouse.wheel(0, sign * 100_000)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        _let_pass(page, _REST_MS)


def _turn(page: "Page", screen: Screen) -> None:
    for width, height in ((screen.height, screen.width), (screen.width, screen.height)):
        page.set_viewport_size({"width": width, "height": height})
        _let_pass(page, _REST_MS)
