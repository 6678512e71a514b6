"""Published documents of the desk, byte for byte as signed, manifests of the form, and the public log with its head.

Of each document only the newest is kept. The manifest `next-release` becomes `release` once the log has its entry.
Anchors of the desk's audit log and tiles of the public log are only added; level 0 of the tiles holds the entries, the
levels above hashes. The head and its tiles change in one transaction.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from gateway.databases.columns import PreparedStatement
from gateway.store.schema import (
    audit_anchors,
    from_epoch_seconds,
    log_head,
    log_tiles,
    published,
    reports,
    to_epoch_seconds,
)
from gateway.store.store import Store
from partner_sdk.wire.public_log import EMPTY_ROOT

PublishedName = Literal["key-set", "register", "staffing", "next-release", "release"]


class PublishedVersion(NamedTuple):
    """The version of a document in force; equal values mean equal bytes."""

    name: str
    serial: int
    document_sha256: bytes


_VERSIONS = select(published.c.name, published.c.serial, published.c.document_sha256).order_by(published.c.name)
_VERSIONS_QUERY = str(_VERSIONS)
_DOCUMENT = select(published.c.document).where(published.c.name == bindparam("name"))
_DELETE = delete(published).where(published.c.name == bindparam("wanted_name"))


def list_versions(connection: Connection) -> tuple[PublishedVersion, ...]:
    """Return the versions in force, by name."""
    return tuple(PublishedVersion(*row) for row in connection.execute(_VERSIONS))


def read_versions(store: Store) -> tuple[PublishedVersion, ...]:
    """Return the versions in force as cheaply as possible: runs for every request."""
    return tuple(map(PublishedVersion._make, store.look(_VERSIONS_QUERY)))


def find_version(connection: Connection, *, name: PublishedName) -> PublishedVersion | None:
    """Return the version of one document in force."""
    return next((version for version in list_versions(connection) if version.name == name), None)


def find_document(connection: Connection, *, name: PublishedName) -> bytes | None:
    """Return the bytes in force, as published."""
    return connection.execute(_DOCUMENT, {"name": name}).scalar_one_or_none()


def put_document(connection: Connection, *, name: PublishedName, serial: int, document: bytes, now: datetime) -> None:
    """Replace a document with a verified new one."""
    connection.execute(_DELETE, {"wanted_name": name})
    connection.execute(
        insert(published),
        {
            "name": name,
            "serial": serial,
            "accepted_at": to_epoch_seconds(now),
            "document_sha256": hashlib.sha256(document).digest(),
            "document": document,
        },
    )


def take_next_release(connection: Connection, *, now: datetime) -> bytes | None:
    """Return the manifest that waits for its entry in the log, which is now the newest release; or None."""
    manifest = find_document(connection, name="next-release")
    if manifest is not None:
        connection.execute(_DELETE, {"wanted_name": "next-release"})
        put_document(connection, name="release", serial=to_epoch_seconds(now), document=manifest, now=now)
    return manifest


_NEWEST = select(audit_anchors.c.statement).order_by(audit_anchors.c.number.desc()).limit(1)


def find_newest_anchor(connection: Connection) -> bytes | None:
    """Return the newest anchor, or None before the first."""
    found = connection.execute(_NEWEST).scalar_one_or_none()
    return None if found is None else bytes(found)


def list_anchors(connection: Connection, *, after: int, limit: int) -> list[bytes]:
    """Return the oldest anchors behind a number."""
    query = select(audit_anchors.c.statement).where(audit_anchors.c.number > after)
    return [bytes(row.statement) for row in connection.execute(query.order_by(audit_anchors.c.number).limit(limit))]


def add_anchor(connection: Connection, *, number: int, statement: bytes, now: datetime) -> None:
    """Store a verified anchor; a second one of the same number is an error of the database."""
    values = {"number": number, "accepted_at": to_epoch_seconds(now), "statement": statement}
    connection.execute(insert(audit_anchors), values)


@dataclass(frozen=True, slots=True)
class LogHead:
    """The newest state of the log: its signed checkpoint, and the position of the newest report in it.

    `published_at` is in seconds since 1970; `batch` is the size of the newest batch.
    """

    size: int
    root: bytes
    published_at: int
    batch: int
    report_position: int
    checkpoint: bytes


NO_HEAD = LogHead(size=0, root=EMPTY_ROOT, published_at=0, batch=0, report_position=0, checkpoint=b"")
_HEAD = PreparedStatement(select(*(log_head.c[name] for name in LogHead.__slots__)))
_TILE = PreparedStatement(
    select(log_tiles.c.content).where(log_tiles.c.level == bindparam("level"), log_tiles.c.tile == bindparam("tile"))
)
_UNLOGGED = (
    select(reports.c.position, reports.c.intake_sha256)
    .where(reports.c.position > bindparam("after"))
    .order_by(reports.c.position)
)

_later = reports.alias()
_NEXT = select(func.min(_later.c.position)).where(_later.c.position > bindparam("after")).scalar_subquery()
_OLDEST_UNLOGGED = PreparedStatement(select(reports.c.received_at).where(reports.c.position == _NEXT))


def read_head(store: Store) -> LogHead:
    """Return the head, or `NO_HEAD` before the first batch. Raises StorageUnavailableError."""
    rows = store.look(_HEAD)
    return LogHead(*rows[0]) if rows else NO_HEAD


def read_tile(store: Store, *, level: int, tile: int) -> bytes:
    """Return the content of a tile, empty if it is not there. Raises StorageUnavailableError."""
    rows = store.look(_TILE, {"level": level, "tile": tile})
    return bytes(rows[0][0]) if rows else b""


def find_oldest_unlogged(store: Store, head: LogHead) -> datetime | None:
    """Return the time of the oldest report that is not in the log, or None. Raises StorageUnavailableError."""
    rows = store.look(_OLDEST_UNLOGGED, {"after": head.report_position})
    return from_epoch_seconds(rows[0][0]) if rows else None


def get_head(connection: Connection) -> LogHead:
    """Return the head in a transaction, or `NO_HEAD`."""
    row = _HEAD.run(connection, {}).fetchone()
    return NO_HEAD if row is None else LogHead(*row)


def get_tile(connection: Connection, *, level: int, tile: int) -> bytes:
    """Return the content of a tile in a transaction, empty if it is not there."""
    row = _TILE.run(connection, {"level": level, "tile": tile}).fetchone()
    return b"" if row is None else bytes(row[0])


def list_unlogged(connection: Connection, *, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Return position and statement digest of the oldest reports behind a position."""
    rows = connection.execute(_UNLOGGED.limit(limit), {"after": after})
    return [(row.position, bytes(row.intake_sha256)) for row in rows]


def put_batch(connection: Connection, head: LogHead, *, tiles: dict[tuple[int, int], bytes]) -> None:
    """Store the tiles that a batch changed, and the new head."""
    for (level, tile), content in tiles.items():
        is_tile = (log_tiles.c.level == level) & (log_tiles.c.tile == tile)
        connection.execute(delete(log_tiles).where(is_tile))
        connection.execute(insert(log_tiles), {"level": level, "tile": tile, "content": content})
    connection.execute(delete(log_head))
    values = {name: getattr(head, name) for name in LogHead.__slots__}
    connection.execute(insert(log_head), {"position": 1, **values})
