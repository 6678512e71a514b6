"""An overview after its desk was restored from before it: the journal of draws gives it back, or refuses another."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.desk.digests import noise, overview
from gateway.desk.digests.ledger import OVERVIEW_OF, DigestRecord, JournalError, find_record, get_spends
from gateway.desk.digests.overview import OVERVIEW_TABLES, make_overview
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.store import DeskStore, open_store
from tests.desk.digests.digest_builders import clock, make_store
from tests.desk.digests.test_overview import fill, make_order
from tests.desk.made_models import hold_open


@pytest.fixture(autouse=True)
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "draw", lambda counts, **budget: list(counts))


def make_and_restore(folder: Path) -> tuple[DigestRecord, DeskStore]:
    """Make an overview; return it, and the desk with its database from before it and its journal of draws."""
    store = hold_open(make_store(folder))
    fill(store, counts=(60,))
    (folder / "restored").mkdir()
    with sqlite3.connect(folder / "desk.sqlite") as connection:
        connection.execute("VACUUM INTO ?", (str(folder / "restored" / "desk.sqlite"),))
    connection.close()
    first = make_overview(store, make_order(), clock=clock)
    shutil.copytree(store.journal, folder / "restored" / store.journal.name)
    return first, hold_open(open_store(folder / "restored" / "desk.sqlite"))


def read_spends(store: DeskStore) -> list[dict[str, int]]:
    with store.read() as connection:
        return [
            dict(get_spends(connection, partner=OVERVIEW_OF, quarter=Quarter(2025, number))) for number in (1, 2, 3, 4)
        ]


def test_a_desk_restored_from_before_the_overview_takes_its_draws_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, restored = make_and_restore(tmp_path)
    monkeypatch.delattr(noise, "draw")
    again = make_overview(restored, make_order(), clock=clock)
    assert (again.draws, again.body) == (first.draws, first.body)
    assert read_spends(restored) == [{table.name: table.epsilon_micro for table in OVERVIEW_TABLES}] * 4


def test_a_restored_desk_spends_nothing_on_an_overview_whose_tables_another_release_drew_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, restored = make_and_restore(tmp_path)
    monkeypatch.delattr(noise, "draw")
    with monkeypatch.context() as patch:
        other = replace(OVERVIEW_TABLES[1], epsilon_micro=400_000)
        patch.setattr(overview, "OVERVIEW_TABLES", (OVERVIEW_TABLES[0], other, *OVERVIEW_TABLES[2:]))
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                make_overview(restored, make_order(), clock=clock)
            assert caught.value.reason == "journal-differs"
    assert read_spends(restored) == [{}] * 4
    with restored.read() as connection:
        assert find_record(connection, first.digest_id) is None
    again = make_overview(restored, make_order(), clock=clock)
    assert (again.draws, again.body) == (first.draws, first.body)
