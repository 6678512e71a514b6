"""A database on a PostgreSQL server: two gateways on one, a server that dies, and servers that must not be trusted."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, ProgrammingError

from gateway.cli import main
from gateway.databases.database import WRITERS_TURN, PostgresqlServer
from gateway.doctor import examine
from gateway.store import StorageUnavailableError, reports
from gateway.store.items import find_draft, put_draft
from gateway.store.reports import count_waiting, find_heads, list_links, read_waiting
from gateway.store.schema import metadata
from partner_sdk.wire.canonical import encode
from tests.builders import DAY, NOW, Agency, House, Partner
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_STORY, read_title
from tests.gateway.store.test_writers import check_chain
from tests.gateway.store_builders import (
    StubbornSenders,
    check_refused,
    finish_process,
    hurry,
    new_industry_report,
    new_public_report,
    new_store,
    open_patient,
    start_process,
)
from tests.gateway.web.process_watch import wait_until
from tests.postgresql import Server, connect

pytestmark = pytest.mark.databases("postgresql")

DRAFT = b"\x07" * 32


def copy_gateway(house: House, state: Path) -> House:
    """Make a second gateway on the same database: a copy of the state folder without the files of its own."""
    shutil.copytree(house.state, state, ignore=shutil.ignore_patterns("gateway.mark", "gateway.lock*"))
    return House(state, house.agency, house.config, house.receipt_key, clock=house.clock)


# Two gateways.


def test_two_gateways_on_one_database_lose_nothing_and_leave_no_gap(house: House, tmp_path: Path) -> None:
    """Without the writers' turn at the server this gave 70 unique violations in 400 reports."""
    other = copy_gateway(house, tmp_path / "other")
    processes = [start_process("writer_process", str(one.state), "60") for one in (house, other) for _ in range(2)]
    promised = [line for process in processes for line in finish_process(process)]
    assert len(promised) == 240
    assert check_chain(open_patient(house), promised=promised) == 240


def test_the_same_report_at_two_gateways_is_stored_once(house: House, tmp_path: Path, partner: Partner) -> None:
    gateways = [open_patient(house), open_patient(copy_gateway(house, tmp_path / "other"))]
    for _ in range(5):
        report = new_industry_report(partner)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda gateway, sent=report: gateway.intake.accept(sent), gateways * 2))
        assert [answer.is_new for answer in answers].count(True) == 1
        assert len({answer.receipt for answer in answers}) == 1
    assert len(house.rows("reports")) == 5


def test_a_report_costs_no_reading_of_earlier_ones_by_plans_made_while_there_were_few(
    house: House, database_uri: str
) -> None:
    """The server keeps the plan of a prepared statement, and reading all of a short table costs nothing."""
    with connect(database_uri) as operator:
        operator.execute("SELECT pg_stat_reset()")
    gateway = open_patient(house)
    for _ in range(100):
        gateway.intake.accept(new_public_report())
    with gateway.store.read() as connection:
        for _ in range(20):
            assert find_heads(connection) is not None
    gateway.store.close()
    with connect(database_uri) as operator:
        assert wait_until(lambda: count_sessions(operator) == 1)  # one that ends gives its counts first
        assert count_stored(operator) == 100
        tables = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'reports'"
        indexes = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'reports'"
        (read_whole,), (by_index,) = (operator.execute(query).fetchone() or (0,) for query in (tables, indexes))
    assert read_whole + by_index < 1000  # 100 reports that each read all earlier ones: 5,000


def count_sessions(operator: Any) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    return int(operator.execute(query).fetchone()[0])


def count_stored(operator: Any) -> int:
    """Return the reports that the statistics know of."""
    return int(operator.execute("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'reports'").fetchone()[0])


def test_the_probes_of_two_gateways_are_kept_apart(house: House, tmp_path: Path) -> None:
    """Two machines give out the same process ids."""
    gateways = [house.open_gateway(), copy_gateway(house, tmp_path / "other").open_gateway()]
    for gateway in gateways:
        gateway.store.check()
    assert len(house.rows("probes")) == 2


