"""The wording of a doctor's finding: the same for partner, gateway and desk."""

import ast

from partner_sdk.finding import Finding, describe_findings, format_finding, is_well
from tests.house.sources import files, module_of, parse

WELL = Finding("disk", "ok", "There is room.")
WARNING = Finding("keys", "warning", "One is old.", fix="Run keys rotate.")
FAULT = Finding("store", "fault", "It cannot be used.")


def test_finding_is_one_line_and_what_to_do_stands_below_it() -> None:
    assert format_finding(WELL) == ("ok       disk: There is room.",)
    assert format_finding(WARNING) == ("WARNING  keys: One is old.", "         What to do: Run keys rotate.")
    assert format_finding(FAULT) == ("FAULT    store: It cannot be used.",)


def test_only_a_fault_makes_findings_not_well() -> None:
    assert is_well([])
    assert is_well([WELL, WARNING])
    assert not is_well([WELL, FAULT, WARNING])


def test_findings_for_machines_keep_their_order_and_say_whether_all_is_well() -> None:
    assert describe_findings([WARNING, WELL]) == {
        "findings": [
            {"name": "keys", "verdict": "warning", "detail": "One is old.", "fix": "Run keys rotate."},
            {"name": "disk", "verdict": "ok", "detail": "There is room.", "fix": ""},
        ],
        "well": True,
    }


def test_there_is_one_type_of_finding() -> None:
    defined = [
        module_of(path)
        for path in files(".py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and node.name == "Finding"
    ]
    assert defined == ["partner_sdk.finding"]
