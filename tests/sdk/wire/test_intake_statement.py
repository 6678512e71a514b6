"""Intake statements: the gateway's word for a stored report, checked offline years later."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.receipts import (
    FIRST_PREVIOUS,
    SIGNED_INTAKE,
    IntakeStatement,
    verify_intake,
    verify_receipt,
)
from tests.builders import DAY, NOW, Agency, Partner, make_key, seal_report, verify_key_of

AGENCY = Agency()
RECEIPT_KEY = make_key(KeyRole.RECEIPT, name="gateway")
KEY_SET = AGENCY.key_set(receipt_keys=(verify_key_of(RECEIPT_KEY),))
REPORT = seal_report(Partner(), key=AGENCY.sealing_key)
STATEMENT = IntakeStatement(
    clear=REPORT.clear,
    door="industry",
    envelope_sha256=hashlib.sha256(REPORT.envelope).hexdigest(),
    environment="live",
    epoch="epoch-1",
    instance="gateway-1",
    key_set_serial=1,
    placement=None,
    previous=FIRST_PREVIOUS,
    received_at=format_time(NOW),
    reference="K7QF-2M9TX-D",
    sequence=1,
    submission_sha256=hashlib.sha256(REPORT.statement).hexdigest(),
)


def sign(**changes: object) -> bytes:
    return SIGNED_INTAKE.sign(msgspec.structs.replace(STATEMENT, **changes), load_signing_key(RECEIPT_KEY))


def refused(raw: bytes, **settings: object) -> str:
    with pytest.raises((StatementError, FormatError)) as caught:
        verify_intake(raw, **{"key_set": KEY_SET, "now": NOW, **settings})
    return caught.value.reason


def test_receipt_verifies_for_its_submission() -> None:
    assert verify_receipt(sign(), key_set=KEY_SET, submission=REPORT.statement, now=NOW) == STATEMENT
    assert SIGNED_INTAKE.peek(sign()) == STATEMENT


@pytest.mark.parametrize("changes", [{"submission_sha256": "0" * 64}, {"submission_sha256": None}])
def test_receipt_of_another_submission_is_a_mismatch(changes: dict[str, object]) -> None:
    with pytest.raises(StatementError) as caught:
        verify_receipt(sign(**changes), key_set=KEY_SET, submission=REPORT.statement, now=NOW)
    assert caught.value.reason == "receipt-mismatch"


def test_key_counts_for_the_time_that_the_receipt_names() -> None:
    assert refused(sign(received_at=format_time(NOW - 2 * DAY))) == "unknown-key"
    assert verify_intake(sign(received_at=format_time(NOW + 399 * DAY)), key_set=KEY_SET, now=NOW + 399 * DAY)


def test_key_whose_use_has_ended_gives_no_new_receipts() -> None:
    assert refused(sign(received_at=format_time(NOW + 400 * DAY)), now=NOW + 400 * DAY) == "unknown-key"


def test_receipt_of_a_key_that_is_no_longer_used_holds_until_nobody_believes_the_key() -> None:
    assert verify_intake(sign(), key_set=KEY_SET, now=NOW + 2499 * DAY)
    assert refused(sign(), now=NOW + 2500 * DAY) == "unknown-key"


def test_key_of_another_role_is_refused() -> None:
    raw = SIGNED_INTAKE.sign(STATEMENT, load_signing_key(AGENCY.key(KeyRole.MAILBOX_SIGNING)))
    assert refused(raw) == "unknown-key"


@pytest.mark.parametrize(
    "raw",
    [
        sign(environment="sandbox"),
        sign(clear=msgspec.structs.replace(REPORT.clear, environment="sandbox")),
    ],
)
def test_other_environment_is_refused(raw: bytes) -> None:
    assert refused(raw) == "wrong-environment"
    assert refused(sign(), key_set=msgspec.structs.replace(KEY_SET, environment="sandbox")) == "wrong-environment"


@pytest.mark.parametrize("changes", [{"door": "feed"}, {"sequence": "1"}])
def test_statement_that_does_not_fit_its_model_is_malformed(changes: dict[str, object]) -> None:
    assert refused(sign(**changes)) == "malformed"


RAW = sign()


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    refused(RAW[:place] + bytes([RAW[place] ^ change]) + RAW[place + 1 :])


@given(st.binary(max_size=80))
def test_any_bytes_give_an_own_error(raw: bytes) -> None:
    refused(raw)
    with pytest.raises(FormatError):
        SIGNED_INTAKE.peek(raw)
