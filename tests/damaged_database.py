"""Damages the pages of a database file as a bad disk does: by their bytes, past SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

TABLE_LEAF, INDEX_LEAF = 0x0D, 0x0A  # the first byte of a b-tree page (https://www.sqlite.org/fileformat.html §1.6)


def damage_pages(path: Path, holding: bytes, *, kind: int) -> int:
    """Fill every page of `kind` that holds these bytes with noise; return how many there were.

    The write-ahead log must be empty, and no process may have the file open.
    """
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    raw = path.read_bytes()
    wanted = [at for at in range(size, len(raw), size) if raw[at] == kind and holding in raw[at : at + size]]
    with path.open("r+b") as file:
        for at in wanted:
            file.seek(at)
            file.write(b"\xa5" * size)
    return len(wanted)
