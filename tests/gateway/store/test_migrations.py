"""Migrations: an empty file brought up is exactly the schema that the code uses, with its version."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.databases.database import SqliteFile, make_database
from gateway.databases.failures import UnknownSchemaError
from gateway.databases.migrations import migrate, open_scripts
from gateway.store import StorageUnavailableError
from gateway.store.connections import find_instance
from gateway.store.schema import SCHEMA_REVISION, metadata
from gateway.store.store import MIGRATIONS, begin_epoch, make_store, migrate_store, open_store
from tests.builders import NOW, House, Partner
from tests.gateway.store_builders import new_industry_report, new_store

OBJECTS = "SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name != 'alembic_version'"
TABLES = {
    "audit_anchors",
    "counts",
    "drafts",
    "evidence",
    "evidence_parts",
    "instance",
    "invitations",
    "items",
    "log_head",
    "log_tiles",
    "probes",
    "published",
    "reports",
    "return_places",
}
INDEXES = 12


def describe(connection: Connection) -> dict[str, tuple[str, frozenset[str]]]:
    """Return each object with its SQL cut into clauses: their order may differ, nothing else."""
    found = {}
    for name, kind, sql in connection.exec_driver_sql(OBJECTS):
        clauses = frozenset(line.strip().rstrip(",") for line in sql.replace("\t", " ").splitlines() if line.strip())
        found[name] = (kind, clauses)
    return found


def test_an_empty_file_brought_up_equals_the_metadata(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        migrated = describe(connection)
    fresh = create_engine("sqlite://")
    with fresh.begin() as connection:
        metadata.create_all(connection)
        # Alembic's comparison looks at neither CHECKs nor the WHERE of an index: compare the SQL as well.
        assert migrated == describe(connection)
    fresh.dispose()
    assert set(migrated) >= TABLES
    assert set(metadata.tables) == TABLES
    assert len(migrated) == len(TABLES) + INDEXES


def test_the_revision_in_the_code_is_the_newest_migration() -> None:
    script = open_scripts(MIGRATIONS)
    assert script.get_heads() == [SCHEMA_REVISION]
    assert len(list(MIGRATIONS.glob("r*.py"))) == len(list(script.walk_revisions()))


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store.read() as connection:
        before = describe(connection)
    migrate_store(store.path, lock_path=tmp_path / "gateway.lock")
    with store.read() as connection:
        assert describe(connection) == before


@pytest.mark.parametrize("revision", ["0001", "0008", "r9"])
def test_a_file_of_before_the_first_release_or_of_a_newer_one_is_refused_and_left_as_it_is(
    tmp_path: Path, revision: str
) -> None:
    path = tmp_path / "gateway.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.execute("CREATE TABLE reports (position INTEGER)")
        connection.commit()
        before = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    with pytest.raises(UnknownSchemaError, match=rf"know the schema of the database \({revision}\)") as caught:
        migrate_store(path, lock_path=tmp_path / "gateway.lock")
    assert "make a new one in an empty folder with `init`" in str(caught.value)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name, sql FROM sqlite_master").fetchall() == before
    with pytest.raises(StorageUnavailableError) as unusable:
        open_store(path, lock_path=tmp_path / "gateway.lock").check()
    assert unusable.value.reason == "schema"


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    path.touch()
    database = SqliteFile(path, lock_timeout_seconds=1)
    with database.engine.connect() as connection:
        # The last statement of the migration meets a table that is there already.
        connection.exec_driver_sql("CREATE TABLE instance (stranger INTEGER)")
        connection.commit()
        before = connection.exec_driver_sql("SELECT name FROM sqlite_master").all()
        connection.rollback()
        with pytest.raises(Exception, match="already exists"):
            migrate(connection, database=database, folder=MIGRATIONS)
        connection.rollback()
        assert connection.exec_driver_sql("SELECT name FROM sqlite_master").all() == before


def test_every_table_and_index_can_be_made_by_postgresql_too() -> None:
    texts = [str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables]
    indexes = [
        str(CreateIndex(index).compile(dialect=postgresql.dialect()))
        for table in metadata.sorted_tables
        for index in table.indexes
    ]
    assert len(texts) == len(TABLES)
    assert len(indexes) == INDEXES
    assert sum("BYTEA" in text for text in texts) == 12
    assert sum("WHERE acknowledged_at IS" in text for text in indexes) == 5


def test_a_store_that_is_there_keeps_its_name_and_epoch(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    store = make_store(
        tmp_path / "gateway.sqlite", lock_path=tmp_path / "gateway.lock", name="other", epoch="other", now=NOW
    )
    with store.read() as connection:
        found = find_instance(connection)
    assert found is not None
    assert (found.name, found.epoch) == ("gateway-test", "epoch-one")


def test_a_new_epoch_keeps_the_name_and_the_reports(house: House, partner: Partner) -> None:
    gateway = house.open_gateway()
    gateway.intake.accept(new_industry_report(partner))
    begin_epoch(gateway.store, epoch="epoch-after-restore", now=NOW)
    with gateway.store.read() as connection:
        found = find_instance(connection)
        assert connection.exec_driver_sql("SELECT epoch FROM reports").scalars().all() == ["epoch-of-tests"]
    assert found is not None
    assert (found.name, found.epoch) == ("gateway-test", "epoch-after-restore")


def set_revision(connection: Connection, revision: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


@pytest.mark.databases("sqlite", "postgresql")
def test_a_release_goes_on_with_the_schema_of_the_next_one_and_with_none_after_it(
    house: House, partner: Partner
) -> None:
    """During an upgrade the gateways of the release before serve the database that the new one has expanded."""
    lock_path, uri = house.state / "gateway.lock", house.config.database_uri
    number = int(SCHEMA_REVISION.removeprefix("r"))
    store = house.open_gateway().store
    with store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE reports ADD COLUMN of_the_next_release TEXT")
        set_revision(connection, f"r{number + 1}")
    store.close()
    migrate_store(store.path, lock_path=lock_path, uri=uri)
    gateway = house.open_gateway()
    gateway.intake.accept(new_industry_report(partner))
    with gateway.store.write() as connection:
        set_revision(connection, f"r{number + 2}")
    gateway.store.close()
    with pytest.raises(UnknownSchemaError):
        migrate_store(store.path, lock_path=lock_path, uri=uri)
    with pytest.raises(StorageUnavailableError) as unusable, house.open_gateway().store.read():
        pass
    assert unusable.value.reason == "schema"
    with make_database(store.path, uri=uri, lock_timeout_seconds=1).engine.begin() as connection:  # others use it too
        connection.exec_driver_sql("ALTER TABLE reports DROP COLUMN of_the_next_release")
        set_revision(connection, SCHEMA_REVISION)
