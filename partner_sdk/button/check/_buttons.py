"""Finds the buttons of a page, and those elements that only pretend to be one.

A site's own "Report abuse" is no button of ours: the words alone make none, unless they lead to the agency. The icon is
known by its released shapes, or as an image at one of the icon's addresses.
A rule looks at a `Subject` (a button and the agreed placement) and gives a `Notice` for each fault.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import msgspec

from partner_sdk.button.check.page import (
    Address,
    Page,
    check_marks,
    decode_all,
    find_address,
    find_line,
    format_plain,
    get_attribute,
    get_base,
    get_text,
    has_attribute,
    is_alike,
    join_address,
    list_ancestors,
    list_elements,
    parse_frame,
)
from partner_sdk.button.release import ELEMENT, ICON_BOX, ICON_SHAPES
from partner_sdk.button.snippet import WORDS, Language
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import CheckList, CheckTarget, is_placement
from partner_sdk.wire.canonical import decode

if TYPE_CHECKING:
    from justhtml import Node

MAX_KNOWN_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """`origin` is the agency's; `placement` the one of this page; `known` all agreed ones (None: unknown)."""

    origin: str
    placement: str | None = None
    known: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A list of agreed placements: `origin` and `targets` only where it is the desk's list for a runner."""

    placements: frozenset[str]
    origin: str | None = None
    targets: tuple[CheckTarget, ...] = ()

    def find_placement(self, address: str) -> str | None:
        """Return the placement that was agreed for an address, or None where none or several are."""
        found = {one.placement for one in self.targets if one.address == address}
        return found.pop() if len(found) == 1 else None


def parse_known(raw: bytes) -> Known:
    """Read the desk's list for a runner, or a JSON list of link ids; raises `FormatError`."""
    if len(raw) > MAX_KNOWN_BYTES:
        raise FormatError("The list of placements is too large.", reason="too-large")
    try:
        told = decode(raw, kind=CheckList | list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatError(
            'This is not a list of placements: a JSON list such as ["example-chat-profile"], or the file that the '
            "agency's desk writes for a runner.",
            reason="malformed",
        ) from None
    if isinstance(told, CheckList):
        placements = frozenset(one.placement for one in told.targets)
        return Known(placements=placements, origin=told.agency_origin, targets=told.targets)
    if not all(is_placement(one) for one in told):
        raise FormatError("The list holds an entry that is not a placement id.", reason="bad-placement")
    return Known(placements=frozenset(told))


Shape = tuple[str, tuple[tuple[str, str], ...]]
# Attributes that may stand on <svg> itself: they do not change how the icon looks.
_HARMLESS: Final = {"width", "height", "viewBox", "aria-hidden", "xmlns", "role", "aria-label", "focusable"}
_ICON_NAME: Final = re.compile(r"/button/(?:[\w.-]+/)?button\.svg(?:[?#]|$)")


@cache
def _released() -> tuple[Shape, ...]:
    root = ET.fromstring(f"<svg>{ICON_SHAPES}</svg>")  # noqa: S314 - our own release
    return tuple(_shape(node.tag, dict(node.attrib)) for node in root.iter() if node is not root)


def _shape(name: str, attributes: dict[str, str]) -> Shape:
    return name, tuple(sorted((key, " ".join(value.split())) for key, value in attributes.items()))


def list_shapes(svg: "Node") -> tuple[Shape, ...]:
    """Return the shapes of an inline <svg>, in their order, without the white space between."""
    return tuple(
        _shape(node.name, {key: value or "" for key, value in (node.attrs or {}).items()})
        for node in list_elements(svg)
    )


def is_released_drawing(svg: "Node") -> bool:
    """Return whether an inline <svg> is the released icon, unaltered but for its size."""
    added = set(svg.attrs or {}) - _HARMLESS
    return get_attribute(svg, "viewBox") == ICON_BOX and list_shapes(svg) == _released() and not added


def is_button_icon(node: "Node") -> bool:
    """Return whether an <svg> or <img> is the button's icon, altered or not: by one of its outlines, or its address."""
    if node.name == "img":
        return _ICON_NAME.search(get_attribute(node, "src")) is not None
    return not _list_outlines(_released()).isdisjoint(_list_outlines(list_shapes(node)))


def _list_outlines(shapes: tuple[Shape, ...]) -> set[str]:
    return {value for _, attributes in shapes for key, value in attributes if key == "d"}


MAX_BUTTONS: Final = 20
MAX_FRAMES: Final = 20
MAX_NODES: Final = 50  # in something that shows no more than the words of a button
MAX_FRAME_DEPTH: Final = 3
# Elements that a site makes into a button of its own where a link belongs.
_PRETENDERS: Final = ("a", "area", "button", "span", "div", "input", ELEMENT)

Resolve = Callable[[str], Address | None]


@dataclass(frozen=True, slots=True)
class Button:
    """One button: its link (or the element in a link's place), the element around it, and its words' language."""

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
    """The subject of a rule: one button, the agreement, and all buttons of the page."""

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


def bears_words(node: "Node") -> bool:
    """Return whether a link, button or input shows the button's words and no others."""
    is_input = node.name == "input" and get_attribute(node, "type").strip().lower() in ("submit", "button")
    return _is_named(get_attribute(node, "value")) if is_input else _has_words(node)


def _has_words(node: "Node") -> bool:
    return _is_named(get_text(node, most_nodes=MAX_NODES))


def _is_named(text: str) -> bool:
    said = format_plain(text).casefold()
    return said in [words.text.casefold() for words in WORDS.values()]


def _pretends(node: "Node", agency: Address, marked: set[int]) -> bool:
    if node.name == ELEMENT:
        return True
    names_agency = any(agency.host in (value or "").lower() for value in (node.attrs or {}).values())
    is_named = get_attribute(node, "aria-label") in [words.label for words in WORDS.values()]
    return is_named or ((names_agency or id(node) in marked) and _has_words(node))


def get_language(node: "Node") -> Language:
    """Return the language of a button's words: by its text, then by its name, then by the page's own."""
    said, label = get_text(node).casefold(), format_plain(get_attribute(node, "aria-label"))
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


@dataclass(frozen=True, slots=True)
class Notice:
    """`line` is None where the source has none; `names` are of attributes, as the page writes them; `add` is a line
    that is missing; `screens` are the sizes of those on which it is so.
    """

    code: str
    line: int | None = None
    names: tuple[str, ...] = ()
    add: str = ""
    screens: tuple[str, ...] = ()


Rule = Callable[[Subject], Iterator[Notice]]


def notice(code: str, subject: Subject, *, at: "Node | None" = None, names: tuple[str, ...] = ()) -> Notice:
    """Return a notice at an element of the page, or at the link."""
    button = subject.button
    return Notice(code, line=find_line(button.page, button.link if at is None else at), names=names)
