"""The way back: a child sends, the desk reads and answers, the child comes back with its words, and adds more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.desk.cases.closing import Closing
from gateway.desk.cases.model import to_case
from gateway.desk.cases.opening import is_proven, open_case
from gateway.desk.cases.replies import ReplyDraft, write_reply
from gateway.desk.collection.joining import list_cluster
from gateway.desk.store.audit import check_chain
from gateway.desk.store.schema import CASES
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop
from tests.desk.made_models import make_desk_tables
from tests.desk.outbox_builders import send_out
from tests.desk.work_builders import assess_and_close
from tests.gateway.public.person import Person
from tests.gateway.public.return_builders import read_numbers
from tests.postgresql import Server

ANSWER = "Reply-Marker: you did the right thing. Ask for Alex when you call."
STORY = "Story-Marker: more happened."


CLOSING = Closing(outcome="used")


@pytest.fixture
def loop(tmp_path: Path, database_uri: str, desk_uri: str) -> Loop:
    return copy_loop(tmp_path, is_enrolled=False, gateway_uri=database_uri, desk_uri=desk_uri)


@pytest.fixture
def desk_uri(request: pytest.FixtureRequest, database_uri: str) -> Iterator[str]:
    """The address of a desk's database beside that of the gateway, or "" for SQLite."""
    if not database_uri:
        yield ""
        return
    server: Server = request.getfixturevalue("postgresql_server")
    with server.lend_database(make_desk_tables) as uri:
        yield uri


def make_person(loop: Loop) -> Person:
    return Person(loop.open_app("public"))


def send(loop: Loop) -> tuple[str, str]:
    person = make_person(loop).start()
    loop.clock.advance(minutes=2)
    return read_numbers(person.walk_to("/14").send())


def come_back(loop: Loop, reference: str, words: str) -> Person:
    person = make_person(loop)
    person.get("/16")
    person.press(reference=reference, words_typed=words)
    assert person.path == "/17"
    return person


@pytest.mark.databases("sqlite", "postgresql")
def test_stage_and_answer_reach_the_child_step_by_step(loop: Loop) -> None:
    reference, words = send(loop)
    assert "We have got it. Our team will read it." in come_back(loop, reference, words).text()
    loop.collect()
    assert "It is with our team." in come_back(loop, reference, words).text()
    open_case(loop.desk, reference, actor=ACTOR)
    send_out(loop.desk, "reply")
    assert "Someone from our team has read it." in come_back(loop, reference, words).text()
    draft = ReplyDraft(ANSWER, is_the_reply=True, reason="the phone is shared")
    write_reply(loop.desk, reference, draft, actor=ACTOR)
    assert ANSWER not in come_back(loop, reference, words).text()
    send_out(loop.desk, "reply")
    assert ANSWER in come_back(loop, reference, words).text()
    assert assess_and_close(loop.desk, reference, CLOSING, actor=ACTOR).closed_at
    with loop.desk.store.read() as connection:
        assert check_chain(connection) >= 5


@pytest.mark.databases("sqlite", "postgresql")
def test_addition_later_joins_the_first_case(loop: Loop) -> None:
    reference, words = send(loop)
    loop.collect()
    person = come_back(loop, reference, words)
    person.press("add")
    loop.clock.advance(minutes=1)
    person.press(danger="no")
    person.press(story=STORY)
    person.send()
    loop.collect()
    with loop.desk.store.read() as connection:
        cases = connection.execute(select(CASES)).all()
        cluster = list_cluster(connection, cases[0].case_id)
    assert len(cases) == 2
    assert cluster == {case.case_id for case in cases}
    added = next(case for case in cases if case.reference != reference)
    assert open_case(loop.desk, added.reference, actor=ACTOR).content.story == STORY
    # Who came back with the words is proven to be who sent the first report, and is answered through the same code.
    first = next(case for case in cases if case.reference == reference)
    assert is_proven(to_case(added), earlier=to_case(first))
    open_case(loop.desk, reference, actor=ACTOR)
    write_reply(loop.desk, added.reference, ReplyDraft(ANSWER, is_the_reply=False), actor=ACTOR)
    send_out(loop.desk, "reply")
    assert ANSWER in come_back(loop, reference, words).text()
