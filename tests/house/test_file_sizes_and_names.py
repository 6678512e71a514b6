"""One job a file: at most 800 lines, no file is a drawer, and none was left behind by an editor or a patch."""

import io
import os
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import LEFT_OUT, ROOMS, ROOT, files

MOST_LINES = 800
DRAWER_ROOMS = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
# In a comment or a docstring: a module, e.g. `risk.py` or `collection/row_checks.py`.
MODULE_NAMED = re.compile(r"(?:[\w-]+/)*\w+\.py\b")
MERGE_MARK = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.MULTILINE)
LEFTOVER = re.compile(r".*(\.orig|\.rej|\.bak|\.swp|~)|\.DS_Store|Thumbs\.db")
DRAWERS = re.compile(r"(utils?|helpers?|common|misc|manager|handlers?\d*)\.\w+")


def test_no_source_file_is_over_the_ceiling() -> None:
    sources = files(".py", ".js", ".css", ".html", ".mjs", ".ts", below=("gateway", "partner_sdk", "widget", "tests"))
    assert len(sources) >= 1
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_file_is_named_after_nothing() -> None:
    sources = files(".py", ".js", ".css", ".html", ".mjs", ".ts", below=("gateway", "partner_sdk", "widget", "tests"))
    assert len(sources) >= 1
    assert [str(path) for path in sources if DRAWER_ROOMS & set(path.relative_to(ROOT).parts)] == []
    assert [str(path) for path in sources if DRAWERS.fullmatch(path.name)] == []


def test_every_module_says_what_it_is_for() -> None:
    sources = files(".py")
    assert len(sources) >= 1
    assert [str(path) for path in sources if not path.read_text(encoding="utf-8").startswith('"""')] == []


def list_named_modules(text: str) -> list[str]:
    """List the modules that the comments and docstrings of a file of Python name."""
    found = list[str]()
    if MODULE_NAMED.search(text) is None:
        return found
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and token.string.startswith('"""')
        if is_docstring or token.type == tokenize.COMMENT:
            found += MODULE_NAMED.findall(token.string)
    return found


def test_every_module_that_a_comment_names_is_there() -> None:
    assert list_named_modules('"""See a/b.py and `c.py`."""\nx = "d.py"  # not e.py') == ["a/b.py", "c.py", "e.py"]
    sources = files(".py", below=("gateway", "partner_sdk", "widget", "tests"))
    there = [f"/{path.relative_to(ROOT)}" for path in sources]
    named = {
        (name, str(path.relative_to(ROOT)))
        for path in files(".py")
        for name in list_named_modules(path.read_text(encoding="utf-8"))
    }
    assert len(named) >= 1
    assert sorted(one for one in named if not any(path.endswith(f"/{one[0]}") for path in there)) == []


def list_everything(root: Path) -> Iterator[Path]:
    """List every file below a folder, hidden ones too, but not the output of tools."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in LEFT_OUT | {".git"}]
        yield from (Path(folder, name) for name in names)


def find_leftovers(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in list_everything(root) if LEFTOVER.fullmatch(path.name))


def test_no_file_was_left_behind() -> None:
    assert len(list(list_everything(ROOT))) >= 1
    assert find_leftovers(ROOT) == []


def test_no_text_has_both_sides_of_a_merge() -> None:
    texts = [*files(".md", ".py", ".html", ".js", ".css", ".toml", below=("docs", "tests", *ROOMS)), *ROOT.glob("*.md")]
    assert len(texts) >= 1
    assert [str(path) for path in texts if MERGE_MARK.search(path.read_text(encoding="utf-8"))] == []
    assert MERGE_MARK.search("a\n<<<<<<< HEAD\nb")


@pytest.mark.parametrize(
    "name", ["a.py.orig", "a.py.rej", "a.py~", "~", ".DS_Store", "docs/deep/.b.md.swp", ".ci/run.bak", "Thumbs.db"]
)
def test_leftover_is_found_wherever_it_lies(name: str, tmp_path: Path) -> None:
    for kept in ("a.py", "origin.orig.md", "docs/deep/DS_Store", ".git/a.orig", ".venv/a.rej"):
        make_file(tmp_path / kept)
    assert find_leftovers(tmp_path) == []
    make_file(tmp_path / name)
    assert find_leftovers(tmp_path) == [name]


def make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", encoding="utf-8")
