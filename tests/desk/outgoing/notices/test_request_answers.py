"""Answers to requests: a response stops the clock and stands with the case, also late, twice, or after a withdrawal."""

from typing import Any

import pytest

from gateway.desk.cases.actions.ledger import withdraw_action
from gateway.desk.cases.actions.model import Action, format_clock, get_action, list_clocks
from gateway.desk.cases.linking import list_linked
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import list_case_doubts
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.outgoing.service_requests import Asking, list_answers
from gateway.desk.partners.mailbox import seal_messages_again, write_message
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.mailbox import AskedAccount, InformationRequest, PreservationRequest, parse_body
from tests.builders import Partner, make_industry_report, seal_report
from tests.desk.asking_builders import NIGHT_OWL, ask, make_asking, make_preservation, make_stranger
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import collect_and_send, file, find, read, read_mailbox
from tests.desk.outbox_builders import send_out
from tests.desk.outgoing.notices.test_asking import read_public

SOME_ID = "01a211d3-7340-7ff3-b7d7-b412be473e63"


def ask_and_send(loop: Loop, reference: str, asking: Asking | None = None) -> str:
    action = ask(loop, reference, asking)
    send_out(loop.desk, "message")
    return action.action_id


def reread(loop: Loop, action_id: str) -> Action:
    with loop.desk.store.read() as connection:
        return get_action(connection, action_id)


def clock(loop: Loop, action_id: str) -> str:
    return format_clock(reread(loop, action_id), today=get_uk_day(loop.clock())).words


def answer(request_id: str) -> IndustryReport:
    return make_industry_report(answers_request=request_id)


def respond(loop: Loop, request_id: str, **clear: Any) -> CaseRow:
    return file(loop, answer(request_id), kind="response", **clear)


def test_question_goes_to_the_partner_sealed_and_signed_with_its_day(loop: Loop) -> None:
    case = read(loop)
    action = ask(loop, case.reference)
    assert read_mailbox(loop) == []
    collect_and_send(loop)
    (message,) = read_mailbox(loop)
    request = parse_body(parse_base64url(message.body), body=InformationRequest)
    assert (message.kind, message.recipient, message.number) == ("information-request", "example-chat", 1)
    assert (request.request_id, request.report_id, request.reference) == (
        message.message_id,
        case.report_id,
        case.reference,
    )
    assert (request.question, request.purpose) == (
        "Which addresses did it sign in from in November?",
        "To find the child.",
    )
    assert request.request_id == action.action_id
    assert reread(loop, action.action_id).state == "sent"


def test_request_to_keep_data_names_account_and_end_alone(loop: Loop) -> None:
    reference = read_public(loop)
    ask_and_send(loop, reference, make_preservation(loop))
    (message,) = read_mailbox(loop)
    request = parse_body(parse_base64url(message.body), body=PreservationRequest)
    assert (request.accounts, request.preserve_until) == ((NIGHT_OWL,), "2027-02-23T08:30:00Z")
    body = parse_base64url(message.body).decode()
    for trace in (reference, "Sam", "Brightwell", "mail.example", "900123", "necess"):
        assert trace not in body


def test_longest_question_of_wide_letters_reaches_the_partner(loop: Loop) -> None:
    wide = make_asking(loop, question="🙂" * 2000, purpose="🙂" * 300)
    ask_and_send(loop, read(loop).reference, wide)
    (message,) = read_mailbox(loop)
    assert parse_body(parse_base64url(message.body), body=InformationRequest).question == "🙂" * 2000


@pytest.mark.parametrize(
    ("days", "words"), [(0, "7 days left"), (6, "1 day left"), (7, "Due today"), (8, "1 day late"), (9, "2 days late")]
)
def test_clock_of_a_request_is_said_in_words(loop: Loop, days: int, words: str) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    loop.clock.advance(days=days)
    assert clock(loop, request_id) == words
    with loop.desk.store.read() as connection:
        clocks = list_clocks(connection, today=get_uk_day(loop.clock()))
    assert {case_id: one.words for case_id, one in clocks.items()} == {case.case_id: words}


@pytest.mark.parametrize("names_report", [True, False])
def test_response_answers_the_request_and_stops_its_clock(loop: Loop, names_report: bool) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    loop.clock.advance(days=2)
    response = respond(loop, request_id, earlier_reference=case.reference if names_report else None)
    action = reread(loop, request_id)
    assert (action.state, action.answered_at, action.answered_by) == ("answered", response.received_at, "example-chat")
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
    loop.clock.advance(days=30)
    assert clock(loop, request_id) == "Answered 27 November 2026"
    with loop.desk.store.read() as connection:
        assert list_clocks(connection, today=get_uk_day(loop.clock())) == {}


def test_late_answer_is_said_to_be_so_and_a_second_one_changes_nothing(loop: Loop) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    loop.clock.advance(days=9)
    first = respond(loop, request_id, earlier_reference=case.reference)
    loop.clock.advance(days=1)
    second = respond(loop, request_id, earlier_reference=case.reference)
    with loop.desk.store.read() as connection:
        answers = list_answers(connection, get_action(connection, request_id))
    assert [one.case_id for one in answers] == [first.case_id, second.case_id]
    assert clock(loop, request_id) == "Answered 4 December 2026, 2 days late"


