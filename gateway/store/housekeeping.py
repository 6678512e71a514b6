"""What the store forgets, and when: expired drafts and return places at once, collected envelopes after 30 days.

Other processes wipe and replace drafts all the time; what they took away is still in the write-ahead log, which each
round therefore empties if anything was written since the last.

Never touches what the desk has not acknowledged.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.store.collection import delete_collected
from gateway.store.drafts import sweep_drafts
from gateway.store.return_places import sweep_return_places
from gateway.store.store import Store

KEEP_COLLECTED = timedelta(days=30)  # long enough for a desk to notice that it lost something


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much one round has deleted."""

    drafts: int
    envelopes: int
    places: int


def clean_store(store: Store, *, now: datetime) -> Forgotten:
    """Delete what has had its time, and empty the log; safe to run at any moment and from any process.

    Raises StorageUnavailableError; the next round goes on where this one stopped.
    """
    forgotten = Forgotten(
        drafts=sweep_drafts(store, now=now),
        envelopes=delete_collected(store, before=now - KEEP_COLLECTED),
        places=sweep_return_places(store, now=now),
    )
    if store.has_log():
        store.truncate_log()
    return forgotten
