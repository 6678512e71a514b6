"""Visits the registered pages one after the other, and checks the link of each; a failure ends with its page.

Never requests a host that is not on the list, and never two pages of one host within a few seconds. It runs no script,
so it judges the link alone. A registered name can resolve to anything: this machine, the agency's network, a cloud's
credentials service. So every resolved address is checked, and the session, which keeps no state, connects to a checked
address; a DNS answer that changes in between has no effect. URL, `Host` and TLS use the name, and the certificate is
verified against it.
"""

import gc
import ipaddress
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import requests

from partner_sdk.client.http import PunctualAdapter
from partner_sdk.console.check import Expected, check_link, explain_no_page, make_unreachable
from partner_sdk.console.check.page_fetch import DEADLINE_SECONDS, USER_AGENT, fetch_page, find_address
from partner_sdk.console.findings import NEVER_ASKED, ButtonCheck, CheckList, CheckTarget
from partner_sdk.errors import FormatError, TransportError

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


PAUSE_SECONDS: Final = 5.0
_OWN_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# The check refuses pages with very many tags. This limits anything else that keeps the parser busy.
JUDGING_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """The run's dependencies: name resolution, allowed addresses, clocks, and extra trusted certificates for TLS.

    `port` replaces the https port.
    """

    resolve: Resolve
    is_allowed: IsAllowed
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    ca_file: str | None = None
    judging_seconds: float = JUDGING_SECONDS
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One page and its findings; `trouble` is a fixed text that explains why it could not be fetched or checked."""

    target: CheckTarget
    check: ButtonCheck
    trouble: str = ""


def visit_pages(check_list: CheckList, *, runtime: Runtime) -> Iterator[Visit]:
    """Yield one visit for each target, hosts in turn; no page can end the run."""
    known = frozenset(target.placement for target in check_list.targets)
    last_asked: dict[str, float] = {}
    for target in take_turns(check_list.targets):
        host = _get_host(target)
        expected = Expected(origin=check_list.agency_origin, placement=target.placement, known=known)
        try:
            check_target(target, port=runtime.port)
        except TransportError as error:
            yield _make_unreached(target, error, expected=expected, runtime=runtime)
            continue  # no request was made, so no host needs a pause
        _wait(last_asked.get(host), runtime=runtime)
        visit = _visit(target, expected=expected, runtime=runtime)
        yield visit
        if not any(one.code in NEVER_ASKED for one in visit.check.findings):
            last_asked[host] = runtime.monotonic()


def take_turns(targets: Sequence[CheckTarget]) -> list[CheckTarget]:
    """Return the targets in rounds, with each host once in a round: shorter waits, and less load on each."""
    by_host: dict[str, list[CheckTarget]] = {}
    for target in targets:
        by_host.setdefault(_get_host(target), []).append(target)
    return [target for turn in zip_longest(*by_host.values()) for target in turn if target is not None]


def _get_host(target: CheckTarget) -> str:
    found = find_address(target.address)
    return "" if found is None else found.host


def _wait(asked_at: float | None, *, runtime: Runtime) -> None:
    if asked_at is not None and (left := asked_at + PAUSE_SECONDS - runtime.monotonic()) > 0:
        runtime.sleep(left)


def _visit(target: CheckTarget, *, expected: Expected, runtime: Runtime) -> Visit:
    try:
        return Visit(target, check=_judge(target, expected=expected, runtime=runtime))
    except (TransportError, FormatError) as error:
        return _make_unreached(target, error, expected=expected, runtime=runtime)
    except _TooLongError:
        trouble = f"Checking the page took longer than {runtime.judging_seconds:g} seconds."
    except Exception as error:  # noqa: BLE001 - an unforeseen page must not end the run for all others
        # Only the kind of error, because its message may quote the page.
        trouble = (
            f"The checker failed on this page ({type(error).__name__}). This is a bug: report it with the page's "
            "address."
        )
    return _make_unreached(target, TransportError(trouble, reason="not-judged"), expected=expected, runtime=runtime)


def _make_unreached(
    target: CheckTarget, error: TransportError | FormatError, *, expected: Expected, runtime: Runtime
) -> Visit:
    check = make_unreachable(
        target.address,
        placement=target.placement,
        now=runtime.now(),
        findings=(explain_no_page(error, expected=expected),),
    )
    return Visit(target, check=check, trouble=str(error))


def _judge(target: CheckTarget, *, expected: Expected, runtime: Runtime) -> ButtonCheck:
    agent = f"{USER_AGENT} (+{expected.origin})"
    with make_session(resolve=runtime.resolve, is_allowed=runtime.is_allowed, agent=agent) as session:
        page = fetch_page(
            target.address,
            session=session,
            check_hop=partial(check_hop, host=_get_host(target), port=runtime.port),
            deadline_seconds=DEADLINE_SECONDS,
            ca_file=runtime.ca_file,
        )
        with _time_limit(runtime.judging_seconds):
            check = check_link(
                page.body,
                address=page.address,
                expected=expected,
                now=runtime.now(),
                headers=page.headers,
            )
    # The desk files a check under the registered address, wherever a redirect on the same host ended.
    return msgspec.structs.replace(check, address=target.address)


def check_target(target: CheckTarget, *, port: int | None = None) -> None:
    """Raise `TransportError` (`bad-address`, `not-public`, `not-https`) for a page that must never be requested."""
    found = find_address(target.address)
    if found is None or found.has_userinfo:
        raise TransportError("This is not the address of a web page.", reason="bad-address")
    if found.host in _OWN_HOSTS:
        raise TransportError(
            f"{found.host} is not public: the runner never visits its own machine.", reason="not-public"
        )
    if found.scheme != "https" or found.port != port:
        raise TransportError("The runner visits pages only over https, on port 443.", reason="not-https")


def check_hop(address: str, *, host: str, port: int | None = None) -> None:
    """Raise `TransportError` unless the address is https on the registered host, on its own port (or `port`)."""
    found = find_address(address)
    if found is None or found.scheme != "https" or found.has_userinfo or found.host != host or found.port != port:
        raise TransportError(
            "The page redirects elsewhere; the runner follows only https on the registered host, on port 443.",
            reason="redirect",
        )


class _TooLongError(Exception):
    """The time for checking one page is over."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Abort the block after some seconds; only in the main thread, because it uses a signal."""
    is_over = False

    def stop(_number: int, _frame: object) -> None:
        if not is_over:
            raise _TooLongError

    # Python drops exceptions raised in a garbage collector hook or a finalizer. So garbage collection is off meanwhile,
    # and the alarm repeats every second.
    has_collector = gc.isenabled()
    gc.disable()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        try:
            yield
        finally:
            is_over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if has_collector:
            gc.enable()
