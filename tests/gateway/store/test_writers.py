"""Many writers at once, and writers that are killed: no report lost, none twice, a chain without a gap."""

import hashlib
import signal
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.config import StateFolder
from gateway.intake import Accepted
from gateway.store import StorageUnavailableError
from gateway.store.connections import HighWaterMark, WriterLock
from gateway.store.reports import list_links, read_waiting
from gateway.wiring import Gateway
from partner_sdk.wire.receipts import FIRST_PREVIOUS, SIGNED_INTAKE, verify_intake
from tests.builders import NOW, House, Partner
from tests.gateway.store_builders import (
    finish_process,
    new_industry_report,
    new_public_report,
    open_patient,
    start_process,
)


def check_chain(gateway: Gateway, *, promised: Iterable[str]) -> int:
    """Check every stored report, the chain, and that each promised `id:reference` is there once; return how many."""
    with gateway.store.read() as connection:
        found, more, unreadable = read_waiting(connection, limit=10_000, max_bytes=1 << 40)
    assert (more, unreadable) == (False, [])
    keys = gateway.key_state.find_keys()
    assert keys is not None
    heads: dict[str, tuple[int, str]] = {}
    stored = []
    for place, row in enumerate(found, start=1):
        statement = verify_intake(row.intake, key_set=keys.key_set, now=NOW)
        number, previous = heads.get(row.partner, (0, FIRST_PREVIOUS))
        assert (row.position, statement.sequence) == (place, number + 1)
        assert (statement.clear.partner, statement.previous) == (row.partner, previous)
        assert statement.envelope_sha256 == hashlib.sha256(row.envelope).hexdigest()
        assert statement.clear.report_id == row.report_id
        heads[row.partner] = (number + 1, hashlib.sha256(row.intake).hexdigest())
        stored.append(f"{row.report_id}:{statement.reference}")
    assert len(set(stored)) == len(stored)
    promises = list(promised)
    assert len(promises) > 0
    assert set(promises) <= set(stored)
    return len(stored)


def test_threads_and_processes_together_lose_nothing_and_leave_no_gap(house: House, partner: Partner) -> None:
    gateway = open_patient(house)
    processes = [start_process("writer_process", str(house.state), "40") for _ in range(3)]

    def send(number: int) -> list[str]:
        promises = []
        for turn in range(15):
            report = new_public_report() if (number + turn) % 2 else new_industry_report(partner)
            promises.append(f"{report.clear.report_id}:{gateway.intake.accept(report).reference}")
        return promises

    with ThreadPoolExecutor(6) as pool:
        promised = [promise for promises in pool.map(send, range(6)) for promise in promises]
    for process in processes:
        promised += finish_process(process)
    assert len(promised) == 3 * 40 + 6 * 15
    assert check_chain(gateway, promised=promised) == len(promised)


def test_the_same_report_from_many_threads_is_stored_once(house: House, partner: Partner) -> None:
    gateway = open_patient(house)
    report = new_industry_report(partner)

    def send(_number: int) -> Accepted:
        return gateway.intake.accept(report)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(24)))
    assert [answer.is_new for answer in answers].count(True) == 1
    assert len({answer.receipt for answer in answers}) == 1
    with gateway.store.read() as connection:
        assert len(list_links(connection, after=0, limit=100)[0]) == 1


def test_writers_killed_at_any_moment_lose_nothing_that_they_promised(house: House, partner: Partner) -> None:
    """Each process is killed a little later than the one before: between two commits or in the middle of one.

    The last one is killed when several writers have made their savepoints in one transaction, before its commit.
    """
    threads, promised, lost = 4, [], []
    killed = 0
    for turn in range(6):
        at_commit = ["3"] if turn == 5 else []
        process = start_process("writer_process", str(house.state), "100000", str(threads), *at_commit)
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        if not at_commit:
            time.sleep(0.004 * turn + 0.001 * (turn % 3))
            process.send_signal(signal.SIGKILL)
        lines += complete_lines(process)
        promised += [line for line in lines if not line.startswith("lost ")]
        lost += [line.removeprefix("lost ") for line in lines if line.startswith("lost ")]
        killed += process.returncode == -signal.SIGKILL
    assert killed == 6
    gateway = open_patient(house)
    stored = check_chain(gateway, promised=promised)
    mark = HighWaterMark(StateFolder(house.state).path / "gateway.mark").find()
    assert mark is not None
    # A process that is killed has written its mark, or the one before.
    assert stored - threads <= mark.position <= stored
    # The reports of one transaction of each process can be durable without their promises having been printed.
    assert len(promised) <= stored <= len(promised) + 6 * threads
    assert len(lost) >= 2
    assert not set(lost) & {row[0] for row in house.query("SELECT report_id FROM reports")}
    assert not set(lost) & {line.split(":")[0] for line in promised}
    # The gateway goes on where the order and the sender's chain end.
    ((own,),) = gateway.store.look("SELECT count(*) FROM reports WHERE partner != 'public'")
    receipt = gateway.intake.accept(new_industry_report(partner)).receipt
    assert SIGNED_INTAKE.peek(receipt).sequence == own + 1
    assert gateway.store.look("SELECT max(position) FROM reports") == [(stored + 1,)]


def complete_lines(process: subprocess.Popen[str]) -> list[str]:
    # `communicate` alone reads beside the buffer, and loses what the first `readline` has put there.
    assert process.stdout is not None
    output = process.stdout.read() + process.communicate(timeout=60)[0]
    return [line.strip() for line in output.splitlines(keepends=True) if line.endswith("\n")]


def test_a_removed_lock_file_costs_order_but_never_a_link_of_the_chain(house: House, partner: Partner) -> None:
    """Two processes that queue on different files meet in the database: BEGIN IMMEDIATE keeps them apart."""
    first = open_patient(house)
    first.intake.accept(new_industry_report(partner))
    for path in house.state.glob("gateway.lock*"):
        path.unlink()
    second = open_patient(house)
    promised: list[str] = []

    def send(gateway: Gateway) -> list[str]:
        reports = [new_industry_report(partner) for _ in range(40)]
        return [f"{report.clear.report_id}:{gateway.intake.accept(report).reference}" for report in reports]

    with ThreadPoolExecutor(2) as pool:
        for promises in pool.map(send, [first, second]):
            promised += promises
    assert check_chain(second, promised=promised) == len(promised) + 1 == 81


def test_a_store_writes_only_in_its_turn(hurried_house: House, partner: Partner) -> None:
    gateway = hurried_house.open_gateway()
    report = new_industry_report(partner)
    with WriterLock(StateFolder(hurried_house.state).lock, timeout_seconds=1).hold():
        with pytest.raises(StorageUnavailableError) as refused:
            gateway.intake.accept(report)
        with gateway.store.read() as connection:  # readers do not queue
            assert list_links(connection, after=0, limit=1) == ([], False)
    assert refused.value.reason == "locked"
    assert gateway.intake.accept(report).is_new
