"""One job a file: at most 400 lines, and no file is a drawer."""

import re

from tests.house.sources import ROOT, files

MOST_LINES = 400
DRAWER_ROOMS = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
DRAWERS = re.compile(r"(utils?|helpers?|common|misc|manager|handlers?\d*)\.\w+")


def test_no_source_file_is_over_the_ceiling() -> None:
    sources = files(".py", ".js", ".css", ".html", ".mjs", below=("gateway", "partner_sdk", "widget", "tests"))
    assert len(sources) >= 100
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_file_is_named_after_nothing() -> None:
    sources = files(".py", ".js", ".css", ".html", below=("gateway", "partner_sdk", "widget", "tests"))
    assert len(sources) >= 100
    assert [str(path) for path in sources if DRAWER_ROOMS & set(path.relative_to(ROOT).parts)] == []
    assert [str(path) for path in sources if DRAWERS.fullmatch(path.name)] == []


def test_every_module_says_what_it_is_for() -> None:
    sources = files(".py")
    assert len(sources) >= 80
    assert [str(path) for path in sources if not path.read_text(encoding="utf-8").startswith('"""')] == []
