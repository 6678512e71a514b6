"""The industry report: required fields, named by JSON pointers, and nothing echoed."""

import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.industry import report_schema
from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.report import (
    MAX_REPORT_BYTES,
    IndustryReport,
    encode_sealed_report,
    make_sealed_report,
    measure_completeness,
    parse_report,
    parse_sealed_report,
)
from partner_sdk.report.outline import get_report_type
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.submission import Priority, ReportKind
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, make_clear_fields, make_industry_report

EXAMPLE = json.loads(EXAMPLE_REPORT.read_bytes())
MARKER = "synthetic-marker"
CASES = {"change_reason", "answers_request"}


def changed(path: str, value: Any) -> bytes:
    """Return the example with one value replaced; `path` is like `incident/medium`."""
    report = json.loads(json.dumps(EXAMPLE))
    *steps, last = path.split("/")
    target = report
    for step in steps:
        target = target[int(step)] if isinstance(target, list) else target[step]
    if isinstance(target, list):
        target.append(value)
    elif value is None:
        del target[last]
    else:
        target[last] = value
    return json.dumps(report).encode()


def faults_of(raw: bytes, priority: Priority = "P2", kind: ReportKind = "initial") -> tuple[FieldFault, ...]:
    with pytest.raises(ReportError) as caught:
        parse_report(raw, priority=priority, kind=kind)
    assert MARKER not in str(caught.value)
    return caught.value.faults


@pytest.mark.parametrize("priority", get_args(Priority))
def test_example_is_a_report_in_every_priority(priority: Priority) -> None:
    assert parse_report(EXAMPLE_REPORT.read_bytes(), priority=priority) == make_industry_report()
    assert parse_report(FULL_REPORT.read_bytes(), priority=priority) != make_industry_report()


def leaves(schema: dict[str, Any]) -> list[str]:
    return sorted(schema["$defs"]["IndustryReport"]["required"])


@pytest.mark.parametrize("field", leaves(report_schema()))
def test_every_must_has_to_be_there_and_its_absence_is_named(field: str) -> None:
    (fault,) = faults_of(changed(field, None))
    assert fault.pointer == f"#/{field}"
    assert "Add this field" in fault.detail


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        ("category", MARKER, "#/category"),
        ("incident/medium", MARKER, "#/incident/medium"),
        ("incident/narrative", "", "#/incident/narrative"),
        ("incident/narrative", "x" * 100_001, "#/incident/narrative"),
        ("incident/happened_at", MARKER, "#/incident/happened_at"),
        ("reporter/declaration", False, "#/reporter/declaration"),
        ("reporter/organisation", "x" * 301, "#/reporter/organisation"),
        ("reporter/organisation", 5, "#/reporter/organisation"),
        ("suspects/-", {}, "#/suspects/1/service_user_id"),
        ("children/-", {"at_risk_now": MARKER}, "#/children/1/at_risk_now"),
        ("priority_reason", "x" * 3001, "#/priority_reason"),
        ("unknown", MARKER, "#"),
        ("incident/unknown", MARKER, "#/incident"),
        ("schema_version", "2", "#/schema_version"),
    ],
)
def test_fault_is_named_by_its_pointer_and_the_value_is_not_repeated(path: str, value: Any, pointer: str) -> None:
    (fault,) = faults_of(changed(path, value))
    assert fault.pointer == pointer
    assert MARKER not in fault.detail


def test_unknown_field_is_placed_under_its_parent_and_the_schema_is_named() -> None:
    (fault,) = faults_of(changed("incident/unknown", MARKER))
    assert "directly under #/incident " in fault.detail
    assert "GET /v1/schema/report.json" in fault.detail


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_priority_asks_for_its_reason(priority: Priority) -> None:
    raw = encode(make_industry_report(priority_reason=None))
    (fault,) = faults_of(raw, priority)
    assert fault.pointer == "#/priority_reason"
    assert parse_report(raw, priority="P3").priority_reason is None


def make_file(copy_kept_until: str) -> dict[str, Any]:
    return {
        "copy_kept_until": copy_kept_until,
        "exif_viewed_by_staff": False,
        "file_id": "f1",
        "relevance": "reported",
        "viewed_by_staff": False,
    }


