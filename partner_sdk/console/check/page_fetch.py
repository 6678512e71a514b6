"""A page as a reader's browser would get it: its address, the cookies that go there, and the fetch itself.

Addresses are read by the URL Standard, so that one made to look like another is seen for the one it is. A page comes
over https, from its own host, with a few megabytes at most and within a deadline. Who watches over many hosts gives a
session of its own, which decides which network addresses it connects to, and `check_hop`, which is asked before every
request.

The state of a signed-in browser comes from a file, Playwright's storage state (JSON), and is for the
page's own site alone. Nothing of it is logged, stored or repeated in a message.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import msgspec
import requests
import urllib3

from partner_sdk import __version__
from partner_sdk.client.exchange import check_origin
from partner_sdk.client.http import deadline_at
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.canonical import decode

MAX_PAGE_BYTES: Final = 5 * 1024 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOKS_ALIKE: Final = 0.8
_LONGEST_HOST: Final = 253  # RFC 1035 §2.3.4
# Characters that are taken for another at a glance.
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
    """Return whether a host imitates another one: contains it, has look-alike characters, or nearly equals it."""
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


MAX_STATE_BYTES: Final = 4 * 1024 * 1024
_NOT_A_STATE: Final = (
    "This is not a storage state of Playwright: JSON with `cookies` and `origins`, as `context.storage_state()` writes."
)
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


DEADLINE_SECONDS: Final = 20.0
MAX_REDIRECTS: Final = 3
USER_AGENT: Final = f"report-abuse-button-check/{__version__}"
_CHUNK_BYTES: Final = 64 * 1024
_HTML: Final = ("text/html", "application/xhtml+xml", "")

CheckHop = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page that came: `address` is where it was found in the end."""

    address: str
    body: bytes
    headers: Mapping[str, str]


def allow_every_hop(_address: str) -> None:
    """Allow any public or private host: people who check their own page name it themselves."""


def check_page_address(address: str) -> None:
    """Raise `FormatError` (`bad-address`) unless this is https with a plain host, or http on this very machine."""
    found = find_address(address)
    if found is None or found.has_userinfo or not _is_origin(found.origin):
        raise FormatError(
            "The address of a page begins with https:// and a host, without a name or password (http:// on this very "
            "machine only).",
            reason="bad-address",
        )


def _is_origin(text: str) -> bool:
    try:
        check_origin(text)
    except FormatError:
        return False
    return True


def fetch_page(
    address: str,
    *,
    session: requests.Session,
    check_hop: CheckHop = allow_every_hop,
    deadline_seconds: float = DEADLINE_SECONDS,
    ca_file: str | None = None,
    agent: str = USER_AGENT,
    signed_in: SignedIn | None = None,
) -> FetchedPage:
    """Return the page, after at most `MAX_REDIRECTS` redirects on its own host.

    Raises `FormatError` (`bad-address`) for an address that is never asked, `TransportError` for a page that did not
    come: `timeout`, `tls`, `connection`, `status`, `redirect`, `sign-in`, `too-large`, `no-page`. What `check_hop`
    raises passes.
    """
    deadline = time.monotonic() + deadline_seconds
    wanted, _ = urldefrag(address)
    check_page_address(wanted)
    first = find_address(wanted)
    for _ in range(MAX_REDIRECTS + 1):
        check_hop(wanted)
        headers = {"User-Agent": agent}
        if signed_in is not None and (cookie := signed_in.make_header(wanted)):
            headers["Cookie"] = cookie
        found = _ask(
            wanted, session=session, deadline=deadline, max_bytes=MAX_PAGE_BYTES, ca_file=ca_file, headers=headers
        )
        if isinstance(found, FetchedPage):
            if found.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _HTML:
                raise TransportError("The reply is not an HTML page.", reason="no-page")
            return found
        wanted, _ = urldefrag(join_address(wanted, found))
        try:
            check_page_address(wanted)
        except FormatError:
            raise TransportError(
                "The page redirects to something that is not a page address.", reason="redirect"
            ) from None
        if is_sign_in_address(wanted, asked=address):
            raise TransportError("The page redirects to a page for signing in.", reason="sign-in")
        if not _is_same_host(find_address(wanted), first):
            raise TransportError("The page redirects to another host: check that one.", reason="redirect")
    raise TransportError(f"The page redirects more than {MAX_REDIRECTS} times.", reason="redirect")


def _is_same_host(one: Address | None, other: Address | None) -> bool:
    return one is not None and other is not None and (one.host, one.port) == (other.host, other.port)


def _ask(
    address: str,
    *,
    session: requests.Session,
    deadline: float,
    max_bytes: int,
    ca_file: str | None,
    headers: Mapping[str, str],
) -> FetchedPage | str:
    """Return the page, or the target of a redirect."""
    location: list[str] = []

    def take_location(response: requests.Response, **_: object) -> None:
        # For a redirect that is not followed, `requests` would read the whole body, of any size, before we see it.
        location.append(response.headers.pop("Location", ""))

    try:
        with deadline_at(deadline):
            left = max(deadline - time.monotonic(), 0.001)
            response = session.get(
                address,
                headers={"Accept": "text/html", "Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                stream=True,
                timeout=left,
                verify=True if ca_file is None else ca_file,
                hooks={"response": take_location},
            )
            with response:
                if 300 <= response.status_code < 400 and location[-1]:
                    return location[-1]
                if response.status_code != requests.codes.ok:
                    raise TransportError(f"The host answered {response.status_code}.", reason="status")
                body = _read(response, max_bytes=max_bytes, deadline=deadline)
    except requests.Timeout:
        raise _make_timeout() from None
    except requests.exceptions.SSLError:
        raise TransportError("The host's certificate is not trusted here.", reason="tls") from None
    except (OSError, ValueError, urllib3.exceptions.HTTPError):  # RequestException is an OSError
        if time.monotonic() >= deadline:
            raise _make_timeout() from None
        raise TransportError("Could not connect to the host.", reason="connection") from None
    return FetchedPage(address=address, body=body, headers=dict(response.headers))


def _read(response: requests.Response, *, max_bytes: int, deadline: float) -> bytes:
    received = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        received += chunk
        if len(received) > max_bytes:
            raise TransportError(f"The page is larger than {max_bytes // 1024} KiB.", reason="too-large")
        if time.monotonic() > deadline:
            raise _make_timeout()
    return bytes(received)


def _make_timeout() -> TransportError:
    return TransportError("The page did not load in time.", reason="timeout")