def test_answer_to_a_withdrawn_request_is_kept_with_the_case_and_brings_nothing_back(loop: Loop) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    with loop.desk.store.write() as connection:
        withdraw_action(loop.desk, connection, request_id, reason="Another way was found.", actor=ACTOR)
    loop.clock.advance(days=1)
    response = respond(loop, request_id, earlier_reference=case.reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
    assert reread(loop, request_id).state == "withdrawn"


def test_answer_about_a_childs_report_is_linked_with_it_and_joins_nothing(loop: Loop) -> None:
    reference = read_public(loop)
    child = find(loop, reference)
    request_id = ask_and_send(loop, reference, make_stranger(loop))
    response = respond(loop, request_id)
    assert (response.joined_to, response.answers_request) == (None, request_id)
    with loop.desk.store.read() as connection:
        assert [one.case.case_id for one in list_linked(connection, child)] == [response.case_id]
    assert reread(loop, request_id).state == "answered"


def test_answer_that_names_a_report_of_its_own_still_answers_about_another_senders(loop: Loop) -> None:
    own = read(loop)
    reference = read_public(loop)
    request_id = ask_and_send(loop, reference, make_stranger(loop))
    response = respond(loop, request_id, earlier_reference=own.reference)
    assert (response.joined_to, response.answers_request) == (own.case_id, request_id)
    assert reread(loop, request_id).state == "answered"


@pytest.mark.parametrize("kind", ["supplement", "initial", "correction"])
def test_only_a_response_answers(loop: Loop, kind: str) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    file(loop, answer(request_id), kind=kind, earlier_reference=case.reference)
    assert reread(loop, request_id).state == "sent"


def test_another_partner_cannot_answer_and_is_doubted(loop: Loop) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    other = Partner(partner="example-game")
    loop.enrol(partner=other)
    sealed = seal_report(other, key=loop.sealing_key(), report=answer(request_id), kind="response")
    reference = loop.send_industry(sealed).reference
    loop.collect()
    theirs = find(loop, reference)
    assert (theirs.joined_to, theirs.answers_request) == (None, None)
    assert reread(loop, request_id).state == "sent"
    ((head, _),) = list_case_doubts(theirs, [theirs])
    assert head == f"{reference} is a response, but names no open question about this report."


def test_response_before_the_request_was_sent_answers_nothing(loop: Loop) -> None:
    case = read(loop)
    action = ask(loop, case.reference)
    response = respond(loop, action.action_id, earlier_reference=case.reference)
    assert response.answers_request is None


@pytest.mark.parametrize("said", [SOME_ID, "The one of last week"])
def test_response_that_names_no_request_answers_the_only_open_one_about_its_report(loop: Loop, said: str) -> None:
    case = read(loop)
    request_id = ask_and_send(loop, case.reference)
    response = respond(loop, said, earlier_reference=case.reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)
    assert reread(loop, request_id).state == "answered"
    assert list_case_doubts(case, [response]) == []


def check_answers_nothing(loop: Loop, reference: str, response: CaseRow, *request_ids: str) -> None:
    """A response is filed beside the report that it names and needs a look; no request counts as answered."""
    assert {reread(loop, one).state for one in request_ids} == {"sent"}
    case = find(loop, reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, None)
    ((head, what),) = list_case_doubts(case, [case, response])
    assert head == f"{response.reference} is a response, but names no open question about this report."
    assert what.startswith("No question is marked as answered.")


def test_response_that_names_no_request_answers_none_of_two(loop: Loop) -> None:
    case = read(loop)
    both = [ask_and_send(loop, case.reference), ask_and_send(loop, case.reference)]
    response = respond(loop, SOME_ID, earlier_reference=case.reference)
    check_answers_nothing(loop, case.reference, response, *both)


def test_response_that_names_a_request_about_another_report_answers_neither(loop: Loop) -> None:
    case, other = read(loop), read(loop)
    both = [ask_and_send(loop, case.reference), ask_and_send(loop, other.reference)]
    response = respond(loop, both[1], earlier_reference=case.reference)
    check_answers_nothing(loop, case.reference, response, *both)


def test_second_answer_to_one_request_never_answers_another(loop: Loop) -> None:
    case = read(loop)
    first = ask_and_send(loop, case.reference)
    respond(loop, first, earlier_reference=case.reference)
    second = ask_and_send(loop, case.reference)
    respond(loop, first, earlier_reference=case.reference)
    assert [reread(loop, one).state for one in (first, second)] == ["answered", "sent"]


def test_response_to_a_joined_report_answers_the_only_open_request_of_the_case(loop: Loop) -> None:
    case = read(loop)
    added = file(loop, make_industry_report(), kind="supplement", earlier_reference=case.reference)
    request_id = ask_and_send(loop, case.reference)
    response = respond(loop, SOME_ID, earlier_reference=added.reference)
    assert (response.joined_to, response.answers_request) == (case.case_id, request_id)


def test_messages_are_sealed_again_after_the_partner_lost_its_keys(loop: Loop) -> None:
    ask_and_send(loop, read(loop).reference)
    write_message(loop.desk, partner="example-chat", kind="welcome", body=encode({"text": "hello"}), actor=ACTOR)
    with loop.desk.store.write() as connection:
        assert seal_messages_again(loop.desk, connection, partner="example-chat", actor=ACTOR) == 2
        question = MAILBOX_MESSAGES.c.case_id.is_not(None)
        connection.execute(MAILBOX_MESSAGES.update().where(question).values(envelope=b"", desk_copy=None))
        assert seal_messages_again(loop.desk, connection, partner="example-chat", actor=ACTOR) == 1


def test_third_partner_gets_nothing_of_a_request(loop: Loop) -> None:
    third = Partner(partner="example-game")
    loop.enrol(partner=third)
    reference = read_public(loop)
    ask_and_send(loop, reference, make_stranger(loop, accounts=(AskedAccount(kind="username", value="owl"),)))
    collect_and_send(loop)
    assert len(read_mailbox(loop)) == 1
    assert read_mailbox(loop, partner=third) == []
