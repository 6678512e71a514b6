"""Desk receipts: the agency's signed word that a sealed report, which came as a file, is at its desk (WIRE.md §6.7).

It has no place in a gateway's chain: the report may never have been at a gateway.
"""

import hashlib
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import parse_base64url, parse_exact, parse_time
from partner_sdk.wire.evidence import Sha256Hex
from partner_sdk.wire.keys import Environment, KeySet, verify_keys
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.statements import StatementKind, open_statement, parse_statement, sign_statement
from partner_sdk.wire.submission import ClearFields


class DeskReceiptStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the desk says of one sealed report. Digests are hexadecimal SHA-256: of the envelope, and of the signed
    submission beside it. `received_at` is when the desk took the file in.
    """

    clear: ClearFields
    environment: Environment
    envelope_sha256: Sha256Hex
    received_at: str
    reference: str
    submission_sha256: Sha256Hex


def sign_desk_receipt(statement: DeskReceiptStatement, *, mailbox_signing_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes that the partner keeps; raises `FormatError` for a misspelled reference or time."""
    check_reference(statement.reference)
    parse_time(statement.received_at)
    return sign_statement(statement, kind=StatementKind.DESK_RECEIPT, private_keys=(mailbox_signing_key,))


def peek_desk_receipt(raw: bytes) -> DeskReceiptStatement:
    """Read a desk receipt without believing it, for the time that names its key; raises `FormatError`."""
    body = parse_base64url(parse_statement(raw).payload)
    return parse_exact(body, kind=DeskReceiptStatement, max_bytes=len(body))


def is_desk_receipt(raw: bytes) -> bool:
    """Return whether signed bytes say that they are a desk receipt, believed or not; raises `FormatError`."""
    return parse_statement(raw).payloadType == StatementKind.DESK_RECEIPT.value


def verify_desk_receipt(raw: bytes, *, key_set: KeySet, submission: bytes, now: datetime) -> DeskReceiptStatement:
    """Return the receipt if a mailbox-signing key of the agency signed it for this very submission (its DSSE bytes).

    The key must have been in use at its `received_at` and be believed `now`. Works offline with a stored key set.
    Raises `FormatError` and `StatementError` (also `wrong-environment`, `receipt-mismatch`).
    """
    claimed_at = parse_time(peek_desk_receipt(raw).received_at)
    statement = open_statement(
        raw,
        kind=StatementKind.DESK_RECEIPT,
        keys=verify_keys(key_set.mailbox_keys, signed_at=claimed_at, now=now),
        payload_type=DeskReceiptStatement,
    )
    check_reference(statement.reference)
    if not statement.environment == statement.clear.environment == key_set.environment:
        raise StatementError("The receipt is for another environment.", reason="wrong-environment")
    if statement.submission_sha256 != hashlib.sha256(submission).hexdigest():
        raise StatementError("The receipt is for another submission.", reason="receipt-mismatch")
    return statement
