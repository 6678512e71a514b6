"""The gateway's public log as the desk checks it after it has collected: one history, from its first checkpoint on.

A contradiction is an alarm and never a reason to leave a report at the gateway. The desk remembers the checkpoint that
it saw before until a person clears the alarm, e.g. after a restore. That accepts the one checkpoint that the alarm
names, and a log that continues it. Both are kept, each in a file that is never written again: they are the proof.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.keyring.key_set import LOG_ROLE, list_verify_entries
from gateway.desk.store.schema import ALARMS
from gateway.desk.wiring import Desk
from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, LogError, ProblemError, ReportAbuseError, UnavailableError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.keys import verify_keys
from partner_sdk.wire.public_log import (
    CONTRADICTION_FILE,
    LogView,
    find_contradiction_file,
    origin_of,
    peek_checkpoint,
    view_log,
)

LOG_CONTRADICTS: Final = "public-log-contradicts"
CHECKPOINT_FILE: Final = "log.checkpoint"
UNCHECKED: Final = "unchecked"
# The log may be out of reach for this long, e.g. while a page of the gateway's database is mended.
UNCHECKED_FOR: Final = timedelta(hours=1)
_NO_LOG: Final = "no-log"


def find_log_fault(desk: Desk, feed: FeedClient) -> str | None:
    """Return why the log does not continue the one seen before, or None if it does; never raises an error of ours.

    A contradiction is an alarm at once, a log that cannot be checked (`unchecked`) after an hour. A gateway whose log
    has not begun is well.
    """
    try:
        return _check(desk, feed)
    except ReportAbuseError:
        seen_at = _find_seen_at(desk)
        if seen_at is not None and desk.clock() - seen_at > UNCHECKED_FOR:
            _raise(desk, f"{origin_of(desk.config.gateway_origin)}: {UNCHECKED} since {format_time(seen_at)}")
        return UNCHECKED


def _check(desk: Desk, feed: FeedClient) -> str | None:
    origin, now = origin_of(desk.config.gateway_origin), desk.clock()
    remembered, note = find_bytes(desk.paths.state / CHECKPOINT_FILE), b""
    with desk.store.read() as connection:
        keys = verify_keys(list_verify_entries(connection, LOG_ROLE), signed_at=now, now=now)
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
            return None
        after = _describe_remembered(desk, remembered)
        accepted = _find_accepted(desk, after=after, view=view)
        if accepted is None:
            _raise_contradiction(desk, f"{origin}: {error.reason}, {after}", [remembered or b"", note], keys=keys)
            return error.reason
        found = accepted
    if found.note != remembered:
        _remember(desk, found.note)
    return None


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
    _raise(desk, f"{subject}; shown: {_describe(notes[-1])}")


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


def _raise(desk: Desk, subject: str) -> None:
    with desk.store.write() as connection:
        raise_alarm(connection, LOG_CONTRADICTS, subject, now=desk.clock())
