"""The desk's database: durable, migrated, append-only where it must be; and the audit chain in it."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert, text
from sqlalchemy.exc import IntegrityError

from gateway.databases.migrations import open_scripts
from gateway.desk.store import DeskStore, DeskStoreError, agency_tables, engine, open_store, schema
from gateway.desk.store.audit import AuditChainError, append_entry, check_chain
from gateway.desk.store.migrations import METADATA
from gateway.desk.store.migrations.r1_baseline import APPEND_ONLY
from tests.builders import NOW

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> DeskStore:
    return open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)


def append(store: DeskStore, *subjects: str) -> None:
    with store.write() as connection:
        for subject in subjects:
            append_entry(connection, "try", subject, at=NOW, actor="test", count=1)


def test_no_file_of_tables_is_forgotten() -> None:
    files = (schema, agency_tables)
    assert {table.name for file in files for table in vars(file).values() if isinstance(table, Table)} == set(
        METADATA.tables
    )


def test_head_revision_is_the_newest_migration() -> None:
    assert open_scripts(Path(engine.__file__).parent / "migrations").get_heads() == [engine.HEAD_REVISION]


@pytest.mark.databases("sqlite")
def test_commits_are_synced_and_deleted_bytes_overwritten(store: DeskStore) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "temp_store": 2, "foreign_keys": 1}
    with store.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
    assert found == wanted


def test_held_store_uses_one_connection_again_until_a_block_fails(store: DeskStore) -> None:
    with store.hold():
        with store.read() as first:
            assert not first.closed
        with store.write() as again, store.read() as within:
            assert again is first
            assert within is not first
        with pytest.raises(ZeroDivisionError), store.write() as failed:
            raise ZeroDivisionError
        with store.hold(), store.read() as other:
            assert failed.closed
            assert other is not failed
        assert not other.closed
    assert other.closed
    with store.read() as free:
        assert free is not other
    assert free.closed


@pytest.mark.databases("sqlite")
def test_database_is_closed_to_others(store: DeskStore, tmp_path: Path) -> None:
    append(store, "one")
    with store.read():
        files = list(tmp_path.iterdir())
        assert {path.name for path in files} == {"desk.sqlite", "desk.sqlite-wal", "desk.sqlite-shm"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.databases("sqlite")
def test_missing_and_existing_databases_are_told_apart(store: DeskStore, tmp_path: Path) -> None:
    with pytest.raises(DeskStoreError) as missing:
        open_store(tmp_path / "other.sqlite")
    assert missing.value.reason == "no-store"
    with pytest.raises(DeskStoreError) as existing:
        open_store(tmp_path / "desk.sqlite", create=True)
    assert existing.value.reason == "store-exists"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("revision", ["0001", "0018", "r9"])
def test_database_of_before_the_first_release_or_of_a_newer_one_is_refused_and_left_as_it_is(
    store: DeskStore, tmp_path: Path, revision: str
) -> None:
    append(store, "kept")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
    store.close()
    before = (tmp_path / "desk.sqlite").read_bytes()
    told = rf"does not know the schema of the database \({revision}\)"
    with pytest.raises(DeskStoreError, match=told) as refused:
        open_store(tmp_path / "desk.sqlite")
    assert refused.value.reason == "unknown-store"
    assert "make a new one in an empty folder with `init`" in str(refused.value)
    assert (tmp_path / "desk.sqlite").read_bytes() == before


@pytest.mark.databases("sqlite")
def test_full_disk_is_said_and_nothing_is_half_written(store: DeskStore) -> None:
    def write_too_much() -> None:
        with store.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            for number in range(2000):
                append_entry(connection, "x" * 900, str(number), at=NOW, actor="test")

    with pytest.raises(DeskStoreError) as caught:
        write_too_much()
    assert caught.value.reason == "disk-full"
    with store.read() as connection:
        assert check_chain(connection) == 0


@pytest.mark.databases("sqlite")
def test_locked_database_is_said_after_the_time_out(
    store: DeskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = sqlite3.connect(tmp_path / "desk.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = open_store(tmp_path / "desk.sqlite")
    with pytest.raises(DeskStoreError) as caught:
        append(impatient, "one")
    holder.execute("ROLLBACK")
    holder.close()
    assert caught.value.reason == "store-unavailable"
    append(store, "two")


def test_errors_never_show_what_was_to_be_stored(store: DeskStore) -> None:
    marker = "Quetzalcoatlus"
    with pytest.raises(IntegrityError) as caught, store.write() as connection:
        connection.execute(text("INSERT INTO audit (id, at) VALUES (1, :at)"), {"at": marker})
    assert marker not in str(caught.value)
    assert marker not in str(caught.value.orig)


def make_least_row(table: Table) -> dict[str, object]:
    """Return a row with the columns alone that a table does not fill itself."""
    needed = (one for one in table.c if not one.nullable and one.server_default is None and one.name != "id")
    return {one.name: {str: "a", int: 1, bytes: b"", bool: False}[one.type.python_type] for one in needed}


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rows_of_append_only_tables_are_only_ever_added(
    store: DeskStore, table: str, verb: str, database_uri: str
) -> None:
    if verb == "TRUNCATE" and not database_uri:
        verb = "DELETE"  # SQLite has no other word for it
    append(store, "one")
    rows, first = METADATA.tables[table], next(iter(METADATA.tables[table].c)).name
    if table != "audit":
        with store.write() as connection:
            connection.execute(insert(rows).values(make_least_row(rows)))
    statement = {
        "UPDATE": f"UPDATE {table} SET {first} = {first}",  # noqa: S608 - our own names
        "DELETE": f"DELETE FROM {table}",  # noqa: S608 - as above
        "TRUNCATE": f"TRUNCATE {table}",
    }[verb]
    with pytest.raises(IntegrityError, match="append-only"), store.write() as connection:
        connection.exec_driver_sql(statement)


def test_audit_chain_is_whole_as_written(store: DeskStore) -> None:
    append(store, "one", "two")
    append(store, "three")
    with store.read() as connection:
        assert check_chain(connection) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody else' WHERE id = 2",
        "UPDATE audit SET detail = '{}' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "DELETE FROM audit WHERE id = 1",
        "UPDATE audit SET id = 9 WHERE id = 3",
        "UPDATE audit SET entry_sha256 = :zeros WHERE id = 3",
        "UPDATE audit SET previous_sha256 = :zeros WHERE id = 3",
        "INSERT INTO audit SELECT 4, at, actor, action, subject, detail, previous_sha256, :zeros FROM audit LIMIT 1",
    ],
)
def test_altered_audit_log_is_noticed(store: DeskStore, statement: str, database_uri: str) -> None:
    append(store, "one", "two", "three")
    with store.write() as connection:
        # An intruder with the disk, or with the server, first turns the triggers off.
        drops = ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete")
        for past in ("SET LOCAL session_replication_role = replica",) if database_uri else drops:
            connection.exec_driver_sql(past)
        connection.execute(text(statement), {"zeros": bytes(32)} if ":zeros" in statement else {})
    with store.read() as connection, pytest.raises(AuditChainError):
        check_chain(connection)


def test_deed_that_fails_leaves_no_entry(store: DeskStore) -> None:
    def fail(connection: Any) -> None:
        append_entry(connection, "try", "one", at=NOW, actor="test")
        raise LookupError("the deed failed")

    with pytest.raises(LookupError), store.write() as connection:
        fail(connection)
    with store.read() as connection:
        assert check_chain(connection) == 0
