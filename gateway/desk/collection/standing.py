"""Where the gateway says that its chains stand, against what this desk has seen of them.

Never believes it: a number that it says or keeps back is compared with the links that the desk holds.
"""

from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.collection.chain import (
    ANY_EPOCH,
    GAP,
    NEW_EPOCH,
    WENT_BACK,
    Chain,
    get_highest,
    list_gaps,
    list_senders,
    note_epoch,
)
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.key_tables import VERIFY_KEYS
from gateway.desk.wiring import Desk
from partner_sdk.wire.feed_messages import FeedStatus

UNKNOWN_INSTANCE: Final = "unknown-gateway"
# The gateway has found pages of its database damaged: what can be read is handed over.
DAMAGED: Final = "gateway-storage-damaged"


def get_standing(desk: Desk, feed: FeedClient) -> FeedStatus:
    """Return where the gateway stands; an alarm where that is before what the desk holds of the very epoch."""
    status = feed.get_status()
    if status.is_damaged:
        with desk.store.write() as connection:
            now = desk.clock()
            raise_alarm(connection, DAMAGED, f"{status.instance} on {now:%Y-%m-%d}", now=now)
    with desk.store.read() as connection:
        behind = _list_behind(connection, status)
    if not behind:
        return status
    # Another run may have collected a newer row since we asked. What it saw then, the gateway has now.
    status = feed.get_status()
    said = {head.partner: head.sequence for head in status.chains or ()}
    with desk.store.write() as connection:
        for chain, seen in behind:
            number = said.get(chain.partner, 0)
            # A restore begins a new epoch, which has an alarm of its own.
            is_same = (chain.instance, chain.epoch) == (status.instance, status.epoch) and status.chains is not None
            if is_same and number < seen:
                raise_alarm(connection, WENT_BACK, chain.name(number + 1, seen), now=desk.clock())
    return status


def _list_behind(connection: Connection, status: FeedStatus) -> list[tuple[Chain, int]]:
    """Return each chain that the gateway puts before a number that was seen in this epoch, and that number."""
    if status.chains is None:
        return []
    said = {head.partner: head.sequence for head in status.chains}
    found = []
    for sender in list_senders(connection, instance=status.instance):
        number = said.get(sender, 0)
        # The highest of all epochs is found at the end of the key; of one epoch it may have to be looked for.
        if number < get_highest(connection, Chain(status.instance, ANY_EPOCH, sender)):
            chain = Chain(status.instance, status.epoch, sender)
            if number < (seen := get_highest(connection, chain)):
                found.append((chain, seen))
    return found


def look_for_gaps(desk: Desk, status: FeedStatus) -> tuple[list[str], list[str]]:
    """Look for gaps once nothing more waits, and return the gaps and the new epochs that nobody has cleared."""
    now = desk.clock()
    with desk.store.write() as connection:
        carded = select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.instance == status.instance)
        if connection.execute(carded).first() is None:
            raise_alarm(connection, UNKNOWN_INSTANCE, status.instance, now=now)
        note_epoch(connection, instance=status.instance, epoch=status.epoch, now=now)
        for head in status.chains or ():
            highest = get_highest(connection, Chain(status.instance, ANY_EPOCH, head.partner))
            if highest < head.sequence:
                chain = Chain(status.instance, status.epoch, head.partner)
                raise_alarm(connection, GAP, chain.name(highest + 1, head.sequence), now=now)
        return list_gaps(connection, now=now), list_subjects(connection, NEW_EPOCH)
