"""The list of SI 2026/268 against a report: there, not held and why, or missing."""

import configparser
import re
from datetime import date
from typing import Any

import msgspec
import pytest

from partner_sdk.export import UkChecklist, make_uk_checklist
from partner_sdk.export._uk_checklist import DATA_FILE, WARNING, format_checklist, list_checklist_fields, read_list
from partner_sdk.report import IndustryReport, NotHeld, parse_report
from partner_sdk.report.outline import list_fields
from tests.builders import EXAMPLE_REPORT, FULL_REPORT

FULL = parse_report(FULL_REPORT.read_bytes(), priority="P2")
LEAST = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")


def status_of(checklist: UkChecklist) -> dict[str, str]:
    return {item.id: item.status for item in checklist.items}


def item_of(report: IndustryReport, name: str) -> Any:
    (found,) = [item for item in make_uk_checklist(report).items if item.id == name]
    return found


def with_suspect(**changes: Any) -> IndustryReport:
    assert isinstance(FULL.suspects, tuple)
    report: IndustryReport = msgspec.structs.replace(
        FULL, suspects=(msgspec.structs.replace(FULL.suspects[0], **changes),)
    )
    return report


def test_list_is_dated_has_a_source_and_asks_for_a_lawyer() -> None:
    checked_on, source, items = read_list()
    assert date(2026, 1, 1) < checked_on <= date(2030, 1, 1)
    assert source.startswith("https://www.legislation.gov.uk/uksi/2026/268")
    assert len(items) >= 25
    assert len({item.id for item in items}) == len(items)
    assert "A LAWYER HAS TO CHECK" in DATA_FILE.read_text(encoding="utf-8")


def test_list_is_part_of_the_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(DATA_FILE.parents[1] / "setup.cfg", encoding="utf-8")
    patterns = settings["options.package_data"]["partner_sdk"].split()
    assert any(DATA_FILE.relative_to(DATA_FILE.parents[1]).match(pattern) for pattern in patterns)


def test_list_names_fields_that_the_model_has_and_that_it_marks() -> None:
    marked = {field.pattern: field.asked_by for field in list_fields()}
    named = [field for item in read_list()[2] for field in item.fields if field != "priority"]
    assert len(named) > 35
    assert [field for field in named if field not in marked] == []


def test_list_names_every_field_that_the_model_says_the_law_asks_for() -> None:
    """A field counts as named where the list names its parent: `emails` names the parts of each.

    The law's item is the identified user; children have the same parts only because the model shares them.
    """
    named = tuple(field for item in read_list()[2] for field in item.fields)
    asked = [field.pattern for field in list_fields() if "uk" in field.asked_by]
    asked = [pattern for pattern in asked if not pattern.startswith("/children/")]
    assert len(asked) > 40
    unnamed = [one for one in asked if not any(f"{one}/".startswith(f"{field}/") for field in named)]
    assert [one for one in unnamed if not any(field.startswith(f"{one}/") for field in named)] == []


def test_full_report_has_what_is_listed_or_says_why_not() -> None:
    found = status_of(make_uk_checklist(FULL))
    assert found["third-party"] == found["identity-documents"] == "not-held"
    assert found["exif"] == "missing"
    assert {status for name, status in found.items() if name not in {"third-party", "identity-documents", "exif"}} == {
        "have"
    }


def test_least_report_misses_what_nobody_said() -> None:
    found = status_of(make_uk_checklist(LEAST))
    assert found["declaration"] == found["submitter-name"] == found["priority"] == found["provider"] == "have"
    assert found["telephones"] == found["logins"] == found["hashes"] == found["uk-link"] == "missing"
    assert item_of(LEAST, "telephones").missing == ("#/suspects/0/phones",)
    assert item_of(LEAST, "hashes").missing == ("#/files",)


def test_reason_is_given_for_what_is_not_held() -> None:
    held_back = NotHeld(not_held="law_forbids")
    item = item_of(with_suspect(connections=held_back), "connections")
    assert (item.status, item.not_held, item.missing) == (
        "not-held",
        (("#/suspects/0/connections", "law_forbids"),),
        (),
    )
    whole = item_of(msgspec.structs.replace(FULL, suspects=held_back), "logins")
    assert (whole.status, dict(whole.not_held)) == ("not-held", {"#/suspects": "law_forbids"})


def test_item_of_which_a_part_is_missing_is_there_in_part() -> None:
    assert isinstance(FULL.suspects, tuple)
    assert isinstance(FULL.suspects[0].logins, tuple)
    without_port = tuple(msgspec.structs.replace(login, port=None) for login in FULL.suspects[0].logins)
    item = item_of(with_suspect(logins=without_port), "logins")
    assert (item.status, item.missing) == ("part", ("#/suspects/0/logins/0/port", "#/suspects/0/logins/1/port"))


def test_copy_that_nobody_keeps_is_an_answer() -> None:
    assert isinstance(FULL.files, tuple)
    files = tuple(msgspec.structs.replace(file, copy_kept_until=None) for file in FULL.files)
    assert item_of(msgspec.structs.replace(FULL, files=files), "copy").status == "have"


@pytest.mark.parametrize("report", [FULL, LEAST], ids=["full", "least"])
def test_text_and_json_say_the_same(report: IndustryReport) -> None:
    checklist = make_uk_checklist(report)
    text, fields = format_checklist(checklist), list_checklist_fields(checklist)
    words = {"have": "HAVE", "part": "PART", "not-held": "NOT HELD", "missing": "MISSING"}
    spelled = re.findall(r"^(HAVE|PART|NOT HELD|MISSING) +(\S.*)$", text, re.MULTILINE)
    assert spelled == [(words[item["status"]], item["title"]) for item in fields["items"]]
    assert WARNING in text
    assert fields["warning"] == WARNING
    for item in fields["items"]:
        assert all(pointer in text for pointer in [*item["missing"], *item["not_held"]])
    assert msgspec.json.decode(msgspec.json.encode(fields)) == fields
