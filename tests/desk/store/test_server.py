"""The desk on a PostgreSQL server: the same guarantees as in a file, and servers that must not be trusted."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import inspect

from gateway.cli import main as run_gateway
from gateway.desk.collection.chain import load_trusted_keys
from gateway.desk.collection.collect import Collected, take_rows
from gateway.desk.collection.damage import look_for_damage
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from gateway.desk.store import DeskStore, DeskStoreError, engine, open_store
from gateway.desk.store.audit import append_entry, check_chain
from gateway.desk.store.migrations import METADATA
from gateway.exchange.feed import REPORT
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode
from tests.builders import NOW, Agency
from tests.desk.desk_loop import ACTOR, Loop
from tests.postgresql import Server, connect

pytestmark = pytest.mark.databases("postgresql")


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> DeskStore:
    return open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)


@pytest.fixture
def empty_database(postgresql_server: Server) -> str:
    """The address of a database without a table."""
    return postgresql_server.uri(postgresql_server.make_database())


def append(store: DeskStore, subject: str) -> None:
    with store.write() as connection:
        append_entry(connection, "try", subject, at=NOW, actor="test")


def test_audit_log_has_no_gap_after_a_failed_action(store: DeskStore) -> None:
    """A sequence of the server would count on."""

    def fail() -> None:
        with store.write() as connection:
            append_entry(connection, "try", "one", at=NOW, actor="test")
            raise LookupError

    append(store, "one")
    with pytest.raises(LookupError):
        fail()
    append(store, "two")
    with store.read() as connection:
        assert check_chain(connection) == 2


def test_text_sorts_by_its_bytes_whatever_the_language_of_the_database(store: DeskStore) -> None:
    with store.read() as connection:
        query = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE data_type = 'text'"
        own = f"{query} AND table_schema = 'public' AND table_name <> 'alembic_version'"
        assert connection.exec_driver_sql(own).scalars().all() == ["C"]


@pytest.mark.parametrize("setting", ["synchronous_commit = off", "synchronous_commit = local"])
def test_server_that_could_lose_a_stored_report_is_refused_with_its_remedy(
    store: DeskStore, database_uri: str, tmp_path: Path, setting: str
) -> None:
    name = database_uri.partition("@/")[2].partition("?")[0]
    with connect(database_uri) as operator:
        operator.execute(f"ALTER DATABASE {name} SET {setting}")
        try:
            append(store, "one")  # its connection was safe before, and stays it
            with pytest.raises(DeskStoreError, match="synchronous_commit = on") as refused:
                open_store(tmp_path / "desk.sqlite", uri=database_uri)
        finally:
            operator.execute(f"ALTER DATABASE {name} RESET ALL")
    assert refused.value.reason == "store-unsafe"
    append(store, "two")


def test_connection_is_used_again_and_replaced_where_the_server_ended_it(store: DeskStore, database_uri: str) -> None:
    def find_process() -> object:
        with store.read() as connection:
            return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()

    first = find_process()
    append(store, "one")
    assert find_process() == first
    with connect(database_uri) as operator:
        operator.execute(f"SELECT pg_terminate_backend({first})")
    append(store, "two")
    assert find_process() != first
    with store.read() as connection:
        assert check_chain(connection) == 2


def test_table_that_a_crash_would_empty_is_refused(store: DeskStore, database_uri: str) -> None:
    for setting in ("UNLOGGED", "LOGGED"):
        with connect(database_uri) as operator:
            operator.execute(f"ALTER TABLE alarms SET {setting}")
        if setting == "UNLOGGED":
            with pytest.raises(DeskStoreError, match="no UNLOGGED table"):
                append(store, "one")
    append(store, "two")


def test_writer_waits_for_another_writer_no_longer_than_its_time(
    store: DeskStore, database_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = open_store(tmp_path / "desk.sqlite", uri=database_uri)
    with store.write() as connection:
        append_entry(connection, "try", "one", at=NOW, actor="test")
        with pytest.raises(DeskStoreError, match=r"\(locked\)"):
            append(impatient, "two")
        with impatient.read() as reading:
            assert check_chain(reading) == 0
    append(impatient, "three")
    with store.read() as connection:
        assert check_chain(connection) == 2


def test_two_desks_that_take_the_same_rows_at_once_file_each_once(loop: Loop) -> None:
    """Two runs on two machines read what is new before either writes: the server's turn alone keeps them apart."""
    loop.send_public()
    loop.collect()  # msgspec makes what it knows of a type at its first use
    for _ in range(3):
        loop.send_public()
        loop.send_industry()
    rows = [bytes(one) for one in loop.desk.make_feed().get_items(REPORT, limit=10).items]
    trusted, start, runs = load_trusted_keys(loop.desk, actor="test"), Barrier(2), (Collected(), Collected())

    def take(collected: Collected) -> None:
        start.wait()
        take_rows(loop.desk, rows, trusted=trusted, actor=ACTOR, collected=collected)

    threads = [Thread(target=take, args=(collected,)) for collected in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.filed, one.known) for one in runs) == [(0, 6), (6, 0)]
    assert (loop.count("cases"), loop.count("reports")) == (7, 7)
    with loop.desk.store.read() as connection:
        check_chain(connection)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://desk@127.0.0.1:{listener.getsockname()[1]}/desk"


