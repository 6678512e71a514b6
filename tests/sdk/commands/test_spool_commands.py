"""`spool status`, `spool flush`, `spool write`: output for people and machines, and the exit codes."""

import contextlib
import io
from pathlib import Path

import pytest

from partner_sdk import durable_files
from partner_sdk._commands.runtime import EMERGENCY, EXIT_FAILED, EXIT_NOT_DELIVERED, Speaker
from partner_sdk.lazy_group import INTERRUPTED
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES
from tests.builders import EXAMPLE_REPORT, NOW, House
from tests.sdk.evidence_builders import Cut, EvidenceGateway, make_report, write_plain
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_state

REPORT = str(EXAMPLE_REPORT)


def leave(broken_line: Terminal, *priorities: str) -> list[str]:
    """Leave a report of each priority in the spool; return their ids."""
    sealed = []
    for priority in priorities:
        code = broken_line.run("report", "submit", REPORT, "--priority", priority, "--again")
        assert code == EXIT_NOT_DELIVERED
        sealed.append(str(broken_line.json()["report_id"]))
    return sealed


def test_empty_spool_says_so_and_is_exit_code_0(line: Terminal) -> None:
    assert line.run("spool", "flush") == 0
    assert line.run("spool", "status") == 0
    said = line.json()
    assert (said["waiting"], said["oldest"], said["size_bytes"], said["reports"]) == (0, None, 0, [])


def test_status_says_how_many_since_when_which_and_how_large(broken_line: Terminal) -> None:
    p3, p2 = leave(broken_line, "P3", "P2")
    assert broken_line.run("spool", "status") == EXIT_NOT_DELIVERED
    said = broken_line.json()
    assert said["by_priority"] == {"P1": 0, "P2": 1, "P3": 1}
    assert (said["waiting"], said["oldest"]) == (2, format_time(NOW))
    assert EMERGENCY not in broken_line.err
    reports = said["reports"]
    assert isinstance(reports, list)
    assert [one["report_id"] for one in reports] == [p2, p3]
    sizes = [(broken_line.folder / "submissions" / f"{name}.json").stat().st_size for name in (p2, p3)]
    assert [one["size_bytes"] for one in reports] == sizes
    assert said["size_bytes"] == sum(sizes) < 2 * MAX_REPORT_BODY_BYTES


def test_p1_that_waits_is_told_with_the_emergency_words(broken_line: Terminal) -> None:
    leave(broken_line, "P1")
    assert broken_line.run("spool", "status") == EXIT_NOT_DELIVERED
    assert EMERGENCY in broken_line.err


def test_p1_that_a_flush_does_not_deliver_prints_the_emergency_words_and_fails(broken_line: Terminal) -> None:
    (p1,) = leave(broken_line, "P1")
    assert broken_line.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert f"NOT DELIVERED: report {p1}, P1" in broken_line.err
    assert broken_line.err.rstrip().endswith(EMERGENCY)
    # At the first wait already: nobody sits through all tries before they are told.
    assert broken_line.err.index(EMERGENCY) < broken_line.err.index("NOT DELIVERED")


def test_p2_that_a_flush_does_not_deliver_fails_without_emergency_words(broken_line: Terminal) -> None:
    leave(broken_line, "P2")
    assert broken_line.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert EMERGENCY not in broken_line.err  # "999" alone may stand in an id
    assert str(broken_line.json()["undelivered"]).count("-") == 4  # one id


def test_flush_that_is_stopped_by_hand_while_a_p1_waits_prints_the_emergency_words(broken_line: Terminal) -> None:
    leave(broken_line, "P1")
    stopped = Terminal(broken_line.folder, ScriptedGateway(KeyboardInterrupt()), broken_line.capsys)
    assert stopped.run("spool", "flush") == INTERRUPTED
    assert stopped.err.count(EMERGENCY) == 1


def test_damaged_submission_is_told_as_p1(line: Terminal, broken_line: Terminal) -> None:
    (p3,) = leave(broken_line, "P3")
    (line.folder / "submissions" / f"{p3}.json").write_bytes(b"{")
    assert line.run("spool", "status") == EXIT_NOT_DELIVERED
    assert "cannot be read, and counts as P1" in line.err
    assert EMERGENCY in line.err
    assert line.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert EMERGENCY in line.err


