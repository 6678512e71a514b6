"""Entries in a thread: sealed for the agency alone, and the longest of them still fits its post."""

import msgspec
import pytest

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, make_report_id, parse_base64url
from partner_sdk.wire.mailbox import (
    MAX_ENTRY_BODY_BYTES,
    MAX_ENTRY_ENVELOPE_BYTES,
    MAX_ENTRY_STATEMENT_BYTES,
    PACKAGE_OUTCOMES,
    ThreadEntry,
    seal_entry,
)
from partner_sdk.wire.signing import MAX_STATEMENT_BYTES, StatementKind, sign_statement
from tests.builders import NOW, Agency, Partner

ENTRY_ID = make_report_id(NOW, b"entry-id--")
PARTNER = Partner("example-police")
ENTRY = ThreadEntry(
    about=make_report_id(NOW, b"message-id"),
    by="Sergeant Anna Example",
    created_at="2026-11-25T08:30:00Z",
    entry_id=ENTRY_ID,
    environment="live",
    kind="outcome",
    outcome="safeguarded",
    partner=PARTNER.partner,
    text="",
)


def test_longest_entry_fits_its_statement_its_box_and_its_post() -> None:
    longest = msgspec.structs.replace(
        ENTRY, by="x" + "\u0001" * 199, outcome="x" * 32, report_id=ENTRY_ID, text="\u0001" * 20_000
    )
    signed = sign_statement(longest, kind=StatementKind.THREAD_ENTRY, private_keys=(PARTNER.submission_key,))
    assert MAX_STATEMENT_BYTES < len(signed) <= MAX_ENTRY_STATEMENT_BYTES
    post = seal_entry(longest, submission_key=PARTNER.submission_key, agency_key=Agency().sealing_key)
    assert len(parse_base64url(post.envelope)) <= MAX_ENTRY_ENVELOPE_BYTES
    assert len(encode(post)) <= MAX_ENTRY_BODY_BYTES


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": None},
        {"outcome": "Found!"},
        {"kind": "thanks", "outcome": None},
        {"text": "x" * 20_001},
        {"by": "x" * 201},
        {"text": "half a character: \udc80"},
    ],
)
def test_entry_that_no_desk_would_take_is_never_sealed(changes: dict[str, str | None]) -> None:
    wrong = msgspec.structs.replace(ENTRY, **changes)
    with pytest.raises(FormatError):
        seal_entry(wrong, submission_key=PARTNER.submission_key, agency_key=Agency().sealing_key)


def test_every_outcome_has_a_sentence() -> None:
    assert len(PACKAGE_OUTCOMES) == 9
    assert all(words.endswith(".") for words in PACKAGE_OUTCOMES.values())
