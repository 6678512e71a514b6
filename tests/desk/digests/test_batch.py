"""All digests of a quarter in one run: which services it counts, and what a kill at any of its writes leaves behind."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from gateway.desk.digests import noise
from gateway.desk.digests.batch import BatchOrder, ServiceResult, list_services, make_all
from gateway.desk.digests.records import list_records
from gateway.desk.store import DeskStore
from gateway.desk.store.partner_tables import LEDGER, PARTNERS
from partner_sdk.wire.digest import parse_digest
from tests.desk.digests.digest_builders import QUARTER, add_case, add_cases, clock, make_store
from tests.desk.made_models import hold_open

ORDER = BatchOrder(quarter=QUARTER, environment="live", made_by="Maker One")
MANY, FEW = "many-reports", "few-reports"


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return make_filled_store(tmp_path / "desk")


def make_filled_store(folder: Path) -> DeskStore:
    folder.mkdir()
    store = hold_open(make_store(folder))
    add_cases(store, 70, about=MANY)
    add_cases(store, 3, about=FEW)
    return store


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every draw of the test, without noise, as the sum of its counts and its epsilon: no two tables have the same."""
    seen: list[tuple[int, int]] = []

    def draw(counts: list[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
        seen.append((sum(counts), epsilon_micro * 100 + len(counts)))
        return list(counts)

    monkeypatch.setattr(noise, "draw", draw)
    return seen


def kill_before_commit(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the process end at a write of the store, numbered from 1, just before its commit.

    A kill between that and the next one leaves the same database, and fewer draws.
    """
    real, writes = DeskStore.write, Counter[str]()

    @contextmanager
    def write(store: DeskStore) -> Iterator[Any]:
        writes["all"] += 1
        with real(store) as connection:
            yield connection
            if writes["all"] == number:
                raise Killed

    monkeypatch.setattr(DeskStore, "write", write)


def read_ledger(store: DeskStore) -> dict[str, dict[str, int]]:
    spends: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        rows = connection.execute(select(LEDGER)).all()
    for row in rows:
        spends.setdefault(row.partner, {})[row.table_name] = row.micro_epsilon
    assert sum(len(one) for one in spends.values()) == len(rows)  # no table is paid for twice
    return spends


def run(store: DeskStore, **changes: Any) -> dict[str, str]:
    order = BatchOrder(quarter=QUARTER, environment="live", made_by="Maker One", **changes)
    return {result.service: result.state for result in make_all(store, order, clock=clock)}


def test_a_kill_at_any_write_draws_nothing_twice_and_the_ledger_explains_each_spend(
    tmp_path: Path, draws: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost_at, number = [], 0
    while True:
        number += 1
        store = make_filled_store(tmp_path / str(number))
        draws.clear()
        with monkeypatch.context() as patch:
            kill_before_commit(patch, number)
            try:
                run(store)
            except Killed:
                pass
            else:
                break
        first, last = run(store), run(store, accept_lost=True)
        assert set(last) == {MANY, FEW}
        assert not set(last.values()) & {"lost", "drawing"}
        assert len(draws) == len(set(draws)), f"drawn twice after a kill at write {number}"
        lost = check_ledger(store)
        assert len(lost) <= 1  # one table at most, of one service
        assert (len(lost) > 0) == ("lost" in first.values())
        lost_at += [number] * len(lost)
    # Of each service, the first write freezes and the last one finishes: only between them a draw can be lost.
    assert len(lost_at) == number - 1 - 2 * len((MANY, FEW))


def check_ledger(store: DeskStore) -> list[str]:
    """Check each spend: its draw is stored, or its table is named as missing. Return the lost tables."""
    spends, lost = read_ledger(store), []
    with store.read() as connection:
        records = list_records(connection)
    assert {record.partner for record in records} == set(spends)
    for record in records:
        missing = spends[record.partner].keys() - record.draws.keys()
        assert not record.draws.keys() - spends[record.partner].keys()
        lost += missing
        if record.body is not None:
            digest = parse_digest(record.body)
            assert digest.epsilon_micro == sum(spends[record.partner].values())
            assert len(digest.missing_tables) == len(missing)
    return lost


def test_a_second_run_draws_nothing_and_changes_nothing(store: DeskStore, draws: list[tuple[int, int]]) -> None:
    first, drawn = run(store), list(draws)
    with store.read() as connection:
        records = list_records(connection)
    add_cases(store, 40, about=MANY)
    assert run(store, threshold=1) == first
    assert draws == drawn
    with store.read() as connection:
        assert list_records(connection) == records


@pytest.mark.usefixtures("draws")
def test_a_service_without_keys_over_the_threshold_is_to_be_invited(store: DeskStore) -> None:
    shown: list[tuple[int, int, ServiceResult]] = []
    results = make_all(store, ORDER, clock=clock, show=lambda *one: shown.append(one))
    assert {one.service: one.is_to_invite for one in results} == {FEW: False, MANY: True}
    assert shown == [(1, 2, results[0]), (2, 2, results[1])]


def test_agencies_and_partners_without_a_key_in_force_have_no_digest(store: DeskStore) -> None:
    def make_row(partner: str, **changes: object) -> dict[str, object]:
        keys = dict.fromkeys(("submission_key", "context_key", "mailbox_key"), bytes(32))
        row = {"partner": partner, "name": partner, "environment": "live", "state": "active", "key_id": partner}
        return {**row, **keys, "approved_at": "2026-01-01T00:00:00Z", "approved_by": "S", "type": "service", **changes}

    rows = [
        make_row("with-keys"),
        make_row("police", type="agency"),
        make_row("ended", state="suspended"),
        make_row("tried", environment="sandbox"),
    ]
    with store.write() as connection:
        connection.execute(insert(PARTNERS), rows)
    for row in rows:
        add_case(store, about=str(row["partner"]))
    with store.read() as connection:
        assert list_services(connection, environment="live") == {FEW: False, MANY: False, "with-keys": True}
