"""The command `report new`: its words, its end, and the files it leaves when it stops."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from partner_sdk._commands.runtime import EMERGENCY, EXIT_FAILED, Runtime
from partner_sdk.cli import main
from partner_sdk.report import parse_report
from tests.builders import EXAMPLE_REPORT

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `report new` in an empty folder with typed lines."""
    monkeypatch.chdir(tmp_path)

    def go(*words: str, typed: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return main(("report", "new", *words), runtime=Runtime(environ={}))

    return go


def typed_for_the_example(tmp_path: Path) -> str:
    """Leave the example as a draft that is whole, so that empty lines bring it to its end."""
    (tmp_path / "draft.json").write_bytes(EXAMPLE_REPORT.read_bytes())
    return "\n" * 500


def test_end_names_completeness_what_is_missing_and_the_next_command(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = typed_for_the_example(tmp_path)
    assert run("--draft", "draft.json", "--priority", "P2", typed=typed) == 0
    said = capsys.readouterr().out
    assert "of 100." in said
    assert "#/incident/harm_signs" in said
    assert "report-abuse-partner report submit draft.json --priority P2" in said
    assert said.index("report preview") < said.index("report submit")


def test_end_is_one_object_for_a_machine(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = typed_for_the_example(tmp_path)
    assert run("--draft", "draft.json", "--priority", "P2", "--json", typed=typed) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ready"], said["file"]) == (True, "draft.json")
    assert said["missing"]


def test_lines_that_end_stop_it_with_the_way_to_go_on(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed="P3\ngrooming\n") == EXIT_FAILED
    said = capsys.readouterr()
    assert "report new --draft report.json --priority P3" in said.err
    assert "A wrong answer can be corrected afterwards in the file report.json." in said.out
    assert json.loads((tmp_path / "report.json").read_bytes())["category"] == "grooming"
    assert "999" not in said.err


def test_ctrl_c_stops_it_with_the_way_to_go_on(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:  # as io has it
            line = super().readline()
            if not line:
                raise KeyboardInterrupt
            return line

    monkeypatch.setattr(io, "StringIO", Stopped)
    assert run("--priority", "P2", "--kind", "supplement", typed="grooming\n") == EXIT_FAILED
    assert "report new --draft report.json --priority P2 --kind supplement" in capsys.readouterr().err
    assert json.loads((tmp_path / "report.json").read_bytes())["category"] == "grooming"


def test_p1_is_answered_with_the_emergency_words_at_once(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed="P1\n") == EXIT_FAILED
    said = capsys.readouterr()
    assert EMERGENCY in said.out
    assert EMERGENCY in said.err


def test_file_is_never_written_over(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text("mine", encoding="ascii")
    assert run(typed="P2\n") == EXIT_FAILED
    said = capsys.readouterr().err
    assert "already exists" in said
    assert "report new --draft report.json" in said
    assert (tmp_path / "report.json").read_text(encoding="ascii") == "mine"


@pytest.mark.parametrize("content", [None, "[]", "nonsense"])
def test_draft_that_is_none_is_refused(run: Run, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "draft.json").write_text(content, encoding="ascii")
    assert run("--draft", "draft.json", typed="P2\n") == EXIT_FAILED


def test_answer_to_a_request_is_a_response_that_names_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = typed_for_the_example(tmp_path)
    request_id = "01a211d3-7340-7ff3-b7d7-b412be473e63"
    assert run("--draft", "draft.json", "--priority", "P3", "--answers", request_id, typed=typed) == 0
    parse_report((tmp_path / "draft.json").read_bytes(), priority="P3", kind="response")
    assert "--priority P3 --kind response\n" in capsys.readouterr().out


def test_help_has_an_example(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "Example:" in capsys.readouterr().out
