"""Addresses as a browser reads them (URL Standard): what looks like one address and is another is seen as the other."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOKS_ALIKE: Final = 0.8
_LONGEST_HOST: Final = 253  # RFC 1035 §2.3.4
# What people take for another character at a glance.
_ALIKE: Final = str.maketrans("0135l|_", "oiesii-")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of one absolute address; `host` in lower case, `port` None where it is the scheme's own."""

    scheme: str
    host: str
    port: int | None
    has_userinfo: bool
    path: str
    query: str
    fragment: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")


def find_address(text: str) -> Address | None:
    """Return the parts of an absolute address with a host, or None for anything else."""
    try:
        parts = urlsplit(_clean(text))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    return Address(
        scheme=parts.scheme.lower(),
        host=host.rstrip("."),
        port=None if port == _DEFAULT_PORTS.get(parts.scheme.lower()) else port,
        has_userinfo="@" in parts.netloc,
        path=parts.path or "/",
        query=parts.query,
        fragment=parts.fragment,
    )


def join_address(base: str, address: str) -> str:
    """Return an address of a page as an absolute one where `base` allows it; never raises."""
    try:
        return urljoin(base, _clean(address))
    except ValueError:
        return _clean(address)


def _clean(text: str) -> str:
    # A browser drops tabs and line ends, trims controls and blanks, and reads \ as / before the query.
    trimmed = text.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    before, mark, after = trimmed.partition("?")
    return before.replace("\\", "/") + mark + after


@lru_cache(maxsize=1024)  # a page leads to few hosts, with many links
def is_alike(host: str, *, to: str) -> bool:
    """Return whether a host is made to be taken for another: holds it, spells it with other signs, or nearly is it."""
    if host == to or len(host) > _LONGEST_HOST:
        return False
    mine, other = host.translate(_ALIKE), to.translate(_ALIKE)
    is_near = SequenceMatcher(None, mine, other, autojunk=False).ratio() >= _LOOKS_ALIKE
    return mine == other or host.startswith("xn--") or ".xn--" in host or to in host or is_near


def decode_all(text: str) -> str:
    """Return an address with every layer of %-signs taken off: an address inside another is written so."""
    for _ in range(3):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text.lower()
