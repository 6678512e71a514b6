"""A sealed report goes round a gateway that is down: by file to the desk, whose receipt ends the waiting."""

import contextlib
import json
import os
import signal
from pathlib import Path

from gateway.demo.loop import Loop
from gateway.demo.processes import DemoError
from tests.builders import EXAMPLE_REPORT
from tests.whole.test_kill_and_restart import members_of_the_gateway


def stop_gateway(loop: Loop) -> None:
    for pid in members_of_the_gateway(loop):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    loop.processes.forget_killed()


def count_cases(loop: Loop) -> int:
    return len(json.loads(loop.run_desk("case", "list", "--json"))["cases"])


def test_report_reaches_the_desk_by_file_while_the_gateway_is_down(loop: Loop, tmp_path: Path) -> None:
    loop.run_partner("doctor")  # saves a key set, as every day does
    stop_gateway(loop)
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
    assert count_cases(loop) == 1


def test_report_that_comes_by_file_and_through_the_gateway_is_one_case(loop: Loop, tmp_path: Path) -> None:
    before = count_cases(loop)
    stop_gateway(loop)
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
