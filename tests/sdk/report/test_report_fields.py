"""Optional parts of a report: many people or none, reasons in place of values, any order, plain words.

R10: the reporter, and how it was found. R12: many suspects, many children, or only risky behaviour of a child.
"""

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.industry import report_schema
from partner_sdk.errors import FieldFault, ReportError
from partner_sdk.report import IndustryReport, parse_report
from partner_sdk.report.model import Category, DiscoveredBy, NotHeldReason, Sector
from partner_sdk.report.outline import list_fields
from partner_sdk.report.reading import MOST_FAULTS
from partner_sdk.wire.submission import Priority, ReportKind
from tests.builders import EXAMPLE_REPORT, FULL_REPORT

THIN: dict[str, Any] = json.loads(EXAMPLE_REPORT.read_bytes())
MARKER = "synthetic-marker"


def make_fullest() -> dict[str, Any]:
    """Return the full example with an entry in every list, so that every field of the model has its place."""
    report: dict[str, Any] = json.loads(FULL_REPORT.read_bytes())
    of_suspect = {name: report["suspects"][0][name] for name in ("phones", "addresses", "devices")}
    report["children"][0] |= copy.deepcopy(of_suspect)
    return {**report, "police": [{"agency": "Example Police"}]}


FULL = make_fullest()
FREE = [field for field in list_fields() if field.needed in {"should", "may"}]


def read(report: Any, *, priority: Priority = "P2", kind: ReportKind = "initial") -> IndustryReport:
    return parse_report(json.dumps(report).encode(), priority=priority, kind=kind)


def faults_of(report: Any, *, priority: Priority = "P2", kind: ReportKind = "initial") -> list[FieldFault]:
    with pytest.raises(ReportError) as caught:
        read(report, priority=priority, kind=kind)
    said = [str(caught.value), *(f"{one.pointer} {one.detail}" for one in caught.value.faults)]
    assert not any(MARKER in text or "`" in text for text in said)
    return list(caught.value.faults)


def with_value(pattern: str, value: Any, *, report: dict[str, Any] = FULL) -> tuple[dict[str, Any], str]:
    """Return the report with one field replaced in the first object that has it, and the pointer of that field."""
    changed = copy.deepcopy(report)
    *steps, last = pattern.strip("/").split("/")
    here: Any = changed
    pointer = "#"
    for step in steps:
        here, pointer = here[step], f"{pointer}/{step}"
        if isinstance(here, list):
            here, pointer = here[0], f"{pointer}/0"
    here[last] = value
    return changed, f"{pointer}/{last}"


# The law's sectors, and every way of finding out (R10)


@pytest.mark.parametrize("sector", get_args(Sector))
def test_every_sector_may_report_the_financial_one_too(sector: str) -> None:
    assert {"online", "mobile", "financial"} < set(get_args(Sector))
    payment = {"amount": "20.50", "currency": "GBP", "method": "card", "reference": "example-payment-1"}
    incident = {**THIN["incident"], "medium": "payment", "payments": [payment]}
    report = read({**THIN, "reporter": {**THIN["reporter"], "sector": sector}, "incident": incident})
    assert report.reporter.sector == sector


@pytest.mark.parametrize("way", get_args(DiscoveredBy))
def test_every_way_of_finding_out_has_a_value(way: str) -> None:
    assert {"user_complaint", "employee", "hash_match"} < set(get_args(DiscoveredBy))
    assert read({**THIN, "discovery": {**THIN["discovery"], "discovered_by": way}}).discovery.discovered_by == way


# One person, many, or none (R12)


@pytest.mark.parametrize(("suspects", "children"), [(0, 0), (1, 0), (0, 1), (1, 3), (5, 1), (40, 40)])
def test_report_is_about_as_many_people_as_there_are(suspects: int, children: int) -> None:
    people = {
        "suspects": [{"service_user_id": f"example-user-{number}"} for number in range(suspects)],
        "children": [{"at_risk_now": "no"}] * children,
    }
    report = read({**THIN, **people})
    assert isinstance(report.suspects, tuple)
    assert isinstance(report.children, tuple)
    assert (len(report.suspects), len(report.children)) == (suspects, children)


def test_risky_behaviour_of_a_child_needs_no_suspect_and_no_file() -> None:
    assert "risk_behaviour" in get_args(Category)
    bare = {name: value for name, value in THIN.items() if name not in {"suspects", "files"}}
    report = read({**bare, "category": "risk_behaviour", "sub_label": "none"})
    assert report.suspects == report.files == ()


def test_conversation_alone_is_a_report_and_its_messages_stay_in_order() -> None:
    bare = {name: value for name, value in THIN.items() if name not in {"suspects", "children", "files"}}
    said = [f"[message {number}]" for number in range(200)]
    messages = [{"sender": "example-user-1001", "type": "text", "text": text} for text in said]
    report = read({**bare, "conversations": [{"thread_id": "t", "messages": messages}]})
    assert isinstance(report.conversations, tuple)
    assert [message.text for message in report.conversations[0].messages] == said


