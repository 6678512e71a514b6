"""A gateway is killed and stays down: after a flush each report is stored exactly once, or goes round it by file."""

import contextlib
import json
import subprocess
import sys
import threading
import time
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
from tests.whole.senders import PAUSE_SECONDS, kill_gateway, stored

LEAST_REPORTS = 6  # before the outage, during it, and after it
DOWN_SECONDS = 8.0
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


def count_cases(loop: Loop) -> int:
    return len(json.loads(loop.run_desk("case", "list", "--json"))["cases"])


def test_report_reaches_the_desk_by_file_while_the_gateway_is_down(loop: Loop, tmp_path: Path) -> None:
    before = loop.collect()
    loop.run_partner("doctor")  # saves a key set, as every day does
    kill_gateway(loop)
    out, receipt = tmp_path / "for-the-desk.json", tmp_path / "from-the-desk.json"
    words = ("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--to-file", str(out), "--json")
    report_id = loop.run_partner(*words)["report_id"]
    imported = json.loads(loop.run_desk("import", str(out), "--receipt-out", str(receipt), "--json"))
    assert imported["state"] == "filed"
    added = loop.run_partner("receipt", "add", str(receipt), "--json")
    assert (added["report_id"], added["reference"]) == (report_id, imported["reference"])
    assert (added["signed_by"], added["verified"]) == ("desk", True)
    assert loop.run_partner("spool", "status", "--json")["waiting"] == 0
    loop.start_gateway()
    assert loop.run_partner("spool", "flush", "--json")["delivered"] == []
    assert count_cases(loop) == before + 1


def test_report_that_comes_by_file_and_through_the_gateway_is_one_case(loop: Loop, tmp_path: Path) -> None:
    before = loop.collect()
    kill_gateway(loop)
    out, receipt = tmp_path / "out.json", tmp_path / "receipt.json"
    try:
        with contextlib.suppress(DemoError):  # it ends with 3: not delivered
            loop.run_partner("report", "submit", str(EXAMPLE_REPORT), "--priority", "P2")
        (report_id,) = [path.stem for path in (loop.partner_state / "submissions").iterdir()
                        if not list(loop.partner_state.glob(f"*receipts/{path.name}"))]  # fmt: skip
        loop.run_partner("spool", "write", report_id, str(out))
        loop.run_desk("import", str(out), "--receipt-out", str(receipt))
    finally:
        loop.start_gateway()
    assert [one["report_id"] for one in loop.run_partner("spool", "flush", "--json")["delivered"]] == [report_id]
    loop.run_desk("collect")
    assert count_cases(loop) == before + 1
    loop.run_partner("receipt", "add", str(receipt))
    assert {path.parent.name for path in loop.partner_state.glob(f"*receipts/{report_id}.json")} == {
        "receipts",
        "desk-receipts",
    }
