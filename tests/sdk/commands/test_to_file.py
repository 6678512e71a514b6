"""A sealed report as a file: the body of POST /v1/reports and nothing else, and the desk's receipt that comes back."""

import hashlib
import stat
from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from partner_sdk._commands.runtime import EMERGENCY, EXIT_ALARM, EXIT_FAILED
from partner_sdk.durable_files import write_new_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_exact
from partner_sdk.wire.receipts import SIGNED_DESK_RECEIPT, DeskReceiptStatement
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES, ReportPost, SubmissionStatement, clear_fields_of
from tests.builders import DAY, EXAMPLE_REPORT, NOW, Agency, House, StillClock
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, Terminal

REPORT = str(EXAMPLE_REPORT)
REFERENCE = "K7QF-2M9TX-D"


def write(line: Terminal, out: Path, priority: str = "P2") -> str:
    """Submit to a file and return the report's id."""
    assert line.run("report", "submit", REPORT, "--priority", priority, "--to-file", str(out)) == 0
    assert line.json()["delivered"] is False
    return str(line.json()["report_id"])


def answer(file: Path, *, agency: Agency | None = None, **changes: object) -> bytes:
    """Return the desk's receipt for a file."""
    post = parse_exact(file.read_bytes(), kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
    payload = parse_base64url(post.statement.payload)
    submission = parse_exact(payload, kind=SubmissionStatement, max_bytes=len(payload))
    settings = {
        "clear": clear_fields_of(submission),
        "environment": "live",
        "envelope_sha256": submission.envelope_sha256,
        "received_at": format_time(NOW),
        "reference": REFERENCE,
        "submission_sha256": hashlib.sha256(encode(post.statement)).hexdigest(),
        **changes,
    }
    key = load_signing_key((agency or Agency()).key(KeyRole.MAILBOX_SIGNING))
    return SIGNED_DESK_RECEIPT.sign(DeskReceiptStatement(**settings), key)


def test_file_is_exactly_the_body_that_would_be_posted(line: Terminal, broken_line: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    report_id = write(broken_line, out)
    assert out.read_bytes() == (line.folder / "submissions" / f"{report_id}.json").read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert line.run("spool", "flush") == 0
    assert isinstance(line.adapter, WsgiTransport)
    posted = next(one for one in line.adapter.requests if one.path_url == "/v1/reports")
    assert posted.body == out.read_bytes()


def test_p1_in_a_file_still_prints_the_emergency_words(broken_line: Terminal, tmp_path: Path) -> None:
    write(broken_line, tmp_path / "out.json", priority="P1")
    assert EMERGENCY in broken_line.err


def test_file_is_never_written_over_another_and_nothing_is_sealed_then(broken_line: Terminal, tmp_path: Path) -> None:
    out, link = tmp_path / "out.json", tmp_path / "link.json"
    out.write_text("mine", encoding="ascii")
    link.symlink_to(tmp_path / "elsewhere")
    for there in (out, link):
        words = ("report", "submit", REPORT, "--priority", "P2", "--to-file", str(there))
        assert broken_line.run(*words) == EXIT_FAILED
        assert "already exists" in broken_line.err
    assert out.read_text(encoding="ascii") == "mine"
    assert list((broken_line.folder / "submissions").iterdir()) == []


def test_nothing_is_sealed_without_a_key_set_and_the_words_say_what_to_do(line: Terminal, tmp_path: Path) -> None:
    offline = Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys)
    out = tmp_path / "out.json"
    assert offline.run("report", "submit", REPORT, "--priority", "P2", "--to-file", str(out)) == EXIT_FAILED
    assert offline.err.count("Nothing was sealed") == 1
    assert "Nothing was sealed or saved: this folder has no agency key to seal to." in offline.err
    assert "Ask the agency for another way to report now." in offline.err
    assert not out.exists()
    assert list((line.folder / "submissions").iterdir()) == []


def test_report_whose_file_cannot_be_written_still_waits(broken_line: Terminal, tmp_path: Path) -> None:
    words = ("report", "submit", REPORT, "--priority", "P2", "--to-file", str(tmp_path / "none" / "out.json"))
    assert broken_line.run(*words) == 3
    assert "Could not save" in broken_line.err
    assert len(list((broken_line.folder / "submissions").iterdir())) == 1


def test_receipt_of_the_desk_ends_the_waiting(line: Terminal, broken_line: Terminal, tmp_path: Path) -> None:
    out, came = tmp_path / "out.json", tmp_path / "from-the-desk.json"
    report_id = write(broken_line, out)
    came.write_bytes(answer(out) + b"\n")
    assert broken_line.run("receipt", "verify", str(came)) == 0
    assert (broken_line.json()["reference"], broken_line.json()["signed_by"]) == (REFERENCE, "desk")
    assert broken_line.run("spool", "status") == 3
    assert broken_line.run("receipt", "add", str(came)) == 0
    assert broken_line.json()["kept"] is True
    kept = line.folder / "desk-receipts" / f"{report_id}.json"
    assert kept.read_bytes() == answer(out)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert line.run("spool", "flush") == 0
    assert line.json()["delivered"] == []
    assert line.run("report", "list") == 0
    (listed,) = line.json()["receipts"]
    assert (listed["reference"], listed["signed_by"]) == (REFERENCE, "desk")
    assert line.run("receipt", "add", str(came)) == 0
    assert (line.json()["kept"], line.json()["verified"]) == (False, True)
    assert line.run("report", "discard", report_id) == EXIT_FAILED


def test_receipt_that_does_not_hold_is_an_alarm_and_the_report_waits(broken_line: Terminal, tmp_path: Path) -> None:
    out, came = tmp_path / "out.json", tmp_path / "from-the-desk.json"
    write(broken_line, out)
    for raw in (answer(out, submission_sha256="0" * 64), answer(out, agency=Agency(name="impostor"))):
        came.write_bytes(raw)
        assert broken_line.run("receipt", "add", str(came)) == EXIT_ALARM
        assert "is NOT valid" in broken_line.err
    assert broken_line.run("spool", "status") == 3


def test_receipt_for_a_report_of_another_folder_is_an_alarm(broken_line: Terminal, tmp_path: Path) -> None:
    out, came = tmp_path / "out.json", tmp_path / "from-the-desk.json"
    report_id = write(broken_line, out)
    came.write_bytes(answer(out))
    (broken_line.folder / "submissions" / f"{report_id}.json").unlink()
    assert broken_line.run("receipt", "add", str(came)) == EXIT_ALARM
    assert broken_line.json()["reason"] == "receipt-mismatch"


def test_gateways_receipt_that_came_by_file_is_kept_too(line: Terminal, tmp_path: Path) -> None:
    assert line.run("report", "submit", REPORT, "--priority", "P2") == 0
    file = Path(str(line.json()["receipt_file"]))
    moved = tmp_path / "moved.json"
    file.rename(moved)
    assert line.run("spool", "status") == 3
    assert line.run("receipt", "add", str(moved)) == 0
    assert file.read_bytes() == moved.read_bytes()
    assert line.run("spool", "status") == 0


def test_saved_key_set_that_has_expired_seals_nothing(line: Terminal, house: House, tmp_path: Path) -> None:
    assert line.run("doctor") == 0
    offline = Terminal(line.folder, ScriptedGateway(*DOWN), line.capsys, clock=StillClock(NOW + 4000 * DAY))
    out = tmp_path / "out.json"
    assert offline.run("report", "submit", REPORT, "--priority", "P2", "--to-file", str(out)) == EXIT_FAILED
    assert "Nothing was sealed" in offline.err
    assert not out.exists()


def test_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("partner_sdk.durable_files.os.fsync", fail)
    with pytest.raises(LocalStateError) as caught:
        write_new_durably(tmp_path / "out.json", b"x")
    assert caught.value.reason == "not-saved"
    assert list(tmp_path.iterdir()) == []
