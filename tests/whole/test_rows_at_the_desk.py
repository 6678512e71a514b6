"""The rows of requirements.md from the real form to the desk's case: seven people, one desk, one process."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import to_case
from gateway.desk.cases.opening import is_proven
from gateway.desk.collection.joining import list_cluster
from gateway.desk.store.schema import CASES
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.gateway.public.person import Person
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


def test_addition_after_send_is_owed_an_answer_as_the_report_was(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    person = make_person(loop).start().walk_to("/9", UNDER_18)
    story = person.fill({"story": "The first words."})
    person.post("/9", story)
    person.walk_to("/14", UNDER_18).send()
    loop.collect()
    story["story"] = "And more."
    person.post("/9", story)
    person.send()
    loop.collect()
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(CASES)).all()
        cluster = list_cluster(connection, rows[0].case_id)
    assert cluster == {row.case_id for row in rows}
    # The same journey holds the same return code: it is the same person.
    first, added = sorted(rows, key=lambda row: row.adds_to is not None)
    assert (added.adds_to, is_proven(to_case(added), earlier=to_case(first))) == (first.reference, True)
    # The first was filled in too fast: flagged, and still a case.
    assert [(row.flagged, row.reply_owed) for row in (first, added)] == [(True, True), (False, True)]
