"""Where the gateway says that it stands, against what this desk has seen of its chain.

Never believes it: a number that it says or keeps back is compared with the links that the desk holds.
"""

from typing import Final

from sqlalchemy import select

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.collection.chain import (
    GAP,
    NEW_EPOCH,
    WENT_BACK,
    Chain,
    get_highest,
    get_highest_of,
    list_gaps,
    note_epoch,
)
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.key_tables import VERIFY_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.wire.feed_messages import FeedStatus

UNKNOWN_INSTANCE: Final = "unknown-gateway"


def get_standing(desk: Desk, feed: FeedClient) -> FeedStatus:
    """Return where the gateway stands; an alarm where that is before what the desk holds of the very epoch."""
    status = feed.get_status()
    chain = Chain(status.instance, status.epoch)
    with desk.store.read() as connection:
        seen = get_highest_of(connection, chain)
    if seen <= status.sequence:
        return status
    # Another run may have collected a newer row since we asked. What it saw then, the gateway has now.
    status = feed.get_status()
    if Chain(status.instance, status.epoch) == chain and seen > status.sequence:
        # A restore begins a new epoch, which has an alarm of its own.
        with desk.store.write() as connection:
            raise_alarm(connection, WENT_BACK, chain.name(status.sequence + 1, seen), now=desk.clock())
    return status


def look_for_gaps(desk: Desk, status: FeedStatus) -> tuple[list[str], list[str]]:
    """Look for gaps once nothing more waits, and return the gaps and the new epochs that nobody has cleared."""
    now = desk.clock()
    chain = Chain(status.instance, status.epoch)
    with desk.store.write() as connection:
        carded = select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.instance == status.instance)
        if connection.execute(carded).first() is None:
            raise_alarm(connection, UNKNOWN_INSTANCE, status.instance, now=now)
        note_epoch(connection, chain, now=now)
        highest = get_highest(connection, instance=status.instance)
        if highest < status.sequence:
            raise_alarm(connection, GAP, chain.name(highest + 1, status.sequence), now=now)
        return list_gaps(connection, now=now), list_subjects(connection, NEW_EPOCH)
