"""Destruction: the certificate, and the list of reports that the gateway forgets (WIRE.md §10.5).

The certificate is never sent. Both hold references, hashes, days and counts, and nothing of any content, so that the
certificate can be shown to a court.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import Sha256Hex, parse_time
from partner_sdk.wire.signing import (
    MAX_LIST_BYTES,
    Environment,
    KeySet,
    StatementKind,
    VerifyKey,
    open_dated_statement,
    open_statement,
    peek_statement,
    sign_statement,
    verify_keys,
)

MOST_CASES = 500
MOST_FORGOTTEN = 5_000  # reports: those of all cases of one list
DestructionReason = Literal["due", "erasure"]
Count = Annotated[int, Meta(ge=0)]


class ListedReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report of a listed case. `key_number` is the place of its key at the desk, None for one without a key."""

    case_id: str
    key_number: Annotated[int, Meta(ge=0)] | None
    partner: str
    reference: str
    report_id: str


class ListedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case on the list that two people sign. `report_sha256` are the digests of its sealed reports as they came."""

    case_id: str
    closed_at: str
    due_on: str
    reference: str
    report_sha256: tuple[Sha256Hex, ...]
    reports: tuple[ListedReport, ...]
    retention_class: str


class DestructionList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cases to destroy, and the reason."""

    cases: Annotated[tuple[ListedCase, ...], Meta(min_length=1, max_length=MOST_CASES)]
    destruction_id: str
    environment: Environment
    reason: DestructionReason


class DestroyedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The losses of one case: rows and their bytes, files and their bytes."""

    case_id: str
    destroyed_at: str
    file_bytes: Count
    files: Count
    row_bytes: Count
    rows: Count


# What is gone with every certificate.
GONE: Final = ("case-keys", "desk-copies", "evidence", "gateway-copies", "replies", "return-places")
Kept = Literal["backups-of-the-desk", "backups-of-the-gateway", "codes-days-and-hashes", "statements-at-the-gateway"]


class Remainder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is left, and its last day; None for good."""

    kept: Kept
    until: str | None


class DestructionCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificate; `list_sha256` is the digest of the list that both people signed with passkeys."""

    begun_at: str
    certified_at: str
    destroyed: tuple[DestroyedCase, ...]
    drafted_at: str
    drafted_by: str
    environment: Environment
    forgotten_at: str  # when the gateway confirmed
    gone: tuple[str, ...]
    list_sha256: Sha256Hex
    listed: DestructionList
    remains: tuple[Remainder, ...]
    signed_at: str
    signed_by: str


def sign_certificate(certificate: DestructionCertificate, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes; raises `FormatError` for a misspelled time."""
    parse_time(certificate.certified_at)
    return sign_statement(certificate, kind=StatementKind.DESTRUCTION, private_keys=(private_key,))


def peek_certificate(raw: bytes) -> DestructionCertificate:
    """Read a certificate without believing it; raises `FormatError`."""
    return peek_statement(raw, DestructionCertificate, max_bytes=MAX_LIST_BYTES)


def open_certificate(raw: bytes, *, signers: Iterable[VerifyKey], now: datetime) -> DestructionCertificate:
    """Return a certificate that a mailbox-signing key of the agency signed; raises `FormatError`, `StatementError`."""
    said = peek_certificate(raw)
    keys = verify_keys(tuple(signers), signed_at=parse_time(said.certified_at), now=now)
    return open_statement(
        raw,
        kind=StatementKind.DESTRUCTION,
        keys=keys,
        payload_type=DestructionCertificate,
        max_bytes=MAX_LIST_BYTES,
    )


class ForgottenReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report."""

    partner: str
    reference: str
    report_id: str


class ForgottenEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that no report names which stays."""

    evidence_id: str
    partner: str


class ForgetList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reports of one destruction, for the gateway to forget."""

    destruction_id: str
    environment: Environment
    evidence: Annotated[tuple[ForgottenEvidence, ...], Meta(max_length=MOST_FORGOTTEN)]
    issued_at: str
    reports: Annotated[tuple[ForgottenReport, ...], Meta(max_length=MOST_FORGOTTEN)]


def sign_forget_list(listed: ForgetList, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed list; raises `FormatError` for a misspelled time."""
    parse_time(listed.issued_at)
    return sign_statement(listed, kind=StatementKind.FORGET, private_keys=(private_key,))


def open_forget_list(raw: bytes, *, key_set: KeySet, now: datetime) -> ForgetList:
    """Return a list that a mailbox-signing key of the key set signed, for the environment of that set.

    Raises `FormatError`, `StatementError` (also `wrong-environment`).
    """
    listed = open_dated_statement(
        raw,
        kind=StatementKind.FORGET,
        signers=key_set.mailbox_keys,
        payload_type=ForgetList,
        dated_by="issued_at",
        now=now,
        max_bytes=MAX_LIST_BYTES,
    )
    if listed.environment != key_set.environment:
        raise StatementError("The list is for another environment.", reason="wrong-environment")
    return listed
