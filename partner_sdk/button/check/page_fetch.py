"""Fetches one page as a reader's browser would get it: https, the same host, a few megabytes, within a deadline.

Keeps no cookie and runs no script; a person's own cookies are sent where they are given. Who watches over many hosts
gives a session of its own, which decides which network addresses it connects to, and `check_hop`, which is asked before
every request.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urldefrag

import requests
import urllib3

from partner_sdk import __version__
from partner_sdk.button.check.page import MAX_PAGE_BYTES, Address, find_address, join_address
from partner_sdk.button.check.signed_in import SignedIn, is_sign_in_address
from partner_sdk.client.exchange import check_origin
from partner_sdk.client.http import deadline_at
from partner_sdk.errors import FormatError, TransportError

DEADLINE_SECONDS: Final = 20.0
MAX_REDIRECTS: Final = 3
MAX_RESOURCE_BYTES: Final = 64 * 1024
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
        headers = {"User-Agent": agent, **_make_cookie(signed_in, address=wanted)}
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


def read_own_copy(
    address: str,
    *,
    page: FetchedPage,
    session: requests.Session,
    check_hop: CheckHop = allow_every_hop,
    ca_file: str | None = None,
    signed_in: SignedIn | None = None,
) -> bytes | None:
    """Return a file of the page's own host, of at most 64 KiB, or None where it does not come."""
    if not _is_same_host(find_address(address), find_address(page.address)):
        return None
    try:
        check_page_address(address)
        check_hop(address)
        deadline = time.monotonic() + DEADLINE_SECONDS
        headers = {"User-Agent": USER_AGENT, **_make_cookie(signed_in, address=address)}
        found = _ask(
            address, session=session, deadline=deadline, max_bytes=MAX_RESOURCE_BYTES, ca_file=ca_file, headers=headers
        )
    except (FormatError, TransportError):
        return None
    return found.body if isinstance(found, FetchedPage) else None


def _make_cookie(signed_in: SignedIn | None, *, address: str) -> dict[str, str]:
    cookie = "" if signed_in is None else signed_in.make_header(address)
    return {"Cookie": cookie} if cookie else {}


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
