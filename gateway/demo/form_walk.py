"""Walks the public form over HTTP like a browser without script: reads a page, fills it in, presses a button."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from partner_sdk.button.release import ELEMENT

MOST_PAGES = 30
TIMEOUT_SECONDS = 20

Answers = Mapping[str, Sequence[str]]


class FormWalkError(Exception):
    """The walk did not reach the last page; the message names the page by its heading."""


@dataclass
class Page:
    """The visible content of one page: heading, reference and return code if present, texts, and first form."""

    heading: str = ""
    reference: str = ""
    words: str = ""
    texts: list[str] = field(default_factory=list)
    action: str = ""
    hidden: list[tuple[str, str]] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _PageReader(HTMLParser):
    """Collects the parts of a page that the walk needs."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.page.action = self.page.action or given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden":
            self.page.hidden.append((given["name"], given.get("value", "")))
        elif tag in {"input", "textarea", "select"} and "name" in given and given.get("tabindex") != "-1":
            self.page.fields.setdefault(given["name"], []).append(given.get("value", ""))
        elif tag == "button" and "name" in given:
            self.page.buttons.append((given["name"], given.get("value", "")))
        elif tag == "h1":
            self._inside = "heading"
        elif "words" in given.get("class", "").split():
            self._inside = "words"
        elif "reference" in given.get("class", "").split():
            self._inside = "reference"
        elif "said" in given.get("class", "").split():
            self._inside = "said"

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "heading":
            self.page.heading += data
        elif self._inside == "reference":
            self.page.reference += data.strip()
        elif self._inside == "words":
            self.page.words += data.strip()
        elif self._inside == "said":
            self.page.texts.append(data)


def read_page(text: str) -> Page:
    """Return the parsed page."""
    reader = _PageReader()
    reader.feed(text)
    return reader.page


class _ButtonReader(HTMLParser):
    """Finds the link inside the button's element."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == ELEMENT:
            self._is_inside = True
        elif tag == "a" and self._is_inside:
            self.links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_inside = self._is_inside and tag != ELEMENT


def read_button(address: str, *, origin: str) -> str:
    """Return the path and query of the button's link on a service's page; raise `FormWalkError`."""
    reader = _ButtonReader()
    reader.feed(requests.get(address, timeout=TIMEOUT_SECONDS).text)
    if len(reader.links) != 1 or not reader.links[0].startswith(f"{origin}/?from="):
        raise FormWalkError(f"{address} has no button with a link to {origin}.")
    # Browsers do not send the fragment.
    return reader.links[0].removeprefix(origin).partition("#")[0]


def _take_way_on(buttons: Sequence[tuple[str, str]], left: dict[str, Sequence[str]]) -> tuple[str, str]:
    """Return the button to press: an answer with its own button, or else the first action of the page."""
    for name, value in buttons:
        if value in left.get(name, ()):
            del left[name]
            return name, value
    return next((button for button in buttons if button[0] == "action"), buttons[0])


def walk_form(
    origin: str,
    answers: Answers,
    *,
    entry: str = "/",
    session: requests.Session | None = None,
    on_page: Callable[[str], None] = lambda _: None,
) -> str:
    """Fill in the form at `origin` and return the reference on the thank-you page; as `walk_to_thanks`."""
    return walk_to_thanks(origin, answers, entry=entry, session=session, on_page=on_page).reference


def walk_to_thanks(
    origin: str,
    answers: Answers,
    *,
    entry: str = "/",
    session: requests.Session | None = None,
    on_page: Callable[[str], None] = lambda _: None,
) -> Page:
    """Fill in the form at `origin` and return the thank-you page; raises `FormWalkError` otherwise.

    `entry` is the path of a button's link, or the start page. `on_page` is called with the heading of every page. An
    answer whose field never appears is an error.
    """
    with session or requests.Session() as browser:
        left = dict(answers)
        response = browser.get(origin + entry, timeout=TIMEOUT_SECONDS)
        for _ in range(MOST_PAGES):
            page = read_page(response.text)
            on_page(page.heading)
            if response.status_code != 200:
                raise FormWalkError(f"The page {page.heading!r} answered {response.status_code}.")
            if page.reference:
                if left:
                    raise FormWalkError(f"No page of the form asked for {', '.join(sorted(left))}.")
                return page
            if not page.action or not page.buttons:
                raise FormWalkError(f"The page {page.heading!r} leads nowhere.")
            data = [*page.hidden]
            for name in page.fields:
                data += [(name, value) for value in left.pop(name, ())]
            data.append(_take_way_on(page.buttons, left))
            response = browser.post(urljoin(response.url, page.action), data=data, timeout=TIMEOUT_SECONDS)
        raise FormWalkError(f"The form did not end within {MOST_PAGES} pages; the last was {page.heading!r}.")


def read_replies(origin: str, *, reference: str, words: str, session: requests.Session | None = None) -> list[str]:
    """Return with number and words in a new browser, and return the replies shown; raises `FormWalkError`."""
    with session or requests.Session() as browser:
        page = read_page(browser.get(f"{origin}/16", timeout=TIMEOUT_SECONDS).text)
        data = [*page.hidden, ("reference", reference), ("words_typed", words), ("action", "continue")]
        answer = browser.post(urljoin(origin, page.action), data=data, timeout=TIMEOUT_SECONDS)
        found = read_page(answer.text)
    if found.reference != reference:
        raise FormWalkError(f"The number and the words led to {found.heading!r}.")
    return found.texts
