"""Desk receipts: the agency's word for a report that came as a file, checked offline against the very post."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.client._receipts import check_receipt
from partner_sdk.errors import FormatError, StatementError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.receipts import (
    SIGNED_DESK_RECEIPT,
    DeskReceiptStatement,
    is_desk_receipt,
    verify_intake,
)
from partner_sdk.wire.signing import StatementKind, parse_statement, sign_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import DAY, NOW, Agency, Partner, make_clear_fields, make_key, seal_report, verify_key_of

AGENCY = Agency()
SIGNING_KEY = make_key(KeyRole.MAILBOX_SIGNING, name="agency")
RECEIPT_KEY = make_key(KeyRole.RECEIPT, name="gateway")
KEY_SET = AGENCY.key_set(mailbox_keys=(verify_key_of(SIGNING_KEY),), receipt_keys=(verify_key_of(RECEIPT_KEY),))
REPORT = seal_report(Partner(), key=AGENCY.sealing_key)
POST = ReportPost(envelope=to_base64url(REPORT.envelope), statement=parse_statement(REPORT.statement))
STATEMENT = DeskReceiptStatement(
    clear=REPORT.clear,
    environment="live",
    envelope_sha256=hashlib.sha256(REPORT.envelope).hexdigest(),
    received_at=format_time(NOW),
    reference="K7QF-2M9TX-D",
    submission_sha256=hashlib.sha256(REPORT.statement).hexdigest(),
)


def sign(**changes: object) -> bytes:
    changed = msgspec.structs.replace(STATEMENT, **changes)
    return sign_statement(changed, kind=StatementKind.DESK_RECEIPT, private_keys=(load_signing_key(SIGNING_KEY),))


def refused(raw: bytes, **settings: object) -> str:
    with pytest.raises((StatementError, FormatError)) as caught:
        check_receipt(raw, by="desk", **{"post": POST, "key_set": KEY_SET, "now": NOW, **settings})
    return caught.value.reason


def test_desk_receipt_verifies_for_the_very_post() -> None:
    raw = SIGNED_DESK_RECEIPT.sign(STATEMENT, load_signing_key(SIGNING_KEY))
    receipt = check_receipt(raw, by="desk", post=POST, key_set=KEY_SET, now=NOW)
    assert (receipt.statement, receipt.raw) == (STATEMENT, raw)
    assert (receipt.reference, receipt.report_id) == ("K7QF-2M9TX-D", REPORT.clear.report_id)
    assert is_desk_receipt(raw)
    assert SIGNED_DESK_RECEIPT.peek(raw) == STATEMENT


@pytest.mark.parametrize(
    "changes",
    [
        {"submission_sha256": "0" * 64},
        {"envelope_sha256": "0" * 64},
        {"clear": make_clear_fields("example-chat", priority="P1")},
    ],
)
def test_desk_receipt_of_something_else_is_a_mismatch(changes: dict[str, object]) -> None:
    assert refused(sign(**changes)) == "receipt-mismatch"


def test_desk_receipt_of_another_environment_is_refused() -> None:
    assert refused(sign(environment="sandbox")) == "wrong-environment"


def test_desk_receipt_signed_by_a_receipt_key_of_a_gateway_is_refused() -> None:
    raw = SIGNED_DESK_RECEIPT.sign(STATEMENT, load_signing_key(RECEIPT_KEY))
    assert refused(raw) == "unknown-key"


def test_desk_receipt_is_no_receipt_of_a_gateway() -> None:
    with pytest.raises((StatementError, FormatError)):
        verify_intake(sign(), key_set=KEY_SET, now=NOW)


def test_desk_receipt_dated_before_its_key_is_refused() -> None:
    assert refused(sign(received_at=format_time(NOW - 2 * DAY))) == "unknown-key"


def test_desk_receipt_is_believed_until_its_key_is_not() -> None:
    assert check_receipt(sign(), by="desk", post=POST, key_set=KEY_SET, now=NOW + 2499 * DAY)
    assert refused(sign(), now=NOW + 2501 * DAY) == "unknown-key"


@pytest.mark.parametrize(
    ("field", "value"), [("reference", "k7qf-2m9tx-d"), ("reference", "K7QF-2M9TX-E"), ("envelope_sha256", "F" * 64)]
)
def test_misspelled_desk_receipt_is_refused(field: str, value: str) -> None:
    assert refused(sign(**{field: value})) in {"bad-reference", "malformed"}


@given(st.binary(max_size=300))
def test_any_bytes_are_no_desk_receipt(raw: bytes) -> None:
    with pytest.raises((FormatError, StatementError)):
        check_receipt(raw, by="desk", post=POST, key_set=KEY_SET, now=NOW)
