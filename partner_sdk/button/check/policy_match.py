"""Whether a Content-Security-Policy lets one script or image load (CSP Level 3 §6.7.2), and nothing else of it."""

import re
from dataclasses import dataclass
from typing import Final

from partner_sdk.button.check.addresses import Address, find_address

MAX_POLICY: Final = 32 * 1024
_FALLBACKS: Final = {
    "script-src": ("script-src-elem", "script-src", "default-src"),
    "img-src": ("img-src", "default-src"),
}
_SOURCE: Final = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?(\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::(\d+|\*))?(/[^?#]*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Load:
    """What a page loads: its address, the page's own, and for a script its nonce and its hashes."""

    address: Address
    page: Address | None
    nonce: str = ""
    integrity: str = ""


def is_allowed(policy: str, *, kind: str, load: Load) -> bool:
    """Return whether a policy lets it load; `kind` is `script-src` or `img-src`. A header may hold several policies."""
    return all(_allows(one, kind=kind, load=load) for one in policy[:MAX_POLICY].split(","))


def list_directives(policy: str) -> dict[str, list[str]]:
    """Return the directives of one policy; the first of a name counts."""
    found: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            found.setdefault(words[0].lower(), words[1:])
    return found


def _allows(policy: str, *, kind: str, load: Load) -> bool:
    directives = list_directives(policy)
    sources = next((directives[name] for name in _FALLBACKS[kind] if name in directives), None)
    if sources is None:
        return True
    if kind == "script-src":
        if load.nonce and f"'nonce-{load.nonce}'" in sources:
            return True
        # A hash lets an external script run whose `integrity` names it: all of its hashes must be there.
        hashes = load.integrity.split()
        if hashes and all(f"'{one}'" in sources for one in hashes):
            return True
        if "'strict-dynamic'" in [one.lower() for one in sources]:
            return False
    return any(_matches(source, load=load) for source in sources)


def _matches(source: str, *, load: Load) -> bool:
    address, page = load.address, load.page
    if source.lower() == "'self'":
        return page is not None and page.origin == address.origin
    if source == "*":
        return address.scheme in ("http", "https")
    if re.fullmatch(r"[a-z][a-z0-9+.-]*:", source, re.IGNORECASE):
        return address.scheme == source[:-1].lower() or (source.lower() == "http:" and address.scheme == "https")
    found = _SOURCE.fullmatch(source)
    return found is not None and _matches_host(found, address=address, page=page)


def _matches_host(found: "re.Match[str]", *, address: Address, page: Address | None) -> bool:
    scheme, host, port, path = found.groups()
    wanted = (scheme or ("https" if page is None else page.scheme)).lower()
    if address.scheme != wanted and not (wanted == "http" and address.scheme == "https"):
        return False
    if host != "*" and not _is_host(host.lower(), host=address.host):
        return False
    if port != "*" and (None if port is None else find_port(int(port), scheme=address.scheme)) != address.port:
        return False
    if not path or path == "/":
        return True
    return address.path.startswith(path) if path.endswith("/") else address.path == path


def find_port(port: int, *, scheme: str) -> int | None:
    """Return a port, None where it is the scheme's own."""
    told = find_address(f"{scheme}://host:{port}") if port <= 65535 else None
    return port if told is None else told.port


def _is_host(pattern: str, *, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
