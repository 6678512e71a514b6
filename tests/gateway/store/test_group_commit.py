"""Writers that wait share one commit: none returns before it, and none loses more than its own block."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.store import StorageUnavailableError, Store
from gateway.store.connections import MAX_GROUP, Mark
from gateway.store.items import put_draft
from gateway.wiring import Gateway
from tests.builders import DAY, NOW, Partner
from tests.damaged_database import TABLE_LEAF, damage_pages
from tests.gateway.store.test_writers import check_chain
from tests.gateway.store_builders import new_industry_report, new_public_report

pytestmark = pytest.mark.databases("sqlite", "postgresql")

Work = Callable[[Connection], None]


def put(number: int) -> Work:
    """Return a block that stores one draft."""

    def work(connection: Connection) -> None:
        assert put_draft(connection, draft_id=bytes([number]) * 32, version=1, box=b"box", expires_at=NOW + DAY)

    return work


def put_wrong(connection: Connection) -> None:
    """Store a draft, then one that the database refuses."""
    put(99)(connection)
    connection.exec_driver_sql("INSERT INTO drafts SELECT * FROM drafts")


def write(store: Store, work: Work, *, alone: bool = False) -> None:
    with store.write(alone=alone) as connection:
        work(connection)


def list_drafts(store: Store) -> list[int]:
    return [bytes(row[0])[0] for row in store.look("SELECT draft_id FROM drafts ORDER BY draft_id")]


@contextlib.contextmanager
def queued(store: Store, *tasks: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    """Queue tasks behind the first of them, which the block runs as a writer, in this order."""
    started: list[Future[Any]] = []
    with ThreadPoolExecutor(len(tasks)) as pool, store.write() as connection:
        put(1)(connection)
        for number, task in enumerate(tasks, start=1):
            started.append(pool.submit(task))
            deadline = time.monotonic() + 30
            while len(store._lock._threads._waiting) < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
        yield started


def count_commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the drafts there before each commit."""
    commit, counts = store._database.commit, []

    def count_and_commit(connection: Connection) -> None:
        counts.append(connection.exec_driver_sql("SELECT count(*) FROM drafts").scalar_one())
        commit(connection)

    monkeypatch.setattr(store._database, "commit", count_and_commit)
    return counts


def test_waiting_writers_share_one_commit_and_return_after_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_commits(store, monkeypatch)
    seen: list[list[bool]] = []

    def look_back(connection: Connection) -> None:
        put(4)(connection)
        time.sleep(0.05)  # the two before have ended their blocks
        seen.append([future.done() for future in futures])
        assert list_drafts(store) == []

    with queued(
        store, lambda: write(store, put(2)), lambda: write(store, put(3)), lambda: write(store, look_back)
    ) as futures:
        pass
    assert [future.result() for future in futures] == [None] * 3
    assert (seen, counts) == ([[False] * 3], [4])
    assert list_drafts(store) == [1, 2, 3, 4]


def test_writer_alone_sets_no_savepoint_and_commits_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_commits(store, monkeypatch)
    for number in (1, 2):
        write(store, put(number))
        assert (list_drafts(store), counts) == (list(range(1, number + 1)), list(range(1, number + 1)))


def test_block_that_fails_costs_the_other_writers_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_commits(store, monkeypatch)

    def raise_ours(connection: Connection) -> None:
        put(98)(connection)
        raise ValueError("ours")

    with queued(
        store,
        lambda: write(store, put_wrong),
        lambda: write(store, put(2)),
        lambda: write(store, raise_ours),
        lambda: write(store, put(3)),
        lambda: write(store, put_wrong),
    ) as futures:
        pass
    assert [type(future.exception()) for future in futures] == [
        IntegrityError,
        type(None),
        ValueError,
        type(None),
        IntegrityError,
    ]
    assert (list_drafts(store), counts) == ([1, 2, 3], [3])


def test_first_block_that_fails_leaves_the_turn_to_the_next(store: Store) -> None:
    with pytest.raises(ValueError, match="ours"), queued(store, lambda: write(store, put(2))) as futures:
        raise ValueError("ours")
    assert futures[0].result() is None
    assert list_drafts(store) == [2]


def test_commit_that_fails_fails_every_writer_and_each_may_retry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDiskError(store._connections.driver_errors[1]):  # type: ignore[name-defined, misc] - the driver's
        sqlite_errorcode, sqlstate = sqlite3.SQLITE_FULL, "53100"

    def fail(connection: Connection) -> None:
        del connection
        raise FullDiskError("marker")

    with monkeypatch.context() as patched:
        patched.setattr(store._database, "commit", fail)
        with (
            pytest.raises(StorageUnavailableError) as refused,
            queued(store, lambda: write(store, put(2)), lambda: write(store, put_wrong)) as futures,
        ):
            pass
    errors = [refused.value, futures[0].exception()]
    assert [getattr(error, "reason", None) for error in errors] == ["full", "full"]
    assert errors[0] is not errors[1]
    assert isinstance(futures[1].exception(), IntegrityError)
    assert list_drafts(store) == []
    write(store, put(2))
    assert list_drafts(store) == [2]


