"""A gateway that is killed and stays down under a stream of submissions: after a flush each is stored exactly once."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

from gateway.demo.loop import Loop
from partner_sdk._commands.runtime import EXIT_NOT_DELIVERED
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.client.partner import Partner
from partner_sdk.errors import ReportAbuseError
from partner_sdk.report import parse_report
from partner_sdk.wire.submission import Priority
from tests.builders import EXAMPLE_REPORT
from tests.gateway.web.process_watch import wait_until
from tests.whole.test_kill_and_restart import members_of_the_gateway, stored

LEAST_REPORTS = 6  # before the outage, during it, and after it
DOWN_SECONDS = 8.0
PAUSE_SECONDS = 0.15
RAW = EXAMPLE_REPORT.read_bytes()


class Stream:
    """One service that submits all the time, and does not stop without an answer."""

    def __init__(self, loop: Loop) -> None:
        self.sealed: list[str] = []
        self.delivered: set[str] = set()
        self._partner = Partner.open(loop.partner_state, policy=RetryPolicy(tries=2, first_wait_seconds=0.05))
        self._partner.refresh_key_set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._submit_all)

    def _submit_all(self) -> None:
        priorities: tuple[Priority, ...] = ("P3", "P2", "P1")
        while not self._stopping.wait(PAUSE_SECONDS):
            priority = priorities[len(self.sealed) % len(priorities)]
            report_id = self._partner.seal_report(parse_report(RAW, priority=priority), priority=priority)
            self.sealed.append(report_id)
            with contextlib.suppress(ReportAbuseError):
                self.delivered.add(self._partner.deliver(report_id).report_id)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._partner.close()


def kill_gateway(loop: Loop) -> None:
    members = members_of_the_gateway(loop)
    assert len(members) >= 3
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    loop.processes.forget_killed()


def begin_flush(loop: Loop) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "partner_sdk.cli", "spool", "flush", "--state", str(loop.partner_state), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def count_spool(loop: Loop) -> int:
    return len(Partner.open(loop.partner_state).state.list_undelivered())


def test_each_report_of_an_outage_is_stored_exactly_once_after_a_flush(loop: Loop) -> None:
    with Stream(loop) as stream:
        assert wait_until(lambda: len(stream.delivered) >= LEAST_REPORTS)
        kill_gateway(loop)
        before = len(stream.delivered)
        sealed_before = len(stream.sealed)
        time.sleep(DOWN_SECONDS)
        assert wait_until(lambda: len(stream.sealed) >= sealed_before + LEAST_REPORTS)
        sealed_while_down = len(stream.sealed) - sealed_before
        delivered_by_then = len(stream.delivered)
        loop.start_gateway()
        assert wait_until(lambda: len(stream.delivered) >= delivered_by_then + LEAST_REPORTS)
    assert delivered_by_then <= before + 1, "the gateway was not down"
    assert count_spool(loop) >= sealed_while_down
    with contextlib.ExitStack() as stack:
        flushes = [stack.enter_context(begin_flush(loop)) for _ in range(2)]
        said = [flush.communicate(timeout=120) for flush in flushes]
    assert [flush.returncode for flush in flushes] == [0, 0], said
    report_ids, _ = stored(loop)
    assert set(report_ids) == set(stream.sealed)
    assert {name: count for name, count in Counter(report_ids).items() if count > 1} == {}
    assert len(report_ids) == len(stream.sealed)
    assert count_spool(loop) == 0
    assert loop.collect() == len(stream.sealed)
    loop.run_desk("collect", "--reconcile")


def test_flush_while_the_gateway_is_down_names_the_emergency_and_keeps_all(loop: Loop) -> None:
    partner = Partner.open(loop.partner_state)
    partner.refresh_key_set()
    kill_gateway(loop)
    try:
        report_id = partner.seal_report(parse_report(RAW, priority="P1"), priority="P1")
        command = [sys.executable, "-m", "partner_sdk.cli", "spool", "flush", "--state", str(loop.partner_state)]
        flush = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert flush.returncode == EXIT_NOT_DELIVERED
        assert "call 999" in flush.stderr
        assert partner.state.list_undelivered() == [report_id]
    finally:
        loop.start_gateway()
    assert loop.run_partner("spool", "flush", "--json")["undelivered"] == []
    report_ids, _ = stored(loop)
    assert report_ids.count(report_id) == 1
