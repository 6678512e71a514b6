"""Which gateway this is, and which epoch of its chain: the row that begins anew after every restore."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from gateway.store.schema import instance, to_epoch_seconds


@dataclass(frozen=True, slots=True)
class Instance:
    """The name of this gateway and the epoch of its chain, as intake statements carry them."""

    name: str
    epoch: str


_FIND = select(instance.c.name, instance.c.epoch)


def find_instance(connection: Connection) -> Instance | None:
    """Return the instance, or None in a database that was never given one."""
    row = connection.execute(_FIND).first()
    return None if row is None else Instance(name=row.name, epoch=row.epoch)


def put_instance(connection: Connection, *, name: str, epoch: str, now: datetime) -> None:
    """Write the one row."""
    connection.execute(delete(instance))
    connection.execute(
        insert(instance), {"position": 1, "name": name, "epoch": epoch, "began_at": to_epoch_seconds(now)}
    )
