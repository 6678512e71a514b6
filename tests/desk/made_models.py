"""State folders and databases that are made once in a process; each test changes a copy of its own."""

import atexit
import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path

from sqlalchemy import insert, select

from gateway.databases.database import SqliteFile, make_database
from gateway.databases.migrations import _advance_sequence
from gateway.desk.office.config import DeskPaths
from gateway.desk.store import DeskStore
from gateway.desk.store.migrations import METADATA

_MODELS: dict[Hashable, Path] = {}


def copy_model(name: Hashable, make: Callable[[Path], None], *, into: Path) -> None:
    """Copy the result of `make` into a folder; it is made once for each name.

    No connection to a database may be open when `make` returns: without one, a database is whole in its one file.
    """
    if name not in _MODELS:
        folder = Path(tempfile.mkdtemp())
        atexit.register(_remove, folder, made_by=os.getpid())
        make(folder)
        _MODELS[name] = folder
    shutil.copytree(_MODELS[name], into, dirs_exist_ok=True)


def _remove(folder: Path, *, made_by: int) -> None:
    """Remove a model at the end of the process that made it, never at the end of one forked from it.

    A `TemporaryDirectory` could not tell them apart: Python 3.13 clears `atexit` in a forked process, and with the
    last reference the folder would go while its maker still copies from it.
    """
    if os.getpid() == made_by:
        shutil.rmtree(folder)


def hold_open(store: DeskStore) -> DeskStore:
    """Have a desk's database open beside a store as long as that lives, as another command of the desk has it.

    SQLite makes and removes the log of a database, with several syncs, whenever the first one opens it and the last one
    closes it. A test's own connections come one after the other, and each would be both. Never for a test that kills a
    process: the log with its repair would be missing.
    """
    if not isinstance(store.database, SqliteFile):
        return store
    held = sqlite3.connect(store.database.path, check_same_thread=False)
    held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the log is opened by the first who reads
    weakref.finalize(store.database, held.close)
    return store


def make_desk_tables(uri: str) -> None:
    """Make the tables of a desk in an empty database of a server."""
    DeskStore(make_database(Path(), uri=uri, lock_timeout_seconds=5), journal=Path()).migrate()


def move_to_server(state: Path, uri: str) -> None:
    """Move the rows of a desk into the empty tables of a server's database, unless `uri` is empty; it has no file then.

    Past the checks of `move_store`, which has tests of its own and takes ten times as long for so few rows.
    """
    if uri:
        paths = DeskPaths(state)
        file = make_database(paths.database, uri="", lock_timeout_seconds=5).engine
        with file.connect() as source, make_database(Path(), uri=uri, lock_timeout_seconds=5).engine.begin() as target:
            for table in METADATA.sorted_tables:
                if rows := source.execute(select(table)).mappings().all():
                    target.execute(insert(table), [dict(row) for row in rows])
                _advance_sequence(source, target, table)
        paths.database.unlink()
        name_server(paths.config, uri)


def name_server(settings: Path, uri: str) -> None:
    """Write the address of a server into settings that name none."""
    before = settings.read_text("utf-8")
    assert before.count('database_uri = ""') == 1
    settings.write_text(before.replace('database_uri = ""', f'database_uri = "{uri}"'), "utf-8")
