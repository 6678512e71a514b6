"""The threat model names a file and a test for each mitigation, and both exist; its parts stand in their order."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.house.sources import ROOT

MODEL = ROOT / "docs" / "threat-model.md"
PARTS = ("What is not protected", "Assets", "Boundaries", "What is trusted", "Attackers")
HARMED = ("The person reporting", "Everyone who reports", "Partners", "The agency")
ATTACKERS = (
    "A curious host page",
    "A malicious partner",
    "A stolen gateway disk",
    "A malicious gateway operator",
    "A live compromised gateway",
    "Someone sharing the child's device",
    "A network observer",
    "A desk insider",
)
# Admitted in any case: words that the first part must contain.
ADMITTED = (
    "while they are typed",
    "host name",
    "expired",
    "as good as the machine's logins",
    "Traffic",
    "cannot be acknowledged",
    "restore",
)


def read_model() -> str:
    return MODEL.read_text(encoding="utf-8")


def read_section(title: str, *, level: int) -> str:
    mark = "#" * level
    found = re.search(
        rf"^{mark} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", read_model(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, title
    return found.group(1)


def read_mitigations(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the mitigation, its files and its tests, of each row of the tables."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "Threat":
            yield cells[1], cells[2].split(", "), cells[3].split(", ")


@cache
def find_tests(name: str) -> frozenset[str]:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_parts_and_attackers_stand_in_their_order() -> None:
    assert tuple(re.findall(r"^## (.*)$", read_model(), re.MULTILINE)) == PARTS
    assert tuple(re.findall(r"^### (.*)$", read_section("Attackers", level=2), re.MULTILINE)) == ATTACKERS


def test_every_mitigation_names_a_file_that_exists() -> None:
    rows = list(read_mitigations(read_model()))
    assert rows
    for mitigation, named, _ in rows:
        assert mitigation
        for file in named:
            assert re.fullmatch(r"`(gateway|partner_sdk|widget)/[\w./-]+`", file), file
            assert (ROOT / file.strip("`")).is_file(), file


def test_every_mitigation_names_a_test_that_exists() -> None:
    rows = list(read_mitigations(read_model()))
    tests = [test for _, _, named in rows for test in named]
    assert tests
    for test in tests:
        file, _, function = test.strip("`").partition("::")
        assert re.fullmatch(r"tests/[\w/]+/test_\w+\.py", file), test
        assert function.startswith("test_"), test
        assert function in find_tests(file), test


def test_each_attacker_has_mitigations() -> None:
    counts = {attacker: len(list(read_mitigations(read_section(attacker, level=3)))) for attacker in ATTACKERS}
    assert {attacker: count for attacker, count in counts.items() if count == 0} == {}
    assert sum(counts.values()) == len(list(read_mitigations(read_model())))


def test_residual_risk_comes_first_and_names_harm_and_limit() -> None:
    left = read_section("What is not protected", level=2)
    assert [word for word in ADMITTED if word not in left] == []
    assert tuple(re.findall(r"^### (.*)$", left, re.MULTILINE)) == HARMED
    rows = [line.strip("|").split("|") for line in left.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0].strip() != "What is left"]
    assert rows
    assert [row[0] for row in rows if len(row) != 3 or not all(cell.strip() for cell in row)] == []
