"""One question to a partner: sealed to it, never readable on this disk, with a clock, answered by a response."""

from datetime import date
from typing import Any

import pytest

from gateway.desk.audit import check_chain
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import list_case_doubts
from gateway.desk.cases.partner_side import (
    MOST_DAYS_TO_ANSWER,
    Question,
    ask_partner,
    format_clock,
)
from gateway.desk.partners.mailbox import seal_messages_again, write_message
from gateway.desk.partners.questions import (
    QuestionRow,
    list_questions,
    list_unanswered,
    open_questions,
)
from gateway.desk.store.outbox_tables import MAILBOX_MESSAGES
from gateway.desk.store.schema import AUDIT
from gateway.desk.uk_times import get_uk_day
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.mailbox_message import message_sha256, parse_information_request
from tests.builders import Partner, make_industry_report, seal_report
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import collect_and_send, file, find, read, read_mailbox
from tests.desk.outbox_builders import send_out
from tests.desk.work_builders import assess_and_close, make_ready

MARKER = "Which account wrote to SAM-MARKER?"
QUESTION = Question(question=MARKER, purpose="To find SAM-MARKER.", legal_basis="Data Protection Act 2018")


def ask(loop: Loop, reference: str, question: Question = QUESTION) -> str:
    make_ready(loop.desk, reference, actor="s-contact")
    return ask_partner(loop.desk, reference, question, actor="s-contact")


def questions(loop: Loop, reference: str) -> list[QuestionRow]:
    with loop.desk.store.read() as connection:
        return list_questions(connection, case_id=find(loop, reference).first_id)


def answer(request_id: str) -> IndustryReport:
    return make_industry_report(answers_request=request_id)


def refuse(loop: Loop, reference: str, question: Question = QUESTION) -> str:
    before = loop.count("mailbox_messages")
    with pytest.raises(CaseError) as caught:
        ask(loop, reference, question)
    assert loop.count("mailbox_messages") == before
    return caught.value.reason


