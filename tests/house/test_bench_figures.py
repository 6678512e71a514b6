"""`make bench` and its documents: figures are measured and written, never typed."""

import importlib
import json
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.bench import figures
from tests.bench.figures import (
    ANONYMITY,
    BENCHES,
    DOCUMENT,
    Figure,
    format_figure,
    get_document,
    make_figure,
    parse_figures,
    write_part,
)

MARKER = re.compile(r"^<!-- begin (\w+) -->\n(.*?)^<!-- end \1 -->\n", re.MULTILINE | re.DOTALL)


def find_parts(document: Path) -> dict[str, str]:
    return dict(MARKER.findall(document.read_text("utf-8")))


def test_documents_have_a_place_for_each_benchmark() -> None:
    for document in (DOCUMENT, ANONYMITY):
        assert sorted(find_parts(document)) == sorted(bench for bench in BENCHES if get_document(bench) == document)
    assert "intake" in find_parts(DOCUMENT)


def test_no_table_of_performance_is_typed() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [line for line in MARKER.sub("", text).splitlines() if line.startswith("|")] == []


def test_each_part_names_its_day_its_commit_and_its_command() -> None:
    for bench, part in [*find_parts(DOCUMENT).items(), *find_parts(ANONYMITY).items()]:
        assert re.search(r"^\d{4}-\d\d-\d\d, commit `[0-9a-f]{12}`", part, re.MULTILINE), bench
        assert f"-m tests.bench.{bench}`" in part


@pytest.mark.parametrize("bench", sorted(BENCHES))
def test_each_benchmark_can_be_started(bench: str) -> None:
    assert importlib.import_module(f"tests.bench.{bench}").main.__doc__


def test_part_is_made_anew_and_the_rest_stays() -> None:
    before = "Prose.\n<!-- begin desk -->\nold\n<!-- end desk -->\nMore.\n<!-- begin button -->\n<!-- end button -->\n"
    found = [make_figure("rate", [900.0, 1100.0, 1000.4], unit="a second", least=1500), make_figure("B", 461, most=500)]
    after = write_part(before, "desk", found, made="2026-11-27, commit `0123456789ab`.")
    assert after.startswith("Prose.\n<!-- begin desk -->\n")
    assert after.endswith("\n<!-- end desk -->\nMore.\n<!-- begin button -->\n<!-- end button -->\n")
    assert "old" not in after
    assert "| rate | 1,000 [900, 1,100] a second | at least 1,500, **not met** |\n| B | 461 | at most 500 |\n" in after
    assert "2026-11-27, commit `0123456789ab`. Command: `.venv/bin/python -m tests.bench.desk`." in after
    assert write_part(after, "desk", found, made="2026-11-27, commit `0123456789ab`.") == after
    with pytest.raises(ValueError, match="no markers for report"):
        write_part(before, "report", found, made="")


def test_table_holds_the_figures_with_a_bar_alone() -> None:
    found = [make_figure("barred", 2, least=1), Figure("plain", 3)]
    after = write_part("<!-- begin desk -->\n<!-- end desk -->\n", "desk", found, made="")
    assert "| barred | 2 | at least 1 |\n<!-- end" in after
    assert "plain" not in after


def test_further_columns_stand_beside_a_figure() -> None:
    before = "<!-- begin desk -->\n<!-- end desk -->\n"
    found = [Figure("one", 0.25, beside={"Other rule": "1"}), Figure("two", 3)]
    after = write_part(before, "desk", found, made="")
    assert "| Figure | Measured | Bar | Other rule |\n|---|---|---|---|\n" in after
    assert "| one | 0.25 | - | 1 |\n| two | 3 | - | - |\n" in after


@pytest.mark.parametrize(
    ("bars", "is_met", "bar"),
    [
        ({}, None, "-"),
        ({"least": 2.0}, True, "at least 2"),
        ({"least": 2.01}, False, "at least 2.01, **not met**"),
        ({"most": 2.0}, True, "at most 2"),
        ({"most": 1.99}, False, "at most 1.99, **not met**"),
    ],
)
def test_bar_is_met_by_the_median(bars: dict[str, float], is_met: bool | None, bar: str) -> None:
    figure = make_figure("x", [1.0, 2.0, 30.0], **bars)
    assert figure.is_met is is_met
    assert format_figure(figure) == ("x", "2 [1, 30]", bar)


def test_figures_are_read_as_they_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = [make_figure("ratio", [0.5, 0.53, 0.5271], least=0.75), Figure("bytes", 1198)]
    figures.print_figures(found, as_json=True)
    printed = capsys.readouterr().out
    assert parse_figures(printed) == found
    assert [json.loads(line) for line in printed.splitlines()] == [asdict(figure) for figure in found]
    with pytest.raises(ValueError, match="no figure"):
        parse_figures("")


def test_commit_is_named_with_changes_that_it_does_not_hold(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        run = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        return subprocess.run(run, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "performance.md").write_text("old")
    (tmp_path / "code.py").write_text("old")
    git("add", ".")
    git("commit", "-qm", "One")
    commit = git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "docs" / "performance.md").write_text("new")  # what the run itself writes
    assert figures.describe_commit(tmp_path) == f"`{commit}`"
    (tmp_path / "code.py").write_text("new")
    assert figures.describe_commit(tmp_path) == f"`{commit}` with changes that are not committed"


def test_machine_is_described_with_the_versions_that_no_lock_names() -> None:
    assert re.match(r"\d+ cores \(.+\), Python 3\.\d+\.\d+, SQLite 3\.", figures.describe_machine())
