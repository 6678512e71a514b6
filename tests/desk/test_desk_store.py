"""The desk's database: durable, migrated, append-only where it must be; and the audit chain in it."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, create_engine
from sqlalchemy.exc import IntegrityError

from gateway.desk.audit import AuditChainError, append_entry, check_chain
from gateway.desk.store import DeskStore, DeskStoreError, engine, open_store
from gateway.desk.store.all_tables import METADATA, TABLE_FILES
from gateway.desk.store.schema import APPEND_ONLY
from tests.builders import NOW


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return open_store(tmp_path / "desk.sqlite", create=True)


def append(store: DeskStore, *subjects: str) -> None:
    with store.write() as connection:
        for subject in subjects:
            append_entry(connection, at=NOW, actor="test", action="try", subject=subject, detail={"count": 1})


# Its first part is an expression, which SQLAlchemy cannot read back: the next test compares the text of every index.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index ix_cases_queue")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index 'ix_cases_queue'")
def test_migrations_make_exactly_the_tables_of_the_schema(store: DeskStore) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == engine.HEAD_REVISION
    assert len(METADATA.tables) >= 33


def test_migrations_spell_every_index_as_the_schema_does(store: DeskStore) -> None:
    made = create_engine("sqlite://")
    METADATA.create_all(made)
    indexes = []
    with store.read() as migrated, made.connect() as created:
        for connection in (migrated, created):
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            rows = connection.exec_driver_sql(query).all()
            indexes.append({row.name: " ".join(row.sql.replace('"', "").split()) for row in rows})
    assert indexes[0] == indexes[1]
    assert len(indexes[0]) >= 20
    made.dispose()


def test_no_file_of_tables_is_forgotten() -> None:
    found = {path.stem for path in Path(engine.__file__).parent.glob("*_tables.py")} - {"all_tables"}
    assert found == {module.__name__.rpartition(".")[2] for module in TABLE_FILES}
    made = {table.name for module in TABLE_FILES for table in vars(module).values() if isinstance(table, Table)}
    # In schema.py: reports, set-aside rows, links, alarms, collector, cases, their moves, sessions, the audit log.
    assert len(made) == len(METADATA.tables) - 9


def test_head_revision_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [engine.HEAD_REVISION]


def test_commits_are_synced_and_deleted_bytes_overwritten(store: DeskStore) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "temp_store": 2, "foreign_keys": 1}
    with store.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
    assert found == wanted


def test_database_is_closed_to_others(store: DeskStore, tmp_path: Path) -> None:
    append(store, "one")
    with store.read():
        files = list(tmp_path.iterdir())
        assert {path.name for path in files} == {"desk.sqlite", "desk.sqlite-wal", "desk.sqlite-shm"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_missing_existing_and_newer_databases_are_told_apart(store: DeskStore, tmp_path: Path) -> None:
    with pytest.raises(DeskStoreError) as missing:
        open_store(tmp_path / "other.sqlite")
    assert missing.value.reason == "no-store"
    with pytest.raises(DeskStoreError) as existing:
        open_store(tmp_path / "desk.sqlite", create=True)
    assert existing.value.reason == "store-exists"
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DeskStoreError) as newer:
        open_store(tmp_path / "desk.sqlite")
    assert newer.value.reason == "newer-store"


def test_full_disk_is_said_and_nothing_is_half_written(store: DeskStore) -> None:
    def write_too_much() -> None:
        with store.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            for number in range(2000):
                append_entry(connection, at=NOW, actor="test", action="x" * 900, subject=str(number))

    with pytest.raises(DeskStoreError) as caught:
        write_too_much()
    assert caught.value.reason == "store-unavailable"
    with store.read() as connection:
        assert check_chain(connection) == 0


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
        connection.exec_driver_sql("INSERT INTO audit (at) VALUES (?)", (marker,))
    assert marker not in str(caught.value)


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rows_of_audit_ledger_and_moves_are_only_ever_added(store: DeskStore, table: str, verb: str) -> None:
    append(store, "one")
    with store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ledger (partner, quarter, table_name, micro_epsilon, committed_at) "
            "VALUES ('a', 'b', 'c', 1, 'd')"
        )
        connection.exec_driver_sql(
            "INSERT INTO case_moves (case_id, moved_at, moved_by, crisis_before, score_before, crisis, score, reason) "
            "VALUES ('a', 'b', 'c', 0, 1, 1, 2, 'd')"
        )
    statement = f"UPDATE {table} SET id = id + 1" if verb == "UPDATE" else f"DELETE FROM {table}"  # noqa: S608 - our own names
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
        "UPDATE audit SET entry_sha256 = zeroblob(32) WHERE id = 3",
        "UPDATE audit SET previous_sha256 = zeroblob(32) WHERE id = 3",
        "INSERT INTO audit SELECT 4, at, actor, action, subject, detail, previous_sha256, x'00' FROM audit LIMIT 1",
    ],
)
def test_altered_audit_log_is_noticed(store: DeskStore, statement: str) -> None:
    append(store, "one", "two", "three")
    with store.write() as connection:
        # Somebody with the disk takes the triggers off first.
        for name in ("audit_no_update", "audit_no_delete"):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(statement)
    with store.read() as connection, pytest.raises(AuditChainError):
        check_chain(connection)


def test_deed_that_fails_leaves_no_entry(store: DeskStore) -> None:
    def fail(connection: Any) -> None:
        append_entry(connection, at=NOW, actor="test", action="try", subject="one")
        raise LookupError("the deed failed")

    with pytest.raises(LookupError), store.write() as connection:
        fail(connection)
    with store.read() as connection:
        assert check_chain(connection) == 0


def test_what_waited_or_went_before_there_was_an_outbox_has_its_state_there(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    path.touch(mode=0o600)
    old = engine.DeskStore(engine._make_engine(path))
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    queue_columns = "tries, next_try_at, queued_at, last_error"
    with old.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0015")
        for table, columns, rows in (
            (
                "mailbox_messages",
                "partner, number, message_id, kind, signed, envelope, issued_at, posted_at",
                ["'a', 1, 'm-1', 'welcome', '', '', 't1', 't3'", "'a', 2, 'm-2', 'welcome', '', '', 't2', NULL"],
            ),
            (
                "stages",
                "partner, report_id, stage, queued_at, sent_at",
                ["'a', 'r-1', 'opened', 't1', NULL", "'a', 'r-2', 'collected', 't0', 't1'"],
            ),
            (
                "reply_messages",
                "message_id, case_id, kind, reference, envelope, written_at, written_by, posted_at, no_place_at",
                [
                    "'w-1', 'c', 'reply', 'r', '', 't1', 'k', NULL, NULL",
                    "'w-2', 'c', 'reply', 'r', '', 't2', 'k', 't3', NULL",
                    "'w-3', 'c', 'reply', 'r', '', 't3', 'k', NULL, 't4'",
                ],
            ),
            (
                "outgoing_post",
                f"case_id, kind, channel, language, state, {queue_columns}, sent_at, address_mac",
                [
                    "'c-1', 'acknowledgement', 'email', 'en', 'held', 1, 't9', 't1', NULL, NULL, NULL",
                    "'c-2', 'acknowledgement', 'sms', 'cy', 'sent', 1, 't9', 't1', NULL, 't2', x'68'",
                    "'c-3', 'acknowledgement', 'email', 'en', 'given_up', 9, 't9', 't1', 'mail-refused', NULL, NULL",
                ],
            ),
            (
                "pages",
                "id, target, count, first_at, sent_at, tries, next_try_at, last_error, acknowledged_by, repeats",
                [
                    "4, 'desk', 2, 't1', 't2', 1, 't9', NULL, 'Alex', 1",
                    "5, 'out_of_hours', 3, 't3', NULL, 0, 't3', 'no-pager', NULL, 0",
                ],
            ),
        ):
            for row in rows:
                connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({row})")  # noqa: S608 - our own
    old.close()
    store = open_store(path)
    with store.read() as connection:
        query = "SELECT kind, subject, lane, state, queued_at, done_at, last_error FROM outbox ORDER BY kind, id"
        found = [tuple(row) for row in connection.exec_driver_sql(query)]
        notes = connection.exec_driver_sql("SELECT case_id, channel, address_mac FROM notes").all()
        alerts = connection.exec_driver_sql("SELECT id, target, count, acknowledged_by, repeats FROM alerts").all()
    assert notes == [("c-1", "email", None), ("c-2", "sms", b"h"), ("c-3", "email", None)]
    assert alerts == [(4, "desk", 2, "Alex", 1), (5, "out_of_hours", 3, None, 0)]
    assert found == [
        ("alert", "4", "", "sent", "t1", "t2", None),
        ("alert", "5", "", "waiting", "t3", None, "no-pager"),
        ("message", "m-1", "a", "sent", "t1", "t3", None),
        ("message", "m-2", "a", "waiting", "t2", None, None),
        ("note", "c-1", "", "held", "t1", None, None),
        ("note", "c-2", "", "sent", "t1", "t2", None),
        ("note", "c-3", "", "given_up", "t1", "t9", "mail-refused"),
        ("reply", "w-1", "", "waiting", "t1", None, None),
        ("reply", "w-2", "", "sent", "t2", "t3", None),
        ("reply", "w-3", "", "given_up", "t3", "t4", "no-place"),
        ("stage", "a r-2", "", "sent", "t0", "t1", None),
        ("stage", "a r-1", "", "waiting", "t1", None, None),
    ]
    store.close()
