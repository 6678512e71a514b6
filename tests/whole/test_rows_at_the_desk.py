"""The rows of requirements.md from the real form to the desk's case: seven people, one desk, one process."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import to_case
from gateway.desk.cases.opening import is_proven
from gateway.desk.cases.queue import find_next, list_queue
from gateway.desk.collection.joining import list_cluster
from gateway.desk.store.agency_tables import NOTES
from gateway.desk.store.schema import CASES
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import list_all_alerts
from tests.gateway.public.person import SHORT_STORY, Person
from tests.gateway.public.walks import ADULT, BULLYING_ONLY, CONTENT_ONLY, OVERSEAS, UNDER_18, URGENT, ScreenAnswers

WAYS: dict[str, ScreenAnswers] = {
    "under 18": UNDER_18,
    "adult": ADULT,
    "content only": CONTENT_ONLY,
    "bullying only": BULLYING_ONLY,
    "overseas": OVERSEAS,
    "urgent": URGENT,
}
PLAIN = {
    "priority": "P3",
    "crisis": False,
    "reply_owed": True,
    "reply_by": "2026-11-27",
    "region": "england",
    "country": None,
    "flagged": False,
    "has_reply_key": True,
    "redirected_to": None,
    "door": "public",
}
EXPECTED: dict[str, dict[str, Any]] = {
    "under 18": PLAIN,
    "adult": PLAIN | {"reply_owed": False, "reply_by": None},
    "content only": PLAIN,
    "bullying only": PLAIN,
    "overseas": PLAIN | {"region": "not_uk", "country": "us"},
    "urgent": PLAIN | {"priority": "P1", "crisis": True},
}


def make_person(loop: Loop) -> Person:
    return Person(loop.open_app("public"))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each way walked through the form, and then everything collected at the desk."""
    loop = copy_loop(Path(tmp_path_factory.mktemp("rows")), is_enrolled=False)
    references = {}
    for name, way in WAYS.items():
        person = make_person(loop).start()
        loop.clock.advance(minutes=2)  # a person takes a while; a faster one is flagged
        person.walk_to("/14", way).send()
        references[name] = person.text().split('class="reference" translate="no">')[1].split("<")[0]
    # The seventh wants to give no name: the form hands over, and nothing comes to the desk (R25).
    nameless = make_person(loop).start().walk_to("/11")
    nameless.press("see:no_name")
    assert "Crimestoppers" in nameless.text()
    nameless.get("/leave", Sec_Fetch_Site="same-origin")
    loop.collect()
    with loop.desk.store.read() as connection:
        rows = {row.reference: dict(row._mapping) for row in connection.execute(select(CASES))}
    assert len(rows) == len(WAYS)
    return {name: rows[reference] for name, reference in references.items()}


@pytest.mark.parametrize("name", WAYS)
def test_case_says_what_its_row_needs(cases: dict[str, dict[str, Any]], name: str) -> None:
    case = cases[name]
    assert {column: case[column] for column in PLAIN} == EXPECTED[name]


def test_urgent_case_is_the_only_one_above_the_others(cases: dict[str, dict[str, Any]]) -> None:
    assert [name for name, case in cases.items() if case["priority"] == "P1"] == ["urgent"]


