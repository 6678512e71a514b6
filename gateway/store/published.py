"""The documents that the desk publishes: the newest key-set bundle, register and staffing, byte for byte."""

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.store.schema import published, to_epoch_seconds
from gateway.store.store import Store

PublishedName = Literal["key-set", "register", "staffing"]


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
