"""Copies the blobs of a folder into the bucket that the settings name, under their own names.

Never deletes, and never copies bytes that differ from their row. Safe to run while the gateway serves, and to repeat:
blobs that are in the bucket already are left as they are, because a store takes an object whole or not at all.
"""

import hashlib
from collections import Counter
from typing import Final

from gateway.evidence.blobs import Blobs
from gateway.store import StorageUnavailableError, Store
from gateway.store.evidence import PartRow, list_parts_by_blob

_BATCH: Final = 200


def copy_blobs(store: Store, *, source: Blobs, target: Blobs) -> Counter[str]:
    """Return how many parts were `copied`, `there` already, `missing` from the folder or `damaged` in it.

    Raises `StorageUnavailableError` if the store or the target cannot be used.
    """
    counted: Counter[str] = Counter()
    after = ""
    while True:
        with store.read() as connection:
            parts = list_parts_by_blob(connection, after=after, limit=_BATCH)
        if not parts:
            return counted
        after = parts[-1].blob
        there = target.measure_blobs([part.blob for part in parts])
        for part in parts:
            is_there = there.get(part.blob) == part.size_bytes
            counted["there" if is_there else _copy(part, source=source, target=target)] += 1


def _copy(part: PartRow, *, source: Blobs, target: Blobs) -> str:
    try:
        raw = source.read_blob(part.blob)
    except StorageUnavailableError:
        return "missing"
    if hashlib.sha256(raw).digest() != part.sha256:
        return "damaged"
    with target.new_blob(part.blob) as blob:
        blob.write(raw)
        blob.keep()
    return "copied"
