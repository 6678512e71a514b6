"""Connects only to public internet addresses: each is checked, and the session connects to the checked address.

A registered name can resolve to anything: this machine, the agency's own network, a cloud's credentials service. So
every resolved address is checked. URL, `Host` and TLS use the name, and the certificate is verified against it; a DNS
answer that changes in between has no effect. The session keeps no state.
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

# Addresses that embed another one, which may be internal (RFC 6052, RFC 3056, RFC 4380, RFC 4291 §2.5.5.1, RFC 2765).
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(one)
    for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96")
)

# Not public, whatever this Python release reports: site-local addresses (RFC 3879 §4) and documentation (RFC 9637).
_INNER: Final = tuple(ipaddress.IPv6Network(one) for one in ("fec0::/10", "3fff::/20"))

# Reserved for protocols and relays (RFC 6890 §2.2.2, RFC 7526): some Python releases call parts of them global. The
# last is public by its number, and inside every machine of Azure it is the host's own service (Microsoft, "What is IP
# address 168.63.129.16").
_RESERVED: Final = tuple(ipaddress.IPv4Network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))


def is_public(text: str) -> bool:
    """Return whether a text is a public internet address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address.scope_id is not None or any(address in one for one in (*_CARRIERS, *_INNER)):
            return False
    elif any(address in network for network in _RESERVED):
        return False
    refused = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
    return address.is_global and not any((*refused, address.is_reserved, address.is_unspecified))


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Return every address of a name, in the system's order; raises `TransportError` (`connection`).

    The system's resolver has no timeout, so it runs in a thread, which is abandoned after 10 seconds.
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
        raise TransportError("The host name cannot be resolved.", reason="connection")
    return addresses


def pick_address(host: str, port: int, *, resolve: Resolve, is_allowed: IsAllowed) -> str:
    """Return the address to connect to; raises `TransportError` (`not-public`) if any of the name's is not allowed.

    One such address is enough to refuse: a public page's name never resolves to an internal address.
    """
    addresses = resolve(host, port)
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise TransportError("The host name resolves to an address that is not public.", reason="not-public")
    # Prefer IPv4 if a name has both, because not every machine has an IPv6 route.
    return min(addresses, key=lambda address: ":" in address)


class PinnedAdapter(PunctualAdapter):
    """Connects over https to checked addresses only; checks again for each request."""

    def __init__(self, *, resolve: Resolve, is_allowed: IsAllowed, agent: str) -> None:
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._agent = agent
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        """Send one request with the host name from its URL, and the runner's user agent."""
        # The connection is made to the address: without this, the address would be sent as the name.
        request.headers["Host"] = urlsplit(request.url or "").netloc
        request.headers["User-Agent"] = self._agent
        return super().send(request, *args, **settings)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the connection pool of the checked address; `requests` calls this for every request."""
        where, settings = self.build_connection_pool_key_attributes(request, verify, cert)
        name, port = str(where["host"]), int(where["port"] or 443)
        address = pick_address(name, port, resolve=self._resolve, is_allowed=self._is_allowed)
        named: dict[str, Any] = {**settings, "server_hostname": name, "assert_hostname": name}
        return self.poolmanager.connection_from_host(address, port, scheme="https", pool_kwargs=named)


def make_session(*, resolve: Resolve, is_allowed: IsAllowed, agent: str) -> requests.Session:
    """Return a session for one page: https only, no cookies, no proxy, no password from a file of this machine."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.adapters.clear()
    session.mount("https://", PinnedAdapter(resolve=resolve, is_allowed=is_allowed, agent=agent))
    return session
