"""Sealed items that wait for the other side: put, listed, acknowledged and let go of, each by the rules of its kind.

Never opens one, and never shows one address's item, or that there is one, to another. The kinds and their bounds are
rows of `partner_sdk/wire/items.py`. Reports and evidence are kinds too, with tables of their own: `reports`,
`collection` and `evidence`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, cast, delete, func, insert, select, update

from gateway.store.boxes import find_return_place
from gateway.store.schema import from_epoch_seconds, items, to_epoch_seconds
from gateway.store.store import Store
from partner_sdk.wire.items import ItemKind, PutResult


class ConflictingItemError(Exception):
    """Another item has this id, or an invitation is answered with another box. `reason` is the name of its kind."""

    def __init__(self, kind: ItemKind) -> None:
        super().__init__("Another item has this id, or this place.")
        self.reason = kind.name


class NoRoomError(Exception):
    """As many items of this kind wait as may."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item that waits: where, whose, under which id, since when, and its sealed bytes."""

    position: int
    address: str
    item_id: str
    put_at: datetime
    envelope: bytes


_OF_KIND = items.c.kind == bindparam("wanted_kind")
_OWN = (
    items.c.identity == bindparam("wanted_identity"),
    items.c.address == bindparam("wanted_address"),
    items.c.item_id == bindparam("wanted_id"),
)
_IS_WAITING = items.c.acknowledged_at.is_(None)
_AT_ADDRESS = items.c.address == bindparam("wanted_address")
_FIND = select(items.c.address, items.c.envelope_sha256).where(
    _OF_KIND, items.c.identity == bindparam("wanted_identity")
)
_COUNT = select(func.count()).select_from(items).where(_OF_KIND, _IS_WAITING)
_LIST = select(
    items.c.position,
    items.c.address,
    items.c.item_id,
    cast(items.c.put_at, BigInteger).label("put_at"),  # SQLite keeps whatever type a hand puts into a column
    items.c.envelope,
).where(_OF_KIND, _IS_WAITING)
_LIST_ALL = _LIST.where(items.c.position > bindparam("after")).order_by(items.c.position).limit(bindparam("limit"))
_LIST_OWN = _LIST.where(_AT_ADDRESS).order_by(items.c.position).limit(bindparam("limit"))
_LIST_NEWEST = _LIST.where(_AT_ADDRESS).order_by(items.c.position.desc()).limit(bindparam("limit"))
_REPLACE = (
    update(items)
    .where(_OF_KIND, items.c.identity == bindparam("wanted_identity"))
    .values(envelope_sha256=bindparam("new_sha256"), envelope=bindparam("new_envelope"), acknowledged_at=None)
)
_ACKNOWLEDGE = (
    update(items)
    .where(_OF_KIND, *_OWN)
    .values(acknowledged_at=func.coalesce(items.c.acknowledged_at, bindparam("now")))
)
_ACKNOWLEDGE_OF = {
    "bytes": _ACKNOWLEDGE,
    "digest": _ACKNOWLEDGE.values(envelope=None),
    "nothing": delete(items).where(_OF_KIND, *_OWN),
}


def is_stored(
    connection: Connection,
    kind: ItemKind,
    *,
    address: str,
    item_id: str,
    envelope: bytes,
    replaces: Sequence[bytes] = (),
) -> bool:
    """Return whether this very item is stored. Raises `ConflictingItemError` where another one stands in its place.

    `replaces` are the digests of envelopes that it may have had before: one of those does not conflict.
    """
    found = _find(connection, kind, address=address, item_id=item_id)
    if found is None:
        return False
    is_same = bytes(found.envelope_sha256) == hashlib.sha256(envelope).digest()
    if found.address != address or not (is_same or found.envelope_sha256 in replaces):
        raise ConflictingItemError(kind)
    return is_same


def check_room(connection: Connection, kind: ItemKind) -> None:
    """Raise `NoRoomError` where no further item of this kind can wait."""
    if kind.max_waiting is None:
        return
    if connection.execute(_COUNT, {"wanted_kind": kind.name}).scalar_one() >= kind.max_waiting:
        raise NoRoomError("As many items of this kind wait as may.")


