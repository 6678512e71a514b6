"""Counts by week: numbers and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.store.store import add_count, list_counts
from tests.gateway.store_builders import new_store

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def test_counts_add_up_by_name_and_week(tmp_path: Path, database_uri: str) -> None:
    store = new_store(tmp_path, uri=database_uri)
    for name, week in (("sent", "2026-W48"), ("sent", "2026-W48"), ("sent", "2026-W49"), ("left", "2026-W48")):
        with store.write() as connection:
            add_count(connection, name=name, week=week)
    with store.read() as connection:
        assert list_counts(connection) == [
            ("left", "2026-W48", 1),
            ("sent", "2026-W48", 2),
            ("sent", "2026-W49", 1),
        ]


def test_no_count_is_lost_among_many_writers(tmp_path: Path, database_uri: str) -> None:
    store = new_store(tmp_path, uri=database_uri)

    def count(_number: int) -> None:
        with store.write_beside() as connection:
            add_count(connection, name="sent", week="2026-W48")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count, range(24)))
    with store.read() as connection:
        assert list_counts(connection) == [("sent", "2026-W48", 24)]


def count_and_fail(store: Store) -> None:
    with store.write() as connection:
        add_count(connection, name="sent", week="2026-W48")
        raise LookupError("what was counted did not happen")


def test_count_goes_with_the_transaction_that_it_is_part_of(tmp_path: Path, database_uri: str) -> None:
    store = new_store(tmp_path, uri=database_uri)
    with pytest.raises(LookupError):
        count_and_fail(store)
    with store.read() as connection:
        assert list_counts(connection) == []
