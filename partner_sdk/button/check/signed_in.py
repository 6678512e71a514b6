"""The state of a signed-in browser, from a file: its cookies and its local storage, for the page's own site alone.

Two formats: Playwright's storage state (JSON), and cookies.txt as Netscape wrote it and most export tools do. Nothing
of it is logged, stored or repeated in a message; a state of another site never leaves the file.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from partner_sdk.button.check.page import Address, find_address
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import decode

MAX_STATE_BYTES: Final = 4 * 1024 * 1024
_NOT_A_STATE: Final = (
    "This is not a storage state of Playwright: JSON with `cookies` and `origins`, as `context.storage_state()` writes."
)
_HTTP_ONLY: Final = "#HttpOnly_"
_FIELDS: Final = 7  # domain, subdomains, path, secure, expires, name, value
_FLAGS: Final = {"TRUE": True, "FALSE": False}
# Cookies stay in one header: RFC 6265 §4.1.1 allows none of these in a name or value.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f;]")
_SIGN_IN: Final = re.compile(
    r"(^|[/._-])(log[-_]?[io]n|sign[-_]?[io]n|sso|authenticate|auth|oauth2?|sessions?/new)($|[/._-])",
    re.IGNORECASE,
)
# E.g. accounts.chat.example, login.chat.example.
_SIGN_IN_HOSTS: Final = frozenset({"accounts", "auth", "id", "login", "signin", "sso"})


class Cookie(msgspec.Struct, frozen=True, kw_only=True):
    """One cookie; `expires` in seconds since 1970, -1 for the end of the session. A leading dot: subdomains too."""

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float = -1
    httpOnly: bool = False  # noqa: N815 - Playwright's name
    secure: bool = False
    sameSite: Literal["Strict", "Lax", "None"] = "Lax"  # noqa: N815 - Playwright's name

    def is_sent_to(self, address: Address) -> bool:
        """Return whether a browser sends it with a request for a page (RFC 6265 §5.4)."""
        return self.is_of(address) and _covers(self.path, address.path)

    def is_of(self, address: Address) -> bool:
        """Return whether a page's site may have set it, and it has not expired."""
        domain = self.domain.lower()
        is_host = address.host == domain.removeprefix(".")
        is_site = is_host or (domain.startswith(".") and address.host.endswith(domain))
        has_way = not self.secure or address.scheme == "https"
        return is_site and has_way and (self.expires < 0 or self.expires > time.time())


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    value: str


class _Storage(msgspec.Struct, frozen=True, kw_only=True):
    origin: str
    localStorage: tuple[_Entry, ...] = ()  # noqa: N815 - Playwright's name


class _State(msgspec.Struct, frozen=True, kw_only=True):
    cookies: tuple[Cookie, ...]
    origins: tuple[_Storage, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person's state; its text forms show none of it."""

    _cookies: tuple[Cookie, ...] = field(repr=False)
    _storages: tuple[_Storage, ...] = field(default=(), repr=False)

    def make_header(self, address: str) -> str:
        """Return the value of `Cookie` in a request for a page, empty where none belongs to it."""
        found = find_address(address)
        sent = [] if found is None else [one for one in self._cookies if one.is_sent_to(found)]
        return "; ".join(f"{one.name}={one.value}" for one in sent)

    def make_state(self, address: str) -> Any:
        """Return the part of the state that belongs to the page's site, as Playwright takes it."""
        found = find_address(address)
        if found is None:
            return {"cookies": [], "origins": []}
        return {
            "cookies": [msgspec.to_builtins(one) for one in self._cookies if one.is_of(found)],
            "origins": [msgspec.to_builtins(one) for one in self._storages if one.origin == found.origin],
        }

    def has_any_for(self, address: str) -> bool:
        """Return whether the file holds anything for a page's site."""
        state = self.make_state(address)
        return bool(state["cookies"] or state["origins"])


def _covers(path: str, asked: str) -> bool:
    return asked == path or (asked.startswith(path) and (path.endswith("/") or asked[len(path)] == "/"))


def parse_storage_state(raw: bytes) -> SignedIn:
    """Read Playwright's storage state; raises `FormatError` (`malformed`), which repeats nothing of it."""
    try:
        state = decode(raw, kind=_State)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatError(_NOT_A_STATE, reason="malformed") from None
    if not all(_is_safe(one) for one in state.cookies):
        raise FormatError("A cookie of the storage state is not well-formed.", reason="malformed")
    return SignedIn(state.cookies, state.origins)


def parse_cookies_file(raw: bytes) -> SignedIn:
    """Read a cookies.txt; raises `FormatError` (`malformed`), which names the line and repeats nothing of it."""
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FormatError("The file of cookies is not text (UTF-8).", reason="malformed") from None
    return SignedIn(tuple(_parse_lines(lines)))


def _parse_lines(lines: list[str]) -> Iterator[Cookie]:
    for number, line in enumerate(lines, 1):
        is_hidden = line.startswith(_HTTP_ONLY)
        if not line.strip() or (line.startswith("#") and not is_hidden):
            continue
        parts = line.removeprefix(_HTTP_ONLY).split("\t")
        cookie = _make_cookie(parts, is_hidden=is_hidden) if len(parts) == _FIELDS else None
        if cookie is None or not _is_safe(cookie):
            raise FormatError(
                f"Line {number} of the file of cookies is not one of cookies.txt: seven fields with tabs between "
                "(domain, TRUE or FALSE, path, TRUE or FALSE, expiry, name, value).",
                reason="malformed",
            )
        yield cookie


def _make_cookie(parts: list[str], *, is_hidden: bool) -> Cookie | None:
    domain, subdomains, path, secure, expires, name, value = parts
    if subdomains not in _FLAGS or secure not in _FLAGS or not re.fullmatch(r"-?\d{1,12}(\.\d+)?", expires, re.ASCII):
        return None
    host = domain.removeprefix(".")
    return Cookie(
        name=name,
        value=value,
        domain=f".{host}" if _FLAGS[subdomains] else host,
        path=path,
        expires=float(expires) if float(expires) > 0 else -1,  # 0: until the browser closes
        httpOnly=is_hidden,
        secure=_FLAGS[secure],
    )


def _is_safe(cookie: Cookie) -> bool:
    texts = (cookie.name, cookie.value, cookie.domain, cookie.path)
    return bool(cookie.name and cookie.domain and cookie.path.startswith("/")) and not any(map(_UNSAFE.search, texts))


def is_sign_in_address(reached: str, *, asked: str) -> bool:
    """Return whether a page led to one for signing in, by its address. E.g. /messages led to /login?next=/messages."""
    found, wanted = find_address(reached), find_address(asked)
    if found is None or (wanted is not None and (found.host, found.path) == (wanted.host, wanted.path)):
        return False
    first_label = found.host.partition(".")[0]
    return _SIGN_IN.search(found.path) is not None or first_label in _SIGN_IN_HOSTS
