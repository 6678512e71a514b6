"""Finds the buttons of a page: the links that are one, and what only pretends to be one.

A site's own "Report abuse" is no button of ours: words alone make none, unless they lead to the agency.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.addresses import Address, decode_all, find_address, is_alike, join_address
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.icon_shapes import is_button_icon
from partner_sdk.button.check.page import (
    Page,
    check_marks,
    get_attribute,
    get_base,
    get_text,
    has_attribute,
    list_ancestors,
    list_elements,
    parse_frame,
    spell_plain,
)
from partner_sdk.button.release import ELEMENT
from partner_sdk.button.words import WORDS, Language

if TYPE_CHECKING:
    from justhtml import Node

MAX_BUTTONS: Final = 20
MAX_FRAMES: Final = 20
MAX_NODES: Final = 50  # in something that shows no more than the words of a button
MAX_FRAME_DEPTH: Final = 3
# What a site makes into a button of its own where a link belongs.
_PRETENDERS: Final = ("a", "area", "button", "span", "div", "input", ELEMENT)

Resolve = Callable[[str], Address | None]


@dataclass(frozen=True, slots=True)
class Button:
    """One button: its link (or what stands there in a link's place), the element around it, and its words' language."""

    page: Page
    link: "Node"
    element: "Node | None"
    language: Language
    address: Address | None

    @property
    def outermost(self) -> "Node":
        """The element if there is one, else the link."""
        return self.link if self.element is None else self.element

    @property
    def is_link(self) -> bool:
        """Whether a press leads somewhere with no script at all."""
        return is_link(self.link)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule looks at: one button, what was agreed, and all buttons of the page."""

    button: Button
    expected: Expected
    all_buttons: tuple[Button, ...] = ()


def list_buttons(documents: Iterable[Page], *, expected: Expected) -> list[Button]:
    """Return the buttons of a page and of the documents inside its frames, at most `MAX_BUTTONS`, in their order."""
    found: list[Button] = []
    for document in documents:
        found.extend(_list_in(document, expected=expected))
    return found[:MAX_BUTTONS]


def list_documents(page: Page) -> Iterator[Page]:
    """Yield the page and the documents that stand in `srcdoc` attributes; raises `FormatError` as `parse_page`.

    Parses the frames anew at each call.
    """
    waiting, count, marks = [page], 0, 0
    while waiting:
        document = waiting.pop(0)
        yield document
        if len(document.frames) >= MAX_FRAME_DEPTH:
            continue
        for frame in list_elements(document.root, "iframe"):
            source = get_attribute(frame, "srcdoc")
            if source and count < MAX_FRAMES:
                count += 1
                marks += source.count("<")
                check_marks(marks)  # of all frames together
                waiting.append(parse_frame(document, frame=frame))


def is_link(node: "Node") -> bool:
    """Return whether this is a link that works without script."""
    if node.name != "a" or not has_attribute(node, "href"):
        return False
    href = get_attribute(node, "href").strip()
    return href not in ("", "#") and not href.lower().startswith(("javascript:", "data:", "about:", "blob:"))


def find_element(node: "Node") -> "Node | None":
    """Return the button's element around a node, or None."""
    if node.name == ELEMENT:
        return node
    return next((one for one in list_ancestors(node) if one.name == ELEMENT), None)


def _list_in(page: Page, *, expected: Expected) -> Iterator[Button]:
    agency = find_address(expected.origin)
    if agency is None:
        return
    base = get_base(page)
    marked = _list_around_icons(page)
    dressed = marked | _list_in_elements(page)
    links = (node for node in list_elements(page.root, "a") if is_link(node))
    resolve = lru_cache(maxsize=1024)(partial(_resolve, base))  # of this page alone; many links lead to few addresses
    taken = list(islice((node for node in links if _is_button(node, resolve, agency, dressed)), MAX_BUTTONS))
    # An element that holds a link is judged by the link; so is whatever lies in it or around it.
    near = {id(one) for node in taken for one in (node, *list_ancestors(node), *list_elements(node))}
    pretenders: list[Node] = []
    for node in list_elements(page.root, *_PRETENDERS):
        if len(pretenders) == MAX_BUTTONS:
            break
        if id(node) not in near and not is_link(node) and _pretends(node, agency, marked):
            near |= {id(one) for one in list_elements(node)}
            pretenders.append(node)
    order = {id(node): place for place, node in enumerate(list_elements(page.root))} if pretenders else {}
    for node in sorted([*taken, *pretenders], key=lambda one: order.get(id(one), 0)):
        yield _make(page, node, base=base)


def _make(page: Page, node: "Node", *, base: str) -> Button:
    href = get_attribute(node, "href")
    return Button(
        page=page,
        link=node,
        element=find_element(node),
        language=get_language(node),
        address=find_address(join_address(base, href)) if href else None,
    )


def _list_around_icons(page: Page) -> set[int]:
    """Return the identities of all elements that hold the button's icon."""
    icons = (node for node in list_elements(page.root, "svg", "img") if is_button_icon(node))
    return {id(around) for icon in islice(icons, MAX_BUTTONS) for around in list_ancestors(icon)}


def _list_in_elements(page: Page) -> set[int]:
    """Return the identities of all elements that lie in the button's own element."""
    found: set[int] = set()
    for element in list_elements(page.root, ELEMENT):
        if id(element) not in found:
            found.update(id(node) for node in list_elements(element))
    return found


def _resolve(base: str, href: str) -> Address | None:
    return find_address(join_address(base, href))


def _is_button(node: "Node", resolve: Resolve, agency: Address, marked: set[int]) -> bool:
    href = get_attribute(node, "href")
    address = resolve(href)
    if id(node) in marked or _looks_like_one(node):
        return True
    if address is None:
        return False
    names_placement = address.query.startswith("from=") or "&from=" in address.query
    if address.host == agency.host:
        # On one machine a page and the agency differ by the port alone: the page's own "Home" is no button.
        is_start = address.path in ("", "/") and address.port == agency.port
        return is_start or names_placement or _has_words(node)
    if f"{agency.host}/?from=" in decode_all(href) or f"{agency.host}?from=" in decode_all(href):
        return True
    return (agency.host in decode_all(href) or is_alike(address.host, to=agency.host)) and _has_words(node)


def _looks_like_one(node: "Node") -> bool:
    return get_attribute(node, "aria-label") in [words.label for words in WORDS.values()]


def _has_words(node: "Node") -> bool:
    said = get_text(node, most_nodes=MAX_NODES).casefold()
    return said in [words.text.casefold() for words in WORDS.values()]


def _pretends(node: "Node", agency: Address, marked: set[int]) -> bool:
    if node.name == ELEMENT:
        return True
    names_agency = any(agency.host in (value or "").lower() for value in (node.attrs or {}).values())
    is_named = get_attribute(node, "aria-label") in [words.label for words in WORDS.values()]
    return is_named or ((names_agency or id(node) in marked) and _has_words(node))


def get_language(node: "Node") -> Language:
    """Return the language of a button's words: by what it shows, then by its name, then by what the page says."""
    said, label = get_text(node).casefold(), spell_plain(get_attribute(node, "aria-label"))
    for language, words in WORDS.items():
        if said == words.text.casefold():
            return language
    for language, words in WORDS.items():
        if label == words.label:
            return language
    return "cy" if get_page_language(node) == "cy" else "en"


def get_page_language(node: "Node") -> str:
    """Return the language that the page gives to an element (`en`, `cy`, ...), empty where it gives none."""
    for one in (node, *list_ancestors(node)):
        if has_attribute(one, "lang") or has_attribute(one, "xml:lang"):
            told = get_attribute(one, "lang") or get_attribute(one, "xml:lang")
            return told.strip().lower().partition("-")[0].partition("_")[0]
    return ""
