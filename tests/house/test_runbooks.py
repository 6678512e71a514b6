"""Each runbook of docs/operations.md is of a finding that a doctor can name; the others come with their fix alone."""

import ast
import re

from gateway.desk.running.doctor import _CHECKS
from gateway.keys import SIGNING_ROLES
from tests.house.sources import ROOT, files, find_nodes

OPERATIONS = ROOT / "docs" / "operations.md"


def read_section(heading: str) -> str:
    """Return a section of docs/operations.md, its subsections included."""
    _, found, rest = OPERATIONS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, heading
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def list_findings() -> set[str]:
    """Return every finding that a doctor of gateway or desk can name, e.g. `gateway: store`."""
    found = {f"desk: {name}" for name, _, _ in _CHECKS} | {f"gateway: next {role.value} key" for role in SIGNING_ROLES}
    for path in files(".py", below=("gateway",)):
        side = "desk" if "desk" in path.relative_to(ROOT).parts else "gateway"
        for node in find_nodes(path, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id == "Finding":
                found |= {f"{side}: {name.value}" for name in node.args[:1] if isinstance(name, ast.Constant)}
    return found


def test_each_runbook_is_of_a_finding_that_a_doctor_can_name() -> None:
    sections = re.split(r"^### ", read_section("Runbooks"), flags=re.MULTILINE)[1:]
    written = [section.splitlines()[0] for section in sections]
    assert "gateway: store" in written
    assert len(written) == len(set(written))
    assert set(written) - list_findings() == set()
