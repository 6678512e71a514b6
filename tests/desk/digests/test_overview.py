"""The overview: whole services as the unit, capped, dominated numbers not shown, made and released by two people."""

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.desk.audit import check_chain
from gateway.desk.digests import noise, overview
from gateway.desk.digests.batch import BatchOrder, make_all
from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.ledger import get_spends
from gateway.desk.digests.overview import (
    MOST_OF_ONE,
    OVERVIEW_OF,
    OVERVIEW_TABLES,
    OverviewOrder,
    make_overview,
    publish_overview,
    release_overview,
)
from gateway.desk.keyring.quarters import LongPeriod, Quarter, parse_period
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.outbox_tables import MAILBOX_MESSAGES
from gateway.desk.store.partner_tables import PARTNERS
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.wire.canonical import format_time, parse_base64url
from partner_sdk.wire.mailbox_message import peek_message
from partner_sdk.wire.overview import Overview, parse_overview
from tests.desk.digests.digest_builders import NOW, PARTNER, add_cases, clock, make_store
from tests.desk.made_models import hold_open
from tests.desk.view_builders import Browser, Clock, make_test_desk

YEAR = parse_period("2025")
SERVICES = ("one", "two", "three", "four")


@pytest.fixture(autouse=True)
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return hold_open(make_store(tmp_path))


def fill(store: DeskStore, *, counts: Sequence[int]) -> None:
    for service, count in zip(SERVICES, counts, strict=False):
        add_cases(store, count, about=service, closed_at="2025-02-01T00:00:00Z", received_at="2025-01-31T00:00:00Z")
    for number in (1, 2, 3, 4):
        make_all(store, BatchOrder(quarter=Quarter(2025, number), environment="live", made_by="M"), clock=clock)


def make_order(**changes: Any) -> OverviewOrder:
    assert isinstance(YEAR, LongPeriod)
    values: dict[str, Any] = {"year": YEAR, "environment": "live", "made_by": "Maker One"}
    return OverviewOrder(**(values | changes))


def make(store: DeskStore, **changes: Any) -> Overview:
    record = make_overview(store, make_order(**changes), clock=clock)
    assert record.body is not None
    return parse_overview(record.body)


def find_cells(found: Overview, table: str) -> dict[str, int | None]:
    return {cell.label: cell.value for one in found.tables if one.name == table for cell in one.cells}


def test_a_desk_restored_from_before_the_overview_takes_its_draws_from_the_journal(
    store: DeskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, counts=(60,))
    (tmp_path / "restored").mkdir()
    with sqlite3.connect(tmp_path / "desk.sqlite") as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "restored" / "desk.sqlite"),))
    connection.close()
    first = make_overview(store, make_order(), clock=clock)
    shutil.copytree(store.journal, tmp_path / "restored" / store.journal.name)
    restored = open_store(tmp_path / "restored" / "desk.sqlite")
    monkeypatch.delattr(noise, "draw")
    again = make_overview(restored, make_order(), clock=clock)
    assert (again.draws, again.body) == (first.draws, first.body)
    for each in (store, restored):
        with each.read() as connection:
            spends = get_spends(connection, partner=OVERVIEW_OF, quarter=Quarter(2025, 1))
        assert set(spends) == {table.name for table in OVERVIEW_TABLES}


def test_a_service_adds_no_more_than_its_cap_and_the_tables_sensitivity_is_that_cap(store: DeskStore) -> None:
    fill(store, counts=(400, 60, 50, 20))
    found = make(store)
    assert find_cells(found, "kind")["grooming"] == 3 * MOST_OF_ONE + 20
    assert {table.name: table.sensitivity for table in found.tables} == {"kind": 50, "age_band": 50, "weakness": 3}
    assert (
        find_cells(found, "weakness")["open_direct_messages"] == 4
        or find_cells(found, "weakness")["open_direct_messages"] is None
    )


def test_a_number_that_one_service_could_dominate_is_not_shown(store: DeskStore) -> None:
    fill(store, counts=(400, 60))
    found = make(store)
    assert find_cells(found, "kind")["grooming"] is None
    shown = next(cell.shown for table in found.tables for cell in table.cells if cell.label == "grooming")
    assert shown.startswith("fewer than ")


def test_the_ledger_charges_each_quarter_once_and_a_second_making_gives_the_same_bytes(store: DeskStore) -> None:
    fill(store, counts=(60, 60, 60, 60))
    first = make(store, patterns=("Voice chat.",))
    assert make(store, made_by="Other", patterns=("Another text.",)) == first
    assert first.patterns == ["Voice chat."]
    with store.read() as connection:
        for number in (1, 2, 3, 4):
            spends = get_spends(connection, partner=OVERVIEW_OF, quarter=Quarter(2025, number))
            assert sum(spends.values()) == first.epsilon_micro == 1_000_000
            assert spends.keys() == {table.name for table in OVERVIEW_TABLES}
        check_chain(connection)


def test_a_year_without_the_digests_of_its_quarters_has_no_overview(store: DeskStore) -> None:
    with pytest.raises(DigestError) as caught:
        make(store)
    assert caught.value.reason == "quarters-missing"


def test_a_second_person_releases_it_to_adopters_alone_and_a_supervisor_makes_it_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Clock()
    times.now = NOW
    desk = make_test_desk(tmp_path / "desk", times)
    mailbox = new_key(KeyRole.MAILBOX, environment="live", created_at=format_time(NOW), seed=bytes(range(32)))
    with desk.store.write() as connection:
        connection.execute(update(PARTNERS).values(mailbox_key=parse_base64url(mailbox.public_key)))
    fill(desk.store, counts=(60, 60, 60, 60))
    record = make_overview(desk.store, make_order(), clock=clock)
    sent: list[object] = []

    class Sent:
        def raise_first(self) -> None:
            sent.append(self)

    monkeypatch.setattr(overview, "send_due", lambda _desk, only: Sent())
    with pytest.raises(DigestError) as caught:
        release_overview(desk, record.digest_id, by="maker one")
    assert caught.value.reason == "same-person"
    with pytest.raises(DigestError) as caught:
        release_overview(desk, record.digest_id, by="Second Two")
    assert caught.value.reason == "no-adopters"
    monkeypatch.setattr(overview, "list_adopters", lambda _connection: {PARTNER, "without-keys"})
    with pytest.raises(DigestError) as caught:
        publish_overview(desk.store, record.digest_id, by="Supervisor", reason="Press", now=NOW)
    assert caught.value.reason == "not-released"
    for _ in range(2):
        assert release_overview(desk, record.digest_id, by="Second Two").state == "released"
    with desk.store.read() as connection:
        messages = [bytes(one) for one in connection.execute(select(MAILBOX_MESSAGES.c.signed)).scalars()]
    assert [(peek_message(one).recipient, peek_message(one).kind) for one in messages] == [(PARTNER, "overview")]
    assert len(sent) == 2
    page, body = publish_overview(desk.store, record.digest_id, by="Supervisor", reason="Press", now=NOW)
    assert body == record.body
    assert "Grooming" in page
    assert "<script" not in page
    shown = Browser(desk).sign_in().get(f"/digests/{record.digest_id}")
    assert shown.status_code == 200
    assert "all services together" in shown.text
