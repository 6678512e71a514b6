"""What the headers of an answer say of a page: its character set and its policies."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

# How far a browser looks for a meta tag (HTML, 13.2.3.2).
_PRESCAN_BYTES: Final = 1024
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)


def find_charset(headers: Mapping[str, str]) -> str | None:
    """Return the character set that the server named, or None: then the page is read as its own bytes say."""
    found = _CHARSET.search(_get(headers, "content-type"))
    return None if found is None else found[1]


def guess_charset(raw: bytes) -> str | None:
    """Return `utf-8` where no meta tag speaks and the bytes are whole in it, as a browser reads a file."""
    if b"charset" in raw[:_PRESCAN_BYTES].lower():
        return None
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def list_policy_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the policies that are in force; one that only reports blocks nothing."""
    for one in _get(headers, "content-security-policy").split(","):
        if one.strip():
            yield one.strip()


def _get(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")
