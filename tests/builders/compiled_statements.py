"""SQL that comes out the same for every database of one process, compiled once.

Never shares rows, connections or settings: SQLAlchemy keeps, for an engine as long as it lives, the text that it made
of a statement; here engines that follow each other keep it together, as one engine of one long process does.
"""

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import sqlalchemy
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

import gateway.databases.database
import gateway.databases.migrations

_MODULES: Final = (gateway.databases.database, gateway.databases.migrations, gateway.databases.database)
_STATEMENTS: Final[LRUCache[Any, Any]] = LRUCache(8000)
# Those that have seen a server; all servers of a run are of one release.
_OF_SERVERS: Final[dict[str, Dialect]] = {}


@contextmanager
def compiling_once() -> Iterator[None]:
    """Let an engine reuse the statements that an earlier engine of this process compiled."""
    with ExitStack() as stack:
        for module in _MODULES:
            stack.enter_context(patch.object(module, "create_engine", _make_engine))
        yield


def _make_engine(*address: Any, **settings: Any) -> Engine:
    """Make the engine that was asked for, with the dialect that knows the statements: it is a part of their key."""
    engine = sqlalchemy.create_engine(*address, **settings)
    if engine.dialect.name == "sqlite":
        engine.dialect = _get_dialect()
    elif (known := _OF_SERVERS.get(engine.dialect.name)) is not None:
        engine.dialect = known
    else:
        event.listen(engine, "first_connect", lambda *_: _OF_SERVERS.setdefault(engine.dialect.name, engine.dialect))
    engine.update_execution_options(compiled_cache=_STATEMENTS)
    return engine


@functools.cache
def _get_dialect() -> Dialect:
    """Return a dialect that has seen this machine's SQLite; it holds no address and no setting of an engine."""
    engine = sqlalchemy.create_engine("sqlite://")
    try:
        with engine.connect():
            return engine.dialect
    finally:
        engine.dispose()  # the pool would keep the connection, and Python 3.13 warns of one that is never closed
