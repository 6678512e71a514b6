"""Transactions of the store: all or nothing, on connections that stay open and are set as promised."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.databases.database import SQLITE_PRAGMAS
from gateway.store import Store
from gateway.store.items import find_draft, put_draft
from tests.builders import DAY, NOW
from tests.gateway.store_builders import new_store
from tests.gateway.web.process_watch import list_open_files

DRAFT = b"\x07" * 32


def put(connection: Connection, draft_id: bytes = DRAFT) -> None:
    assert put_draft(connection, draft_id=draft_id, version=1, box=b"box", expires_at=NOW + DAY)


def is_there(store: Store, draft_id: bytes = DRAFT) -> bool:
    return find_draft(store, draft_id=draft_id, now=NOW) is not None


def test_nothing_is_kept_when_the_block_fails(store: Store) -> None:
    def fail() -> None:
        with store.write() as connection:
            put(connection)
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        fail()
    assert not is_there(store)
    with store.write() as connection:
        put(connection)
    assert is_there(store)


def test_a_reader_sees_one_state_while_a_writer_commits(store: Store) -> None:
    with store.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM drafts").scalar_one()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: write_one(store)).result()
        after = connection.exec_driver_sql("SELECT count(*) FROM drafts").scalar_one()
    assert before == after == 0
    assert is_there(store)


def write_one(store: Store) -> None:
    with store.write() as connection:
        put(connection)


@pytest.mark.parametrize("kind", ["write", "read"])
def test_every_connection_has_the_settings_of_the_table(store: Store, kind: str) -> None:
    spelled = {"WAL": "wal", "FULL": 2, "ON": 1, "OFF": 0, "MEMORY": 2}
    with store.write() if kind == "write" else store.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name, _value, _reason in SQLITE_PRAGMAS
        }
    assert found == {name: spelled[value] for name, value, _reason in SQLITE_PRAGMAS}
    assert found["journal_mode"] == "wal"
    assert found["synchronous"] == 2
    assert found["secure_delete"] == 1


def test_connections_stay_open_and_are_used_again(store: Store) -> None:
    for number in range(20):
        with store.write() as connection:
            put(connection, bytes([number]) * 32)
        assert is_there(store, bytes([number]) * 32)
    assert (len(store._connections.writers), len(store._connections.readers)) == (1, 1)
    store.close()
    assert not open_files_of(store.path.parent)


def test_a_store_opened_before_a_fork_is_refused_in_the_child(store: Store) -> None:
    assert not is_there(store)
    store._connections._process_id = os.getpid() + 1
    with pytest.raises(RuntimeError, match="in the process"):
        is_there(store)
    store._connections._process_id = os.getpid()


def test_a_failed_transaction_leaves_no_connection_behind(store: Store) -> None:
    def fail() -> None:
        with store.write() as connection:
            put(connection)
            connection.exec_driver_sql("INSERT INTO drafts SELECT * FROM drafts")

    for _ in range(5):
        with pytest.raises(IntegrityError):
            fail()
    assert not is_there(store)
    store.close()
    assert not open_files_of(store.path.parent)


def test_a_look_sees_what_was_committed_and_holds_no_state(store: Store) -> None:
    assert store.look("SELECT count(*) FROM drafts") == [(0,)]
    write_one(store)
    assert store.look("SELECT count(*) FROM drafts") == [(1,)]
    assert store.erase_deleted_bytes()


def test_emptying_the_log_says_when_a_reader_was_in_the_way(tmp_path: Path) -> None:
    store = new_store(tmp_path, lock_timeout_seconds=0.05)
    write_one(store)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM drafts").scalar_one() == 1
        assert not store.erase_deleted_bytes()
    assert store.erase_deleted_bytes()
    assert (tmp_path / "gateway.sqlite-wal").stat().st_size == 0
    store.close()


def test_store_that_nobody_holds_any_more_leaves_no_file_open(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    write_one(store)
    assert open_files_of(tmp_path)
    del store
    gc.collect()
    assert open_files_of(tmp_path) == []


def test_files_of_the_store_are_closed_to_others(store: Store) -> None:
    write_one(store)
    files = {path.name: path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()}
    assert files == {
        "gateway.sqlite": 0o600,
        "gateway.sqlite-wal": 0o600,
        "gateway.sqlite-shm": 0o600,
        "gateway.lock": 0o600,
        "gateway.lock.next": 0o600,
    }


def open_files_of(folder: Path) -> list[str]:
    """Return the files of a folder that this process has open."""
    return [target for target in list_open_files(os.getpid()) if target.startswith(str(folder))]
