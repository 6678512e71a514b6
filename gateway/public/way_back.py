"""Makes the way back at Send: four words, the key that they give, and the place to which they lead.

Never stands in the way of Send: when too many codes are being made, the report goes without one.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.public.door import PublicDoor
from gateway.public.replies import ReturnPlace, seal_place
from gateway.public.return_code import make_reply_public_key
from gateway.store.return_places import extend_return_place, put_return_place

RETURN_DAYS: Final = 180


@dataclass(frozen=True, slots=True)
class WayBack:
    """The words for the person, the public key for the report, and the sealed place for the store."""

    words: str
    reply_key: str
    box: bytes


def find_way_back(door: PublicDoor, place: ReturnPlace) -> WayBack | None:
    """Make the way back to a reference that was drawn; None when the queue is full. Raises SealingError.

    To be called outside of any transaction: others would wait for the costly step.
    """
    words = door.return_codes.draw(random=door.random)
    seed = door.return_codes.find_seed(words, reference=place.reference)
    if seed is None:
        return None
    reply_key = make_reply_public_key(seed)
    return WayBack(words=words, reply_key=reply_key, box=seal_place(place, reply_key=reply_key))


def store_place(connection: Connection, door: PublicDoor, way_back: WayBack, *, reference: str) -> None:
    """Store the place in the transaction that stores the report."""
    expires_at = door.clock() + timedelta(days=RETURN_DAYS)
    put_return_place(connection, reference=reference, box=way_back.box, expires_at=expires_at)


def keep_place(connection: Connection, door: PublicDoor, *, reference: str) -> None:
    """Keep a place for as long again, because more was sent to its reference."""
    extend_return_place(connection, reference=reference, expires_at=door.clock() + timedelta(days=RETURN_DAYS))
