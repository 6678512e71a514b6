"""All rows of a gateway and a desk move from SQLite to a PostgreSQL server, once and whole, and work goes on there."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.cli import main as run_gateway
from gateway.config import StateFolder, load_config
from gateway.databases.database import PostgresqlServer
from gateway.databases.migrations import MoveError
from gateway.desk.office.wiring import open_desk
from gateway.desk.running.cli import main as run_desk
from gateway.desk.store import DeskStore, DeskStoreError, engine, move_store, open_store
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.audit import append_entry, check_chain, list_alarms
from gateway.desk.store.schema import ALARMS
from gateway.intake import NewReport
from gateway.store import StorageUnavailableError
from gateway.store.store import migrate_store
from gateway.wiring import make_gateway
from tests.builders import NOW, seal_report
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import close_loop, copy_loop, open_loop
from tests.desk.made_models import make_desk_tables, name_server
from tests.documents import MOVING, list_lines
from tests.postgresql import MakeTables, Server, connect

pytestmark = pytest.mark.databases("postgresql")

PROGRAMS = {"report-abuse-gateway": run_gateway, "report-abuse-desk": run_desk}


def make_empty_database(server: Server) -> str:
    return server.uri(server.make_database())


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path)


def test_lines_move_gateway_and_desk_and_everything_goes_on(loop: Loop, postgresql_server: Server) -> None:
    sealed = seal_report(loop.partner, key=loop.sealing_key())
    first = NewReport(door="industry", envelope=sealed.envelope, submission=sealed.statement, clear=sealed.clear)
    accepted = loop.gateway.intake.accept(first)
    loop.collect()
    loop.send_public()
    close_loop(loop)
    files = [loop.folder / "gateway" / "gateway.sqlite", loop.folder / "desk" / "desk.sqlite"]
    for file in files:
        name_server(file.with_suffix(".toml"), make_empty_database(postgresql_server))
    with pytest.raises(DeskStoreError, match="holds no desk"):
        open_desk(loop.folder / "desk")
    config, state = load_config(loop.folder / "gateway"), StateFolder(loop.folder / "gateway")
    migrate_store(state.database, lock_path=state.lock, uri=config.database_uri)  # as `serve` does
    with pytest.raises(StorageUnavailableError) as refused:
        make_gateway(config, state=state.path, clock=loop.clock).store.check()
    assert refused.value.reason == "behind"
    before = [file.read_bytes() for file in files]
    for _ in range(2):  # the second time finds all rows there
        lines = list(list_lines(MOVING, "docs/operations.md"))
        assert len(lines) >= 3
        for line in lines:
            program, *arguments = shlex.split(line)
            states = {f"/var/lib/{name}": str(loop.folder / name.rpartition("-")[2]) for name in PROGRAMS}
            # The gateway is stopped: the audit log is compared with the anchors beside it alone, which it says by 3.
            expected = 3 if arguments[:2] == ["audit", "check"] else 0
            assert PROGRAMS[program]([states.get(word, word) for word in arguments]) == expected, line
    assert [file.read_bytes() for file in files] == before

    moved = open_loop(loop.folder)
    moved.gateway.store.check()
    again = moved.gateway.intake.accept(first)
    assert (again.is_new, again.receipt) == (False, accepted.receipt)
    assert moved.collect().filed == 1  # stored before the move
    moved.send_public()
    moved.send_industry()
    assert moved.collect().filed == 2
    with moved.desk.store.read() as connection:
        assert list_alarms(connection) == []
        assert check_chain(connection) >= 8
    close_loop(moved)
    # By now the server has more than the file.
    for run, name in ((run_gateway, "gateway"), (run_desk, "desk")):
        assert run(["move-database", "--state", str(loop.folder / name)]) == 2


# The desk stands for both in the rest.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database of a desk with a few rows."""
    path = tmp_path / "desk.sqlite"
    store = open_store(path, create=True)
    with store.write() as connection:
        for number in range(5):
            append_entry(connection, "try", str(number), at=NOW, actor="test")
            connection.execute(insert(ALARMS).values(kind="gap", subject=str(number), raised_at="2026"))
    return path


@pytest.fixture
def make_tables() -> MakeTables:
    return make_desk_tables


def move(file: Path, uri: str, check: Any = check_chain) -> dict[str, int]:
    return {name: rows for name, rows in move_store(file, uri=uri, check=check).items() if rows}


