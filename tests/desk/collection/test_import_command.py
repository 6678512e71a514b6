"""`report-abuse-desk import`: its output, the receipt it writes, and the files it never overwrites."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import utc_now
from gateway.desk.office.terminal import DONE, LOOK, WRONG_USE
from gateway.desk.running.cli import main
from partner_sdk.client._receipts import check_receipt
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES
from tests.builders import Partner, SealedReport, seal_report
from tests.desk.desk_loop import Loop
from tests.desk.forgery import quarantined
from tests.desk.import_builders import cases_of, key_set_of, make_post, seal_for, write_file
from tests.desk.mail_server import run_receiver
from tests.desk.outbox.test_outbox_commands import set_up

Run = Callable[..., int]


@pytest.fixture
def run(loop: Loop) -> Run:
    def run_import(path: Path, *words: str) -> int:
        return main(["import", str(path), "--state", str(loop.desk.paths.state), *words])

    return run_import


def check_file(loop: Loop, path: Path, sealed: SealedReport) -> str:
    receipt = check_receipt(
        path.read_bytes(), by="desk", post=make_post(sealed), key_set=key_set_of(loop), now=loop.clock()
    )
    return receipt.reference


@pytest.fixture
def this_time(loop: Loop) -> Loop:
    """The desk at the time of this machine: commands look at its clock."""
    loop.clock.now = utc_now()
    loop.publish()
    return loop


def test_import_writes_a_receipt_beside_the_file_that_the_partner_can_check(
    this_time: Loop, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = seal_for(this_time)
    path = write_file(tmp_path, sealed)
    assert run(path) == DONE
    receipt = tmp_path / "report.sealed.json.receipt.json"
    assert stat.S_IMODE(receipt.stat().st_mode) == 0o600
    (case,) = cases_of(this_time)
    assert check_file(this_time, receipt, sealed) == case.reference
    said = capsys.readouterr().out
    assert f"{case.reference} is filed as a case." in said
    assert str(receipt) in said
    assert main(["case", "list", "--json", "--state", str(this_time.desk.paths.state)]) == DONE
    assert [one["channel"] for one in json.loads(capsys.readouterr().out)["cases"]] == ["file"]


def test_import_twice_gives_the_same_receipt_where_it_is_asked_for(this_time: Loop, run: Run, tmp_path: Path) -> None:
    path = write_file(tmp_path, seal_for(this_time))
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert run(path, "--receipt-out", str(first)) == DONE
    assert run(path, "--receipt-out", str(first)) == DONE
    assert run(path, "--receipt-out", str(second)) == DONE
    assert first.read_bytes() == second.read_bytes()
    assert len(cases_of(this_time)) == 1


def test_import_writes_over_no_other_file_and_keeps_the_report(
    this_time: Loop, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, taken = write_file(tmp_path, seal_for(this_time)), tmp_path / "taken"
    taken.write_bytes(b"mine")
    assert run(path, "--receipt-out", str(taken)) == WRONG_USE
    assert taken.read_bytes() == b"mine"
    assert "choose another --receipt-out" in capsys.readouterr().err
    assert len(cases_of(this_time)) == 1
    assert run(path, "--json") == DONE
    assert json.loads(capsys.readouterr().out)["state"] == "known"


def test_import_of_a_strangers_file_says_that_it_is_quarantined_and_writes_no_receipt(
    this_time: Loop, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = seal_report(Partner("stranger"), key=this_time.sealing_key(), priority="P3", created_at=this_time.clock())
    path = write_file(tmp_path, sealed)
    assert run(path) == LOOK
    assert "IN QUARANTINE because of submission-not-genuine" in capsys.readouterr().out
    assert list(tmp_path.glob("*receipt*")) == []
    assert len(quarantined(this_time)) == 1


@pytest.mark.parametrize("raw", [b"", b"{}", b"x" * (MAX_REPORT_BODY_BYTES + 1)], ids=["empty", "other", "huge"])
def test_import_of_what_is_no_report_is_refused(this_time: Loop, run: Run, tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(raw)
    assert run(path) == WRONG_USE
    assert quarantined(this_time) == []


def test_import_of_no_file_is_said(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none") == WRONG_USE
    assert "Cannot read" in capsys.readouterr().err


def test_urgent_file_is_paged_at_once(this_time: Loop, run: Run, tmp_path: Path) -> None:
    path = write_file(tmp_path, seal_for(this_time, priority="P1"))
    with run_receiver() as posts:
        set_up(this_time, pager=posts.url)
        assert run(path) == DONE
        assert len(posts.taken) == 1