def test_evidence_that_waits_is_in_the_spool_until_a_flush_has_handed_it_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_state(tmp_path / "p")
    gateway = EvidenceGateway()
    line = Terminal(tmp_path / "p", gateway, capsys)
    report, file = tmp_path / "report.json", write_plain(tmp_path, "file", 1234)
    report.write_bytes(encode(make_report("file-1")))
    gateway.fault = Cut(parts=0)
    words = ("report", "submit", str(report), "--priority", "P1", "--evidence", f"file-1={file}")
    assert line.run(*words) == EXIT_NOT_DELIVERED
    report_id = str(line.json()["report_id"])
    for command in ("status", "flush"):
        assert line.run("spool", command) == EXIT_NOT_DELIVERED
        assert report_id in line.out + line.err
        assert "999" not in line.err  # the report itself is delivered
    assert line.run("spool", "status") == EXIT_NOT_DELIVERED
    assert [(one["files"], one["size_bytes"]) for one in _rows(line, "evidence")] == [(1, 1234)]
    gateway.fault = lambda _: None
    assert line.run("spool", "flush") == 0
    assert [(one["report_id"], one["evidence_waiting"]) for one in _rows(line, "evidence")] == [(report_id, [])]
    assert line.run("spool", "status") == 0


def _rows(line: Terminal, name: str) -> list[dict[str, object]]:
    rows = line.json()[name]
    assert isinstance(rows, list)
    return rows


def test_p1_that_a_full_disk_cannot_save_prints_the_emergency_words(
    line: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line.run("doctor") == 0
    fill_disk(monkeypatch)
    assert line.run("report", "submit", REPORT, "--priority", "P1") == EXIT_FAILED
    assert "Could not save" in line.err
    assert EMERGENCY in line.err
    assert list((line.folder / "submissions").iterdir()) == []


def test_report_whose_receipt_a_full_disk_cannot_save_waits_and_is_stored_once(
    line: Terminal, broken_line: Terminal, house: House
) -> None:
    leave(broken_line, "P2", "P2")
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch, of="receipts")
        assert line.run("spool", "flush") == EXIT_NOT_DELIVERED
        assert line.err.count("Could not save") == 2
    assert line.run("spool", "flush") == 0
    with house.open_gateway().store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM reports").scalar_one() == 2


def fill_disk(patch: pytest.MonkeyPatch, *, of: str = "") -> None:
    """Let nothing more be written into the folders of this name."""
    write = durable_files.os.fdopen

    def refuse(descriptor: int, *settings: str) -> object:
        if of in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        return write(descriptor, *settings)

    patch.setattr(durable_files.os, "fdopen", refuse)


def test_progress_is_written_on_a_terminal_only() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, file = Screen(), io.StringIO()
    for stream in (screen, file):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(stream):
            Speaker("live").say_progress("1 of 2")
        assert out.getvalue() == ""
    assert screen.getvalue() == "[live] 1 of 2\n"
    assert file.getvalue() == ""


def test_report_that_waits_is_written_to_a_file(line: Terminal, broken_line: Terminal, tmp_path: Path) -> None:
    (p2,) = leave(broken_line, "P2")
    out = tmp_path / "out.json"
    assert broken_line.run("spool", "write", p2, str(out)) == 0
    assert out.read_bytes() == (line.folder / "submissions" / f"{p2}.json").read_bytes()
    assert broken_line.run("spool", "write", p2, str(out)) == EXIT_FAILED
    assert "already exists" in broken_line.err
    other = p2[:-1] + ("0" if p2[-1] != "0" else "1")
    assert broken_line.run("spool", "write", other, str(tmp_path / "other.json")) == EXIT_FAILED
    assert "no submission" in broken_line.err


def test_report_that_was_delivered_is_written_to_a_file_without_saying_that_it_waits(
    line: Terminal, tmp_path: Path
) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P1") == 0
    report_id, reference = str(line.json()["report_id"]), str(line.json()["reference"])
    assert line.run("spool", "write", report_id, str(tmp_path / "a.json")) == 0
    assert line.err == ""
    assert (line.json()["delivered"], line.json()["reference"]) == (True, reference)
