"""A service that was entered twice: one in every later digest, and no incident counted a second time."""

from pathlib import Path

import pytest

from gateway.desk.digests import noise
from gateway.desk.digests.ledger import list_spent
from gateway.desk.digests.making import DigestOrder, freeze_clusters, list_services, make_all, make_digest
from gateway.desk.digests.overview import MOST_OF_ONE, OverviewOrder, make_overview
from gateway.desk.keyring.key_set import Quarter, Year, parse_period
from gateway.desk.partners.placement_register import add_merge, get_successor, list_counted, list_ever_merged
from gateway.desk.store import DeskStore
from tests.desk.digests.digest_builders import NOW, add_cases, clock, make_order, make_store
from tests.desk.made_models import hold_open

SUMMER, IN_SUMMER = Quarter(2026, 3), "2026-08-01T00:00:00Z"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeskStore:
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))
    return hold_open(make_store(tmp_path))


def merge(store: DeskStore, service: str, into: str | None) -> None:
    with store.write() as connection:
        add_merge(connection, service, into=into, by="A. Analyst", now=NOW)


def count(store: DeskStore, service: str, quarter: Quarter = SUMMER) -> int:
    with store.read() as connection:
        frozen, _ = freeze_clusters(connection, partner=service, quarter=quarter, environment="live", places=())
    return len(frozen)


def list_all(store: DeskStore) -> list[str]:
    with store.read() as connection:
        return list(list_services(connection, environment="live"))


def test_merged_services_are_one_through_any_chain_and_apart_after_its_end(store: DeskStore) -> None:
    for number, service in enumerate(("one", "two", "three"), start=1):
        add_cases(store, number, about=service, closed_at=IN_SUMMER)
    merge(store, "one", "two")
    merge(store, "two", "three")
    with store.read() as connection:
        assert get_successor(connection, "one") == "three"
        assert list_counted(connection, "three") == ["three", "two", "one"]
        assert list_counted(connection, "two") == []
    assert [count(store, one) for one in ("one", "two", "three")] == [0, 0, 6]
    assert list_all(store) == ["three"]
    merge(store, "one", None)
    assert [count(store, one) for one in ("one", "two", "three")] == [1, 0, 5]
    assert list_all(store) == ["one", "three"]
    with store.read() as connection:
        assert list_ever_merged(connection, "one") == {"one", "two", "three"}


def test_incidents_of_a_digest_that_exists_are_counted_under_no_other_id(store: DeskStore) -> None:
    for service in ("one", "two"):
        add_cases(store, 20, about=service, closed_at=IN_SUMMER)
    record = make_digest(store, make_order(partner="one", quarter=SUMMER), clock=clock)
    merge(store, "one", "two")
    assert count(store, "two") == 20  # its own alone: those of `one` are in a digest of the same quarter
    make_digest(store, make_order(partner="two", quarter=SUMMER), clock=clock)
    assert make_digest(store, make_order(partner="one", quarter=SUMMER), clock=clock) == record
    merge(store, "one", None)
    with store.read() as connection:
        spent = [list_spent(connection, partner=one, quarter=Quarter(2026, 4)) for one in ("one", "two")]
    assert [len(one) for one in spent] == [40, 40]


def test_overview_caps_a_service_that_was_entered_twice_once(store: DeskStore) -> None:
    year = parse_period("2025")
    assert isinstance(year, Year)
    for service in ("one", "two"):
        add_cases(store, 90, about=service, closed_at="2025-02-01T00:00:00Z")
    for period in (*year.quarters, year):
        make_all(store, DigestOrder(quarter=period, environment="live", made_by="M"), clock=clock)
    merge(store, "one", "two")
    record = make_overview(store, OverviewOrder(year=year, environment="live", made_by="M"), clock=clock)
    assert (record.draws["total"], sum(record.draws["kind"])) == ([MOST_OF_ONE], 1)
