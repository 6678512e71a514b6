"""All digests of a quarter in one run: which services it counts, and the effects of a kill at any of its writes.

A kill may strike at a write of the database or of the journal of draws, with or without a restore of the database.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from gateway.desk.collection.joining import add_link
from gateway.desk.digests import ledger, making, noise
from gateway.desk.digests.ledger import DigestRecord, get_clusters, list_records
from gateway.desk.digests.making import DigestOrder, list_services, make_all
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.agency_tables import LEDGER, PARTNERS
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.digest import parse_digest
from tests.desk.digests.digest_builders import NOW, QUARTER, add_case, add_cases, clock, make_store
from tests.desk.made_models import copy_model, hold_open

ORDER = DigestOrder(quarter=QUARTER, environment="live", made_by="Maker One")
MANY, FEW = "many-reports", "few-reports"


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture
def store(tmp_path: Path) -> DeskStore:
    return make_filled_store(tmp_path / "desk")


def make_filled_store(folder: Path) -> DeskStore:
    copy_model("two services", fill_store, into=folder)
    return hold_open(open_store(folder / "desk.sqlite"))


def fill_store(folder: Path) -> None:
    store = make_store(folder)
    add_cases(store, 70, about=MANY)
    add_cases(store, 3, about=FEW)
    store.close()


def restore(dead: DeskStore, folder: Path) -> DeskStore:
    """Return the desk with its database as it was before the first run; the journal of draws stays."""
    store = make_filled_store(folder)
    if dead.journal.exists():
        shutil.copytree(dead.journal, store.journal)
    return store


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every draw of the test, as the sum of its counts and its epsilon: no two tables have the same.

    The noise is the number of the draw, so that a second draw of a table differs from the first.
    """
    seen: list[tuple[int, int]] = []

    def draw(counts: list[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
        seen.append((sum(counts), epsilon_micro * 100 + len(counts)))
        return [counts[0] + len(seen), *counts[1:]]

    monkeypatch.setattr(noise, "draw", draw)
    return seen


def run_and_kill(store: DeskStore, number: int) -> bool:
    """Run, and end the process at a write, numbered from 1; return whether it came so far.

    A write of the database is killed just before its commit, and one of the journal just before it begins. A kill
    between that and the next one leaves the same files, and fewer draws.
    """
    real, real_write_durably, writes = DeskStore.write, ledger.write_durably, Counter[str]()

    def is_last() -> bool:
        writes["all"] += 1
        return writes["all"] == number

    @contextmanager
    def write(store: DeskStore) -> Iterator[Any]:
        is_killed = is_last()
        with real(store) as connection:
            yield connection
            if is_killed:
                raise Killed

    def write_durably(path: Path, raw: bytes) -> None:
        if is_last():
            raise Killed
        real_write_durably(path, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeskStore, "write", write)
        patch.setattr(ledger, "write_durably", write_durably)
        try:
            run(store)
        except Killed:
            return True
    return False


def read_ledger(store: DeskStore) -> dict[str, dict[str, int]]:
    spends: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        rows = connection.execute(select(LEDGER)).all()
    for row in rows:
        spends.setdefault(row.partner, {})[row.table_name] = row.micro_epsilon
    assert sum(len(one) for one in spends.values()) == len(rows)  # no table is paid for twice
    return spends


def run(store: DeskStore, **changes: Any) -> dict[str, str]:
    order = DigestOrder(quarter=QUARTER, environment="live", made_by="Maker One", **changes)
    return {result.service: result.state for result in make_all(store, order, clock=clock)}


def test_a_kill_at_any_write_draws_nothing_twice_and_the_ledger_explains_each_spend(
    tmp_path: Path, draws: list[tuple[int, int]]
) -> None:
    lost_at, number = [], 1
    while run_and_kill(store := make_filled_store(tmp_path / str(number)), number):
        first, last = run(store), run(store, accept_lost=True)
        assert set(last) == {MANY, FEW}
        assert not set(last.values()) & {"lost", "drawing"}
        assert len(draws) == len(set(draws)), f"drawn twice after a kill at write {number}"
        lost = check_ledger(store)
        assert len(lost) <= 1  # one table at most, of one service
        assert (len(lost) > 0) == ("lost" in first.values())
        lost_at += [number] * len(lost)
        draws.clear()
        number += 1
    # A kill before the intent of a table, or between its intent and its draw, loses it; at any other write nothing is.
    assert len(draws) == 3
    assert len(lost_at) == 2 * len(draws)


def test_a_desk_killed_at_any_write_and_restored_from_before_draws_nothing_twice_and_makes_the_same_bytes(
    tmp_path: Path, draws: list[tuple[int, int]]
) -> None:
    number, is_killed, bodies = 0, True, {}
    while is_killed:
        number += 1
        draws.clear()
        dead = make_filled_store(tmp_path / f"{number}-first")
        is_killed = run_and_kill(dead, number)
        bodies, lost = read_bodies(dead), list[str]()
        for life in ("second", "third"):
            if life == "third" and is_killed and lost != ["weakness"]:
                break
            store = restore(dead, tmp_path / f"{number}-{life}")
            assert set(run(store, accept_lost=True)) == {MANY, FEW}
            assert len(draws) == len(set(draws)), f"drawn twice after a kill at write {number}"
            lost = check_ledger(store)
            assert read_ledger(store) == read_journal(store)
            again = read_bodies(store)
            assert again == again | bodies
            dead, bodies = store, again
    assert number == 15
    assert set(bodies) == {MANY}


def test_draws_of_the_journal_stand_although_the_clusters_have_changed_since(
    tmp_path: Path, store: DeskStore, draws: list[tuple[int, int]]
) -> None:
    run(store)
    drawn, bodies = list(draws), read_bodies(store)
    restored = restore(store, tmp_path / "restored")
    add_cases(restored, 40, about=MANY)
    run(restored, threshold=1000)
    assert draws == drawn
    assert read_bodies(restored) == bodies
    [first], [again] = ([one for one in read_records(each) if one.partner == MANY] for each in (store, restored))
    assert first.clusters_sha256 != again.clusters_sha256
    with restored.read() as connection:
        of_digest = AUDIT.c.action == "digest-draw-restored", AUDIT.c.subject == again.digest_id
        details = connection.execute(select(AUDIT.c.detail).where(*of_digest)).scalars().all()
    assert len(details) == len(first.draws)
    assert all(first.clusters_sha256.hex() in detail for detail in details)


def test_the_journal_is_private_and_one_that_is_damaged_stops_the_digest(
    store: DeskStore, draws: list[tuple[int, int]]
) -> None:
    run_and_kill(store, 3)
    files = list(store.journal.iterdir())
    assert [oct(path.stat().st_mode & 0o777) for path in (store.journal, *files)] == ["0o700", "0o600"]
    files[0].write_bytes(b"{}")
    with pytest.raises(ledger.JournalError) as caught:
        run(store)
    assert caught.value.reason == "journal-damaged"
    assert len(draws) == 1


def read_records(store: DeskStore) -> list[DigestRecord]:
    with store.read() as connection:
        return list_records(connection)


def read_bodies(store: DeskStore) -> dict[str, bytes]:
    return {record.partner: record.body for record in read_records(store) if record.body is not None}


def read_journal(store: DeskStore) -> dict[str, dict[str, int]]:
    return {
        one.partner: {name: drawn.micro_epsilon for name, drawn in one.tables.items()}
        for one in ledger.list_journals(store.journal)
    }


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


@pytest.mark.databases("sqlite", "postgresql")
def test_a_run_counts_each_cluster_once_on_either_database(
    tmp_path: Path, database_uri: str, draws: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read three cases at a time: a batch ends in the middle of a service."""
    monkeypatch.setattr(making, "_MOST_STREAMED", 3)
    store = open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)
    for service in (FEW, MANY):
        one, other, *_ = [add_case(store, about=service, kind=kind) for kind in ("grooming", "sexual_talk") * 4]
        elsewhere = add_case(store, about="elsewhere")
        with store.write() as connection:
            for case_id in (one, elsewhere):
                add_link(connection, case_id, other, by="A. Analyst", now=NOW)
    assert set(run(store, threshold=-100)) == {FEW, MANY, "elsewhere"}
    with store.read() as connection:
        found = {one.partner: get_clusters(connection, one.digest_id) for one in list_records(connection)}
    assert {service: len(clusters) for service, clusters in found.items()} == {FEW: 7, MANY: 7, "elsewhere": 2}
    assert found[FEW].count("grooming", column="kind") == 4
    assert len(found[FEW].list_cases()) == 9
    assert [of_kind for of_kind, _ in draws[::2]] == [2, 7, 7]


@pytest.mark.parametrize("environment", ["live", "sandbox"])
def test_the_cases_of_a_quarter_are_read_from_one_index_alone(store: DeskStore, environment: str) -> None:
    """The table would be looked up for each case: a whole page of it, here and there, for some short answers."""
    executed: list[tuple[str, Any]] = []

    @event.listens_for(store.database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, query: str, parameters: Any, *_: Any) -> None:
        if query.startswith("SELECT cases.case_id"):
            executed.append((query, parameters))

    with store.read() as connection:
        making.freeze_clusters(connection, partner=MANY, quarter=QUARTER, environment=environment, places=())
        query, parameters = executed[0]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", parameters).all()
    searched = "SEARCH cases USING COVERING INDEX ix_cases_counted (about=? AND closed_at>? AND closed_at<?)"
    assert [row.detail for row in plan] == [searched]


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
    results = make_all(store, ORDER, clock=clock)
    assert {one.service: one.is_to_invite for one in results} == {FEW: False, MANY: True}


@pytest.mark.usefixtures("draws")
def test_a_run_stops_after_its_time_and_the_next_one_goes_on(store: DeskStore) -> None:
    assert make_all(store, ORDER, clock=clock, most_seconds=-1) == []
    assert [one.service for one in make_all(store, ORDER, clock=clock)] == [FEW, MANY]


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
