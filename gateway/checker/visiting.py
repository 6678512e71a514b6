"""Visits the registered pages one after the other, and checks the link of each; a failure ends with its page.

Never requests a host that is not on the list, and never two pages of one host within a few seconds. It runs no
script, so it judges the link alone.
"""

import gc
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Final

import msgspec

from gateway.checker.network_addresses import IsAllowed, Resolve, make_session
from partner_sdk.console.check import Expected, check_link, explain_no_page, make_unreachable
from partner_sdk.console.check.page_fetch import DEADLINE_SECONDS, USER_AGENT, fetch_page, find_address
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button import NEVER_ASKED, ButtonCheck, CheckList, CheckTarget

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
