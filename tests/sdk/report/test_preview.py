"""The preview shows a report exactly as it will be sealed, in the library and by its command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from partner_sdk._commands.runtime import EMERGENCY, EXIT_DONE, EXIT_FAILED
from partner_sdk.cli import main
from partner_sdk.console.writing import format_preview
from partner_sdk.report import make_sealed_report, measure_completeness, parse_report
from partner_sdk.report.reading import list_preview_fields, make_preview
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, Agency, Partner, make_clear_fields
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, make_state

THIN = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")
FULL = parse_report(FULL_REPORT.read_bytes(), priority="P2")


def list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from list_texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from list_texts(part)
    elif isinstance(value, str):
        yield value


def test_text_holds_every_value_of_the_report() -> None:
    shown = format_preview(make_preview(FULL, priority="P2"))
    raw = json.loads(FULL_REPORT.read_bytes())
    texts = list(list_texts(raw))
    assert len(texts) > 150
    for text in texts:
        for line in text.splitlines():
            assert line in shown or line.replace("_", " ") in shown, line


def test_text_names_score_and_what_is_missing_first() -> None:
    preview = make_preview(THIN, priority="P2", kind="supplement", earlier_reference="AAAA")
    head, _, _ = format_preview(preview).partition("\n\n")
    assert head.startswith("PREVIEW: P2, supplement, belongs to AAAA. Nothing was sent.\nComplete: ")
    first = measure_completeness(THIN).missing[0]
    assert f"  {first}: " in head.splitlines()[3]
    assert "Not said" not in format_preview(make_preview(FULL, priority="P2")).split("\n\n")[0]


def test_two_suspects_have_a_heading_each_and_not_held_has_its_reason() -> None:
    pair = msgspec.structs.replace(FULL, suspects=FULL.suspects * 2)
    lines = format_preview(make_preview(pair, priority="P2")).splitlines()
    assert [line for line in lines if line.startswith("SUSPECTS")] == ["SUSPECTS 1", "SUSPECTS 2"]
    assert "  Former names: not held (none exists)" in lines


def test_text_over_several_lines_stays_under_its_words() -> None:
    lines = format_preview(make_preview(FULL, priority="P2")).splitlines()
    place = lines.index("    The address as you hold it: 1 Example Street")
    assert lines[place + 1] == "      Exampletown"


def test_must_that_is_null_or_empty_is_shown() -> None:
    files = tuple(msgspec.structs.replace(file, copy_kept_until=None) for file in FULL.files)
    lines = format_preview(make_preview(msgspec.structs.replace(FULL, files=files), priority="P2")).splitlines()
    assert "  When the kept copy is deleted; null if none is kept: none" in lines


@pytest.mark.parametrize("report", [THIN, FULL])
def test_json_spells_report_and_completeness_as_they_are_sealed(report: Any) -> None:
    shown = list_preview_fields(make_preview(report, priority="P2"))
    sealed = json.loads(encode(make_sealed_report(report, clear=make_clear_fields("example-chat"))))
    assert encode(shown["report"]) == encode(sealed["report"])
    assert encode(shown["completeness"]) == encode(sealed["completeness"])
    assert set(shown) == {"completeness", "earlier_reference", "evidence_ids", "kind", "priority", "report"}


REPORT = str(EXAMPLE_REPORT)
EARLIER = ("--earlier-reference", "K7QF-2M9TX-D")


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A partner whose gateway answers nothing: any request fails the test."""
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
    assert json.loads(shown.out)["completeness"] == {"missing": [], "score": 100}
    assert not (tmp_path / "none").exists()


def test_preview_in_json_is_what_is_sealed(line: Terminal) -> None:
    assert line.run("report", "preview", str(FULL_REPORT), "--priority", "P2") == EXIT_DONE
    shown = line.json()
    assert shown["report"] == json.loads(encode(parse_report(FULL_REPORT.read_bytes(), priority="P2")))
    assert shown["completeness"] == {"missing": [], "score": 100}


def test_preview_in_the_sandbox_says_not_a_report(rehearsal: Terminal) -> None:
    assert rehearsal.run("report", "preview", REPORT, "--priority", "P2") == EXIT_DONE
    assert rehearsal.json()["not_a_report"] is True
    assert "/suspects/0/logins" in rehearsal.out


def test_preview_of_a_report_that_misses_something_names_it(line: Terminal) -> None:
    words = ("report", "preview", REPORT, "--priority", "P2", "--kind", "retraction", *EARLIER)
    assert line.run(*words) == EXIT_FAILED
    assert "#/change_reason: Explain in one sentence why this is a retraction." in line.err
    assert line.json()["faults"] == {"#/change_reason": "Explain in one sentence why this is a retraction."}


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
    assert "\\u001b[2J\\u202e" in line.out
    assert "\x1b" not in line.out
