"""A session of `requests` that connects only to addresses that it has judged itself, and keeps nothing.

The name stands in the address, in `Host` and in TLS, where the certificate is held against it; the connection goes to
the address that was judged. So an answer of the DNS that changes in between changes nothing.
"""

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

from gateway.checker.network_addresses import IsAllowed, Resolve, pick_address
from partner_sdk.client.http import PunctualAdapter


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
