"""`report preview`: what would be sealed, with the environment on every line, and nothing is sent."""

import json
from pathlib import Path

import pytest

from partner_sdk._commands.runtime import EMERGENCY, EXIT_DONE, EXIT_FAILED
from partner_sdk.cli import main
from partner_sdk.report import parse_report
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, Agency, Partner
from tests.sdk.sdk_builders import ScriptedGateway, make_state
from tests.sdk.test_sdk_cli import Terminal

REPORT = str(EXAMPLE_REPORT)
EARLIER = ("--earlier-reference", "K7QF-2M9TX-D")


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A partner whose gateway has no answer to anything: whatever is sent fails the test."""
    make_state(tmp_path / "partner")
    return Terminal(tmp_path / "partner", ScriptedGateway(), capsys)


@pytest.fixture
def rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    make_state(tmp_path / "rehearsal", agency=Agency(environment="sandbox"), partner=Partner(environment="sandbox"))
    return Terminal(tmp_path / "rehearsal", ScriptedGateway(), capsys)


def test_preview_shows_what_will_be_sealed_without_folder_or_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("report", "preview", str(FULL_REPORT), "--priority", "P2", "--state", str(tmp_path / "none"))
    assert main(words) == EXIT_DONE
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("PREVIEW: P2, initial. Nothing was sent.\nComplete: 100 of 100.\n")
    assert "\n    Source port: 51234\n" in shown.out
    assert not (tmp_path / "none").exists()


def test_preview_in_json_is_what_is_sealed(line: Terminal) -> None:
    assert line.run("report", "preview", str(FULL_REPORT), "--priority", "P2", "--json") == EXIT_DONE
    shown = line.json()
    assert shown["report"] == json.loads(encode(parse_report(FULL_REPORT.read_bytes(), priority="P2")))
    assert shown["completeness"] == {"missing": [], "score": 100}


def test_preview_in_the_sandbox_says_not_a_report(rehearsal: Terminal) -> None:
    assert rehearsal.run("report", "preview", REPORT, "--priority", "P2") == EXIT_DONE
    assert all(line.startswith("[sandbox: NOT A REPORT]") for line in rehearsal.out.splitlines())
    assert "#/suspects/0/logins" in rehearsal.out


def test_preview_of_a_report_that_misses_something_names_it(line: Terminal) -> None:
    words = ("report", "preview", REPORT, "--priority", "P2", "--kind", "retraction", *EARLIER)
    assert line.run(*words) == EXIT_FAILED
    assert "#/change_reason: Say in a sentence why this is a retraction." in line.err
    assert line.run(*words, "--json") == EXIT_FAILED
    assert line.json()["faults"] == {"#/change_reason": "Say in a sentence why this is a retraction."}


def test_preview_of_a_later_kind_asks_for_its_earlier_reference_as_sending_does(line: Terminal) -> None:
    assert line.run("report", "preview", REPORT, "--priority", "P2", "--kind", "supplement") == EXIT_FAILED
    assert "A supplement needs an earlier reference" in line.err


def test_preview_of_a_p1_that_misses_something_says_the_emergency_words(line: Terminal, tmp_path: Path) -> None:
    (tmp_path / "bare.json").write_text("{}", encoding="utf-8")
    assert line.run("report", "preview", str(tmp_path / "bare.json"), "--priority", "P1") == EXIT_FAILED
    assert EMERGENCY in line.err


def test_text_of_a_report_steers_no_terminal(line: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(EXAMPLE_REPORT.read_bytes().replace(b"[message]", b"\\u001b[2J\\u202e"))
    assert line.run("report", "preview", str(file), "--priority", "P2") == EXIT_DONE
    assert "?[2J?" in line.out
    assert "\x1b" not in line.out
