"""Rules of the icon: there is one, it is the released one, and it is large enough for a thumb."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from partner_sdk.button.check.addresses import find_address, join_address
from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.icon_shapes import is_released_drawing
from partner_sdk.button.check.notices import Notice, notice
from partner_sdk.button.check.page import get_attribute, get_base, has_attribute, list_ancestors, list_elements
from partner_sdk.button.check.release_match import is_released_icon
from partner_sdk.button.release import ICON_PATH
from partner_sdk.button.snippet import SIZES

if TYPE_CHECKING:
    from justhtml import Node

# Reads what lies at an address of the service's own host, or returns None where this method can not.
ReadResource = Callable[[str], bytes | None]
LEAST_SIZE: Final = min(SIZES)
_ALTERING: Final = frozenset({"style", "srcset", "class", "filter", "transform"})


def see_icon(subject: Subject, *, read_resource: ReadResource) -> Iterator[Notice]:
    """The icon is there and unaltered."""
    icon = _find_icon(subject.button.link)
    if icon is None:
        yield notice("no-icon", subject)
        return
    if icon.name == "svg":
        code = "" if is_released_drawing(icon) else "icon-altered"
    elif _is_swapped(icon):
        code = "icon-altered"
    else:
        code = _judge_image(subject, icon, read_resource=read_resource)
    if code:
        yield notice(code, subject, at=icon)
    yield from _see_size(subject, icon)


def _find_icon(link: "Node") -> "Node | None":
    return next(list_elements(link, "svg", "img"), None)


def _is_swapped(image: "Node") -> bool:
    return bool(_ALTERING & set(image.attrs or {})) or any(one.name == "picture" for one in list_ancestors(image))


def _judge_image(subject: Subject, image: "Node", *, read_resource: ReadResource) -> str:
    source = get_attribute(image, "src")
    if source.strip().lower().startswith("data:"):
        return "" if is_released_icon(_read_data(source)) else "icon-altered"
    absolute = join_address(get_base(subject.button.page), source)
    address, agency = find_address(absolute), find_address(subject.expected.origin)
    own = find_address(subject.button.page.address)
    if address is not None and agency is not None and address.host == agency.host:
        return "" if address.origin == agency.origin and address.path == ICON_PATH else "icon-at-other-address"
    if address is None or (own is not None and address.host == own.host):
        read = read_resource(absolute)
        if read is None:
            return "icon-unseen"
        return "" if is_released_icon(read) else "icon-altered"
    return "icon-at-other-host"


def _read_data(source: str) -> bytes:
    head, _, body = source.strip().partition(",")
    raw = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw)
    except (binascii.Error, ValueError):
        return b""


def _see_size(subject: Subject, icon: "Node") -> Iterator[Notice]:
    width, height = (_read_size(icon, name) for name in ("width", "height"))
    if width is None or height is None:
        yield notice("size-unknown", subject, at=icon, names=("width", "height"))
    elif width < LEAST_SIZE or height < LEAST_SIZE:
        yield notice("too-small", subject, at=icon)
    elif width != height:
        yield notice("icon-stretched", subject, at=icon)
    elif width not in SIZES:
        yield notice("other-size", subject, at=icon)


def _read_size(icon: "Node", name: str) -> float | None:
    # HTML's rules for dimension values: digits, perhaps a fraction, whatever follows but %.
    if not has_attribute(icon, name):
        return None
    found = re.match(r"\s*\+?(\d{1,6}(?:\.\d{1,6})?)(?:px)?\s*$", get_attribute(icon, name), re.ASCII)
    return None if found is None else float(found[1])
