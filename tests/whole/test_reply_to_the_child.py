"""The way back: a child sends, the desk reads and answers, the child comes back with its words, and adds more."""

from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import to_case
from gateway.desk.cases.opening import is_proven, open_case
from gateway.desk.cases.replies import ReplyDraft, write_reply
from gateway.desk.store.schema import CASES
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out
from tests.gateway.public.person import Person, list_files
from tests.gateway.public.return_builders import read_numbers

ANSWER = "Reply-Marker: you did the right thing. Ask for Alex when you call."
STORY = "Story-Marker: more happened."


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path, is_enrolled=False)


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


def test_stage_and_answer_reach_the_child_step_by_step(loop: Loop) -> None:
    reference, words = send(loop)
    assert "We have got it. Our team will read it." in come_back(loop, reference, words).text()
    loop.collect()
    assert "It is with our team." in come_back(loop, reference, words).text()
    open_case(loop.desk, reference, actor=ACTOR)
    send_out(loop.desk, "reply")
    assert "Someone from our team has read it." in come_back(loop, reference, words).text()
    write_reply(loop.desk, reference, ReplyDraft(ANSWER, is_the_reply=False), actor=ACTOR)
    assert ANSWER not in come_back(loop, reference, words).text()
    send_out(loop.desk, "reply")
    assert ANSWER in come_back(loop, reference, words).text()


def test_answer_can_be_read_on_no_disk(loop: Loop) -> None:
    reference, words = send(loop)
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    write_reply(loop.desk, reference, ReplyDraft(ANSWER, is_the_reply=False), actor=ACTOR)
    send_out(loop.desk, "reply")
    come_back(loop, reference, words)
    files = list_files(loop.folder)
    assert len(files) >= 10
    assert [path for path in files if b"Reply-Marker" in path.read_bytes()] == []


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
    assert len(cases) == 2
    assert len({case.cluster_id for case in cases}) == 1
    added = next(case for case in cases if case.reference != reference)
    assert open_case(loop.desk, added.reference, actor=ACTOR).content.story == STORY
    # Who came back with the words is proven to be who sent the first report, and is answered through the same code.
    first = next(case for case in cases if case.reference == reference)
    assert is_proven(to_case(added), earlier=to_case(first))
    open_case(loop.desk, reference, actor=ACTOR)
    write_reply(loop.desk, added.reference, ReplyDraft(ANSWER, is_the_reply=False), actor=ACTOR)
    send_out(loop.desk, "reply")
    assert ANSWER in come_back(loop, reference, words).text()
