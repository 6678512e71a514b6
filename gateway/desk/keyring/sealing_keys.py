"""The agency's sealing keys: one for each quarter, another one at once where a key may have leaked, and their end.

Never makes a second key for one name, and never destroys one that may still have to open a report.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk import audit
from gateway.desk.keyring.quarters import Quarter, get_quarter_of
from gateway.desk.store.key_tables import SEALING_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.errors import ReportAbuseError
from partner_sdk.key_files import KeyFile, KeyRole, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time

# A new quarter's key is used from the first publication in the quarter: the old one seals on until then.
SEAL_GRACE: Final = timedelta(days=30)
# Content lives a year (SI 2026/268); a case may be opened until then.
OPEN_AFTER_SEAL: Final = timedelta(days=400)


class SealingKeyError(ReportAbuseError):
    """A sealing key cannot be replaced or destroyed as asked."""


def ensure_sealing_keys(desk: Desk, connection: Connection, *, now: datetime) -> None:
    """Make the sealing keys of this quarter and the next, where they are missing."""
    this = get_quarter_of(now)
    for quarter in (this, this.next()):
        known = connection.execute(select(SEALING_KEYS.c.key_id).where(SEALING_KEYS.c.quarter == quarter.name))
        if known.first() is None:
            add_sealing_key(
                connection,
                _get_key_file(desk, quarter.name, now=now),
                name=quarter.name,
                not_before=quarter.starts_at,
                seal_until=quarter.ends_at + SEAL_GRACE,
            )


def add_sealing_key(
    connection: Connection, key_file: KeyFile, *, name: str, not_before: datetime, seal_until: datetime
) -> None:
    """Enter the public half of a sealing key; `name` is that of its file, such as `2026-Q4`."""
    connection.execute(
        insert(SEALING_KEYS).values(
            key_id=key_file.key_id,
            quarter=name,
            public_key=parse_base64url(key_file.public_key),
            not_before=format_time(not_before),
            seal_until=format_time(seal_until),
            open_until=format_time(seal_until + OPEN_AFTER_SEAL),
            destroyed_at=None,
        )
    )


def replace_sealing_key(desk: Desk, *, actor: str) -> str:
    """Make other keys for what is left of this quarter and for the next, and seal to the former ones no more.

    For a key that may have leaked, and with it the next quarter's, which lay beside it. The old keys go on opening what
    was sealed to them. `publish` tells the others. Returns the name of the key to seal to now.
    """
    now = desk.clock()
    quarter = get_quarter_of(now)
    with desk.store.write() as connection:
        ensure_sealing_keys(desk, connection, now=now)
        _retire_all(connection, now=now)
        name = _add_another(desk, connection, quarter, not_before=now, actor=actor)
        _add_another(desk, connection, quarter.next(), not_before=quarter.next().starts_at, actor=actor)
    return name


def destroy_sealing_key(desk: Desk, name: str, *, actor: str) -> None:
    """Destroy the private half of a sealing key: nothing that was sealed to it is ever opened again.

    Safe to repeat. Raises `SealingKeyError`: `unknown-key`, or `too-early` before its `open_until`.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        row = _find(connection, name)
        if row is None:
            raise SealingKeyError(f"There is no sealing key {name}; `keys list` names them.", reason="unknown-key")
        if now < parse_time(row.open_until):
            raise SealingKeyError(
                f"The key {name} may have to open reports until {row.open_until}; destroy it after that.",
                reason="too-early",
            )
        if row.destroyed_at is None:
            is_key = SEALING_KEYS.c.key_id == row.key_id
            connection.execute(update(SEALING_KEYS).where(is_key).values(destroyed_at=format_time(now)))
            audit.append_entry(connection, "destroy-sealing-key", name, at=now, actor=actor)
    # The mark comes first: a key that is gone without one would be looked for in backups.
    desk.paths.sealing_key(name).unlink(missing_ok=True)


def _retire_all(connection: Connection, *, now: datetime) -> None:
    sealing_now = (SEALING_KEYS.c.not_before <= format_time(now)) & (SEALING_KEYS.c.seal_until > format_time(now))
    connection.execute(update(SEALING_KEYS).where(sealing_now).values(seal_until=format_time(now)))
    # A key that waits would be the newest one from its first day on: it never seals.
    waiting = SEALING_KEYS.c.not_before > format_time(now)
    connection.execute(update(SEALING_KEYS).where(waiting).values(seal_until=SEALING_KEYS.c.not_before))


def _add_another(desk: Desk, connection: Connection, quarter: Quarter, *, not_before: datetime, actor: str) -> str:
    now = desk.clock()
    of_quarter = select(SEALING_KEYS.c.quarter).where(SEALING_KEYS.c.quarter.startswith(quarter.name))
    name = f"{quarter.name}-{len(connection.execute(of_quarter).all()) + 1}"
    key_file = _get_key_file(desk, name, now=now)
    add_sealing_key(connection, key_file, name=name, not_before=not_before, seal_until=quarter.ends_at + SEAL_GRACE)
    audit.append_entry(connection, "replace-sealing-key", name, at=now, actor=actor, key_id=key_file.key_id)
    return name


def _find(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.quarter == name)).first()


def _get_key_file(desk: Desk, name: str, *, now: datetime) -> KeyFile:
    path = desk.paths.sealing_key(name)
    if path.exists():
        # From a run that was stopped before its commit, or the database is an older copy: never make a second one.
        return read_key_file(path, role=KeyRole.SEALING)
    key_file = new_key(
        KeyRole.SEALING, environment=desk.config.environment, created_at=format_time(now), seed=desk.random(32)
    )
    write_key_file(path, key_file)
    return key_file
