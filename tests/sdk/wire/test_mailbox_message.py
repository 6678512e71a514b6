"""Questions and outcomes on the wire: strict, bounded, and with words for every code."""

import os
from typing import Any

import msgspec
import pytest

from partner_sdk.console.mailbox import format_outcome
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, make_report_id
from partner_sdk.wire.mailbox import MAX_BODY_BYTES, OUTCOMES, InformationRequest, OutcomeNote, encode_body, parse_body
from tests.builders import NOW

REQUEST = InformationRequest(
    due_at="2026-12-02T08:30:00Z",
    legal_basis="The law.",
    purpose="To find the child.",
    question="Which account?",
    reference="K7QF-2M9TX-D",
    report_id=make_report_id(NOW, os.urandom(10)),
    request_id=make_report_id(NOW, os.urandom(10)),
)
NOTE = OutcomeNote(
    outcome="used", reference="K7QF-2M9TX-D", released_at="2026-12-02T08:30:00Z", report_id=REQUEST.report_id
)


def test_bodies_come_back_as_they_were_written() -> None:
    assert parse_body(encode_body(REQUEST), body=InformationRequest) == REQUEST
    assert parse_body(encode_body(NOTE), body=OutcomeNote) == NOTE


@pytest.mark.parametrize(
    "changes",
    [
        {"due_at": "tomorrow"},
        {"legal_basis": ""},
        {"legal_basis": " \n"},
        {"purpose": "x" * 301},
        {"question": "x" * 2001},
        {"question": "  "},
        {"reference": "k7qf-2m9tx-d"},
        {"report_id": "1"},
        {"request_id": "1"},
    ],
)
def test_request_that_is_misspelled_is_refused_by_both_sides(changes: dict[str, Any]) -> None:
    wrong = msgspec.structs.replace(REQUEST, **changes)
    with pytest.raises(FormatError):
        parse_body(encode(wrong), body=InformationRequest)
    if not {len(str(value)) for value in changes.values()} & {0, 301, 2001}:  # the types alone hold lengths
        with pytest.raises(FormatError):
            encode_body(wrong)


@pytest.mark.parametrize(
    "changes", [{"outcome": "Used!"}, {"outcome": ""}, {"reference": "x"}, {"released_at": "now"}, {"report_id": "1"}]
)
def test_outcome_that_is_misspelled_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_body(encode(msgspec.structs.replace(NOTE, **changes)), body=OutcomeNote)


def test_unknown_fields_and_other_spellings_are_refused() -> None:
    raw = encode_body(REQUEST)
    for wrong in (raw + b" ", raw[:-1] + b',"x":1}', encode_body(NOTE), b"", b"{}"):
        with pytest.raises(FormatError):
            parse_body(wrong, body=InformationRequest)


def test_longest_question_fits_its_body() -> None:
    longest = msgspec.structs.replace(
        REQUEST, question="\U0001f642" * 2000, purpose="\U0001f642" * 300, legal_basis="\U0001f642" * 300
    )
    raw = encode_body(longest)
    assert len(raw) < MAX_BODY_BYTES
    assert parse_body(raw, body=InformationRequest) == longest


def test_every_outcome_has_words_and_one_of_a_later_release_stands_for_itself() -> None:
    for code, words in OUTCOMES:
        assert format_outcome(code) == words
        assert words.endswith(".")
    assert format_outcome("sent_to_police") == "sent to police"