# Absence is information


def test_field_that_is_no_must_may_be_not_held_for_a_reason() -> None:
    assert len(FREE) > 150
    for field in FREE:
        report, pointer = with_value(field.pattern, {"not_held": "not_collected"})
        if field.pattern == "/files":  # then neither a message nor a profile can name one
            del report["conversations"], report["suspects"][0]["avatar_file_id"]
        read(report)
        spoiled, _ = with_value(field.pattern, {"not_held": MARKER})
        (fault,) = faults_of(spoiled)
        assert fault == FieldFault(f"{pointer}/not_held", f"Give one of {', '.join(sorted(get_args(NotHeldReason)))}.")


@pytest.mark.parametrize("value", [MARKER, -1, {"unknown": MARKER}, {}, 0.5])
def test_fault_of_a_free_field_asks_in_plain_words_for_a_value(value: Any) -> None:
    for field in FREE:
        report, pointer = with_value(field.pattern, value)
        try:
            read(report)
        except ReportError:
            (fault,) = faults_of(report)
            assert fault.pointer == pointer
            assert fault.detail.startswith("Give ") or fault.detail.startswith("Name a file ")
            assert fault.detail.endswith('or {"not_held": reason}.') or fault.detail.startswith("Name a file ")
            assert not re.search(r"Expected|Invalid|\||\bstr\b|\bint\b|regex|null", fault.detail)
        else:
            assert value == MARKER, field.pattern


@pytest.mark.parametrize("kind", get_args(ReportKind))
def test_every_kind_requires_the_fields_that_make_it_useful(kind: ReportKind) -> None:
    asked = {"correction": "change_reason", "retraction": "change_reason", "response": "answers_request"}.get(kind)
    if asked is None:
        read(THIN, kind=kind)
        return
    (fault,) = faults_of(THIN, kind=kind)
    assert fault.pointer == f"#/{asked}"
    read({**THIN, asked: "[reason]"}, kind=kind)


# Order never matters


def shuffle(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffle(value[name], order) for name in names}
    return [shuffle(part, order) for part in value] if isinstance(value, list) else value


@settings(max_examples=30)
@given(st.randoms(use_true_random=False))
def test_fields_in_any_order_are_the_same_report(order: random.Random) -> None:
    assert read(shuffle(FULL, order)) == read(FULL)


# What is refused


def list_objects(value: Any, pointer: str = "#") -> Iterator[str]:
    if isinstance(value, dict) and "not_held" not in value:
        yield pointer
        for name, part in value.items():
            yield from list_objects(part, f"{pointer}/{name}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from list_objects(part, f"{pointer}/{place}")


@pytest.mark.parametrize("pointer", [*list_objects(FULL)])
def test_unknown_field_is_refused_wherever_it_stands(pointer: str) -> None:
    report = copy.deepcopy(FULL)
    here: Any = report
    for step in pointer.split("/")[1:]:
        here = here[int(step)] if isinstance(here, list) else here[step]
    here[MARKER.replace("-", "_")] = MARKER
    (fault,) = faults_of(report)
    assert fault.pointer == pointer
    assert f"directly under {pointer} " in fault.detail


TIMES = [field.pattern for field in list_fields() if field.name.endswith(("_at", "_until"))]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T18:30:00+00:00",
        "2026-11-24 18:30:00Z",
        "2026-11-24T18:30Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T18:30:60Z",
        "2026-02-31T18:30:00Z",
        "2026-11-24T18:30:00Z\n",
        "٢٠٢٦-11-24T18:30:00Z",
        "yesterday",
    ],
)
def test_time_has_one_spelling_and_its_day_exists(text: str) -> None:
    assert len(TIMES) >= 20
    for pattern in TIMES:
        report, pointer = with_value(pattern, text)
        (fault,) = faults_of(report)
        assert fault.pointer == pointer
        assert "2026-11-25T08:30:00Z" in fault.detail or fault.detail == "Give a date that exists."


@pytest.mark.parametrize("text", ["2012", "2012-02", "2012-02-29"])
def test_day_of_birth_may_be_a_year_or_a_month(text: str) -> None:
    read(with_value("/children/born_on", text)[0])


@pytest.mark.parametrize("text", ["2011-02-29", "2012-2", "12", "2012-02-29\n"])
def test_day_of_birth_that_never_was_is_named(text: str) -> None:
    report, pointer = with_value("/children/born_on", text)
    (fault,) = faults_of(report)
    assert fault.pointer == pointer


@pytest.mark.parametrize("pattern", ["/suspects/avatar_file_id", "/conversations/messages/file_id"])
def test_file_that_is_not_listed_is_named_by_whom_names_it(pattern: str) -> None:
    report, pointer = with_value(pattern, MARKER)
    (fault,) = faults_of(report)
    assert fault.pointer == pointer
    assert "#/files" in fault.detail


