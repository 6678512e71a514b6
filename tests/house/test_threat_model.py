"""The threat model names a file and a test for each mitigation, and both exist; its parts stand in their order."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.house.sources import ROOT

MODEL = ROOT / "docs" / "threat-model.md"
PARTS = ("Residual risk", "Assets", "What is trusted", "Attacks")
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
LOOKERS = (
    "honest gateway",
    "taken gateway that only reads",
    "taken gateway that changes or refuses scripts",
    "network",
    "next person at the phone",
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
        if line.startswith("| ") and cells[0] not in {"Attack", "---"}:
            _, mitigation, named, _ = cells
            places = named.split(", ")
            tests = [place for place in places if place.startswith("`tests/")]
            yield mitigation, [place for place in places if place not in tests], tests


@cache
def find_tests(name: str) -> frozenset[str]:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_parts_and_attackers_stand_in_their_order() -> None:
    assert tuple(re.findall(r"^## (.*)$", read_model(), re.MULTILINE)) == PARTS
    assert tuple(re.findall(r"^### (.*)$", read_section("Attacks", level=2), re.MULTILINE)) == ATTACKERS


def test_every_mitigation_names_a_file_that_exists() -> None:
    rows = list(read_mitigations(read_section("Attacks", level=2)))
    assert rows
    for mitigation, named, _ in rows:
        assert mitigation
        assert named, mitigation
        for file in named:
            assert re.fullmatch(r"`(gateway|partner_sdk|widget)/[\w./-]+`", file), file
            assert (ROOT / file.strip("`")).is_file(), file


def test_every_mitigation_names_a_test_that_exists() -> None:
    rows = list(read_mitigations(read_section("Attacks", level=2)))
    assert [mitigation for mitigation, _, tests in rows if not tests] == []
    for test in (test for _, _, tests in rows for test in tests):
        file, _, function = test.strip("`").partition("::")
        assert re.fullmatch(r"tests/[\w/]+/test_\w+\.py", file), test
        assert function.startswith("test_"), test
        assert function in find_tests(file), test


def test_each_attacker_has_mitigations() -> None:
    counts = {attacker: len(list(read_mitigations(read_section(attacker, level=3)))) for attacker in ATTACKERS}
    assert {attacker: count for attacker, count in counts.items() if count == 0} == {}
    assert sum(counts.values()) == len(list(read_mitigations(read_section("Attacks", level=2))))


def test_ways_of_the_form_are_compared_for_everyone_who_could_look() -> None:
    rows = re.findall(
        r"^\| (?!Who )([^|]+?) \|([^|]+)\|([^|]+)\|$", read_section("What is trusted", level=2), re.MULTILINE
    )
    assert [who.partition(":")[0] for who, *_ in rows] == list(LOOKERS)
    assert all(plain.strip() and phone.strip() for _, plain, phone in rows)


def test_residual_risk_comes_first_and_is_one_page() -> None:
    left = read_section("Residual risk", level=2)
    assert [word for word in ADMITTED if word not in left] == []
    assert tuple(re.findall(r"^### (.*)$", left, re.MULTILINE)) == HARMED
    assert len(left.split()) <= 800
