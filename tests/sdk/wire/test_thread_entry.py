"""Entries in a thread: sealed for the agency alone, and the longest of them still fits its post."""

import msgspec
import pytest

from partner_sdk.errors import FormatError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, make_report_id, parse_base64url
from partner_sdk.wire.mailbox import (
    MAX_ENTRY_BODY_BYTES,
    MAX_ENTRY_ENVELOPE_BYTES,
    MAX_ENTRY_STATEMENT_BYTES,
    PACKAGE_OUTCOMES,
    ThreadEntry,
    entry_context,
    open_entry,
    seal_entry,
)
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import MAX_STATEMENT_BYTES, StatementKind, key_id_of, sign_statement
from tests.builders import NOW, Agency, Partner, raw_public_key
from tests.builders.vault import make_vault

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


def test_entry_is_opened_by_the_vault_of_the_agency_and_believed_under_the_key_of_its_partner() -> None:
    agency = Agency()
    post = seal_entry(ENTRY, submission_key=PARTNER.submission_key, agency_key=agency.sealing_key)
    box = Envelope.parse(parse_base64url(post.envelope))
    context = entry_context(environment="live", partner=PARTNER.partner, entry_id=post.entry_id)

    raw = make_vault(agency.key(KeyRole.SEALING)).open_entry(box, context=context)

    public = raw_public_key(PARTNER.key(KeyRole.SUBMISSION))
    keys = {key_id_of(public): public}
    assert open_entry(raw, keys=keys, environment="live", partner=PARTNER.partner, entry_id=ENTRY_ID) == ENTRY


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
