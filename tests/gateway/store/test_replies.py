"""Return places and the replies that wait for them: kept apart by reference, and gone together."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.exchange.feed import REPLY
from gateway.housekeeping import clean_store
from gateway.store import Store
from gateway.store.items import (
    StoredItem,
    StoredPlace,
    extend_return_place,
    find_return_place,
    list_own_items,
    put_item,
    put_return_place,
    sweep_return_places,
)
from partner_sdk.wire.canonical import make_report_id
from tests.builders import DAY, NOW
from tests.gateway.store_builders import new_store

ONE, OTHER = "C5H6-6S35C-3", "0000-00000-H"


def message_id(number: int) -> str:
    return make_report_id(NOW, number.to_bytes(10, "big"))


def make_place(box: bytes) -> StoredPlace:
    return StoredPlace(box=box, token_sha256=bytes(31) + b"t")


pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> Store:
    """A store with a place for one reference."""
    store = new_store(tmp_path, uri=database_uri)
    with store.write() as connection:
        put_return_place(connection, make_place(b"box"), reference=ONE, expires_at=NOW + DAY)
    return store


def post(store: Store, number: int, *, reference: str = ONE, envelope: bytes = b"sealed", minutes: int = 0) -> str:
    with store.write() as connection:
        return put_item(
            connection,
            REPLY,
            address=reference,
            item_id=message_id(number),
            envelope=envelope,
            now=NOW + timedelta(minutes=minutes),
        )


def newest(connection: Connection, reference: str) -> list[StoredItem]:
    return list_own_items(connection, REPLY, address=reference, limit=2, is_newest_first=True)


def waiting(store: Store, reference: str = ONE) -> list[str]:
    with store.read() as connection:
        return [item.item_id for item in newest(connection, reference)]


def test_place_is_found_until_it_expires(store: Store) -> None:
    with store.read() as connection:
        assert find_return_place(connection, reference=ONE, now=NOW) == make_place(b"box")
        assert find_return_place(connection, reference=ONE, now=NOW + DAY) is None
        assert find_return_place(connection, reference=OTHER, now=NOW) is None


def test_place_is_extended_and_never_shortened(store: Store) -> None:
    with store.write() as connection:
        assert extend_return_place(connection, reference=ONE, expires_at=NOW + 3 * DAY)
        assert not extend_return_place(connection, reference=ONE, expires_at=NOW)
        assert not extend_return_place(connection, reference=OTHER, expires_at=NOW + DAY)
        assert find_return_place(connection, reference=ONE, now=NOW + 2 * DAY) == make_place(b"box")


def test_place_goes_with_its_replies_and_leaves_the_others(store: Store) -> None:
    with store.write() as connection:
        put_return_place(connection, make_place(b"other"), reference=OTHER, expires_at=NOW + 2 * DAY)
    post(store, 1)
    post(store, 2, reference=OTHER)
    assert sweep_return_places(store, now=NOW) == 0
    assert clean_store(store, now=NOW + DAY).places == 1
    assert (waiting(store), waiting(store, OTHER)) == ([], [message_id(2)])
    with store.read() as connection:
        assert find_return_place(connection, reference=ONE, now=NOW) is None
        assert find_return_place(connection, reference=OTHER, now=NOW) == make_place(b"other")


def test_more_places_than_one_transaction_takes_are_swept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.items.SWEEP_BATCH", 2)
    with store.write() as connection:
        for number in range(4):
            put_return_place(connection, make_place(b"box"), reference=f"place-{number}", expires_at=NOW)
    assert sweep_return_places(store, now=NOW + DAY) == 5


@pytest.mark.databases("sqlite")
def test_swept_boxes_are_in_no_file(store: Store, tmp_path: Path) -> None:
    marker = b"box-of-a-place-that-has-had-its-time"
    with store.write() as connection:
        put_return_place(connection, make_place(marker), reference=OTHER, expires_at=NOW)
    post(store, 1, envelope=marker[::-1])

    def found() -> list[Path]:
        return [path for path in tmp_path.iterdir() if marker in path.read_bytes() or marker[::-1] in path.read_bytes()]

    assert found()
    clean_store(store, now=NOW + DAY)
    assert found() == []
