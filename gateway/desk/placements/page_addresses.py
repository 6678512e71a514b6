"""The address in an agreement: one page, or with `*` for a part of the path, all pages of one kind.

Never fetches anything. A `*` means exactly one whole part of a path (`https://chat.example/people/*`): an address for a
whole site would not show where the button is.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.desk.placements.register import PlacementError
from gateway.web.settings import SettingsError, check_origin, is_loopback

MAX_ADDRESS_CHARACTERS: Final = 500
ANY_PART: Final = "*"

_PRINTED: Final = re.compile(r"[\x21-\x7e]+")
# RFC 3986 §3.3 without `*`, which is our own mark.
_PART: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})+")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


def parse_pattern(text: str) -> str:
    """Return an agreement's address in canonical form. Raises `PlacementError` (`bad-address`)."""
    parts = _split(text, reason="bad-address")
    if parts.query or "?" in text:
        raise PlacementError("The address of a placement cannot have a question mark.", reason="bad-address")
    _check_path(parts.path, may_stand_for_any=True, reason="bad-address")
    return _join(parts)


def parse_page(text: str, *, pattern: str) -> str:
    """Return the address of the page to check, which must be at the agreed address.

    Raises `PlacementError` (`bad-look-at`). It may have a query, as some sites name their pages that way.
    """
    parts = _split(text, reason="bad-look-at")
    _check_path(parts.path, may_stand_for_any=False, reason="bad-look-at")
    if not _QUERY.fullmatch(parts.query):
        raise PlacementError("The query in the page's address is malformed.", reason="bad-look-at")
    page = _join(parts)
    if not is_page_of(pattern, address=page):
        raise PlacementError("The page to check is not at the agreed address.", reason="bad-look-at")
    return page


def has_any_part(pattern: str) -> bool:
    """Return whether an address covers many pages."""
    return ANY_PART in urlsplit(pattern).path.split("/")


def is_page_of(pattern: str, *, address: str) -> bool:
    """Return whether an address matches an agreement; query and fragment are ignored."""
    try:
        agreed, seen = urlsplit(pattern), urlsplit(address)
    except ValueError:
        return False
    if (agreed.scheme, agreed.netloc) != (seen.scheme, seen.netloc.lower()):
        return False
    wanted, found = agreed.path.split("/"), (seen.path or "/").split("/")
    return len(wanted) == len(found) and all(
        bool(there) if part == ANY_PART else part == there for part, there in zip(wanted, found, strict=True)
    )


def _split(text: str, *, reason: str) -> SplitResult:
    if not 0 < len(text) <= MAX_ADDRESS_CHARACTERS or not _PRINTED.fullmatch(text):
        raise PlacementError(
            f"An address can have up to {MAX_ADDRESS_CHARACTERS} ASCII characters, without spaces.", reason=reason
        )
    try:
        parts = urlsplit(text)
        parts = parts._replace(netloc=parts.netloc.lower(), path=parts.path or "/")
        check_origin(f"{parts.scheme}://{parts.netloc}", key="The address")
    except ValueError:
        raise PlacementError("The address is malformed.", reason=reason) from None
    except SettingsError:
        raise PlacementError(
            "Write the address like https://chat.example/people: with https, and without the usual port.",
            reason=reason,
        ) from None
    if "@" in parts.netloc:
        raise PlacementError("The address cannot have a user name before the host.", reason=reason)
    _check_host(parts.hostname or "", reason=reason)
    if "#" in text:
        raise PlacementError(
            ("The address cannot have a fragment: leave out the # and the text after it."), reason=reason
        )
    return parts


def _check_host(host: str, *, reason: str) -> None:
    # An IP address is no public name, and may belong to a network of our own. Browsers read a host whose last part is a
    # number as an IPv4 address, however it is written (WHATWG URL, "ends in a number").
    if is_loopback(host):
        return
    last = host.rstrip(".").rpartition(".")[2]
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
            return
    raise PlacementError("Write the site as a name, not as an IP address.", reason=reason)


def _check_path(path: str, *, may_stand_for_any: bool, reason: str) -> None:
    *folders, last = path.removeprefix("/").split("/")
    for part in (*folders, last):
        is_end = part is last and part == ""  # `https://chat.example/help/`
        if is_end or (part == ANY_PART and may_stand_for_any):
            continue
        if not _PART.fullmatch(part) or part in {".", ".."}:
            raise PlacementError(
                "Part of the path is malformed. A * stands for one whole part, and only in the agreed address.",
                reason=reason,
            )


def _join(parts: SplitResult) -> str:
    return parts.geturl()
