"""The completeness of a report: counted fields, idle fields, and the ones named first."""

import json
from typing import Any

import pytest

from gateway.desk.digests.own_facts import describe_field
from partner_sdk.report import list_missing_fields, measure_completeness, parse_report
from partner_sdk.report.outline import get_field, list_fields
from partner_sdk.report.reading import MOST_PLACES, MOST_USEFUL
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, make_industry_report

THIN: dict[str, Any] = json.loads(EXAMPLE_REPORT.read_bytes())
FULL: dict[str, Any] = json.loads(FULL_REPORT.read_bytes())


def measure(report: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
    found = measure_completeness(parse_report(json.dumps(report).encode(), priority="P2"))
    return found.score, found.missing


def test_full_example_misses_nothing_and_thin_one_nearly_everything() -> None:
    assert measure(FULL) == (100, ())
    score, missing = measure(THIN)
    assert score < 10
    assert len(missing) > 40


def test_missing_names_the_most_useful_to_police_first() -> None:
    _, missing = measure(THIN)
    patterns = [get_field(pointer).pattern for pointer in missing]
    ranked = [pattern for pattern in patterns if pattern in MOST_USEFUL]
    assert len(ranked) >= 20
    assert patterns[: len(ranked)] == sorted(ranked, key=MOST_USEFUL.index)
    order = [field.pattern for field in list_fields()]
    rest = patterns[len(ranked) :]
    assert rest == sorted(rest, key=order.index)


def test_missing_fields_are_named_once_without_their_places_in_words_with_their_part() -> None:
    two = [{"service_user_id": "one"}, {"service_user_id": "two"}]
    completeness = measure_completeness(parse_report(json.dumps({**THIN, "suspects": two}).encode(), priority="P2"))
    fields = list_missing_fields(completeness)
    assert len(set(fields)) == len(fields) >= 10
    assert {"/suspects/logins", "/suspects/username"} <= set(fields) <= set(MOST_USEFUL)
    assert describe_field("/suspects/username") == "Suspects: user name"
    assert describe_field("/children") == "Children who are or may be harmed"
    words = [describe_field(field) for field in MOST_USEFUL]
    assert len(set(words)) == len(words)


def test_not_held_with_its_reason_counts_as_said() -> None:
    before, _ = measure(THIN)
    after, missing = measure({**THIN, "police": {"not_held": "not_yet_known"}})
    assert after > before
    assert "#/police" not in missing


def test_empty_list_says_nothing_and_is_missed() -> None:
    assert "#/police" in measure({**FULL, "police": []})[1]


@pytest.mark.parametrize("name", sorted(name for name in FULL if name not in THIN))
def test_top_field_that_is_left_out_is_missed_only_where_it_counts(name: str) -> None:
    report = {key: value for key, value in FULL.items() if key != name}
    counts = get_field(f"#/{name}").needed == "should"
    assert (f"#/{name}" in measure(report)[1]) is counts


def test_thousand_messages_weigh_as_much_as_one_and_name_a_few_places() -> None:
    message = {"sender": "example-user-1001", "type": "text", "text": "[message]"}
    one = measure({**THIN, "conversations": [{"thread_id": "t", "messages": [message]}]})
    many = measure({**THIN, "conversations": [{"thread_id": "t", "messages": [message] * 1000}]})
    assert many[0] == one[0]
    named = [pointer for pointer in many[1] if pointer.endswith("/ip")]
    assert named == [f"#/conversations/0/messages/{place}/ip" for place in range(MOST_PLACES)]


def test_part_of_the_messages_counts_in_part() -> None:
    message = {"sender": "example-user-1001", "type": "text", "text": "[message]"}
    said = {**message, "ip": "192.0.2.1"}
    threads = [[said] * with_ip + [message] * (4 - with_ip) for with_ip in range(5)]
    scores = [measure({**THIN, "conversations": [{"thread_id": "t", "messages": one}]})[0] for one in threads]
    assert scores == sorted(scores)
    assert scores[0] < scores[4]


def with_phone(number: str) -> dict[str, Any]:
    return {"service_user_id": "u", "phones": [{"number": number}]}


@pytest.mark.parametrize(
    ("change", "idle", "pointer"),
    [
        ({"children": [{"at_risk_now": "no", "age": 13}]}, True, "#/children/0/age_band"),
        ({"children": [{"at_risk_now": "no"}]}, False, "#/children/0/age_band"),
        ({"children": [{"at_risk_now": "no", "age": {"not_held": "unknown"}}]}, False, "#/children/0/age_band"),
        ({"suspects": [with_phone("+44 1")]}, True, "#/suspects/0/phones/0/calling_code"),
        ({"suspects": [with_phone("01")]}, False, "#/suspects/0/phones/0/calling_code"),
        ({}, True, "#/other_people"),
        ({"discovery": {**THIN["discovery"], "discovered_by": "user_complaint"}}, False, "#/other_people"),
        ({"discovery": {**THIN["discovery"], "actions": [{"action": "none"}]}}, True, "#/discovery/actions/0/taken_at"),
        ({"incident": {**THIN["incident"], "places": [{}]}}, True, "#/incident/places/0/game"),
        ({"incident": {**THIN["incident"], "medium": "game", "places": [{}]}}, False, "#/incident/places/0/game"),
    ],
)  # fmt: skip
def test_question_that_another_answer_makes_idle_is_not_missed(
    change: dict[str, Any], idle: bool, pointer: str
) -> None:
    assert (pointer not in measure({**THIN, **change})[1]) is idle


def test_report_about_nobody_is_measured_too() -> None:
    found = measure_completeness(make_industry_report(suspects=(), children=()))
    assert found.missing[:2] == ("#/children", "#/suspects")