def test_question_goes_to_the_partner_sealed_and_signed_with_its_day(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    assert read_mailbox(loop) == []
    collect_and_send(loop)
    (message,) = read_mailbox(loop)
    request = parse_information_request(parse_base64url(message.body))
    assert (message.kind, message.recipient, message.number) == ("information-request", "example-chat", 1)
    assert (request.request_id, request.report_id, request.reference) == (request_id, case.report_id, case.reference)
    assert (request.question, request.purpose, request.legal_basis) == (
        MARKER,
        "To find SAM-MARKER.",
        "Data Protection Act 2018",
    )
    assert request.due_at == "2026-12-02T08:30:00Z"  # seven days
    (question,) = questions(loop, case.reference)
    assert (question.asked_by, question.due_at, question.answered_at) == ("s-contact", request.due_at, None)
    assert question.posted_at is not None


def test_words_of_a_question_lie_nowhere_on_this_disk_but_in_boxes(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    collect_and_send(loop)
    for path in loop.desk.paths.state.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert b"SAM-MARKER" not in raw
            assert b"U0FNLU1BUktFU" not in raw  # the same in base64
    opened = open_questions(loop.desk, questions(loop, case.reference), actor="test")[request_id]
    assert opened is not None
    assert opened.question == MARKER


def test_question_of_another_box_or_a_lost_key_is_not_passed_for_a_question(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    with loop.desk.store.write() as connection:
        copy = connection.execute(MAILBOX_MESSAGES.select()).one().desk_copy
        connection.execute(MAILBOX_MESSAGES.update().values(desk_copy=bytes(copy)[:-1] + b"\0"))
    assert open_questions(loop.desk, questions(loop, case.reference), actor="test") == {request_id: None}


def test_question_about_a_destroyed_case_is_not_sealed_again_and_the_others_are(loop: Loop) -> None:
    ask(loop, read(loop).reference)
    write_message(loop.desk, partner="example-chat", kind="welcome", body=encode({"text": "hello"}), actor=ACTOR)
    with loop.desk.store.write() as connection:
        assert seal_messages_again(loop.desk, connection, partner="example-chat", actor=ACTOR) == 2
        question = MAILBOX_MESSAGES.c.case_id.is_not(None)
        connection.execute(MAILBOX_MESSAGES.update().where(question).values(envelope=b"", desk_copy=None))
        assert seal_messages_again(loop.desk, connection, partner="example-chat", actor=ACTOR) == 1


def test_messages_after_a_question_name_it_as_the_one_before(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference)
    write_message(loop.desk, partner="example-chat", kind="welcome", body=encode({"text": "hello"}), actor=ACTOR)
    send_out(loop.desk, "message")
    first, second = read_mailbox(loop)
    assert (first.number, second.number) == (1, 2)
    with loop.desk.store.read() as connection:
        row = connection.execute(MAILBOX_MESSAGES.select().where(MAILBOX_MESSAGES.c.number == 1)).one()
    assert (row.signed, row.signed_sha256) == (b"", second.previous)
    assert second.previous != message_sha256(b"")


def test_who_asked_is_noted_and_what_was_asked_is_not(loop: Loop) -> None:
    ask(loop, read(loop).reference)
    with loop.desk.store.read() as connection:
        check_chain(connection)
        (entry,) = connection.execute(AUDIT.select().where(AUDIT.c.action == "ask-partner")).all()
    assert (entry.actor, "MARKER" in entry.detail) == ("s-contact", False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": " \n"}, "no-question"),
        ({"purpose": ""}, "no-purpose"),
        ({"legal_basis": " "}, "no-legal-basis"),
        ({"question": "x" * 2001}, "too-long"),
        ({"purpose": "x" * 301}, "too-long"),
        ({"question": "a\x1b[2J"}, "unprintable"),
        ({"due": date(2026, 11, 25)}, "bad-day"),
        ({"due": date(2020, 1, 1)}, "bad-day"),
        ({"due": date(2027, 11, 25)}, "bad-day"),
    ],
)
def test_question_that_misses_something_is_not_asked(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    values: dict[str, Any] = {"question": "Who?", "purpose": "To find out.", "legal_basis": "The law.", **changes}
    assert refuse(loop, read(loop).reference, Question(**values)) == reason


def test_only_the_partner_that_sent_a_report_is_asked_and_only_what_was_read_and_is_open(loop: Loop) -> None:
    public = loop.send_public(under_18="no").reference
    unread = file(loop)
    closed = read(loop)
    assess_and_close(loop.desk, closed.reference, CLOSING, actor=ACTOR)
    assert refuse(loop, public) == "public-report"
    assert refuse(loop, unread.reference) == "not-opened"
    assert refuse(loop, closed.reference) == "already-closed"
    assert refuse(loop, "K7QF-2M9TX-D") == "unknown-case"


def test_longest_question_of_wide_letters_reaches_the_partner(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference, Question("🙂" * 2000, "🙂" * 300, "🙂" * 300))
    collect_and_send(loop)
    (message,) = read_mailbox(loop)
    assert parse_information_request(parse_base64url(message.body)).question == "🙂" * 2000


def test_one_question_is_open_at_a_time_until_it_is_late(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference)
    assert refuse(loop, case.reference) == "question-open"
    loop.clock.advance(days=7)
    assert refuse(loop, case.reference) == "question-open"
    loop.clock.advance(days=1)
    ask(loop, case.reference)
    assert len(questions(loop, case.reference)) == 2


def test_day_that_was_named_is_a_whole_day_of_the_united_kingdom(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference, Question("Who?", "To find out.", "The law.", due=date(2026, 12, 1)))
    (question,) = questions(loop, case.reference)
    assert question.due_at == "2026-12-01T23:59:59Z"
    assert (date(2026, 12, 1) - date(2026, 11, 25)).days < MOST_DAYS_TO_ANSWER


@pytest.mark.parametrize(
    ("days", "words", "is_late"),
    [(0, "7 days left", False), (6, "1 day left", False), (7, "Due today", False), (8, "1 day late", True)],
)
def test_clock_of_a_question_is_said_in_words(loop: Loop, days: int, words: str, is_late: bool) -> None:
    case = read(loop)
    ask(loop, case.reference)
    loop.clock.advance(days=days)
    (question,) = questions(loop, case.reference)
    clock = format_clock(question, today=get_uk_day(loop.clock()))
    assert (clock.words, clock.is_late) == (words, is_late)


@pytest.mark.parametrize("names_report", [True, False])
def test_response_answers_the_question_and_stops_its_clock(loop: Loop, names_report: bool) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    loop.clock.advance(days=2)
    earlier = case.reference if names_report else None
    response = file(loop, answer(request_id), kind="response", earlier_reference=earlier)
    (question,) = questions(loop, case.reference)
    assert (question.answered_at, question.answer_case_id) == (response.received_at, response.case_id)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
    loop.clock.advance(days=30)
    clock = format_clock(question, today=get_uk_day(loop.clock()))
    assert (clock.words, clock.is_late) == ("Answered Friday 27 November", False)
    with loop.desk.store.read() as connection:
        assert list_unanswered(connection) == []


def test_answer_that_is_late_is_said_to_be_so_and_a_second_one_changes_nothing(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    loop.clock.advance(days=9)
    first = file(loop, answer(request_id), kind="response", earlier_reference=case.reference)
    loop.clock.advance(days=1)
    second = file(loop, answer(request_id), kind="response", earlier_reference=case.reference)
    (question,) = questions(loop, case.reference)
    assert question.answer_case_id == first.case_id
    assert second.answers_request == request_id
    assert format_clock(question, today=get_uk_day(loop.clock())).words == "Answered Friday 4 December, 2 days late"


@pytest.mark.parametrize("kind", ["supplement", "initial", "correction"])
def test_only_a_response_answers_a_question(loop: Loop, kind: str) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    file(loop, answer(request_id), kind=kind, earlier_reference=case.reference)
    assert questions(loop, case.reference)[0].answered_at is None


def test_another_partner_cannot_answer_and_is_doubted(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    other = Partner(partner="example-game")
    loop.enrol(partner=other)
    sealed = seal_report(other, key=loop.sealing_key(), report=answer(request_id), kind="response")
    reference = loop.send_industry(sealed).reference
    loop.collect()
    theirs = find(loop, reference)
    assert (theirs.joined_to, theirs.answers_request) == (None, None)
    assert questions(loop, case.reference)[0].answered_at is None
    ((head, _),) = list_case_doubts(theirs, [theirs])
    assert head == f"{reference} is a response, but names no open question about this report."


SOME_ID = "01a211d3-7340-7ff3-b7d7-b412be473e63"


@pytest.mark.parametrize("said", [SOME_ID, "The one of last week"])
def test_response_that_names_no_question_answers_the_only_open_one_about_its_report(loop: Loop, said: str) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference)
    response = file(loop, answer(said), kind="response", earlier_reference=case.reference)
    (question,) = questions(loop, case.reference)
    assert (question.request_id, question.answer_case_id) == (request_id, response.case_id)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
    assert list_case_doubts(case, [response]) == []


def check_answers_nothing(loop: Loop, reference: str, response: CaseRow) -> None:
    """A response is filed beside the report that it names and needs a look; no question counts as answered."""
    assert all(one.answered_at is None for one in questions(loop, reference))
    case = find(loop, reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, None)
    ((head, what),) = list_case_doubts(case, [case, response])
    assert head == f"{response.reference} is a response, but names no open question about this report."
    assert what.startswith("No question is marked as answered.")


def test_response_that_names_no_question_answers_none_of_two(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference)
    loop.clock.advance(days=9)  # late: the same is asked once more
    ask(loop, case.reference)
    response = file(loop, answer(SOME_ID), kind="response", earlier_reference=case.reference)
    assert len(questions(loop, case.reference)) == 2
    check_answers_nothing(loop, case.reference, response)


def test_response_to_a_report_about_which_nothing_was_asked_answers_nothing(loop: Loop) -> None:
    case, other = read(loop), read(loop)
    ask(loop, other.reference)
    response = file(loop, answer(SOME_ID), kind="response", earlier_reference=case.reference)
    check_answers_nothing(loop, case.reference, response)
    assert questions(loop, other.reference)[0].answered_at is None


def test_response_that_names_a_question_about_another_report_answers_neither(loop: Loop) -> None:
    case, other = read(loop), read(loop)
    ask(loop, case.reference)
    asked_elsewhere = ask(loop, other.reference)
    response = file(loop, answer(asked_elsewhere), kind="response", earlier_reference=case.reference)
    check_answers_nothing(loop, case.reference, response)
    assert questions(loop, other.reference)[0].answered_at is None


def test_second_answer_to_one_question_never_answers_another(loop: Loop) -> None:
    case = read(loop)
    first = ask(loop, case.reference)
    file(loop, answer(first), kind="response", earlier_reference=case.reference)
    second = ask(loop, case.reference)
    file(loop, answer(first), kind="response", earlier_reference=case.reference)
    answered = {one.request_id: one.answered_at is not None for one in questions(loop, case.reference)}
    assert answered == {first: True, second: False}


def test_response_to_what_was_joined_answers_the_only_open_question_of_the_case(loop: Loop) -> None:
    case = read(loop)
    added = file(loop, make_industry_report(), kind="supplement", earlier_reference=case.reference)
    request_id = ask(loop, case.reference)
    response = file(loop, answer(SOME_ID), kind="response", earlier_reference=added.reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
