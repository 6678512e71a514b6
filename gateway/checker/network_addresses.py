"""Connects to addresses of the open internet alone: each is judged, and the session goes to the very address judged.

A registered name may lead anywhere: to this machine, to the agency's own network, to a cloud's service of credentials.
So every address that a name resolves to is judged. The name stands in the address, in `Host` and in TLS, where the
certificate is held against it; an answer of the DNS that changes in between changes nothing. The session keeps nothing.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from partner_sdk.client.http import PunctualAdapter
from partner_sdk.errors import TransportError

RESOLVE_SECONDS: Final = 10.0

Resolve = Callable[[str, int], Sequence[str]]
IsAllowed = Callable[[str], bool]

# Addresses that carry another inside, behind which anything may lie (RFC 6052, RFC 3056, RFC 4380, RFC 4291 §2.5.5.1).
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)

# Not of the open internet, whatever this release of Python says of them: addresses of one site (RFC 3879 §4) and those
# of documents (RFC 9637).
_INNER: Final = tuple(ipaddress.IPv6Network(one) for one in ("fec0::/10", "3fff::/20"))

# Kept for protocols and relays (RFC 6890 §2.2.2, RFC 7526): some releases of Python call parts of them global.
_PROTOCOLS: Final = tuple(ipaddress.IPv4Network(one) for one in ("192.0.0.0/24", "192.88.99.0/24"))


def is_public(text: str) -> bool:
    """Return whether an address is one of the open internet; anything that is no address is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address.scope_id is not None or any(address in one for one in (*_CARRIERS, *_INNER)):
            return False
    elif any(address in network for network in _PROTOCOLS):
        return False
    refused = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
    return address.is_global and not any((*refused, address.is_reserved, address.is_unspecified))


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Return every address of a name, in the order of the system; raises `TransportError` (`connection`).

    The system's look-up knows no deadline: it runs aside, and is left alone when it takes longer than 10 seconds.
    """
    answers: queue.Queue[list[str]] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))

    threading.Thread(target=ask, daemon=True, name="name-look-up").start()
    try:
        addresses = answers.get(timeout=RESOLVE_SECONDS)
    except queue.Empty:
        addresses = []
    if not addresses:
        raise TransportError("The name of the host is not known here.", reason="connection")
    return addresses


def pick_address(host: str, port: int, *, resolve: Resolve, is_allowed: IsAllowed) -> str:
    """Return the address to connect to; raises `TransportError` (`not-public`) if one of the name's is not allowed.

    One that is not is reason enough: a name that leads to the inside now and then is no name of a public page.
    """
    addresses = resolve(host, port)
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise TransportError("The host's name leads to an address that is not public.", reason="not-public")
    # Prefer IPv4 where a name has both: not every machine has a route for IPv6.
    return min(addresses, key=lambda address: ":" in address)


class PinnedAdapter(PunctualAdapter):
    """Connections over https to judged addresses alone; each request is judged anew."""

    def __init__(self, *, resolve: Resolve, is_allowed: IsAllowed, agent: str) -> None:
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._agent = agent
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        """Send one request under the name that stands in its address, and say who asks."""
        # The connection is made to a number: without this, the number would be sent as the name.
        request.headers["Host"] = urlsplit(request.url or "").netloc
        request.headers["User-Agent"] = self._agent
        return super().send(request, *args, **settings)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool of the judged address; `requests` asks here for every request."""
        where, settings = self.build_connection_pool_key_attributes(request, verify, cert)
        name, port = str(where["host"]), int(where["port"] or 443)
        address = pick_address(name, port, resolve=self._resolve, is_allowed=self._is_allowed)
        named: dict[str, Any] = {**settings, "server_hostname": name, "assert_hostname": name}
        return self.poolmanager.connection_from_host(address, port, scheme="https", pool_kwargs=named)


def make_session(*, resolve: Resolve, is_allowed: IsAllowed, agent: str) -> requests.Session:
    """Return a session for one page: https alone, no cookie, no proxy, no password from a file of this machine."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.adapters.clear()
    session.mount("https://", PinnedAdapter(resolve=resolve, is_allowed=is_allowed, agent=agent))
    return session
