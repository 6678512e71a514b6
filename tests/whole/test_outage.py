"""A gateway is killed and stays down: after a flush each report is stored exactly once, or goes round it by file."""

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from gateway.demo.loop import Loop
from gateway.demo.processes import DemoError
from partner_sdk._commands.runtime import EXIT_NOT_DELIVERED
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.client.partner import Partner
from partner_sdk.errors import ReportAbuseError
from partner_sdk.report import parse_report
from partner_sdk.wire.submission import Priority
from tests.builders import EXAMPLE_REPORT
from tests.gateway.web.process_watch import wait_until
from tests.whole.loop_in_process import list_cases_here
from tests.whole.senders import PAUSE_SECONDS, kill_gateway, stored

LEAST_REPORTS = 6  # before the outage, during it, and after it
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
            report_id = self._partner.seal_report(parse_report(RAW, priority=priority), priority=priority, again=True)
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


def begin_flush(loop: Loop) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "partner_sdk.cli", "spool", "flush", "--state", str(loop.partner_state)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_report_of_an_outage_is_stored_exactly_once_after_a_flush(loop: Loop) -> None:
    with Stream(loop) as stream:
        assert wait_until(lambda: len(stream.delivered) >= LEAST_REPORTS)
        kill_gateway(loop)
        before = len(stream.delivered)
        sealed_before = len(stream.sealed)
        assert wait_until(lambda: len(stream.sealed) >= sealed_before + LEAST_REPORTS)
        sealed_while_down = len(stream.sealed) - sealed_before
        delivered_by_then = len(stream.delivered)
        loop.start_gateway()
        assert wait_until(lambda: len(stream.delivered) >= delivered_by_then + LEAST_REPORTS)
    assert delivered_by_then <= before + 1, "the gateway was not down"
    assert len(list_undelivered(loop)) >= sealed_while_down
    with contextlib.ExitStack() as stack:
        flushes = [stack.enter_context(begin_flush(loop)) for _ in range(2)]
        said = [flush.communicate(timeout=120) for flush in flushes]
    assert [flush.returncode for flush in flushes] == [0, 0], said
    report_ids, _ = stored(loop)
    assert set(report_ids) == set(stream.sealed)
    assert {name: count for name, count in Counter(report_ids).items() if count > 1} == {}
    assert len(report_ids) == len(stream.sealed)
    assert len(list_undelivered(loop)) == 0
    loop.run_desk("collect")
    assert len(list_cases_here(loop.desk_state)) == len(stream.sealed)
    loop.run_desk("collect", "--reconcile")


def test_what_an_outage_keeps_back_goes_by_file_or_after_it_and_is_one_case_each(loop: Loop, tmp_path: Path) -> None:
    loop.run_desk("collect")
    before = len(list_cases_here(loop.desk_state))
    loop.run_partner("doctor")  # saves a key set, as every day does
    kill_gateway(loop)
    try:
        urgent = check_flush_names_the_emergency_and_keeps_it(loop)
        by_file = hand_over_by_file(loop, tmp_path)
        assert list_undelivered(loop) == [urgent]
        both_ways, receipt = hand_over_what_was_not_delivered(loop, tmp_path)
        assert set(list_undelivered(loop)) == {urgent, both_ways}
    finally:
        loop.start_gateway()
    flushed = loop.run_partner("spool", "flush")
    assert flushed["undelivered"] == []
    assert sorted(one["report_id"] for one in flushed["delivered"]) == sorted([urgent, both_ways])
    report_ids, _ = stored(loop)
    assert [report_ids.count(one) for one in (urgent, both_ways, by_file)] == [1, 1, 0]
    loop.run_desk("collect")
    assert len(list_cases_here(loop.desk_state)) == before + 3
    loop.run_partner("receipt", "add", str(receipt))
    assert {path.parent.name for path in loop.partner_state.glob(f"*receipts/{both_ways}.json")} == {
        "receipts",
        "desk-receipts",
    }


def list_undelivered(loop: Loop) -> list[str]:
    return Partner.open(loop.partner_state).state.list_undelivered()


def check_flush_names_the_emergency_and_keeps_it(loop: Loop) -> str:
    """Flush an urgent report without a gateway; return its id."""
    partner = Partner.open(loop.partner_state)
    report_id = partner.seal_report(parse_report(RAW, priority="P1"), priority="P1")
    command = [sys.executable, "-m", "partner_sdk.cli", "spool", "flush", "--state", str(loop.partner_state)]
    flush = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert flush.returncode == EXIT_NOT_DELIVERED
    assert "call 999" in flush.stderr
    assert list_undelivered(loop) == [report_id]
    return report_id


def hand_over_by_file(loop: Loop, folder: Path) -> str:
    """Write a report for the desk, import it, and take its receipt back; return its id."""
    out, receipt = folder / "for-the-desk.json", folder / "from-the-desk.json"
    words = ("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--to-file", str(out), "--again")
    report_id = str(loop.run_partner(*words)["report_id"])
    imported = json.loads(loop.run_desk("import", str(out), "--receipt-out", str(receipt), "--json"))
    assert imported["state"] == "filed"
    added = loop.run_partner("receipt", "add", str(receipt))
    assert (added["report_id"], added["reference"]) == (report_id, imported["reference"])
    assert (added["signed_by"], added["verified"]) == ("desk", True)
    return report_id


def hand_over_what_was_not_delivered(loop: Loop, folder: Path) -> tuple[str, Path]:
    """Submit a report, which the gateway does not take, and import its file; return its id and the desk's receipt."""
    out, receipt = folder / "out.json", folder / "receipt.json"
    waited = set(list_undelivered(loop))
    with contextlib.suppress(DemoError):  # it ends with 3: not delivered
        loop.run_partner("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--again")
    (report_id,) = set(list_undelivered(loop)) - waited
    loop.run_partner("spool", "write", report_id, str(out))
    loop.run_desk("import", str(out), "--receipt-out", str(receipt))
    return report_id, receipt
