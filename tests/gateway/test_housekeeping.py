"""The clean-up that runs beside the servers."""

import os

import pytest

from gateway.cli import main
from gateway.databases.failures import StorageUnavailableError
from gateway.housekeeping import housekeeping
from gateway.store.connections import find_instance
from gateway.store.items import put_draft
from tests.builders import NOW, House

WAIT_SECONDS = 10


def rows(house: House) -> int:
    return len(house.rows("drafts"))


def test_expired_draft_is_gone_after_a_round_and_a_living_one_stays(house: House) -> None:
    gateway = house.open_gateway()
    store = gateway.store
    with store.write() as connection:
        for hours in (-1, 1):
            expires_at = NOW.replace(hour=NOW.hour + hours)
            assert put_draft(connection, draft_id=os.urandom(32), version=1, box=b"box", expires_at=expires_at)
    assert rows(house) == 2
    with housekeeping(store, blobs=gateway.evidence.blobs, clock=house.clock) as done:
        assert done.wait(WAIT_SECONDS)
    assert rows(house) == 1


def test_rounds_go_on_after_one_that_the_storage_refused(house: House, caplog: pytest.LogCaptureFixture) -> None:
    gateway = house.open_gateway()
    store = gateway.store
    away = house.state / "away.sqlite"
    (house.state / "gateway.sqlite").rename(away)
    with housekeeping(store, blobs=gateway.evidence.blobs, clock=house.clock, round_seconds=0.05) as done:
        assert done.wait(WAIT_SECONDS)
        with pytest.raises(StorageUnavailableError), store.write():
            pass
        away.rename(house.state / "gateway.sqlite")
        with store.write() as connection:
            assert put_draft(connection, draft_id=os.urandom(32), version=1, box=b"box", expires_at=NOW)
        house.clock.advance(hours=2)
        for _ in range(100):
            done.clear()
            assert done.wait(WAIT_SECONDS)
            if rows(house) == 0:
                break
    assert rows(house) == 0


def test_restored_begins_a_new_epoch_and_keeps_the_sequence(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    with house.open_gateway().store.read() as connection:
        before = find_instance(connection)
    assert main(["restored", "--state", str(house.state), "--json"]) == 0
    with house.open_gateway().store.read() as connection:
        after = find_instance(connection)
    assert before is not None
    assert after is not None
    assert (after.name, after.epoch == before.epoch) == (before.name, False)
    assert after.epoch in capsys.readouterr().out
