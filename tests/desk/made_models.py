"""State folders and databases that are made once in a process; each test changes a copy of its own."""

import atexit
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path

from gateway.desk.store import DeskStore

_MODELS: dict[Hashable, Path] = {}


def copy_model(name: Hashable, make: Callable[[Path], None], *, into: Path) -> None:
    """Copy into a folder what `make` puts into an empty one; what has this name was made the same way.

    No connection to a database may be open when `make` returns: without one, a database is whole in its one file.
    """
    if name not in _MODELS:
        folder = tempfile.TemporaryDirectory()
        atexit.register(folder.cleanup)
        make(Path(folder.name))
        _MODELS[name] = Path(folder.name)
    shutil.copytree(_MODELS[name], into, dirs_exist_ok=True)


def hold_open(store: DeskStore) -> DeskStore:
    """Have a desk's database open beside a store as long as that lives, as another command of the desk has it.

    SQLite makes and removes the log of a database, with several syncs, whenever the first one opens it and the last
    one closes it. A test's own connections come one after the other, and each would be both. Never for a test that
    kills a process: what a log is mended by would be missing from it.
    """
    held = sqlite3.connect(str(store.engine.url.database), check_same_thread=False)
    held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the log is opened by the first who reads
    weakref.finalize(store.engine, held.close)
    return store