def test_two_files_of_one_id_are_named() -> None:
    faults = faults_of({**FULL, "files": [FULL["files"][0], FULL["files"][1], FULL["files"][0]]})
    assert [fault.pointer for fault in faults] == ["#/files/2/file_id"]


def test_messages_out_of_order_are_named_at_the_first_that_comes_too_late() -> None:
    thread = FULL["conversations"][0]
    early, late = thread["messages"]
    report = {**FULL, "conversations": [thread, {**thread, "messages": [late, {**late, "sent_at": early["sent_at"]}]}]}
    (fault,) = faults_of(report)
    assert fault.pointer == "#/conversations/1/messages/1/sent_at"


def test_message_whose_time_is_not_held_keeps_its_place() -> None:
    thread = FULL["conversations"][0]
    early, late = thread["messages"]
    between = {**early, "sent_at": {"not_held": "no_longer_kept"}}
    read({**FULL, "conversations": [{**thread, "messages": [early, between, late]}]})


def test_reference_of_a_linked_report_has_its_check_digit() -> None:
    (fault,) = faults_of({**FULL, "linked_reports": [MARKER]})
    assert fault.pointer == "#/linked_reports/0"


@pytest.mark.parametrize(
    ("pattern", "bad", "words"),
    [
        ("/suspects/logins/port", 0, "a whole number from 1 to 65535"),
        ("/suspects/logins/port", 65536, "a whole number from 1 to 65535"),
        ("/countries", ["UK."], "a country code of two capitals like GB"),
        ("/incident/payments/amount", "20,50", 'a decimal in quotes like "20.50"'),
        ("/incident/payments/amount", 20, 'a decimal in quotes like "20.50"'),
        ("/incident/payments/currency", "gbp", "a currency code of three capitals like GBP"),
        ("/files/viewed_by_staff", "yes", "true or false"),
        ("/reporter/sector", MARKER, "one of financial, mobile, online, other"),
        ("/reporter", [], "an object"),
        ("/reporter/declaration", False, "true"),
        ("/suspects", None, "a list, of each: an object"),
        ("/incident/narrative", "", "a text of 1 to 100,000 characters"),
    ],
)
def test_fault_names_the_values_of_the_field(pattern: str, bad: Any, words: str) -> None:
    report, pointer = with_value(pattern, bad)
    (fault,) = faults_of(report)
    assert fault.pointer.startswith(pointer)
    assert fault.detail.startswith(f"Give {words}")


# The schema that anybody may fetch


def test_schema_marks_every_field_with_its_source() -> None:
    schema = report_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    fields = [one for name, part in schema["$defs"].items() if name != "NotHeld" for one in part["properties"].values()]
    assert len(fields) >= 150
    for field in fields:
        assert field["x-needed"] in {"must", "case", "should", "may"}
        assert set(field["x-asked-by"]) <= {"uk", "ncmec"}
        assert field["description"]


def test_schema_requires_exactly_the_musts() -> None:
    for name, part in report_schema()["$defs"].items():
        if name != "NotHeld":
            musts = {one for one, field in part["properties"].items() if field["x-needed"] == "must"}
            assert musts == set(part.get("required", [])), name


# All that is wrong is told at once


def test_every_missing_must_is_named_at_once() -> None:
    report = copy.deepcopy(THIN)
    del report["category"], report["discovery"], report["reporter"]["submitter_email"], report["incident"]["narrative"]
    report["children"] = [{"at_risk_now": "no"}, {}]
    report.pop("priority_reason", None)
    with pytest.raises(ReportError) as caught:
        parse_report(json.dumps(report).encode(), priority="P2")
    assert [fault.pointer for fault in caught.value.faults] == [
        "#/category",
        "#/reporter/submitter_email",
        "#/discovery",
        "#/incident/narrative",
        "#/children/1/at_risk_now",
        "#/priority_reason",
    ]


def test_unknown_field_is_refused_with_the_names_not_given_and_never_its_own() -> None:
    report = {**THIN, MARKER: THIN["discovery"]}
    del report["discovery"]
    unknown, missing = faults_of(report)
    assert unknown.pointer == "#"
    assert unknown.detail.startswith("Remove the field directly under # that is not in the schema")
    assert "the fields still missing here are discovery, " in unknown.detail
    assert MARKER not in unknown.detail
    assert missing.pointer == "#/discovery"


def test_list_that_is_full_of_mismatches_names_no_more_than_a_person_mends() -> None:
    assert len(faults_of({**THIN, "children": [{}] * 1000})) == MOST_FAULTS


@pytest.mark.parametrize("value", [[], "x", 3, None])
def test_report_that_is_no_object_has_one_fault(value: object) -> None:
    (fault,) = faults_of(value)
    assert fault.pointer == "#"