def count(uri: str, table: str) -> int:
    with connect(uri) as server:
        return int(server.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own name


def test_move_that_ends_early_leaves_nothing_and_can_be_repeated(file: Path, database_uri: str) -> None:

    def end_session(connection: Any) -> None:
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with connect(database_uri) as operator:
            operator.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

    with pytest.raises(MoveError, match="Check that the server") as ended:
        move(file, database_uri, end_session)
    assert ended.value.reason == "missing"
    assert (count(database_uri, "audit"), count(database_uri, "alarms")) == (0, 0)
    assert move(file, database_uri) == {"alarms": 5, "audit": 5}
    assert move(file, database_uri) == {"alarms": 5, "audit": 5}
    assert (count(database_uri, "audit"), count(database_uri, "alarms")) == (5, 5)


def test_rows_that_differ_at_the_server_are_not_committed(file: Path, database_uri: str) -> None:
    with connect(database_uri) as operator:
        operator.execute(
            "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.subject = NEW.subject || ' '; RETURN NEW; END $$"
        )
        operator.execute("CREATE TRIGGER change BEFORE INSERT ON alarms FOR EACH ROW EXECUTE FUNCTION change()")
        with pytest.raises(MoveError, match="The rows of alarms differ") as refused:
            move(file, database_uri)
        operator.execute("DROP FUNCTION change CASCADE")
    assert refused.value.reason == "differs"
    assert count(database_uri, "alarms") == 0


def test_database_with_rows_or_tables_of_others_is_refused_and_left_as_it_is(
    file: Path, database_uri: str, postgresql_server: Server
) -> None:
    other = make_empty_database(postgresql_server)
    with connect(database_uri) as operator:
        operator.execute("INSERT INTO alarms (kind, subject, raised_at) VALUES ('a', 'b', 'c')")
    with connect(other) as operator:
        operator.execute("CREATE TABLE alarms (id integer)")
    with postgresql_server.lend_database() as of_gateway:
        for address in (database_uri, other, of_gateway):
            with pytest.raises(MoveError, match="must be empty") as refused:
                move(file, address)
            assert refused.value.reason == "not-empty"
    assert (count(database_uri, "alarms"), count(database_uri, "audit"), count(other, "alarms")) == (1, 0, 0)


def test_nobody_writes_to_the_file_until_the_move_has_ended(
    file: Path, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report accepted after the last look at the file would stay there for ever."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.2)
    refused: list[str] = []

    def write() -> None:
        try:
            with open_store(file).write() as other:
                append_entry(other, "try", "late", at=NOW, actor="test")
        except DeskStoreError as error:
            refused.append(error.reason)

    def write_early(connection: Any) -> None:
        check_chain(connection)
        write()

    commit = PostgresqlServer.commit

    def write_late(server: PostgresqlServer, connection: Any) -> None:
        write()
        commit(server, connection)

    monkeypatch.setattr(PostgresqlServer, "commit", write_late)
    assert move(file, database_uri, write_early) == {"alarms": 5, "audit": 5}
    assert refused == ["store-unavailable"] * 2
    assert count(database_uri, "audit") == 5
    write()
    assert len(refused) == 2


def test_file_that_is_being_written_to_is_refused(file: Path, database_uri: str) -> None:
    with open_store(file).write() as other:
        append_entry(other, "try", "late", at=NOW, actor="test")
        with pytest.raises(MoveError, match="stop every process that uses it") as refused:
            move(file, database_uri)
    assert refused.value.reason == "in-use"
    assert move(file, database_uri) == {"alarms": 5, "audit": 6}


def test_broken_audit_log_is_not_moved(file: Path, database_uri: str) -> None:
    with open_store(file).write() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit SET actor = 'other' WHERE id = 2")
    with pytest.raises(Exception, match="breaks at entry 2"):
        move(file, database_uri)
    assert count(database_uri, "audit") == 0


def test_numbers_go_on_after_the_highest_that_was_ever_given(file: Path, database_uri: str) -> None:
    """An entry of the outbox is named by others, so no later one may get its number."""
    values = {"kind": "stage", "lane": "", "state": "sent", "turn": 0, "tries": 0, "silences": 0}
    values |= {"queued_at": "2026", "next_try_at": "2026"}

    def add(store: DeskStore, subject: str) -> tuple[int, ...]:
        with store.write() as connection:
            alarm = insert(ALARMS).values(kind="fork", subject=subject, raised_at="2026").returning(ALARMS.c.id)
            entry = insert(OUTBOX).values(subject=subject, **values).returning(OUTBOX.c.id)
            return tuple(connection.execute(one).scalar_one() for one in (alarm, entry))

    assert [add(open_store(file), subject) for subject in ("a", "b")] == [(6, 1), (7, 2)]
    with open_store(file).write() as connection:
        connection.exec_driver_sql("DELETE FROM outbox WHERE id = 2")
    move(file, database_uri)
    assert add(open_store(file, uri=database_uri), "c") == (8, 3)


def test_text_that_postgresql_cannot_store_is_an_error_without_it(file: Path, database_uri: str) -> None:
    with open_store(file).write() as connection:
        connection.execute(insert(ALARMS).values(kind="gap", subject="marker\0", raised_at="2026"))
    with pytest.raises(MoveError, match="refuses a row") as refused:
        move(file, database_uri)
    assert "marker" not in str(refused.value)


def test_missing_file_and_missing_address_are_errors(file: Path, database_uri: str) -> None:
    for path, address, reason in ((file, "", "no-server"), (file.with_name("no"), database_uri, "no-file")):
        with pytest.raises(MoveError) as refused:
            move(path, address)
        assert refused.value.reason == reason
    with open_store(file).write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'r0'")
    with pytest.raises(MoveError, match="another release") as refused:
        move(file, database_uri)


def test_progress_is_shown_on_a_terminal_alone(
    file: Path, database_uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    move(file, database_uri)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    move(file, database_uri)
    assert capsys.readouterr().err == "\r5 of 10 rows\r10 of 10 rows\n"
