"""docs/requirements.md lists every requirement, with how far it is built, and explains every number in the code."""

import re

from tests.house.sources import ROOT, files

NUMBER = re.compile(r"\bR[1-9][0-9]?\b")
ROW = re.compile(r"^\| (R[0-9]+|B[0-9]+) \|(.*)\|$", re.M)
STATES = {"built", "partly", "not built"}


def read_rows() -> dict[str, list[str]]:
    text = (ROOT / "docs/requirements.md").read_text(encoding="utf-8")
    rows = [(number, [cell.strip() for cell in rest.split("|")]) for number, rest in ROW.findall(text)]
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_every_requirement_has_a_row_and_a_state() -> None:
    rows = read_rows()
    assert set(rows) == {f"R{number}" for number in range(1, 61)} | {f"B{number}" for number in range(1, 14)}
    assert {number for number, cells in rows.items() if cells[-2] not in STATES} == set()


def test_what_is_built_names_a_place_that_exists_and_what_is_not_whole_says_what_is_missing() -> None:
    placed = 0
    for number, (*_, state, where) in read_rows().items():
        paths = [path for path in re.findall(r"`([^`]+)`", where) if "/" in path and not path.startswith("/")]
        assert [path for path in paths if not (ROOT / path).exists()] == [], number
        placed += len(paths)
        assert state != "built" or where, number
        assert state != "partly" or len(where.split()) > 4, number
    assert placed


def test_every_requirement_number_of_the_code_is_explained() -> None:
    texts = [path.read_text(encoding="utf-8") for path in files(".py", ".toml", ".html")]
    used = {number for text in texts for number in NUMBER.findall(text)}
    assert len(used) >= 1
    assert used - set(read_rows()) == set()