def test_a_writer_waits_for_another_gateway_no_longer_than_its_time(house: House, database_uri: str) -> None:
    gateway = hurry(house).open_gateway()
    with connect(database_uri) as stranger:
        stranger.execute(f"SELECT pg_advisory_lock({WRITERS_TURN})")
        check_refused(gateway, "locked")
        with gateway.store.read() as connection:  # readers do not queue
            assert count_waiting(connection) == 0
    assert gateway.intake.accept(new_public_report()).is_new


def test_child_writes_on_while_another_gateway_has_the_turn(hurried_public: PublicHouse) -> None:
    """Reports may wait behind a flood of reports; no page of the form does."""
    person = hurried_public.person().start()
    with connect(hurried_public.house.config.database_uri) as stranger:
        stranger.execute(f"SELECT pg_advisory_lock({WRITERS_TURN})")
        person.walk_to("/14")
        assert person.send().path != "/15"
    assert person.send().path == "/15"
    assert len(hurried_public.reports()) == 1


def test_commands_make_one_gateway_on_a_database_and_no_second_with_other_keys(
    tmp_path: Path, database_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = tmp_path / "agency.pin"
    pin.write_bytes(encode(Agency().pin()))
    asked = ["--pin", str(pin), "--origin", "https://report.example", "--database-uri", database_uri]
    assert main(["init", "--state", str(tmp_path / "one"), *asked]) == 0
    assert not (tmp_path / "one" / "gateway.sqlite").exists()
    main(["doctor", "--state", str(tmp_path / "one")])
    assert "ok       store:" in capsys.readouterr().out
    assert main(["init", "--state", str(tmp_path / "two"), *asked]) != 0
    assert "already belongs to a gateway" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


# A server that dies.


def test_killed_server_gives_a_receipt_or_a_safe_retry(own_server: Server, own_house: House) -> None:
    senders = StubbornSenders([hurry(own_house).open_gateway() for _ in range(2)])
    with senders.sending():
        for _ in range(3):
            senders.wait_for(8)
            own_server.stop("immediate")
            own_server.start()
    assert check_chain(senders.gateways[0], promised=senders.promised) == len(senders.promised)


def test_report_whose_commit_was_not_answered_gets_its_receipt_at_the_next_try(
    house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, report = house.open_gateway(), new_industry_report(partner)
    with monkeypatch.context() as patched:
        lose_next_answer(patched)
        with pytest.raises(StorageUnavailableError) as refused:
            gateway.intake.accept(report)
    assert refused.value.reason == "missing"
    again = gateway.intake.accept(report)
    assert (again.is_new, len(house.rows("reports"))) == (False, 1)
    assert gateway.intake.accept(new_industry_report(partner)).is_new


def test_child_whose_send_was_not_answered_sees_the_thank_you_page_at_the_next_try(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = public.person_at("/14")
    with monkeypatch.context() as patched:
        lose_next_answer(patched)
        person.send()
    assert person.path != "/15"
    assert person.send().path == "/15"
    assert read_title(person.page) == "We have got what you sent"
    assert len(public.reports()) == 1
    rows = [str(row) for table in metadata.tables for row in public.house.rows(table)]
    assert len(rows) >= 5
    assert [row for row in rows if SHORT_STORY in row or SHORT_STORY.encode().hex() in row] == []


def lose_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connection end once a report was committed, and before the answer arrives."""
    commit, seen = PostgresqlServer.commit, []

    def commit_and_lose(self: PostgresqlServer, connection: Any) -> None:
        ((stored,),) = connection.exec_driver_sql("SELECT count(*) FROM reports").all()
        commit(self, connection)
        if stored and not seen:
            seen.append(stored)
            driver = connection.connection.dbapi_connection
            driver.close()
            driver.execute("SELECT 1")

    monkeypatch.setattr(PostgresqlServer, "commit", commit_and_lose)


def test_restarted_server_costs_no_writer_and_no_reader_an_error(own_server: Server, own_house: House) -> None:
    """The connections that ended with it are replaced before anything was done."""
    gateway = own_house.open_gateway()
    gateway.intake.accept(new_public_report())
    own_server.stop()
    own_server.start()
    assert gateway.intake.accept(new_public_report()).is_new
    own_server.stop()
    own_server.start()
    assert gateway.store.look("SELECT count(*) FROM reports") == [(2,)]
    own_server.stop()
    own_server.start()
    with gateway.store.read() as connection:
        assert count_waiting(connection) == 2


def test_stopped_server_is_a_503_and_the_form_shows_the_phone_numbers(own_server: Server, own_house: House) -> None:
    own_server.stop()
    try:
        check_refused(own_house.open_gateway(), "missing")
        for role in ("public", "industry", "feed"):
            assert own_house.open_app(role).test_client().get("/health").status_code == 503
        page = own_house.open_app("public").test_client().get("/", base_url="https://report.example")
        assert "999" in page.get_data(as_text=True)
    finally:
        own_server.start()


def test_fail_over_to_a_server_without_the_newest_receipts_is_refused(house: House, tmp_path: Path) -> None:
    """Each gateway has a mark of its own: it knows its own receipts, and the other's need not be there."""
    other = copy_gateway(house, tmp_path / "other")
    house.open_gateway().intake.accept(new_public_report())
    for _ in range(3):
        other.open_gateway().intake.accept(new_public_report())
    with connect(house.config.database_uri) as stranger:
        stranger.execute("DELETE FROM reports WHERE position > 2")
    check_refused(other.open_gateway(), "behind")
    (store,) = [one for one in examine(other.state, clock=other.clock) if one.name == "store"]
    assert ("standby" in (store.fix or ""), "sqlite" in (store.fix or "")) == (True, False)
    assert house.open_gateway().intake.accept(new_public_report()).is_new
    assert main(["restored", "--state", str(other.state)]) == 0
    assert other.open_gateway().intake.accept(new_public_report()).is_new


# Servers that must not be trusted.


def test_replica_is_never_written_to(own_server: Server, own_house: House) -> None:
    gateway = own_house.open_gateway()
    gateway.intake.accept(new_public_report())
    own_server.stop()
    own_server.make_replica()
    own_server.start()
    try:
        check_refused(gateway, "read-only")
        assert own_house.query("SELECT count(*), pg_is_in_recovery() FROM reports") == [(1, True)]
    finally:
        own_server.stop()
        own_server.make_primary()
        own_server.start()
    assert gateway.intake.accept(new_public_report()).is_new


@pytest.mark.parametrize(
    "setting", ["synchronous_commit=off", "synchronous_commit=local", "fsync=off", "full_page_writes=off"]
)
def test_server_that_could_lose_a_committed_report_is_refused(
    own_server: Server, own_house: House, setting: str
) -> None:
    name, value = setting.split("=")
    own_server.stop()
    own_server.start(**{name: value})
    try:
        check_refused(own_house.open_gateway(), "unsafe")
        (store,) = [one for one in examine(own_house.state, clock=own_house.clock) if one.name == "store"]
        assert (store.verdict, f"{name} = on" in (store.fix or "")) == ("fault", True)
    finally:
        own_server.stop()
        own_server.start()
    assert own_house.open_gateway().intake.accept(new_public_report()).is_new


def test_table_that_a_crash_would_empty_is_refused(own_server: Server, own_house: House) -> None:
    gateway = own_house.open_gateway()
    assert gateway.intake.accept(new_public_report()).is_new
    for setting, refused in (("UNLOGGED", True), ("LOGGED", False)):
        with connect(own_house.config.database_uri) as operator:
            operator.execute(f"ALTER TABLE reports SET {setting}")
        if refused:
            check_refused(own_house.open_gateway(), "unsafe")
            assert own_house.open_app("public").test_client().get("/health").status_code == 503
    assert own_house.open_gateway().intake.accept(new_public_report()).is_new


def test_setting_that_is_weakened_later_holds_for_no_open_connection(own_server: Server, own_house: House) -> None:
    gateway = own_house.open_gateway()
    gateway.store.check()
    with connect(own_server.uri()) as operator:
        for statement in ("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"):
            operator.execute(statement)
        try:
            while operator.execute("SHOW synchronous_commit").fetchone() != ("off",):
                pass
            with gateway.store.write() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
            check_refused(own_house.open_gateway(), "unsafe")
        finally:
            for statement in ("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"):
                operator.execute(statement)


def test_damaged_page_hides_no_other_report(own_server: Server, own_house: House, partner: Partner) -> None:
    """The server refuses a page with a wrong checksum, and with it the whole transaction."""
    gateway = own_house.open_gateway()
    for _ in range(40):
        gateway.intake.accept(new_industry_report(partner))
    with connect(own_house.config.database_uri) as operator:
        # As in a large table: no report is looked up by reading all pages.
        operator.execute("ALTER ROLE gateway SET enable_seqscan = off")
    found = "SELECT pg_relation_filepath('reports'), (ctid::text::point)[0]::int FROM reports WHERE position = 1"
    ((file, number),) = own_house.query(found)
    own_server.stop()
    own_server.damage(file, page=number)
    own_server.start()
    with own_house.open_gateway().store.read() as connection:
        page = read_waiting(connection, limit=100)
        assert 0 < len(page.unreadable) < 20
        assert len(page.reports) + len(page.unreadable) == count_waiting(connection) == 40
        assert len(list_links(connection, after=0, limit=100)[0]) == len(page.reports)
    assert gateway.store.has_damage()
    with connect(own_house.config.database_uri) as operator:
        operator.execute("ALTER ROLE gateway RESET enable_seqscan")
        operator.execute("TRUNCATE reports")


# Transactions.


def test_place_of_a_report_is_found_by_index_alone_however_many_there_are(house: House) -> None:
    """It is looked up while every other writer waits."""
    with house.open_gateway().store.read() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a small table is read faster without an index
        text = str(reports._PLACE._statement.compile(dialect=connection.dialect))
        cursor = connection.connection.cursor()
        asked = {"partner": "public", "reference": "ABCD-EFGH-J"}
        plan = "\n".join(row[0] for row in cursor.execute("EXPLAIN " + text, asked).fetchall())
    assert plan.count("Index") >= 4
    assert [line for line in plan.splitlines() if "Seq Scan on reports" in line] == []


def test_error_texts_do_not_repeat_what_was_bound(tmp_path: Path, database_uri: str) -> None:
    """PostgreSQL adds a DETAIL with the whole row."""
    store = new_store(tmp_path, uri=database_uri)

    def insert_wrong(kind: str) -> None:
        with store.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO drafts (draft_id, version, box, expires_at, kind) VALUES (%s, 1, %s, 1, %s)",
                (b"marker-of-the-test", b"marker-in-the-box", kind),
            )

    insert_wrong("writing")
    for kind in ("writing", "other"):
        with pytest.raises(IntegrityError) as found:
            insert_wrong(kind)
        for text in (str(found.value), str(found.value.orig)):
            assert "marker" not in text
            assert b"marker".hex() not in text
            assert "constraint" in text


def test_error_that_was_swallowed_does_not_end_as_a_commit(tmp_path: Path, database_uri: str) -> None:
    """PostgreSQL answers the COMMIT of a failed transaction with a rollback, and no error."""
    store = new_store(tmp_path, uri=database_uri)

    def swallow() -> None:
        with store.write() as connection:
            put_draft(connection, draft_id=DRAFT, version=1, box=b"box", expires_at=NOW + DAY)
            with pytest.raises(ProgrammingError):
                connection.exec_driver_sql("SELECT no_such_column FROM drafts")

    with pytest.raises(RuntimeError, match="did not pass on"):
        swallow()
    assert find_draft(store, draft_id=DRAFT, now=NOW) is None


@pytest.mark.databases
def test_address_is_never_part_of_a_refusal(tmp_path: Path) -> None:
    """The driver's own text would repeat its host and user."""
    with pytest.raises(StorageUnavailableError) as refused:
        new_store(tmp_path, uri="postgresql://marker:marker@127.0.0.1:9/marker")
    assert "marker" not in str(refused.value)
