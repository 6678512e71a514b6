"""Walks the form in a real browser, as somebody with a finger would: ticks, types and presses what is on the page."""

from collections.abc import Iterator, Mapping

from playwright.sync_api import Page

from gateway.public.journey import FIELD_BY_NAME
from gateway.public.side_pages import SIDE_PATHS
from tests.gateway.public_person import NAMED_BUTTONS, SHORT_ANSWERS
from tests.gateway.public_walks import ALL_WAYS, LONG_WAY, ScreenAnswers

# Only the button that people see: the one that Enter presses stands before it, unseen.
CONTINUE, START, SEND, BACK = (f"main button[value={value}]" for value in ("continue", "start", "send", "back"))
ASKED_AGAIN = ("/3", "/4", "/5", "/5b", "/6", "/11", "/12")  # what can not be left blank


def go_on(page: Page, button: str = CONTINUE) -> None:
    """Press a button, and wait for the page that it leads to."""
    with page.expect_navigation():  # a click alone returns while the old page may still go
        page.click(button)


def fill_page(page: Page, answers: Mapping[str, str | list[str]]) -> str:
    """Fill in a page; return the button that goes on."""
    button = CONTINUE
    for name, value in answers.items():
        if name in NAMED_BUTTONS:
            button = f"main button[name={name}][value={value}]"
        elif FIELD_BY_NAME[name].options:
            for code in [value] if isinstance(value, str) else value:
                page.check(f"#{name}-{code}")
        elif FIELD_BY_NAME[name].kind == "select":
            page.select_option(f"#{name}", value)
        else:
            page.fill(f"#{name}", "".join(value))
    return button


def path_of(page: Page, url: str) -> str:
    """Return the path of the open page."""
    return page.url.removeprefix(url)


def walk_browser_to(page: Page, url: str, path: str, way: ScreenAnswers = SHORT_ANSWERS) -> None:
    """Fill in page after page until the one at `path`."""
    for _ in range(30):
        if path_of(page, url) == path:
            return
        go_on(page, fill_page(page, way.get(path_of(page, url), {})))
    raise AssertionError(f"never came to {path}, stands at {page.url}")


def list_stops(page: Page, url: str) -> Iterator[str]:
    """Stop at every page: side pages, every screen of every way, and what is said where something is missing."""
    for path in ("/", "/16", "/nothing", *(f"/{side}" for side in SIDE_PATHS.values())):
        page.goto(url + path)
        yield path
    seen: set[str] = set()
    for way in ALL_WAYS:
        page.goto(url)
        go_on(page, START)
        while (path := path_of(page, url)) != "/14":
            if path not in seen:
                seen.add(path)
                yield path
                if path in ASKED_AGAIN:
                    go_on(page)
                    yield f"{path} error"
            go_on(page, fill_page(page, way.get(path, {})))
        if way is LONG_WAY:
            yield "/14"
            go_on(page, SEND)
            yield "/15"
