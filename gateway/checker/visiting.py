"""Visits the registered pages one after the other, and judges each; what a page does ends with that page.

Never asks a host that is not on the list, and never for two pages of one host within a few seconds. The memory that
judging one page may take is bounded: a page must not end the run, or the machine, by its size.
"""

import gc
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from gateway.checker.network_addresses import IsAllowed, Resolve, make_session
from partner_sdk.button.check import Expected, check_page, explain_no_page, make_unreachable
from partner_sdk.button.check.page import find_address
from partner_sdk.button.check.page_fetch import DEADLINE_SECONDS, USER_AGENT, fetch_page, read_own_copy
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button_check import NEVER_ASKED, ButtonCheck, CheckList, CheckTarget

_STATM: Final = Path("/proc/self/statm")
PAUSE_SECONDS: Final = 5.0
_OWN_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# The parser refuses what has very many tags. This is for whatever else may keep it busy: the other pages must not wait.
JUDGING_SECONDS: Final = 30.0
# A page of 5 MiB takes some 300 MiB at most when it is written by people; one of nothing but attributes takes more.
JUDGING_BYTES: Final = 1024**3


@contextmanager
def limit_growth(most_bytes: int) -> Iterator[None]:
    """Let what runs inside take so many bytes more; beyond them Python raises `MemoryError`. Linux alone knows how."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _measure_size() + most_bytes
    if not _STATM.exists() or (soft != resource.RLIM_INFINITY and soft <= wanted):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _measure_size() -> int:
    """Return the address space of this process (proc_pid_statm(5)), 0 where the system does not say."""
    try:
        pages = int(_STATM.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Outside:
    """What a run needs of the world: names, which addresses are allowed, clocks, and whom else to trust for TLS.

    `port` is the one that is asked, None for that of https. `judging_bytes` is how much memory one page may take on top
    of what the run has.
    """

    resolve: Resolve
    is_allowed: IsAllowed
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    ca_file: str | None = None
    judging_seconds: float = JUDGING_SECONDS
    judging_bytes: int = JUDGING_BYTES
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One page and what was found; `trouble` says in our own words why it did not come or could not be judged."""

    target: CheckTarget
    check: ButtonCheck
    trouble: str = ""


def visit_pages(check_list: CheckList, *, outside: Outside) -> Iterator[Visit]:
    """Yield one visit for each target, hosts in turn; no page can end the run."""
    known = frozenset(target.placement for target in check_list.targets)
    last_asked: dict[str, float] = {}
    for target in take_turns(check_list.targets):
        host = _get_host(target)
        expected = Expected(origin=check_list.agency_origin, placement=target.placement, known=known)
        try:
            check_target(target, port=outside.port)
        except TransportError as error:
            yield _make_unreached(target, error, expected=expected, outside=outside)
            continue  # nobody was asked, so nobody is to be spared
        _wait(last_asked.get(host), outside=outside)
        visit = _visit(target, expected=expected, outside=outside)
        yield visit
        if not any(one.code in NEVER_ASKED for one in visit.check.findings):
            last_asked[host] = outside.monotonic()


def take_turns(targets: Sequence[CheckTarget]) -> list[CheckTarget]:
    """Return the targets so that each host comes once before any comes again: less waiting, and less asked of one."""
    by_host: dict[str, list[CheckTarget]] = {}
    for target in targets:
        by_host.setdefault(_get_host(target), []).append(target)
    return [target for turn in zip_longest(*by_host.values()) for target in turn if target is not None]


def _get_host(target: CheckTarget) -> str:
    found = find_address(target.address)
    return "" if found is None else found.host


def _wait(asked_at: float | None, *, outside: Outside) -> None:
    if asked_at is not None and (left := asked_at + PAUSE_SECONDS - outside.monotonic()) > 0:
        outside.sleep(left)


def _visit(target: CheckTarget, *, expected: Expected, outside: Outside) -> Visit:
    try:
        return Visit(target, check=_judge(target, expected=expected, outside=outside))
    except (TransportError, FormatError) as error:
        return _make_unreached(target, error, expected=expected, outside=outside)
    except MemoryError:
        trouble = "The page takes more memory than one page may."
    except _TooLongError:
        trouble = f"The page could not be judged within {outside.judging_seconds:g} seconds."
    except Exception as error:  # noqa: BLE001 - a page that no rule foresaw must not end the run for all others
        # Only the kind of error: its message may be the page's words.
        trouble = f"This release has a fault ({type(error).__name__}): tell its makers which page it was."
    return _make_unreached(target, TransportError(trouble, reason="not-judged"), expected=expected, outside=outside)


def _make_unreached(
    target: CheckTarget, error: TransportError | FormatError, *, expected: Expected, outside: Outside
) -> Visit:
    check = make_unreachable(
        target.address,
        placement=target.placement,
        now=outside.now(),
        findings=(explain_no_page(error, expected=expected),),
    )
    return Visit(target, check=check, trouble=str(error))


def _judge(target: CheckTarget, *, expected: Expected, outside: Outside) -> ButtonCheck:
    agent = f"{USER_AGENT} (+{expected.origin})"
    check_own_hop = partial(check_hop, host=_get_host(target), port=outside.port)
    with make_session(resolve=outside.resolve, is_allowed=outside.is_allowed, agent=agent) as session:
        page = fetch_page(
            target.address,
            session=session,
            check_hop=check_own_hop,
            deadline_seconds=DEADLINE_SECONDS,
            ca_file=outside.ca_file,
        )
        with _time_limit(outside.judging_seconds), limit_growth(outside.judging_bytes):
            check = check_page(
                page.body,
                address=page.address,
                expected=expected,
                now=outside.now(),
                headers=page.headers,
                read_resource=partial(
                    read_own_copy, page=page, session=session, check_hop=check_own_hop, ca_file=outside.ca_file
                ),
            )
    # The desk files a check by the address that it gave, wherever on its host the page was found in the end.
    return msgspec.structs.replace(check, address=target.address)


def check_target(target: CheckTarget, *, port: int | None = None) -> None:
    """Raise `TransportError` (`bad-address`, `not-public`, `not-https`) for a page that is never asked for."""
    found = find_address(target.address)
    if found is None or found.has_userinfo:
        raise TransportError("This is no address of a page.", reason="bad-address")
    if found.host in _OWN_HOSTS:
        raise TransportError(
            f"{found.host} is not public: the runner does not visit this machine.", reason="not-public"
        )
    if found.scheme != "https" or found.port != port:
        raise TransportError("The runner visits pages over https alone, at port 443.", reason="not-https")


def check_hop(address: str, *, host: str, port: int | None = None) -> None:
    """Raise `TransportError` unless this is https on the registered host, at its own port (or at `port`)."""
    found = find_address(address)
    if found is None or found.scheme != "https" or found.has_userinfo or found.host != host or found.port != port:
        raise TransportError("Only https on the registered host is asked, at port 443.", reason="redirect")


class _TooLongError(Exception):
    """The time for judging one page is over."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End what runs inside after some seconds of the clock; the main thread only, as signals are."""
    is_over = False

    def stop(_number: int, _frame: object) -> None:
        if not is_over:
            raise _TooLongError

    # Python drops what is raised in a hook of its garbage collector or in a finalizer: nothing is collected in the
    # meantime, and the alarm comes again every second.
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
