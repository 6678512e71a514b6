"""Why a page has no button: whether it lies where no reader sees it, or only a script would make it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from partner_sdk.button.check.addresses import decode_all, find_address
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.notices import Notice
from partner_sdk.button.check.page import Page, find_line, get_attribute, list_elements, list_nodes
from partner_sdk.button.check.trackers import CONSENT_ATTRIBUTES
from partner_sdk.button.release import ELEMENT
from partner_sdk.button.words import WORDS

if TYPE_CHECKING:
    from justhtml import Node

_FRAMES: Final = ("iframe", "frame", "object", "embed")
_NOT_IN_A_FRAME: Final = " A button in a frame does not count: put it into the page itself."


def explain_absence(documents: Sequence[Page], *, expected: Expected) -> Notice:
    """Return what is so: `no-button`, or where its markup lies instead."""
    marks = _list_marks(expected)
    for document in documents:
        for found in _list_in(document, marks=marks):
            return found
    has_frame = any(True for document in documents for _ in list_elements(document.root, *_FRAMES))
    return Notice("no-button", add=_NOT_IN_A_FRAME if has_frame else "")


def _list_in(page: Page, *, marks: tuple[str, ...]) -> Iterator[Notice]:
    for node in list_nodes(page.root):
        code = _judge(node, marks=marks)
        if code:
            at = node if node.name[:1] not in "#!" else node.parent
            line = node.origin_line if node.name == "#comment" else None
            yield Notice(code, line=line if line is not None or at is None else find_line(page, at))


def _list_marks(expected: Expected) -> tuple[str, ...]:
    agency = find_address(expected.origin)
    host = () if agency is None else (f"{agency.host}/?from=",)
    return (*host, f"<{ELEMENT}", *(words.label.lower() for words in WORDS.values()))


def _judge(node: Any, *, marks: tuple[str, ...]) -> str:
    if node.name == "#comment":
        return "in-comment" if _holds(str(node.data), marks=marks) else ""
    if node.name == "template":
        content = node.template_content
        return "in-template" if content is not None and _holds(_spell(content), marks=marks) else ""
    if node.name == "noscript":
        return "in-noscript" if _holds(_spell(node), marks=marks) else ""
    if node.name == "script":
        if not _holds(_spell(node), marks=marks):
            return ""
        is_held = any(name.startswith(CONSENT_ATTRIBUTES) for name in node.attrs or {})
        # The type that consent managers give to what they hold back; other odd types are a script's templates.
        is_plain = get_attribute(node, "type").strip().lower() == "text/plain"
        return "waits-for-consent" if is_held or is_plain else "built-by-script"
    if node.name in ("textarea", "title", "style", "xmp"):
        return "shown-as-text" if _holds(_spell(node), marks=marks) else ""
    return "shown-as-text" if node.name == "#text" and _holds_markup(node, marks=marks) else ""


def _holds_markup(node: Any, *, marks: tuple[str, ...]) -> bool:
    # A page that shows `<a href=...>` as words has escaped the snippet once too often.
    is_read = node.parent is not None and node.parent.name not in ("script", "noscript")
    return is_read and "<a " in str(node.data) and _holds(str(node.data), marks=marks)


def _holds(text: str, *, marks: tuple[str, ...]) -> bool:
    plain = decode_all(text.replace("\\/", "/").replace("\\u002F", "/").replace("&amp;", "&"))
    return any(mark in plain for mark in marks)


def _spell(root: "Node") -> str:
    """Return the text and the attributes below an element, as far as marks are found in them."""
    parts = []
    for node in list_nodes(root):
        if node.name == "#text":
            parts.append(str(node.data))
        elif node.name[:1] not in "#!":
            parts.append(f"<{node.name} {' '.join(value or '' for value in (node.attrs or {}).values())}")
    return "\n".join(parts)
