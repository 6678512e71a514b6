"""Receipts: the gateway's signed statement that a report is stored, and the desk's for one that came as a file.

An intake statement is the sender's receipt (WIRE.md §6.2). A desk receipt has no place in a gateway's chain: the report
may never have been at a gateway (§6.7).
"""

import hashlib
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import Reference, Sha256Hex, StatedSha256, WireTime, check_reference
from partner_sdk.wire.signing import (
    Environment,
    KeySet,
    SignedKind,
    StatementKind,
    parse_statement,
)
from partner_sdk.wire.submission import ClearFields

Door = Literal["public", "industry"]
FIRST_PREVIOUS = "0" * 64  # the first statement of an epoch has no predecessor
PLACEMENT_MAX = 40
# For the whole text: with fullmatch, or between ^ and \Z.
PLACEMENT_PATTERN = f"[a-z0-9][a-z0-9_-]{{0,{PLACEMENT_MAX - 1}}}"


class IntakeStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link of its sender's chain. Digests are hexadecimal SHA-256.

    Each partner has a chain of its own, and the public form has one: no number here counts another sender's reports.
    `previous` is that of the sender's signed statement before, or `FIRST_PREVIOUS` for its first of an epoch.
    `submission_sha256` is null at the public door, `placement` at the industry door.
    """

    clear: ClearFields
    door: Door
    envelope_sha256: StatedSha256
    environment: Environment
    epoch: Annotated[str, Meta(description="Changes after every restore of the gateway.")]
    instance: Annotated[str, Meta(description="The gateway's own name.")]
    key_set_serial: Annotated[int, Meta(description="The key set in force.")]
    placement: Annotated[str, Meta(description="Where the button stood; null at the industry door.")] | None
    previous: StatedSha256
    received_at: WireTime
    reference: Reference
    sequence: Annotated[int, Meta(description="The number of the statement among this sender's own.")]
    submission_sha256: StatedSha256 | None


SIGNED_INTAKE: Final = SignedKind(StatementKind.INTAKE, IntakeStatement, dated_by="received_at")


def verify_intake(raw: bytes, *, key_set: KeySet, now: datetime) -> IntakeStatement:
    """Return the statement if a receipt key signed it that was in use at its `received_at` and is believed `now`.

    Works offline with a stored key set, also with one that has expired. The spelling of its names and its place in the
    chain are not judged here: that is the desk's. Raises `FormatError` and `StatementError` (also `wrong-environment`).
    """
    statement = SIGNED_INTAKE.open_dated(raw, signers=key_set.receipt_keys, now=now)
    _check_environment(statement, key_set=key_set)
    return statement


def verify_receipt(raw: bytes, *, key_set: KeySet, submission: bytes, now: datetime) -> IntakeStatement:
    """Return the receipt if it is the gateway's and names this very signed submission (its DSSE bytes).

    Raises as `verify_intake`, and `StatementError` (`receipt-mismatch`) for a genuine receipt of something else. The
    clear fields of both are not compared: `Partner.check_receipt` does that.
    """
    statement = verify_intake(raw, key_set=key_set, now=now)
    _check_submission(statement, submission=submission)
    return statement


class DeskReceiptStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The desk's statement about one sealed report. Digests are hexadecimal SHA-256: of the envelope, and of the signed
    submission beside it. `received_at` is when the desk took the file in.
    """

    clear: ClearFields
    environment: Environment
    envelope_sha256: Sha256Hex
    received_at: str
    reference: str
    submission_sha256: Sha256Hex


SIGNED_DESK_RECEIPT: Final = SignedKind(
    StatementKind.DESK_RECEIPT,
    DeskReceiptStatement,
    dated_by="received_at",
    check=lambda statement: check_reference(statement.reference),
)


def is_desk_receipt(raw: bytes) -> bool:
    """Return whether signed bytes claim to be a desk receipt, believed or not; raises `FormatError`."""
    return parse_statement(raw).payloadType == StatementKind.DESK_RECEIPT.value


def verify_desk_receipt(raw: bytes, *, key_set: KeySet, submission: bytes, now: datetime) -> DeskReceiptStatement:
    """Return the receipt if a mailbox-signing key of the agency signed it for this very submission (its DSSE bytes).

    The key must have been in use at its `received_at` and be believed `now`. Works offline with a stored key set.
    Raises `FormatError` and `StatementError` (also `wrong-environment`, `receipt-mismatch`).
    """
    statement = SIGNED_DESK_RECEIPT.open_dated(raw, signers=key_set.mailbox_keys, now=now)
    _check_environment(statement, key_set=key_set)
    _check_submission(statement, submission=submission)
    return statement


def _check_environment(statement: IntakeStatement | DeskReceiptStatement, *, key_set: KeySet) -> None:
    if not statement.environment == statement.clear.environment == key_set.environment:
        raise StatementError("The receipt is for another environment.", reason="wrong-environment")


def _check_submission(statement: IntakeStatement | DeskReceiptStatement, *, submission: bytes) -> None:
    if statement.submission_sha256 != hashlib.sha256(submission).hexdigest():
        raise StatementError("The receipt is for another submission.", reason="receipt-mismatch")
