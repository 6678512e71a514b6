"""The lines of casework.md and partners.md that need a child's report, a file, a forged row or a page run as written.

Those of docs/running.md about people too.
"""

import shlex
from pathlib import Path

import pytest

from gateway.desk.running.cli import main
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop_of_now
from tests.documents import CASEWORK, list_lines

DOCUMENT = "docs/casework.md"


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A desk and a gateway at the time of this machine; paths of the document lie in its folder."""
    monkeypatch.chdir(tmp_path)
    return copy_loop_of_now(tmp_path)


def run_section(loop: Loop, section: str, *, document: str = DOCUMENT, **names: str) -> list[int]:
    """Run the lines of a section and return their exit codes."""
    here = {"/var/lib/report-abuse-desk": str(loop.desk.paths.state), **names}
    codes = []
    for line in list_lines(CASEWORK, document, section):
        for name, value in here.items():
            line = line.replace(name, value)
        codes.append(main(shlex.split(line)[1:]))
    return codes


def test_person_is_added_and_signs_in(loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_section(loop, "The desk's people", document="docs/running.md") == [0] * 6
    assert '"person":"a-okafor"' in capsys.readouterr().out.replace(" ", "")
    assert run_section(loop, "Sign in") == [0]
    assert "http://localhost:8702/" in capsys.readouterr().out


def test_cases_are_indexed(loop: Loop) -> None:
    loop.send_public()
    loop.collect()
    assert run_section(loop, "Find and link") == [0]


def test_pages_are_listed_for_the_runner(loop: Loop, tmp_path: Path) -> None:
    assert run_section(loop, "The button's places", document="docs/partners.md") == [0, 0]
    assert (tmp_path / "pages.json").is_file()
