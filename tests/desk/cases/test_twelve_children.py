"""Twelve children, by ticks, by words and by both: through the form's own model to the order of the desk's queue."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.desk.cases.model import CaseRow, find_read_by, list_cases
from gateway.desk.cases.queue import list_queue
from gateway.desk.collection.filing import NewCase, file_cases
from gateway.desk.collection.row_checks import BY_GATEWAY
from gateway.desk.store.schema import Tier
from gateway.exchange.public_report import encode_public_report, parse_public_report
from gateway.guidance.agency import AGENCY_EXAMPLE, load_agency
from gateway.public.journey import find_incomplete, get_priority, keep_on_path
from gateway.public.sending import make_public_report
from gateway.public.visit import Draft
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.canonical import format_time, parse_time
from tests.builders import NOW, make_clear_fields
from tests.desk.cases.test_queue_order import LINES, connection, make_case, partner
from tests.desk.identifier_builders import INDEX_SIGNER

__all__ = ["connection"]  # the fixture

CHILD: dict[str, Any] = {
    "danger": ["no"],
    "age": ["13_15"],
    "who": ["me"],
    "region": ["england"],
    "name": ["Sam"],
    "contact_ways": ["adult"],
    "adult": ["My aunt"],
}
# The kind of harm: what a child ticks, and what it types.
CHILDREN: dict[str, tuple[dict[str, list[str]], str]] = {
    "hurt at home": (
        {"kinds": ["touched_or_hurt"], "near": ["yes"], "still": ["yes"]},
        "My uncle touches me at home. It still goes on",
    ),
    "meeting tonight": ({"kinds": ["wants_to_meet"], "meeting_when": ["today"]}, "We meet at 8 tonight at the park"),
    "self-harm": ({"kinds": ["something_else"], "feels": ["hurting"]}, "I want to end my life"),
    "blackmail": (
        {"kinds": ["threatens_to_share"], "pictures": ["me"], "when": ["today"], "still": ["yes"]},
        "He has pictures of me. He will send them to my friends if I don't pay",
    ),
}
WAYS = ("ticks", "words", "both")
MILD = ("extra_nice", "sexual_talk", "asked_for_pictures", "shared_things", "saw_picture", "bullying", "account_hacked")
# The gravest signs that a partner may give with a P2 or P3.
SIGNS = ("threat_to_life", "self_harm", "ongoing_abuse", "meeting_soon", "lives_with_child")
GRAVE = [
    partner("grave", "A3", age=9, priority=priority, at_risk="yes", signs=SIGNS, trust="coach", tags=("sextortion",))
    for priority in ("P1", "P2", "P3")
]


def fill_in(answers: dict[str, list[str]], *, reference: str) -> NewCase:
    """Send answers as the form does, and take the sealed report apart as the desk does."""
    said = keep_on_path(CHILD | answers)
    assert find_incomplete(said) is None, (said, find_incomplete(said))
    draft = Draft(report_id=make_clear_fields("public").report_id, started_at="", language="en")
    report = make_public_report(draft, said, environment="live")
    assert report.clear.priority == get_priority(said)
    content = parse_public_report(encode_public_report(report))
    received_at = format_time(NOW)
    return NewCase(report.clear, content, reference, received_at, "public", None, BY_GATEWAY)


def make_child(harm: str, way: str) -> NewCase:
    ticks, words = CHILDREN[harm]
    answers = {"ticks": ticks, "words": {"story": [words]}, "both": ticks | {"story": [words]}}[way]
    return fill_in(answers, reference=f"{harm}: {way}")


def file(connection: Connection, cases: list[NewCase]) -> list[CaseRow]:
    file_cases(connection, cases, case_ids=[f"id-{one.reference}" for one in cases], signer=INDEX_SIGNER, now=NOW)
    return list_queue(connection)


def list_partners() -> list[NewCase]:
    """The partners of the forty reports, and the gravest; each has waited longer than any child."""
    lines = [line for line in LINES if isinstance(line.content, SealedIndustryReport)] + GRAVE
    return [make_case(line, place) for place, line in enumerate(lines, start=1)]


def test_none_of_twelve_children_stands_behind_a_partners_p2_or_p3(connection: Connection) -> None:
    children = [make_child(harm, way) for harm, way in product(CHILDREN, WAYS)]
    partners = list_partners()
    lower = {one.reference for one in partners if one.clear.priority != "P1"}
    assert (len(children), len(partners) - len(lower), len(lower)) == (12, 5, 13)
    rows = file(connection, [*partners, *children])
    order = [row.reference for row in rows]
    first_lower = min(order.index(one) for one in lower)
    assert [one.reference for one in children if order.index(one.reference) > first_lower] == []
    # A partner's P1 keeps its place by its points, and each of the twelve is a crisis by itself.
    first = [row for row in rows if row.tier == Tier.FIRST and row.crisis]
    assert {row.reference for row in first} == {one.reference for one in (*children, *partners)} - lower
    assert [row.score for row in first] == sorted((row.score for row in first), reverse=True)
    assert order[0] == partners[-3].reference  # the gravest P1


def test_meeting_that_is_told_beside_a_mild_tick_is_a_crisis(connection: Connection) -> None:
    case = fill_in({"kinds": ["extra_nice"], "story": ["We meet at 8 tonight at the park"]}, reference="A")
    (row,) = file(connection, [case])
    assert (row.crisis, row.tier, row.reasons[0].reason) == (True, Tier.FIRST, "A meeting today (found in the words)")


@pytest.mark.parametrize("kinds", [[], ["something_else"], ["not_sure"]])
def test_untold_kind_stands_above_every_known_mild_one_within_the_urgent_hour(
    connection: Connection, kinds: list[str]
) -> None:
    mild = [fill_in({"kinds": [kind], "story": ["[message]"], "feels": ["scared"]}, reference=kind) for kind in MILD]
    crisis = fill_in({"kinds": ["something_else"], "feels": ["hurting"]}, reference="crisis")
    lower = [one for one in list_partners() if one.clear.priority != "P1"]
    answers = {"kinds": kinds, "story": ["It is about [message]"], "still": ["yes"], "danger": ["not_sure"]}
    untold = fill_in(answers, reference="untold")
    first, second, *others = file(connection, [*mild, crisis, *lower, untold])
    assert (first.reference, second.reference, second.crisis) == ("crisis", "untold", True)
    assert second.reasons[0].reason == "Told in words, not read yet"
    agency = load_agency(AGENCY_EXAMPLE)
    assert find_read_by(second, agency) == agency.get_read_by(parse_time(second.received_at), urgency="urgent")
    assert not any(row.crisis for row in others if row.reference in MILD)


def test_reason_no_longer_says_unread_once_it_was_read(connection: Connection) -> None:
    file(connection, [fill_in({"story": ["[message]"]}, reference="untold")])
    connection.exec_driver_sql("UPDATE cases SET opened_at = 'x'")
    (row,) = list_cases(connection)
    assert row.reasons[0].reason == "Told in words"


@pytest.mark.parametrize(
    ("answers", "is_urgent"),
    [
        ({"story": ["[message]"]}, True),
        ({"kinds": ["something_else"], "story": ["  \n "]}, False),
        ({"kinds": ["something_else", "extra_nice"], "story": ["[message]"]}, False),
        ({"kinds": ["bullying"], "story": ["[message]"]}, False),
    ],
)
def test_only_a_story_of_an_untold_kind_is_unknown(
    connection: Connection, answers: dict[str, list[str]], *, is_urgent: bool
) -> None:
    (row,) = file(connection, [fill_in(answers, reference="A")])
    assert (row.crisis, row.tier == Tier.UNTOLD) == (is_urgent, is_urgent)