def test_report_that_was_filled_in_too_fast_is_flagged_and_still_a_case(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    person = make_person(loop).start().walk_to("/14")
    person.send()
    loop.collect()
    with loop.desk.store.read() as connection:
        (case,) = connection.execute(select(CASES)).all()
    assert (case.flagged, case.reply_owed) == (True, True)


HURTING: ScreenAnswers = UNDER_18 | {
    "/4": {"age": "13_15"},
    "/9": {"story": SHORT_STORY, "still": "yes"},
    "/9a": {"feels": "hurting"},
    "/10": {"more_person": "yes"},
    "/10a": {"knows": ["home", "school"]},
}


def test_child_who_is_hurting_is_first_at_the_desk_and_alerted_though_the_gateway_saw_a_p3(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path)
    for way in (ADULT, CONTENT_ONLY, UNDER_18):
        make_person(loop).start().walk_to("/14", way).send()
    for _ in range(3):
        loop.send_industry(priority="P3")
    loop.collect()
    assert list_all_alerts(loop.desk) == []
    person = make_person(loop).start()
    loop.clock.advance(minutes=2)
    person.walk_to("/14", HURTING).send()
    reference = person.text().split('class="reference" translate="no">')[1].split("<")[0]
    with loop.gateway.store.read() as connection:
        query = "SELECT priority FROM reports WHERE reference = ?"
        assert connection.exec_driver_sql(query, (reference,)).scalar_one() == "P3"
    loop.collect()
    with loop.desk.store.read() as connection:
        first, *others = list_queue(connection)
        assert find_next(connection) == first
    assert (first.reference, first.priority, first.crisis) == (reference, "P3", True)
    assert set(first.factors.split()) >= {"self_harm", "knows_home", "knows_school", "still_going_on", "teenager"}
    assert len(others) == 6
    assert not any(one.crisis for one in others)
    assert [alert["count"] for alert in list_all_alerts(loop.desk)] == [1]


@pytest.mark.parametrize("collects_between", [False, True], ids=["at once", "one by one"])
@pytest.mark.parametrize(("way", "is_owed"), [(UNDER_18, True), (ADULT, False)], ids=["child", "adult"])
def test_addition_after_send_is_owed_an_answer_as_the_report_was(
    tmp_path: Path, way: ScreenAnswers, *, is_owed: bool, collects_between: bool
) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    person = make_person(loop).start().walk_to("/9", way)
    story = person.fill({"story": "The first words."})
    person.post("/9", story)
    person.walk_to("/14", way).send()
    if collects_between:
        loop.collect()
    story["story"] = "And more."
    person.post("/9", story)
    person.send()
    loop.collect()
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(CASES).order_by(CASES.c.received_at)).all()
        cluster = list_cluster(connection, rows[0].case_id)
    assert len(rows) == 2
    assert cluster == {row.case_id for row in rows}
    assert [row.reply_owed for row in rows] == [is_owed] * 2
    assert [row.reply_by is not None for row in rows] == [is_owed] * 2
    # Who sends again on the same journey holds the same return code: it is the same person.
    first, added = sorted(map(to_case, rows), key=lambda case: case.adds_to is not None)
    assert (added.adds_to, is_proven(added, earlier=first)) == (first.reference, True)


BY_EMAIL: dict[str, str | list[str]] = {"contact_ways": ["email"], "email": "sam@child.example"}
ASKS_FOR_A_NOTE: ScreenAnswers = UNDER_18 | {
    "/12": BY_EMAIL | {"near": "no"},
    "/12a": {"who_sees": "no", "may_send_note": "yes"},
}


@pytest.mark.parametrize(
    ("ages", "notes"),
    [
        ({"/4": {"age": "13_15"}}, 1),
        ({"/4": {"age": "rather_not_say"}}, 0),
        ({"/4": {"age": "13_15"}, "/12": BY_EMAIL | {"near": "not_sure"}}, 0),
        ({"/4": {"age": "13_15"}, "/12": BY_EMAIL}, 0),
        ({"/4": {"age": "under_12"}}, 0),
        ({"/4b": {"who": "friend"}, "/4": {"age": "13_15"}, "/5": {"their_age": "13_15"}}, 1),
        ({"/4b": {"who": "friend"}, "/4": {"age": "13_15"}, "/5": {"their_age": "under_12"}}, 0),
        ({"/4b": {"who": "friend"}, "/4": {"age": "under_12"}, "/5": {"their_age": "13_15"}}, 0),
    ],
    ids=[
        "own 13 to 15",
        "own not said",
        "not sure who is near",
        "near left blank",
        "own 12 or under",
        "friend 13 to 15",
        "friend 12 or under",
        "own 12 or under for a friend",
    ],
)
def test_note_is_queued_only_above_12_on_both_sides_and_where_the_person_is_not_near(
    tmp_path: Path, ages: ScreenAnswers, notes: int
) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    person = make_person(loop).start()
    loop.clock.advance(minutes=2)
    person.walk_to("/14", ASKS_FOR_A_NOTE | ages).send()
    loop.collect()
    with loop.desk.store.read() as connection:
        assert len(connection.execute(select(NOTES)).all()) == notes