def test_server_that_never_answers_is_an_error_and_its_address_no_part_of_it(
    silent_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(DeskStoreError, match="Check that the server of database_uri runs") as refused:
        open_store(tmp_path / "desk.sqlite", uri=silent_address)
    assert "127.0.0.1" not in str(refused.value)


def test_new_desk_needs_a_database_of_its_own(
    tmp_path: Path, empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["init", "--gateway-origin", "https://report.example", "--feed", "http://127.0.0.1:9"]
    asked += ["--database-uri", empty_database]
    assert main([*asked, "--state", str(tmp_path / "one")]) == 0
    assert not (tmp_path / "one" / "desk.sqlite").exists()
    assert main(["audit", "check", "--state", str(tmp_path / "one")]) == 3  # no gateway answers
    main(["doctor", "--state", str(tmp_path / "one")])
    assert "The audit log is whole: 3 entries" in capsys.readouterr().out
    assert main([*asked, "--state", str(tmp_path / "two")]) == 2
    assert not (tmp_path / "two").exists()
    assert main(["audit", "check", "--state", str(tmp_path / "one")]) == 3


def test_init_that_fails_midway_can_be_repeated_on_the_same_database(
    tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["init", "--state", str(tmp_path / "desk"), "--gateway-origin", "https://report.example"]
    asked += ["--feed", "http://127.0.0.1:9", "--database-uri", empty_database]
    with monkeypatch.context() as patched:

        def fail(*_: object, **__: object) -> None:
            raise LocalStateError("The disk is full.", reason="full")

        patched.setattr("gateway.desk.keyring.publication.add_sealing_key", fail)
        assert main(asked) == 2
    assert not (tmp_path / "desk").exists()
    assert main(asked) == 0


def test_database_of_a_gateway_is_no_desk(tmp_path: Path, postgresql_server: Server) -> None:
    with postgresql_server.lend_database() as of_gateway:
        for is_new, reason in ((False, "no-store"), (True, "store-exists")):
            with pytest.raises(DeskStoreError) as refused:
                open_store(tmp_path / "desk.sqlite", uri=of_gateway, create=is_new)
            assert refused.value.reason == reason


def test_database_of_a_desk_is_no_gateway(
    tmp_path: Path, store: DeskStore, database_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Revisions of both have the same names: a migration of the gateway would run."""
    append(store, "one")
    pin = tmp_path / "agency.pin"
    pin.write_bytes(encode(Agency().pin()))
    asked = ["init", "--state", str(tmp_path / "gateway"), "--pin", str(pin), "--origin", "https://report.example"]
    assert run_gateway([*asked, "--database-uri", database_uri]) == 2
    assert "belongs to another program" in capsys.readouterr().err
    with store.read() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version", *METADATA.tables}


def test_deep_check_reads_every_page_where_the_server_has_amcheck(loop: Loop) -> None:
    """Where it has not, `doctor` says so; reports, keys and boxes are examined all the same."""
    loop.send_public()
    loop.collect()
    address = loop.desk.config.database_uri
    with connect(address) as operator:
        operator.execute("DROP EXTENSION IF EXISTS amcheck")
    assert not loop.desk.store.reads_every_page()
    findings = [one.detail for one in examine(loop.desk.paths.state, clock=loop.clock, is_deep=True)]
    assert any("The server lacks amcheck" in one for one in findings)
    with connect(address) as operator:
        operator.execute("CREATE EXTENSION amcheck")
    assert loop.desk.store.reads_every_page()
    assert look_for_damage(loop.desk, feed=loop.desk.make_feed()).gaps == []
    with connect(address) as operator:
        operator.execute("DROP EXTENSION amcheck")
