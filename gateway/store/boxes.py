"""Sealed boxes that only the person reporting can open: unfinished forms, and places to return to.

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

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, case, delete, func, insert, literal_column, select, text, update

from gateway.store.prepared import PreparedStatement
from gateway.store.schema import drafts, items, return_places, to_epoch_seconds
from gateway.store.store import Store
from partner_sdk.wire.items import REPLY

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
_FIND = PreparedStatement(select(drafts.c.version, drafts.c.box).where(_SAME, drafts.c.expires_at > bindparam("now")))
# Text, because Core has ON CONFLICT only by dialect, and each takes 30 ms to load. Both databases know it.
_INSERT = PreparedStatement(
    text(
        f"INSERT INTO drafts ({', '.join(drafts.c.keys())}) VALUES (:{', :'.join(drafts.c.keys())}) "  # noqa: S608 - our own names
        "ON CONFLICT DO NOTHING"
    )
)
_REPLACE = PreparedStatement(
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
_DELETE = delete(drafts).where(_SAME)
_SHORTEN = update(drafts).where(_SAME, drafts.c.expires_at > bindparam("last")).values(expires_at=bindparam("last"))


def find_draft(store: Store, *, draft_id: bytes, now: datetime) -> Draft | None:
    """Return the draft unless it has expired, without a transaction. Raises StorageUnavailableError."""
    rows = store.look(_FIND, {"wanted_id": draft_id, "now": to_epoch_seconds(now)})
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
        return bool(_REPLACE.run(connection, {**old, **new}).rowcount == 1)
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
    return connection.execute(_DELETE, {"wanted_id": draft_id}).rowcount == 1


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
_FIND_PLACE = select(return_places.c.box).where(_SAME_PLACE, return_places.c.expires_at > bindparam("now"))
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


def put_return_place(connection: Connection, *, reference: str, box: bytes, expires_at: datetime) -> None:
    """Store the place of a reference that has none."""
    connection.execute(
        insert(return_places), {"reference": reference, "box": box, "expires_at": to_epoch_seconds(expires_at)}
    )


def find_return_place(connection: Connection, *, reference: str, now: datetime) -> bytes | None:
    """Return the box of a place that has not expired."""
    found = connection.execute(_FIND_PLACE, {"wanted": reference, "now": to_epoch_seconds(now)}).first()
    return None if found is None else bytes(found.box)


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
