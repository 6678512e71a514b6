"""Drafts: the newest version wins only if it builds on the one before, and nothing outlives its hour."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.housekeeping import Forgotten, clean_store
from gateway.store import Store
from gateway.store.items import SWEEP_BATCH, Draft, delete_draft, find_draft, put_draft, sweep_drafts
from tests.builders import NOW

HOUR = timedelta(hours=1)
DRAFT = b"\x07" * 32


pytestmark = pytest.mark.databases("sqlite", "postgresql")


def put(store: Store, version: int, box: bytes, *, draft_id: bytes = DRAFT, age: timedelta = timedelta()) -> bool:
    with store.write_beside() as connection:
        return put_draft(connection, draft_id=draft_id, version=version, box=box, expires_at=NOW - age + HOUR)


def find(store: Store, *, later: timedelta = timedelta()) -> Draft | None:
    return find_draft(store, draft_id=DRAFT, now=NOW + later)


def test_each_version_builds_on_the_one_before(store: Store) -> None:
    assert put(store, 1, b"one")
    assert put(store, 2, b"two")
    assert find(store) == Draft(version=2, box=b"two")


@pytest.mark.parametrize("version", [1, 2, 4, 5])
def test_a_stale_or_skipping_version_changes_nothing(store: Store, version: int) -> None:
    for number, box in ((1, b"one"), (2, b"two")):
        assert put(store, number, box)
    assert not put(store, version, b"stale")
    assert find(store) == Draft(version=2, box=b"two")


def test_a_later_version_of_nothing_is_not_stored(store: Store) -> None:
    assert not put(store, 2, b"two")
    assert find(store) is None


def test_of_two_tabs_at_once_exactly_one_is_stored(store: Store) -> None:
    assert put(store, 1, b"one")
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda number: put(store, 2, b"tab %d" % number), range(12)))
    assert stored.count(True) == 1
    assert find(store) == Draft(version=2, box=b"tab %d" % stored.index(True))


def test_of_two_first_tabs_at_once_exactly_one_is_stored(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda number: put(store, 1, b"tab %d" % number), range(12)))
    assert stored.count(True) == 1
    assert find(store) == Draft(version=1, box=b"tab %d" % stored.index(True))


def test_a_draft_is_gone_at_its_expiry_even_before_the_sweep(store: Store) -> None:
    put(store, 1, b"one")
    assert find(store, later=HOUR - timedelta(seconds=1)) is not None
    assert find(store, later=HOUR) is None


def test_the_sweep_takes_every_expired_draft_and_no_other(store: Store) -> None:
    with store.write() as connection:
        for number in range(SWEEP_BATCH + 7):
            put_draft(connection, draft_id=number.to_bytes(32), version=1, box=b"old", expires_at=NOW)
    put(store, 1, b"young")
    assert sweep_drafts(store, now=NOW - timedelta(seconds=1)) == 0
    assert sweep_drafts(store, now=NOW) == SWEEP_BATCH + 7
    assert store.look("SELECT count(*) FROM drafts") == [(1,)]
    assert find(store) == Draft(version=1, box=b"young")
    assert clean_store(store, now=NOW + HOUR) == Forgotten(drafts=1, envelopes=0, places=0)


def test_a_deleted_draft_is_gone_at_once(store: Store) -> None:
    put(store, 1, b"one")
    with store.write() as connection:
        assert delete_draft(connection, draft_id=DRAFT)
        assert not delete_draft(connection, draft_id=DRAFT)
    assert find(store) is None