def keep_item(store: Store, kind: ItemKind, *, address: str, item_id: str, envelope: bytes, now: datetime) -> None:
    """Store what came by a door; the same again is no fault. Raises `ConflictingItemError` and `NoRoomError`.

    Read before the write: neither a repeat nor a flood stands in the line of writers, where reports do.
    """
    with store.read() as connection:
        is_here = is_stored(connection, kind, address=address, item_id=item_id, envelope=envelope)
        if not is_here:
            check_room(connection, kind)
    if not is_here:
        with store.write() as connection:
            put_item(connection, kind, address=address, item_id=item_id, envelope=envelope, now=now)


def put_item(
    connection: Connection,
    kind: ItemKind,
    *,
    address: str,
    item_id: str,
    envelope: bytes,
    now: datetime,
    replaces: Sequence[bytes] = (),
) -> PutResult:
    """Store an item and return `stored`; `known` where this very one is there. Raises as `is_stored` and `check_room`.

    One that replaces an older envelope waits again, in its place. A reply to which nobody can return is `no-place`.
    """
    if is_stored(connection, kind, address=address, item_id=item_id, envelope=envelope, replaces=replaces):
        return "known"
    digest = hashlib.sha256(envelope).digest()
    if _find(connection, kind, address=address, item_id=item_id) is not None:
        wanted = _name(kind, address=address, item_id=item_id)
        connection.execute(_REPLACE, {**wanted, "new_sha256": digest, "new_envelope": envelope})
        return "stored"
    if kind.needs_place and find_return_place(connection, reference=address, now=now) is None:
        return "no-place"
    check_room(connection, kind)
    connection.execute(
        insert(items),
        {
            "kind": kind.name,
            "address": address,
            "item_id": item_id,
            "identity": identify(kind, address=address, item_id=item_id),
            "put_at": to_epoch_seconds(now),
            "envelope_sha256": digest,
            "envelope": envelope,
        },
    )
    return "stored"


def list_items(connection: Connection, kind: ItemKind, *, limit: int, after: int = 0) -> list[StoredItem]:
    """Return the oldest items of a kind that wait behind a position, whosever they are."""
    return _to_items(connection.execute(_LIST_ALL, {"wanted_kind": kind.name, "after": after, "limit": limit}))


def list_own_items(
    connection: Connection, kind: ItemKind, *, address: str, limit: int, is_newest_first: bool = False
) -> list[StoredItem]:
    """Return what waits at one address, the oldest first unless the newest are wanted."""
    query = _LIST_NEWEST if is_newest_first else _LIST_OWN
    return _to_items(connection.execute(query, {"wanted_kind": kind.name, "wanted_address": address, "limit": limit}))


def acknowledge_item(connection: Connection, kind: ItemKind, *, address: str, item_id: str, now: datetime) -> bool:
    """Note that the other side holds an item and keep what its kind leaves; False when there is none. Safe to repeat.

    Of a kind that leaves nothing the row is gone, and so it is False the second time.
    """
    wanted = {**_name(kind, address=address, item_id=item_id), "wanted_address": address, "wanted_id": item_id}
    if kind.leaves != "nothing":
        wanted["now"] = to_epoch_seconds(now)
    return connection.execute(_ACKNOWLEDGE_OF[kind.leaves], wanted).rowcount == 1


def identify(kind: ItemKind, *, address: str, item_id: str) -> str:
    """Return what only one item of a kind may be, e.g. `example-chat/019ab…` for a change of that partner."""
    if kind.identity == "address":
        return address
    return item_id if kind.identity == "id" else f"{address}/{item_id}"


def _find(connection: Connection, kind: ItemKind, *, address: str, item_id: str) -> Any:
    return connection.execute(_FIND, _name(kind, address=address, item_id=item_id)).first()


def _name(kind: ItemKind, *, address: str, item_id: str) -> dict[str, object]:
    return {"wanted_kind": kind.name, "wanted_identity": identify(kind, address=address, item_id=item_id)}


def _to_items(rows: Any) -> list[StoredItem]:
    return [
        StoredItem(row.position, row.address, row.item_id, from_epoch_seconds(row.put_at), bytes(row.envelope))
        for row in rows
    ]
