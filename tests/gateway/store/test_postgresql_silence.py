"""A PostgreSQL server that does not answer, one whose synchronous standby does not, and fail-over to the standby."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.databases import database
from gateway.databases.database import PostgresqlServer
from gateway.store import StorageUnavailableError
from tests.builders import House, Partner, make_house
from tests.gateway.public.fixtures import PublicHouse, make_public_house
from tests.gateway.public.person import SHORT_STORY
from tests.gateway.store.test_postgresql import copy_gateway
from tests.gateway.store.test_writers import check_chain
from tests.gateway.store_builders import (
    HURRIED_SECONDS,
    StubbornSenders,
    check_refused,
    hurry,
    new_industry_report,
    new_public_report,
)
from tests.postgresql import Server

pytestmark = pytest.mark.databases("postgresql")
SHORT_ANSWER_SECONDS = 1.5  # beside the lock's: a server that answers does so in less on a busy machine too


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for an answer that never comes: it is most of the time of these tests."""
    assert database.ANSWER_SECONDS > SHORT_ANSWER_SECONDS
    monkeypatch.setattr(database, "ANSWER_SECONDS", SHORT_ANSWER_SECONDS)


@pytest.fixture
def own_public(own_server: Server, tmp_path: Path) -> Iterator[PublicHouse]:
    """A public door on a server that a test may pause."""
    with own_server.lend_database() as uri:
        yield make_public_house(tmp_path, database_uri=uri, lock_timeout_seconds=HURRIED_SECONDS)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://gateway@127.0.0.1:{listener.getsockname()[1]}/reports"


def check_form_shows_phone_numbers(house: House) -> None:
    page = house.open_app("public").test_client().get("/", base_url="https://report.example")
    assert (page.status_code, "999" in page.get_data(as_text=True)) == (503, True)


def test_server_that_never_answers_is_a_503_and_the_form_shows_the_phone_numbers(
    own_house: House, silent_address: str
) -> None:
    own_house.config = msgspec.structs.replace(hurry(own_house).config, database_uri=silent_address)
    check_refused(own_house.open_gateway(), "missing")
    check_form_shows_phone_numbers(own_house)
    assert own_house.open_app("industry").test_client().get("/health").status_code == 503


def test_paused_server_keeps_no_page_and_no_report_waiting(own_server: Server, own_public: PublicHouse) -> None:
    """Its connections are open, so only a limit of ours ends the wait."""
    own_public.gateway.intake.accept(new_public_report())
    writer, sender = own_public.person_at("/9"), own_public.person_at("/14")
    with own_server.paused():
        check_refused(own_public.gateway, "missing")
        assert writer.press(story="[message] that was typed").status_code == 503
        assert "[message] that was typed" in writer.text()
        assert sender.press("send").status_code == 503
        assert SHORT_STORY in sender.text()
        check_form_shows_phone_numbers(own_public.house)
    assert writer.press().status_code == 303
    assert sender.send().path == "/15"
    assert len(own_public.house.rows("reports")) == 2


def test_report_whose_commit_is_never_answered_gets_its_receipt_at_the_next_try(
    own_server: Server, own_house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, report = hurry(own_house).open_gateway(), new_industry_report(partner)
    commit = PostgresqlServer.commit

    def commit_and_wait(self: PostgresqlServer, connection: Any) -> None:
        with own_server.paused():
            commit(self, connection)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresqlServer, "commit", commit_and_wait)
        with pytest.raises(StorageUnavailableError) as refused:
            gateway.intake.accept(report)
    assert refused.value.reason == "missing"
    assert (gateway.intake.accept(report).is_new, len(own_house.rows("reports"))) == (False, 1)


def test_child_writes_on_without_the_standby_and_only_send_needs_it(
    own_server: Server, own_public: PublicHouse
) -> None:
    with own_server.without_standby():
        person = own_public.person_at("/14")
        assert person.press("send").status_code == 503
        assert SHORT_STORY in person.text()
    assert person.send().path == "/15"
    assert len(own_public.reports()) == 1


def test_report_gets_no_receipt_when_the_wait_for_its_standby_is_cancelled(
    own_server: Server, own_house: House, partner: Partner
) -> None:
    """PostgreSQL commits then, with a warning; the report is there, and no standby has it. So it is at each retry."""
    gateway, report = own_house.open_gateway(), new_industry_report(partner)
    gateway.store.check()
    cancelled: list[int] = []
    done = threading.Event()

    def cancel() -> None:
        while not done.wait(0.01):
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            for (process,) in operator.execute(waiting).fetchall():
                operator.execute("SELECT pg_cancel_backend(%s)", [process])
                cancelled.append(process)

    with own_server.without_standby() as operator:
        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            for _ in range(2):
                with pytest.raises(StorageUnavailableError) as refused:
                    gateway.intake.accept(report)
                assert refused.value.reason == "missing"
        finally:
            done.set()
            canceller.join()
    assert len(cancelled) >= 2
    assert (gateway.intake.accept(report).is_new, len(own_house.rows("reports"))) == (False, 1)


def test_fail_over_to_the_standby_loses_no_acknowledged_report_and_doubles_none(
    own_server: Server, tmp_path: Path
) -> None:
    """The gateways name both servers: no setting changes while the primary dies."""
    with own_server.lend_database() as uri, own_server.with_standby() as standby:
        house = hurry(make_house(tmp_path / "one", database_uri=f"{uri},{standby.folder}", partners=(Partner(),)))
        senders = StubbornSenders([house.open_gateway(), copy_gateway(house, tmp_path / "other").open_gateway()])
        with senders.sending():
            senders.wait_for(16)
            own_server.stop("immediate")
            standby.promote()
        assert check_chain(senders.gateways[0], promised=senders.promised) == len(senders.promised)
        stored = dict(senders.gateways[1].store.look("SELECT report_id, intake FROM reports"))
        assert {report_id: bytes(intake) for report_id, intake in stored.items()} == senders.receipts
        assert not own_server.is_running()