def test_time_of_a_file_is_named_by_its_place() -> None:
    assert parse_report(changed("files/-", make_file("2027-11-25T00:00:00Z")), priority="P2")
    (fault,) = faults_of(changed("files/-", make_file("next year")))
    assert fault.pointer == "#/files/0/copy_kept_until"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xff", "not-utf8"),
        (b'{"a":1,"a":2}', "duplicate-key"),
        (b'{"a":{"b":1,"b":2}}', "duplicate-key"),
        (b'{"a":NaN}', "malformed"),
        (b'{"a":"\\ud800"}', "malformed"),
        (b'{"\\udc00":1}', "malformed"),
        (b'{"a":' + b"1" * 5000 + b"}", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b" " * (MAX_REPORT_BYTES + 1), "too-large"),
        (b"[]", "bad-field"),
        (b"null", "bad-field"),
    ],
)
def test_file_that_is_no_report_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(ReportError) as caught:
        parse_report(raw, priority="P2")
    assert caught.value.reason == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_a_report_error(raw: bytes) -> None:
    faults_of(raw)


@given(st.sampled_from(sorted(EXAMPLE)), JSON)
def test_any_value_in_any_field_gives_a_report_or_a_report_error(field: str, value: Any) -> None:
    raw = json.dumps({**EXAMPLE, field: value}).encode()
    try:
        report = parse_report(raw, priority="P3")
    except ReportError as error:
        assert all(fault.pointer.startswith("#") for fault in error.faults)  # noqa: PT017 - either outcome is right
        return
    assert isinstance(report, IndustryReport)


def test_sealed_report_prints_back_identically() -> None:
    for file in (EXAMPLE_REPORT, FULL_REPORT):
        report = parse_report(file.read_bytes(), priority="P2")
        sealed = make_sealed_report(report, clear=make_clear_fields("example-chat"))
        raw = encode_sealed_report(sealed)
        assert parse_sealed_report(raw) == sealed
        assert encode_sealed_report(parse_sealed_report(raw)) == raw


def test_sealed_report_carries_how_complete_it_is() -> None:
    sealed = make_sealed_report(make_industry_report(), clear=make_clear_fields("example-chat"))
    assert sealed.completeness == measure_completeness(make_industry_report())


@pytest.mark.parametrize(
    "spelled",
    [
        {"completeness": None},
        {"report": {**EXAMPLE, "suspects": [], "children": [], "uk_link": None}},
        {"report": {**EXAMPLE, "files": [], "police": {"not_held": "unknown"}}},
    ],
)
def test_sealed_report_of_another_program_may_spell_out_what_is_empty(spelled: dict[str, Any]) -> None:
    clear = msgspec.to_builtins(make_clear_fields("example-chat"))
    raw = encode({"clear": clear, "report": EXAMPLE, **spelled})
    assert parse_sealed_report(raw).completeness is None


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw.replace(b'":', b'": ', 1), lambda raw: raw.replace(b":13", b":1.3e1")]
)
def test_sealed_report_that_is_not_canonical_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    children = ({"at_risk_now": "no", "age": 13},)
    report = parse_report(json.dumps({**EXAMPLE, "children": children}).encode(), priority="P2")
    raw = encode_sealed_report(make_sealed_report(report, clear=make_clear_fields("example-chat")))
    assert spoil(raw) != raw
    with pytest.raises(FormatError):
        parse_sealed_report(spoil(raw))


@given(st.binary(max_size=60))
def test_any_bytes_are_no_sealed_report(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_sealed_report(raw)


def test_words_are_kept_as_they_were_typed() -> None:
    words = "Zeile 1\n\tline 2 \u2028 \U0001f600 \x01 e\u0301 \u202e"
    report = make_industry_report(incident=msgspec.structs.replace(make_industry_report().incident, narrative=words))
    sealed = make_sealed_report(report, clear=make_clear_fields("example-chat"))
    assert parse_sealed_report(encode_sealed_report(sealed)).report.incident.narrative == words


def test_pair_of_escapes_is_one_character() -> None:
    raw = EXAMPLE_REPORT.read_bytes().replace(b"[message]", b"\\ud83d\\ude00 \\u00e9")
    assert parse_report(raw, priority="P2").incident.narrative.endswith("\U0001f600 \u00e9")


def test_schema_describes_every_field_of_the_model() -> None:
    definitions = report_schema()["$defs"]
    assert set(definitions["IndustryReport"]["properties"]) == set(IndustryReport.__struct_fields__)
    assert set(json.loads(FULL_REPORT.read_bytes())) | CASES == set(IndustryReport.__struct_fields__)
    assert all(one["additionalProperties"] is False for one in definitions.values())


def test_type_of_the_report_is_worked_out_once_for_all_faults() -> None:
    assert get_report_type() is get_report_type()
    (fault,) = faults_of(b"[]")
    assert fault == FieldFault("#", "Give an object.")
