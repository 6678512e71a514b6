"""Measures one button on one screen: its size, its place, what covers it, its colours, and whether Tab reaches it.

`look_later` looks again after a minute by the page's own clock, after a scroll and after the screen was turned.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check._buttons import Expected, Notice
from partner_sdk.button.check._script_rules import LEAST_SIZE
from partner_sdk.button.check.page import find_address

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Page

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


@cache
def read_script(name: str) -> str:
    """Return a script of this folder that runs in the page."""
    return files("partner_sdk.button.check").joinpath(name).read_text("utf-8")


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
