"""Places to which a person can return: one sealed box for each reference, and until when it is kept.

Never holds the five words or anything that they are made into: only they open the box.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from gateway.store.schema import items, return_places, to_epoch_seconds
from gateway.store.store import Store
from partner_sdk.wire.items import REPLY

SWEEP_BATCH = 200

_SAME = return_places.c.reference == bindparam("wanted")
_FIND = select(return_places.c.box).where(_SAME, return_places.c.expires_at > bindparam("now"))
_EXTEND = (
    update(return_places)
    .where(_SAME, return_places.c.expires_at < bindparam("new_expiry"))
    .values(expires_at=bindparam("new_expiry"))
)
# Nobody acknowledges a reply: it goes with its place. The partial index holds what waits alone.
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
    found = connection.execute(_FIND, {"wanted": reference, "now": to_epoch_seconds(now)}).first()
    return None if found is None else bytes(found.box)


def extend_return_place(connection: Connection, *, reference: str, expires_at: datetime) -> bool:
    """Keep a place for longer; False where there is none, or one that is kept as long anyway."""
    changed = connection.execute(_EXTEND, {"wanted": reference, "new_expiry": to_epoch_seconds(expires_at)})
    return changed.rowcount == 1


def sweep_return_places(store: Store, *, now: datetime) -> int:
    """Delete every expired place with the replies that wait for it, in short transactions; return how many places."""
    expired = (
        select(return_places.c.reference).where(return_places.c.expires_at <= to_epoch_seconds(now)).limit(SWEEP_BATCH)
    )
    swept = 0
    while True:
        with store.write() as connection:
            references = list(connection.execute(expired).scalars())
            if references:
                connection.execute(_FORGET_REPLIES, {"wanted_places": references})
                connection.execute(delete(return_places).where(return_places.c.reference.in_(references)))
        swept += len(references)
        if len(references) < SWEEP_BATCH:
            return swept
