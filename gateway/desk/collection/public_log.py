"""The gateway's public log as the desk checks it after it has collected: one history that goes on, with every report.

A fault is an alarm and never a reason to leave a report at the gateway. The desk remembers the checkpoint that it saw
before; where the log contradicts it, until a person clears the alarm, e.g. after a restore. That accepts the one
checkpoint that the alarm names, and a log that continues it. Both are kept, each in a file that is never written again:
they are the proof. Each report that was filed here must have its entry, those of the public too, whose receipts only
the desk holds.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import select

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.collection.standing import get_collector_state, write_collector_state
from gateway.desk.feed_client import FeedClient
from gateway.desk.keyring.key_set import CLOCK_ALLOWANCE, LOG_ROLE, list_verify_entries
from gateway.desk.store.schema import ALARMS, REPORTS
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, LogError, ProblemError, ReportAbuseError, UnavailableError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.public_log import (
    CLOCK_SKEW_SECONDS,
    CONTRADICTION_FILE,
    LOGGED_WITHIN_SECONDS,
    LogView,
    find_contradiction_file,
    origin_of,
    peek_checkpoint,
    view_log,
)
from partner_sdk.wire.signing import VerifyKey, verify_keys

LOG_CONTRADICTS: Final = "public-log-contradicts"
# The log cannot be checked, has not begun, or has no newer batch than an hour ago.
LOG_STANDS_STILL: Final = "public-log-stands-still"
# A report that was filed here has no entry, or a late one.
LOG_LACKS: Final = "public-log-lacks-report"
CHECKPOINT_FILE: Final = "log.checkpoint"
UNCHECKED: Final = "unchecked"
_NO_LOG: Final = "no-log"
_NO_NEW_BATCH: Final = "no-new-batch"
# The log may be out of reach or stand still for this long, e.g. while a page of the gateway's database is mended.
STILL_FOR: Final = timedelta(hours=1)
# The time in which an entry must follow, from when the report was collected: by this desk's clock alone.
DUE_AFTER: Final = timedelta(seconds=LOGGED_WITHIN_SECONDS + CLOCK_SKEW_SECONDS)
# The share of a run for looking up entries; the next one goes on from there.
LOOK_FOR: Final = timedelta(seconds=10)
PAGE_ROWS: Final = 500
_SOUGHT_BY: Final = (REPORTS.c.id, REPORTS.c.reference, REPORTS.c.received_at, REPORTS.c.collected_at, REPORTS.c.intake)


def find_log_fault(desk: Desk, feed: FeedClient) -> str | None:
    """Return why the log does not hold, or None if it does; never raises an error of ours.

    Alarms: a contradiction, and a report without its entry, at once; a log that stands still, or cannot be checked
    (`unchecked`), after an hour.
    """
    listed: tuple[VerifyKey, ...] = ()
    try:
        with desk.store.read() as connection:
            listed = list_verify_entries(connection, LOG_ROLE)
        return _check(desk, feed, listed=listed)
    except ReportAbuseError:
        with suppress(ReportAbuseError):
            _note_still(desk, UNCHECKED, listed=listed)
        return UNCHECKED


def _check(desk: Desk, feed: FeedClient, *, listed: tuple[VerifyKey, ...]) -> str | None:
    origin, now = origin_of(desk.config.gateway_origin), desk.clock()
    remembered, note = find_bytes(desk.paths.state / CHECKPOINT_FILE), b""
    keys = verify_keys(listed, signed_at=now, now=now)
    if not keys and remembered is None:
        return None

    def fetch(name: str, max_bytes: int) -> bytes:
        nonlocal note
        try:
            raw = feed.get_log_file(name, max_bytes=max_bytes)
        except UnavailableError:
            raise
        except (FormatError, ProblemError):
            raise LogError("The gateway does not show its public log, or not all of it.", reason=_NO_LOG) from None
        note = raw if name == "checkpoint" else note
        return raw

    def view(older: bytes | None) -> LogView:
        return view_log(fetch, origin=origin, public_keys=list(keys.values()), remembered=older)

    try:
        found = view(remembered)
    except LogError as error:
        if remembered is None and error.reason == _NO_LOG:
            return _note_still(desk, _NO_LOG, listed=listed)
        after = _describe_remembered(desk, remembered)
        accepted = _find_accepted(desk, after=after, view=view)
        if accepted is None:
            _raise_contradiction(desk, f"{origin}: {error.reason}, {after}", [remembered or b"", note], keys=keys)
            return error.reason
        found = accepted
    if found.note != remembered:
        _remember(desk, found.note)
    is_still = found.note == remembered and _note_still(desk, _NO_NEW_BATCH, listed=listed)
    return _look_for_reports(desk, found) or is_still or None


def _look_for_reports(desk: Desk, log: LogView) -> str | None:
    """Look for the entries of all reports that are due, in the order of filing; return the first fault or None.

    Raises an alarm for each kind of fault, once until it is cleared and then once a day, naming the first report.
    """
    ends_at, first_fault = desk.clock() + LOOK_FOR, None
    with desk.store.read() as connection:
        reached = get_collector_state(connection).logged_report
    while desk.clock() < ends_at:
        query = select(*_SOUGHT_BY).where(REPORTS.c.id > reached).order_by(REPORTS.c.id).limit(PAGE_ROWS)
        with desk.store.read() as connection:
            rows = connection.execute(query).all()
        due = list(takewhile(lambda row: parse_time(row.collected_at) + DUE_AFTER <= desk.clock(), rows))
        for row in due:
            received_at = int(parse_time(row.received_at).timestamp())
            fault = log.find_fault(bytes(row.intake), received_at=received_at)
            if fault is not None and fault.reason != "pre-log":
                _raise_daily(desk, LOG_LACKS, f"{log.checkpoint.origin}: {fault.reason}", detail=row.reference)
                first_fault = first_fault or fault.reason
        if due:
            reached = due[-1].id
            write_collector_state(desk, logged_report=reached)
        if len(due) < PAGE_ROWS:
            break
    return first_fault


def _note_still(desk: Desk, reason: str, *, listed: tuple[VerifyKey, ...]) -> str | None:
    """Raise an alarm if the log has been like this for an hour; return the reason then.

    Counts from the newest checkpoint that was remembered, or from when the log's first key was added.
    """
    added = (parse_time(key.not_before) + CLOCK_ALLOWANCE for key in listed)
    since = _find_seen_at(desk) or min(added, default=None)
    if since is None or desk.clock() - since <= STILL_FOR:
        return None
    subject = f"{origin_of(desk.config.gateway_origin)}: {reason}"
    _raise_daily(desk, LOG_STANDS_STILL, subject, detail=f"since {format_time(since)}")
    return reason


def _raise_daily(desk: Desk, kind: str, subject: str, *, detail: str) -> None:
    """Raise an alarm, e.g. `report.example/log: late on 2026-11-25: GFS1-XJXCR-C`, unless one of today is open."""
    today = f"{subject} on {desk.clock():%Y-%m-%d}: "
    with desk.store.read() as connection:
        if any(one.startswith(today) for one in list_subjects(connection, kind)):
            return
    _raise(desk, kind, f"{today}{detail}")


def _remember(desk: Desk, note: bytes) -> None:
    path, now = desk.paths.state / CHECKPOINT_FILE, desk.clock().timestamp()
    write_durably(path, note)
    os.utime(path, (now, now))  # by the desk's clock: alarms name this time


def _find_seen_at(desk: Desk) -> datetime | None:
    """Return the time at which the newest checkpoint was remembered."""
    try:
        return datetime.fromtimestamp((desk.paths.state / CHECKPOINT_FILE).stat().st_mtime, UTC)
    except OSError:
        return None


def _raise_contradiction(desk: Desk, subject: str, notes: list[bytes], *, keys: dict[str, bytes]) -> None:
    """Keep both checkpoints and raise an alarm that names them, unless one of this kind is open already."""
    with desk.store.read() as connection:
        if any(one.startswith(subject) for one in list_subjects(connection, LOG_CONTRADICTS)):
            return
    for note in notes:
        path = find_contradiction_file(
            desk.paths.state / CONTRADICTION_FILE,
            note,
            origin=origin_of(desk.config.gateway_origin),
            public_keys=list(keys.values()),
        )
        if path is not None:
            with suppress(LocalStateError):  # the alarm counts more
                write_new_durably(path, note)
    _raise(desk, LOG_CONTRADICTS, f"{subject}; shown: {_describe(notes[-1])}")


def _find_accepted(desk: Desk, *, after: str, view: Callable[[bytes | None], LogView]) -> LogView | None:
    """Return the log if it continues a checkpoint that a person has accepted by clearing its alarm."""
    query = select(ALARMS.c.subject).where(ALARMS.c.kind == LOG_CONTRADICTS, ALARMS.c.cleared_at.is_not(None))
    with desk.store.read() as connection:
        cleared = list(connection.execute(query).scalars())
    for path in sorted(desk.paths.state.glob(f"{CONTRADICTION_FILE}-*")):
        note = find_bytes(path) or b""
        if any(subject.endswith(f"{after}; shown: {_describe(note)}") for subject in cleared):
            with suppress(LogError):
                return view(note)
    return None


def _describe_remembered(desk: Desk, remembered: bytes | None) -> str:
    """Return the checkpoint that is contradicted and its time, so that no older alarm is taken for this one."""
    seen_at = _find_seen_at(desk)
    if remembered is None or seen_at is None:
        return "before any other"
    return f"after {_describe(remembered)} seen at {format_time(seen_at)}"


def _describe(note: bytes) -> str:
    try:
        found = peek_checkpoint(note)
    except LogError:
        return "no checkpoint"
    return f"{found.size} entries with root {found.root.hex()[:16]}"


def _raise(desk: Desk, kind: str, subject: str) -> None:
    with desk.store.write() as connection:
        raise_alarm(connection, kind, subject, now=desk.clock())
