"""Knows the icon when it sees it: the released shapes drawn in the page, or an image at one of the icon's addresses."""

import re
from functools import cache
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from partner_sdk.button.check.page import get_attribute, list_elements
from partner_sdk.button.release import ICON_BOX, ICON_SHAPES

if TYPE_CHECKING:
    from justhtml import Node

Shape = tuple[str, tuple[tuple[str, str], ...]]
# What may stand on <svg> itself: where it says nothing of how the icon looks.
_HARMLESS: Final = {"width", "height", "viewBox", "aria-hidden", "xmlns", "role", "aria-label", "focusable"}
_ICON_NAME: Final = re.compile(r"/button/(?:[\w.-]+/)?button\.svg(?:[?#]|$)")


@cache
def _released() -> tuple[Shape, ...]:
    root = ET.fromstring(f"<svg>{ICON_SHAPES}</svg>")  # noqa: S314 - our own release
    return tuple(_shape(node.tag, dict(node.attrib)) for node in root.iter() if node is not root)


def _shape(name: str, attributes: dict[str, str]) -> Shape:
    return name, tuple(sorted((key, " ".join(value.split())) for key, value in attributes.items()))


def list_shapes(svg: "Node") -> tuple[Shape, ...]:
    """Return what an inline <svg> draws, in its order, whatever white space stands between."""
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
