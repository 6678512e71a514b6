"""The audit log: actions with their actors, each entry chained to the one before by its hash; append-only.

Never contains typed text: actions, ids and codes only.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, to_base64url

FIRST_PREVIOUS: Final = bytes(32)
PAGE: Final = 2_000
_LABEL: Final = "report-abuse desk audit v1"
_LAST: Final = select(AUDIT.c.id, AUDIT.c.entry_sha256).order_by(AUDIT.c.id.desc()).limit(1)

Detail = str | int | bool | None


class AuditChainError(ReportAbuseError):
    """An entry of the audit log was altered, removed or inserted."""


def append_entry(
    connection: Connection, action: str, subject: str, *, at: datetime, actor: str, **detail: Detail
) -> bytes:
    """Add one entry in the caller's transaction, so that the action and its record succeed or fail together."""
    # Counted here, in the writer's turn: a sequence of PostgreSQL would leave a gap at every rollback.
    last = connection.execute(_LAST).first()
    number, previous = (1, FIRST_PREVIOUS) if last is None else (last.id + 1, bytes(last.entry_sha256))
    moment, text = format_time(at), encode(detail).decode()
    digest = _digest(moment, actor, action, subject, text, previous)
    connection.execute(
        insert(AUDIT),
        {
            "id": number,
            "at": moment,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": text,
            "previous_sha256": previous,
            "entry_sha256": digest,
        },
    )
    return digest


def list_subjects(connection: Connection, action: str) -> list[str]:
    """Return the subjects of every entry of an action, the oldest first."""
    query = select(AUDIT.c.subject).where(AUDIT.c.action == action).order_by(AUDIT.c.id)
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class Act:
    """One entry, as a list shows it."""

    at: str
    actor: str
    action: str
    detail: Mapping[str, Any]


def list_acts(connection: Connection, *, subjects: Collection[str], actions: Collection[str], most: int) -> list[Act]:
    """Return the newest entries of some actions on some subjects, e.g. who opened a case; the oldest of them first."""
    wanted = AUDIT.c.subject.in_(subjects) & AUDIT.c.action.in_(actions)
    query = select(AUDIT.c.at, AUDIT.c.actor, AUDIT.c.action, AUDIT.c.detail).where(wanted)
    rows = connection.execute(query.order_by(AUDIT.c.id.desc()).limit(most)).all()
    return [Act(row.at, row.actor, row.action, json.loads(row.detail)) for row in reversed(rows)]


def check_chain(connection: Connection) -> int:
    """Return the number of entries, or raise `AuditChainError` naming the first one that breaks the chain."""
    return walk_chain(connection)[0]


def walk_chain(connection: Connection, *, seek: Collection[int] = ()) -> tuple[int, dict[int, bytes]]:
    """Return the number of entries, and the hashes of the entries with the numbers `seek`.

    Raises `AuditChainError` as `check_chain` does. Takes a page at a time: its memory does not grow with the log.
    """
    previous, count, wanted, found = FIRST_PREVIOUS, 0, frozenset(seek), {}
    for row in _entries(connection):
        count += 1
        expected = _digest(row.at, row.actor, row.action, row.subject, row.detail, previous)
        if row.id != count or bytes(row.previous_sha256) != previous or bytes(row.entry_sha256) != expected:
            raise AuditChainError(
                (
                    f"The hash chain of the audit log breaks at entry {row.id}. Keep a copy of the database "
                    "and compare it with the last backup."
                ),
                reason="broken-audit-chain",
            )
        previous = expected
        if count in wanted:
            found[count] = expected
    return count, found


def find_head(connection: Connection) -> tuple[int, bytes] | None:
    """Return number and hash of the newest entry, or None for an empty log."""
    last = connection.execute(_LAST).first()
    return None if last is None else (last.id, bytes(last.entry_sha256))


def _entries(connection: Connection) -> Iterator[Row[Any]]:
    # By pages: a server's driver would fetch the whole log at once.
    last = -1
    while rows := connection.execute(select(AUDIT).where(AUDIT.c.id > last).order_by(AUDIT.c.id).limit(PAGE)).all():
        yield from rows
        last = rows[-1].id


def _digest(at: str, actor: str, action: str, subject: str, detail: str, previous: bytes) -> bytes:
    entry = [_LABEL, at, actor, action, subject, detail, to_base64url(previous)]
    return hashlib.sha256(encode(entry)).digest()
