"""Migrations: an empty file brought up is exactly the schema that the code uses, and says so."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import gateway.store
import gateway.store.account_tables
import gateway.store.adoption_tables
import gateway.store.evidence_tables
from gateway.store.creation import begin_epoch, make_store, migrate_store, run_migrations
from gateway.store.instance import find_instance
from gateway.store.reports import find_next_place
from gateway.store.schema import SCHEMA_REVISION, metadata
from tests.builders import NOW, House, Partner
from tests.gateway.store_builders import new_industry_report, new_store

OBJECTS = "SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name != 'alembic_version'"
FIRST_TABLES = {"reports", "mailbox", "invitations", "enrolments", "drafts", "published", "instance"}
TABLES = FIRST_TABLES | {
    "return_places",
    "replies",
    "counts",
    "account_changes",
    "evidence",
    "evidence_parts",
    "adoption_requests",
    "probes",
}
INDEXES = 14


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
    config = Config()
    folder = Path(gateway.store.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [SCHEMA_REVISION]
    assert len(list((folder / "versions").glob("0*.py"))) == len(list(script.walk_revisions())) == 8


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with store.read() as connection:
        before = describe(connection)
    migrate_store(store.path, lock_path=tmp_path / "gateway.lock")
    with store.read() as connection:
        assert describe(connection) == before


def test_a_file_of_the_first_release_is_brought_up_and_keeps_its_rows(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.sqlite'}", connect_args={"isolation_level": None})
    with engine.connect() as connection:
        run_migrations(connection, revision="0001")
        found = {name for name, (kind, _) in describe(connection).items() if kind == "table"}
        assert found == FIRST_TABLES
        connection.exec_driver_sql("INSERT INTO drafts VALUES (x'01', 1, 2, x'03')")
        connection.commit()
    engine.dispose()
    migrate_store(tmp_path / "gateway.sqlite", lock_path=tmp_path / "gateway.lock")
    store = new_store(tmp_path)
    with store.read() as connection:
        assert set(describe(connection)) >= TABLES
        assert connection.exec_driver_sql("SELECT * FROM drafts").all() == [(b"\x01", 1, 2, b"\x03", "writing", None)]


def test_reports_of_one_common_chain_keep_their_order_and_each_sender_goes_on_behind_its_highest(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway.sqlite"
    engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None})
    with engine.connect() as connection:
        run_migrations(connection, revision="0005")
        for number, partner in enumerate(("public", "example-chat", "public", "example-chat", "public"), start=1):
            connection.exec_driver_sql(
                "INSERT INTO reports (sequence, epoch, report_id, partner, environment, door, reference, kind, "
                "priority, received_at, stage, envelope_sha256, intake_sha256, intake, envelope) "
                "VALUES (?, 'one', ?, ?, 'live', 'public', ?, 'initial', 'P3', 1, 'received', x'', ?, x'01', x'02')",
                (number, f"id-{number}", partner, f"reference-{number}", bytes([number])),
            )
        connection.exec_driver_sql("INSERT INTO instance VALUES (1, 'gateway-test', 'one', 1)")
        connection.commit()
    engine.dispose()
    migrate_store(path, lock_path=tmp_path / "gateway.lock")
    store = new_store(tmp_path)
    assert store.look("SELECT position, sequence, partner FROM reports ORDER BY position")[3:] == [
        (4, 4, "example-chat"),
        (5, 5, "public"),
    ]
    with store.write() as connection:
        places = [find_next_place(connection, partner=one) for one in ("example-chat", "public", "newcomer")]
    assert [(place.position, place.sequence, place.previous_sha256) for place in places if place] == [
        (6, 5, b"\x04"),
        (6, 6, b"\x05"),
        (6, 1, None),
    ]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None})
    with engine.connect() as connection:
        # The last statement of the migration meets a table that is there already.
        connection.exec_driver_sql("CREATE TABLE instance (stranger INTEGER)")
        connection.commit()
        before = connection.exec_driver_sql("SELECT name FROM sqlite_master").all()
        connection.rollback()
        with pytest.raises(Exception, match="already exists"):
            run_migrations(connection)
        connection.rollback()
        assert connection.exec_driver_sql("SELECT name FROM sqlite_master").all() == before
    engine.dispose()


def test_every_table_and_index_can_be_made_by_postgresql_too() -> None:
    texts = [str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables]
    indexes = [
        str(CreateIndex(index).compile(dialect=postgresql.dialect()))
        for table in metadata.sorted_tables
        for index in table.indexes
    ]
    assert len(texts) == len(TABLES)
    assert len(indexes) == INDEXES
    assert sum("BYTEA" in text for text in texts) == 13
    assert sum("WHERE acknowledged_at IS" in text for text in indexes) == 6


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
