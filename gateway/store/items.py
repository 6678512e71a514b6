"""Sealed items waiting for the other side: stored, listed, acknowledged and deleted by the rules of their kind.

Never opens one, and never reveals an address's item to another address. The kinds and their bounds are rows of
`partner_sdk/wire/items.py`. Reports and evidence are kinds too, with tables of their own: `reports`, `collection` and
`evidence`.
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
    """The id belongs to another item, or the invitation was used for another box. `reason` is the name of the kind."""

    def __init__(self, kind: ItemKind) -> None:
        super().__init__("The id or the place already belongs to another item.")
        self.reason = kind.name


class NoRoomError(Exception):
    """The maximum number of items of this kind is waiting."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A waiting item: position, address, id, time, and sealed bytes."""

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
    cast(items.c.put_at, BigInteger).label("put_at"),  # SQLite stores any type in any column
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
    """Return whether exactly this item is stored. Raises `ConflictingItemError` for another item in its place.

    `replaces` are digests of earlier envelopes of the item, which do not conflict.
    """
    found = _find(connection, kind, address=address, item_id=item_id)
    if found is None:
        return False
    is_same = bytes(found.envelope_sha256) == hashlib.sha256(envelope).digest()
    if found.address != address or not (is_same or found.envelope_sha256 in replaces):
        raise ConflictingItemError(kind)
    return is_same


def check_room(connection: Connection, kind: ItemKind) -> None:
    """Raise `NoRoomError` if no further item of this kind may wait."""
    if kind.max_waiting is None:
        return
    if connection.execute(_COUNT, {"wanted_kind": kind.name}).scalar_one() >= kind.max_waiting:
        raise NoRoomError("Too many items of this kind are waiting.")


def keep_item(store: Store, kind: ItemKind, *, address: str, item_id: str, envelope: bytes, now: datetime) -> None:
    """Store an item posted at a door. Safe to repeat. Raises `ConflictingItemError` and `NoRoomError`.

    Reads before it writes, so that neither a repeat nor a flood queues with the writes of reports.
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
    """Store an item and return `stored`, or `known` if it exists. Raises as `is_stored` and `check_room`.

    A replacement waits again, in the same row. A reply without a return place is `no-place`.
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
    """Return the oldest waiting items of a kind after a position, for all addresses."""
    return _to_items(connection.execute(_LIST_ALL, {"wanted_kind": kind.name, "after": after, "limit": limit}))


def list_own_items(
    connection: Connection, kind: ItemKind, *, address: str, limit: int, is_newest_first: bool = False
) -> list[StoredItem]:
    """Return the items waiting at one address, oldest first unless `is_newest_first`."""
    query = _LIST_NEWEST if is_newest_first else _LIST_OWN
    return _to_items(connection.execute(query, {"wanted_kind": kind.name, "wanted_address": address, "limit": limit}))


def has_own_item(connection: Connection, kind: ItemKind, *, address: str, item_id: str) -> bool:
    """Return whether an item was ever stored at one address, waiting or acknowledged."""
    found = _find(connection, kind, address=address, item_id=item_id)
    return found is not None and found.address == address


def acknowledge_item(connection: Connection, kind: ItemKind, *, address: str, item_id: str, now: datetime) -> bool:
    """Mark an item as held by the other side; False if there is none. Keeps what its kind leaves. Safe to repeat.

    If the kind leaves nothing, the row is deleted, so a repeat returns False.
    """
    wanted = {**_name(kind, address=address, item_id=item_id), "wanted_address": address, "wanted_id": item_id}
    if kind.leaves != "nothing":
        wanted["now"] = to_epoch_seconds(now)
    return connection.execute(_ACKNOWLEDGE_OF[kind.leaves], wanted).rowcount == 1


def identify(kind: ItemKind, *, address: str, item_id: str) -> str:
    """Return the unique identity of an item within its kind, e.g. `example-chat/019ab…` for an account change."""
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
