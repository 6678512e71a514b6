"""The audit log: actions with their actors, each entry chained to the one before by its hash; append-only.

Never contains typed text: actions, ids and codes only.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, to_base64url

FIRST_PREVIOUS: Final = bytes(32)
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


def check_chain(connection: Connection) -> int:
    """Return the number of entries, or raise `AuditChainError` naming the first one that breaks the chain."""
    previous, count = FIRST_PREVIOUS, 0
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
    return count


def _entries(connection: Connection) -> Iterator[Row[Any]]:
    yield from connection.execute(select(AUDIT).order_by(AUDIT.c.id))


def _digest(at: str, actor: str, action: str, subject: str, detail: str, previous: bytes) -> bytes:
    entry = [_LABEL, at, actor, action, subject, detail, to_base64url(previous)]
    return hashlib.sha256(encode(entry)).digest()
