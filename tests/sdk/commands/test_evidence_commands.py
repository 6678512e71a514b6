"""`report submit --evidence`, `evidence discard`, and what `spool` says of files that wait."""

from pathlib import Path

import pytest

from partner_sdk._commands.runtime import EMERGENCY, EXIT_FAILED, EXIT_NOT_DELIVERED
from partner_sdk.cli import main
from partner_sdk.client._evidence_upload import Progress
from partner_sdk.errors import EvidenceError
from partner_sdk.wire.canonical import encode
from tests.sdk.evidence_builders import (
    THREE_PARTS,
    Cut,
    EvidenceGateway,
    make_report,
    open_partner,
    open_reference,
    write_plain,
)
from tests.sdk.sdk_builders import Terminal, make_state


@pytest.fixture
def gateway() -> EvidenceGateway:
    return EvidenceGateway()


@pytest.fixture
def line(gateway: EvidenceGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    make_state(tmp_path / "p")
    return Terminal(tmp_path / "p", gateway, capsys)


@pytest.fixture
def report(tmp_path: Path) -> str:
    path = tmp_path / "report.json"
    path.write_bytes(encode(make_report("file-1", "file-2")))
    return str(path)


def leave_waiting(line: Terminal, gateway: EvidenceGateway, report: str, path: Path) -> str:
    """Deliver a P1 whose evidence stops after one part; return its id."""
    gateway.fault = Cut(parts=1)
    code = line.run("report", "submit", report, "--priority", "P1", "--evidence", f"file-1={path}")
    assert code == EXIT_NOT_DELIVERED
    return str(line.json()["report_id"])


def test_submit_hands_the_named_files_over(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    one, two = write_plain(tmp_path, "a", 5), write_plain(tmp_path, "b=c", 6)
    words = ("--evidence", f"file-1={one}", "--evidence", f"file-2={two}")
    assert line.run("report", "submit", report, "--priority", "P2", *words) == 0
    said = line.json()
    assert (said["delivered"], said["evidence_waiting"], said["evidence_reason"]) == (True, [], None)
    (sealed,) = gateway.read_posts()
    assert [len(open_reference(gateway, one)) for one in sealed.evidence] == [5, 6]


def test_p1_that_is_delivered_says_so_and_not_to_call_when_only_its_files_wait(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    leave_waiting(line, gateway, report, write_plain(tmp_path, "a", THREE_PARTS))
    said = line.json()
    assert (said["delivered"], said["evidence_waiting"], said["evidence_reason"]) == (True, ["file-1"], "connection")
    assert said["supplement"] is None
    assert "EVIDENCE WAITS: file-1" in line.err
    assert "`spool flush` sends the rest" in line.err
    # While it is being tried, each wait says it; at the end the report is through.
    assert not line.err.rstrip().endswith(EMERGENCY)


def test_flush_sends_the_rest_and_no_part_twice(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    report_id = leave_waiting(line, gateway, report, write_plain(tmp_path, "a", THREE_PARTS))
    gateway.fault = lambda _: None
    before = gateway.count("PUT")
    assert line.run("spool", "flush") == 0
    assert gateway.count("PUT") == before + 2
    (row,) = line.json()["evidence"]
    assert row["report_id"] == report_id
    assert row["supplement"] is not None
    assert line.run("spool", "status") == 0


def test_report_that_is_not_delivered_is_exit_code_3_with_the_emergency_words(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    gateway.fault = lambda request: (500, {}, b"") if request.path_url == "/v1/reports" else None
    path = write_plain(tmp_path, "a", 5)
    code = line.run("report", "submit", report, "--priority", "P1", "--evidence", f"file-1={path}")
    assert code == EXIT_NOT_DELIVERED
    assert "NOT DELIVERED. Report" in line.err
    assert line.err.rstrip().endswith(EMERGENCY)


def test_missing_file_fails_and_nothing_is_sealed(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    words = ("report", "submit", report, "--priority", "P2", "--evidence", f"file-1={tmp_path}/none")
    assert line.run(*words) == EXIT_FAILED
    assert "no-such-file" in line.err
    assert line.json()["report_id"] is None
    assert gateway.log == []


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (["file-1=a", "file-1=b"], "twice-named"),
        (["a=file-1"], "swap them"),
        (["nine=a"], "No file in the report has this file_id"),
    ],
)
def test_pairs_that_do_not_fit_are_told(line: Terminal, report: str, pairs: list[str], reason: str) -> None:
    words = [word for pair in pairs for word in ("--evidence", pair)]
    assert line.run("report", "submit", report, "--priority", "P2", *words) == EXIT_FAILED
    assert reason in line.err


@pytest.mark.parametrize(
    "words",
    [
        ("report", "submit", "x", "--priority", "P2", "--evidence", "file-1"),
        ("report", "submit", "x", "--priority", "P2", "--evidence", "=x"),
        ("report", "submit", "x", "--priority", "P2", "--evidence", "file-1=x", "--to-file", "y"),
        ("evidence",),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    shown = (
        "Usage: report-abuse-partner" if len(words) < 2 else f"See `report-abuse-partner {words[0]} {words[1]} --help`."
    )
    assert shown in capsys.readouterr().err


def test_supplement_brings_a_file_to_a_report_that_was_delivered(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    assert line.run("report", "submit", report, "--priority", "P2") == 0
    reference = str(line.json()["reference"])
    path = write_plain(tmp_path, "a", 5)
    more = ("--kind", "supplement", "--earlier-reference", reference, "--evidence", f"file-1={path}")
    assert line.run("report", "submit", report, "--priority", "P3", *more) == 0
    sealed = gateway.read_posts()[-1]
    assert (sealed.clear.kind, sealed.clear.earlier_reference) == ("supplement", reference)
    assert len(open_reference(gateway, sealed.evidence[0])) == 5


def test_discard_forgets_the_secret_and_says_what_the_report_still_names(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    report_id = leave_waiting(line, gateway, report, write_plain(tmp_path, "a", 5))
    assert line.run("evidence", "discard", report_id) == 0
    assert "The report still names them" in line.err
    assert list((tmp_path / "p" / "evidence").iterdir()) == []
    assert line.run("evidence", "discard", report_id) == EXIT_FAILED
    assert "no-such-evidence" in line.err


def test_submit_that_a_missing_file_stopped_is_listed_with_what_to_do(
    line: Terminal, gateway: EvidenceGateway, tmp_path: Path, report: str
) -> None:
    path = write_plain(tmp_path, "a", 5)

    def remove(progress: Progress) -> None:
        if progress.stage == "reading" and progress.done_bytes == progress.total_bytes:
            path.unlink()

    with pytest.raises(EvidenceError):
        open_partner(tmp_path / "p", gateway).submit(
            Path(report).read_bytes(), priority="P2", evidence={"file-1": path}, on_progress=remove
        )
    assert line.run("spool", "status") == EXIT_NOT_DELIVERED
    (row,) = line.json()["evidence"]
    assert row["report_is_sealed"] is False
    assert "run the same `report submit` again" in row["advice"]
    assert line.run("evidence", "discard", row["report_id"]) == 0
    assert line.json()["named_by_report"] is False
    assert "send a correction" not in line.err


def test_discard_of_what_is_handed_over_gives_nothing_up_and_says_so(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    report_id = leave_waiting(line, gateway, report, write_plain(tmp_path, "a", 5))
    gateway.fault = lambda _: None
    assert line.run("spool", "flush") == 0
    kept = (tmp_path / "p" / "evidence" / f"{report_id}.json").read_bytes()
    assert line.run("evidence", "discard", report_id) == EXIT_FAILED
    assert line.json()["reason"] == "nothing-to-discard"
    assert (tmp_path / "p" / "evidence" / f"{report_id}.json").read_bytes() == kept


def test_file_that_is_gone_is_named_with_where_it_belongs_and_how_to_give_it_up(
    line: Terminal, gateway: EvidenceGateway, report: str, tmp_path: Path
) -> None:
    path = write_plain(tmp_path, "a", 5)
    report_id = leave_waiting(line, gateway, report, path)
    gateway.fault = lambda _: None
    path.unlink()
    assert line.run("spool", "flush") == EXIT_NOT_DELIVERED
    assert f"file-1: put it back at {path}, or run `evidence discard {report_id}`." in line.err
