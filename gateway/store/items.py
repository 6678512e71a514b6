"""Sealed items, unfinished forms and invitations, each stored, listed and deleted by its own rules.

Items wait for the other side. Never opens one, and never reveals an address's item to another address. The kinds and
their bounds are rows of `gateway/exchange/feed.py`. Reports and evidence are kinds too, with tables of their own
(`reports.py`, `evidence.py`).

A draft is sealed under a key derived from the person's cookie. Never keeps one past its expiry, and never lets a stale
tab overwrite a newer version. The cap counts only forms being written. Records of Send and rows opened with a return
code do not count, so a flood of them closes the form to no one. Each row expires an hour after its last use. Making a
new one is expensive: a record of Send needs a stored report, and a returned visitor needs a key derivation, of which a
process makes about five a second. Only the limit on steps bounds the rows kept alive by use.

Each network has a share of the forms being written. A row stores the slot of its network, one of 4,096 picked by a
keyed hash: e.g. 4,096 of all IPv4 /24 networks share a slot, so a row identifies none.

A return place is one box for each reference. Never holds the five words or anything derived from them; only they open
it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)

from gateway.databases.columns import PreparedStatement
from gateway.exchange.feed import REPLY, ItemKind, PutResult
from gateway.store.schema import drafts, from_epoch_seconds, invitations, items, return_places, to_epoch_seconds
from gateway.store.store import Store

# A row is a form being written, a record of Send, or a visit opened by a return code.
Kind = Literal["writing", "sent", "returned"]
FIRST_VERSION = 1
SWEEP_BATCH = 200  # short transactions, so that a child's report does not wait


@dataclass(frozen=True, slots=True)
class Draft:
    """A box and the version that the next write must replace."""

    version: int
    box: bytes


_SAME = drafts.c.draft_id == bindparam("wanted_id")
# Prepared: every page of the form reads its draft, and every post saves it.
_FIND_BOX = PreparedStatement(
    select(drafts.c.version, drafts.c.box).where(_SAME, drafts.c.expires_at > bindparam("now"))
)
# Text, because Core has ON CONFLICT only by dialect, and each takes 30 ms to load. Both databases know it.
_INSERT = PreparedStatement(
    text(
        f"INSERT INTO drafts ({', '.join(drafts.c.keys())}) VALUES (:{', :'.join(drafts.c.keys())}) "  # noqa: S608 - our own names
        "ON CONFLICT DO NOTHING"
    )
)
_REPLACE_BOX = PreparedStatement(
    update(drafts)
    .where(_SAME, drafts.c.version == bindparam("old_version"))
    .values(
        version=bindparam("new_version"),
        box=bindparam("new_box"),
        expires_at=bindparam("new_expiry"),
        kind=bindparam("new_kind"),
        network_slot=case((bindparam("new_kind") == literal_column("'writing'"), drafts.c.network_slot), else_=None),
    )
)


def _count_up_to(rows: Select[Any]) -> PreparedStatement:
    # SQLAlchemy binds a missing offset to a name of its own.
    first = rows.limit(bindparam("number")).offset(literal_column("0"))
    return PreparedStatement(select(func.count()).select_from(first.subquery()))


_WRITING = select(drafts.c.kind).where(drafts.c.kind == literal_column("'writing'"))
_COUNT_WRITING = _count_up_to(_WRITING)
_COUNT_IN_SLOT = _count_up_to(_WRITING.where(drafts.c.network_slot == bindparam("slot")))
_DELETE_BOX = delete(drafts).where(_SAME)
_SHORTEN = update(drafts).where(_SAME, drafts.c.expires_at > bindparam("last")).values(expires_at=bindparam("last"))


def find_draft(store: Store, *, draft_id: bytes, now: datetime) -> Draft | None:
    """Return the draft unless it has expired, without a transaction. Raises StorageUnavailableError."""
    rows = store.look(_FIND_BOX, {"wanted_id": draft_id, "now": to_epoch_seconds(now)})
    return Draft(*rows[0]) if rows else None


def put_draft(
    connection: Connection,
    *,
    draft_id: bytes,
    version: int,
    box: bytes,
    expires_at: datetime,
    kind: Kind = "writing",
    network_slot: int | None = None,
) -> bool:
    """Store `version` of a draft: version 1 if there is none, else exactly one above the stored version.

    The draft counts for the network that began it, wherever it is saved from later. Returns False, and changes nothing,
    when another tab was faster. Right beside other writers: each version is one statement.
    """
    expiry = to_epoch_seconds(expires_at)
    if version != FIRST_VERSION:
        new = {"new_version": version, "new_box": box, "new_expiry": expiry, "new_kind": kind}
        old = {"wanted_id": draft_id, "old_version": version - 1}
        return bool(_REPLACE_BOX.run(connection, {**old, **new}).rowcount == 1)
    row = {"draft_id": draft_id, "version": version, "box": box, "expires_at": expiry, "kind": kind}
    row["network_slot"] = network_slot if kind == "writing" else None
    return bool(_INSERT.run(connection, row).rowcount == 1)


def has_rows(connection: Connection, *, number: int) -> bool:
    """Return whether at least `number` drafts are being written, including expired ones not yet swept."""
    return bool(_COUNT_WRITING.run(connection, {"number": number}).fetchone()[0] >= number)


def has_rows_in_slot(connection: Connection, *, slot: int, number: int) -> bool:
    """Return whether at least `number` drafts are being written by the networks of one slot."""
    return bool(_COUNT_IN_SLOT.run(connection, {"slot": slot, "number": number}).fetchone()[0] >= number)


def delete_draft(connection: Connection, *, draft_id: bytes) -> bool:
    """Delete a draft; returns False if there was none."""
    return connection.execute(_DELETE_BOX, {"wanted_id": draft_id}).rowcount == 1


def shorten_draft(connection: Connection, *, draft_id: bytes, expires_at: datetime) -> None:
    """Bring the expiry of a draft forward to `expires_at`."""
    connection.execute(_SHORTEN, {"wanted_id": draft_id, "last": to_epoch_seconds(expires_at)})


def sweep_drafts(store: Store, *, now: datetime) -> int:
    """Delete every expired draft, in short transactions; return their number."""
    expired = select(drafts.c.draft_id).where(drafts.c.expires_at <= to_epoch_seconds(now)).limit(SWEEP_BATCH)
    statement = delete(drafts).where(drafts.c.draft_id.in_(expired.scalar_subquery()))
    swept = 0
    while True:
        with store.write(alone=True) as connection:
            batch = connection.execute(statement).rowcount
        swept += batch
        if batch < SWEEP_BATCH:
            return swept


_SAME_PLACE = return_places.c.reference == bindparam("wanted")
_FIND_PLACE = select(return_places.c.box, return_places.c.token_sha256).where(
    _SAME_PLACE, return_places.c.expires_at > bindparam("now")
)
_EXTEND = (
    update(return_places)
    .where(_SAME_PLACE, return_places.c.expires_at < bindparam("new_expiry"))
    .values(expires_at=bindparam("new_expiry"))
)
# Replies are never acknowledged: they are deleted with their place. The partial index covers waiting rows only.
_FORGET_REPLIES = delete(items).where(
    items.c.kind == REPLY.name,
    items.c.acknowledged_at.is_(None),
    items.c.address.in_(bindparam("wanted_places", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """A return place: its box, and the SHA-256 of the token that may ask for it."""

    box: bytes
    token_sha256: bytes


def put_return_place(connection: Connection, place: StoredPlace, *, reference: str, expires_at: datetime) -> None:
    """Store the place of a reference that has none."""
    values = {"reference": reference, "token_sha256": place.token_sha256, "box": place.box}
    connection.execute(insert(return_places), {**values, "expires_at": to_epoch_seconds(expires_at)})


def find_return_place(connection: Connection, *, reference: str, now: datetime) -> StoredPlace | None:
    """Return a place that has not expired."""
    found = connection.execute(_FIND_PLACE, {"wanted": reference, "now": to_epoch_seconds(now)}).first()
    return None if found is None else StoredPlace(bytes(found.box), bytes(found.token_sha256))


def extend_return_place(connection: Connection, *, reference: str, expires_at: datetime) -> bool:
    """Extend the life of a place; returns False if there is none, or it already lives as long."""
    changed = connection.execute(_EXTEND, {"wanted": reference, "new_expiry": to_epoch_seconds(expires_at)})
    return changed.rowcount == 1


def forget_return_place(connection: Connection, *, reference: str) -> None:
    """Delete the place of a reference, with its replies."""
    connection.execute(_FORGET_REPLIES, {"wanted_places": [reference]})
    connection.execute(delete(return_places).where(return_places.c.reference == reference))


def sweep_return_places(store: Store, *, now: datetime) -> int:
    """Delete every expired place and its replies, in short transactions; return the number of places."""
    expired = (
        select(return_places.c.reference).where(return_places.c.expires_at <= to_epoch_seconds(now)).limit(SWEEP_BATCH)
    )
    swept = 0
    while True:
        with store.write(alone=True) as connection:
            references = list(connection.execute(expired).scalars())
            if references:
                connection.execute(_FORGET_REPLIES, {"wanted_places": references})
                connection.execute(delete(return_places).where(return_places.c.reference.in_(references)))
        swept += len(references)
        if len(references) < SWEEP_BATCH:
            return swept


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


class ConflictingInvitationError(Exception):
    """The same secret cannot invite two partners."""


_FIND_INVITATION = select(invitations.c.partner, invitations.c.expires_at).where(
    invitations.c.secret_sha256 == bindparam("secret_sha256")
)
_DELETE_INVITATION = delete(invitations).where(invitations.c.secret_sha256 == bindparam("secret_sha256"))


def put_invitation(connection: Connection, *, secret_sha256: bytes, partner: str, expires_at: datetime) -> None:
    """Store an invitation or its new expiry. Safe to repeat. Raises ConflictingInvitationError."""
    wanted = {"secret_sha256": secret_sha256}
    found = connection.execute(_FIND_INVITATION, wanted).first()
    if found is not None and found.partner != partner:
        raise ConflictingInvitationError("The invitation belongs to another partner.")
    connection.execute(_DELETE_INVITATION, wanted)
    connection.execute(insert(invitations), {**wanted, "partner": partner, "expires_at": to_epoch_seconds(expires_at)})


def find_invitation(connection: Connection, *, secret_sha256: bytes, now: datetime) -> str | None:
    """Return the partner of an invitation that has not expired."""
    found = connection.execute(_FIND_INVITATION, {"secret_sha256": secret_sha256}).first()
    return None if found is None or found.expires_at <= to_epoch_seconds(now) else str(found.partner)
