"""What the gateway forgets of evidence, and when: rows first, bytes last.

- What no report has ever named, when its newest part is 14 days old: all of it.
- What the desk acknowledged 30 days ago: the parts. Its digest stays.
- Bytes that no row names, a day after they came: a process died between bytes and row, or between row and bytes.

Never deletes what a report names before the desk has it. Never holds the writers' lock for long.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.evidence.blobs import BlobName, Blobs
from gateway.store import Store
from gateway.store.evidence import find_evidence, list_parts
from gateway.store.evidence_collection import DeletedParts, forget_collected, forget_unreferenced

KEEP_UNREFERENCED: Final = timedelta(days=14)
KEEP_COLLECTED: Final = timedelta(days=30)  # long enough for a desk to notice that it lost something
KEEP_UNNAMED: Final = timedelta(days=1)  # no upload of a part takes as long
DELETE_BATCH: Final = 10  # files in one turn of the writers' lock: a child's report must not wait for housekeeping

Forget = Callable[[Connection, datetime], list[DeletedParts]]


def sweep_evidence(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete what has had its time, and return how many pieces of evidence that were. Safe to run from any process.

    Raises `StorageUnavailableError`; what is left then goes a day later, as bytes that no row names.
    """
    unreferenced = _sweep(store, blobs=blobs, before=now - KEEP_UNREFERENCED, forget=_forget_one_unreferenced)
    return unreferenced + _sweep(store, blobs=blobs, before=now - KEEP_COLLECTED, forget=_forget_one_collected)


def sweep_unnamed(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete bytes that no row names, and return how many blobs that were; raises `StorageUnavailableError`."""
    removed = 0
    for names in blobs.list_old_blobs(before=now - KEEP_UNNAMED):
        if names:
            with store.read() as connection:
                unnamed = _leave_out_named(connection, names)
            removed += _remove_unnamed(store, blobs=blobs, names=unnamed)
    return removed


def _sweep(store: Store, *, blobs: Blobs, before: datetime, forget: Forget) -> int:
    swept = 0
    while True:
        with store.write() as connection:
            batch = forget(connection, before)
        for deleted in batch:
            names = [BlobName(deleted.partner, deleted.evidence_id, row.part, row.sha256) for row in deleted.parts]
            _remove_unnamed(store, blobs=blobs, names=names)
        swept += len(batch)
        if not batch:
            return swept


def _forget_one_unreferenced(connection: Connection, before: datetime) -> list[DeletedParts]:
    return forget_unreferenced(connection, before=before, limit=1)


def _forget_one_collected(connection: Connection, before: datetime) -> list[DeletedParts]:
    return forget_collected(connection, before=before, limit=1)


def _remove_unnamed(store: Store, *, blobs: Blobs, names: list[BlobName]) -> int:
    """Delete blobs of one piece of evidence inside the writers' lock: no row can come to name them meanwhile."""
    removed = 0
    for batch in _cut(names):
        with store.write() as connection:
            unnamed = _leave_out_named(connection, batch)
            blobs.remove_blobs(unnamed)
        removed += len(unnamed)
    return removed


def _leave_out_named(connection: Connection, names: list[BlobName]) -> list[BlobName]:
    found = find_evidence(connection, partner=names[0].partner, evidence_id=names[0].evidence_id)
    rows = [] if found is None else list_parts(connection, position=found.position)
    named = {(row.part, row.sha256) for row in rows}
    return [name for name in names if (name.part, name.sha256) not in named]


def _cut(names: list[BlobName]) -> Iterator[list[BlobName]]:
    for start in range(0, len(names), DELETE_BATCH):
        yield names[start : start + DELETE_BATCH]