def test_transaction_that_is_lost_in_one_block_is_lost_for_every_writer(store: Store) -> None:
    """E.g. SQLite on a full disk, or a server that ended: the others must not believe in a commit of nothing."""

    def lose(connection: Connection) -> None:
        put(3)(connection)
        connection.exec_driver_sql("ROLLBACK")

    with (
        pytest.raises(StorageUnavailableError) as refused,
        queued(store, lambda: write(store, put(2)), lambda: write(store, lose)) as futures,
    ):
        pass
    assert refused.value.reason == "broken"
    assert all(isinstance(future.exception(), (StorageUnavailableError, RuntimeError)) for future in futures)
    assert list_drafts(store) == []
    write(store, put(2))
    assert list_drafts(store) == [2]


def meet_damage(connection: Connection) -> None:
    """Store a draft, then fail as on a damaged page; the transaction can be repaired."""
    put(97)(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'marker' USING ERRCODE = 'XX001'; END $$")
    error = sqlite3.DatabaseError("marker")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error


def test_storage_error_of_one_block_costs_the_other_writers_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_commits(store, monkeypatch)
    with queued(
        store,
        lambda: write(store, put(2)),
        lambda: write(store, meet_damage),
        lambda: write(store, put(3)),
        lambda: write(store, meet_damage),
    ) as futures:
        pass
    errors = [future.exception() for future in futures]
    assert [getattr(error, "reason", None) for error in errors] == [None, "broken", None, "broken"]
    assert (list_drafts(store), counts) == ([1, 2, 3], [3])


@pytest.mark.databases("sqlite")
def test_damaged_page_fails_one_group_and_afterwards_its_own_writers_only(store: Store) -> None:
    """SQLite takes no more writes in a transaction that has met damage, so its group cannot be saved."""
    marker = "row of a page that a bad disk damages"

    def add_row(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE spare (word TEXT)")
        connection.exec_driver_sql("INSERT INTO spare VALUES (?)", (marker,))

    def read_row(connection: Connection) -> None:
        put(97)(connection)
        connection.exec_driver_sql("SELECT word FROM spare").all()

    write(store, add_row)
    store.close()
    assert damage_pages(store.path, marker.encode(), kind=TABLE_LEAF) == 1
    tasks = [lambda: write(store, put(2)), lambda: write(store, read_row)]
    with pytest.raises(StorageUnavailableError), queued(store, *tasks, lambda: write(store, put(3))) as futures:
        pass
    reasons = [getattr(future.exception(), "reason", None) for future in futures]
    assert (reasons, list_drafts(store)) == (["broken", "broken", None], [3])
    with queued(store, *tasks, lambda: write(store, put(4))) as futures:
        pass
    assert [getattr(future.exception(), "reason", None) for future in futures] == [None, "broken", None]
    assert list_drafts(store) == [1, 2, 3, 4]


def test_writer_alone_joins_no_other_and_no_other_joins_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_commits(store, monkeypatch)
    with queued(
        store, lambda: write(store, put(2)), lambda: write(store, put(3), alone=True), lambda: write(store, put(4))
    ) as futures:
        pass
    assert [future.result() for future in futures] == [None] * 3
    assert counts == [2, 3, 4]


def test_group_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_commits(store, monkeypatch)
    with queued(store, *[lambda number=number: write(store, put(number)) for number in range(2, MAX_GROUP + 4)]):
        pass
    assert counts == [MAX_GROUP, MAX_GROUP + 3]


def test_mark_is_that_of_the_newest_report_that_was_kept(gateway: Gateway, partner: Partner) -> None:
    store, refused = gateway.store, new_public_report(extra_write=raise_after_insert)
    reports = [new_public_report(), new_industry_report(partner), refused, new_public_report(), refused]
    tasks = [lambda report=report: gateway.intake.accept(report) for report in reports]
    with queued(store, *tasks) as futures:
        pass
    kept = [future.result() for future in futures if future.exception() is None]
    assert [type(future.exception()) for future in futures].count(ValueError) == 2
    promised = [
        f"{report.clear.report_id}:{accepted.reference}"
        for report, accepted in zip((*reports[:2], reports[3]), kept, strict=True)
    ]
    assert check_chain(gateway, promised=promised) == 3
    ((digest,),) = store.look("SELECT intake_sha256 FROM reports WHERE position = 3")
    assert store.find_mark() == Mark(3, bytes(digest))
    assert gateway.intake.accept(reports[0]).receipt == kept[0].receipt


def raise_after_insert(*_: object) -> None:
    raise ValueError("ours")
