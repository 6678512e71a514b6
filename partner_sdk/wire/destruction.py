"""The certificate of destruction: which cases the agency destroyed, why, when and by whom, signed by its desk.

It is never sent. It holds references, hashes, days and counts, and nothing of any content, so that it can be shown to
whoever has to believe it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.evidence import Sha256Hex
from partner_sdk.wire.keys import Environment, VerifyKey, verify_keys
from partner_sdk.wire.statements import MAX_LIST_BYTES, StatementKind, open_statement, peek_statement, sign_statement

MOST_CASES = 500
DestructionReason = Literal["due", "erasure"]
Count = Annotated[int, Meta(ge=0)]


class ListedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case on the list that two people sign. `report_sha256` are the digests of its sealed reports as they came."""

    case_id: str
    closed_at: str
    due_on: str
    reference: str
    report_sha256: tuple[Sha256Hex, ...]
    retention_class: str


class DestructionList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The list: what is to be destroyed, and why."""

    cases: Annotated[tuple[ListedCase, ...], Meta(min_length=1, max_length=MOST_CASES)]
    destruction_id: str
    environment: Environment
    reason: DestructionReason


class DestroyedCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went with one case: rows and their bytes, files and their bytes."""

    case_id: str
    destroyed_at: str
    file_bytes: Count
    files: Count
    row_bytes: Count
    rows: Count


class DestructionCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificate; `list_sha256` is the digest of the list that the second person signed with a passkey."""

    certified_at: str
    destroyed: tuple[DestroyedCase, ...]
    drafted_at: str
    drafted_by: str
    environment: Environment
    list_sha256: Sha256Hex
    listed: DestructionList
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
