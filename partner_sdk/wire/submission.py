"""Submission statements: what a partner signs about a sealed report, stored and judged verbatim (WIRE.md §6.1)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import check_report_id, parse_base64url, parse_exact, parse_time
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, SealContext
from partner_sdk.wire.field_types import (
    EvidenceId,
    PartnerId,
    Reference,
    ReportId,
    Sha256Digits,
    WireTime,
    base64url_of,
)
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.reference import check_reference
from partner_sdk.wire.statements import SignedStatement, StatementKind, open_statement, sign_statement

PUBLIC_SENDER = "public"
AGENCY = "agency"
SCHEMA_VERSION = "1"
# As many as fit a signed statement of 16 KiB.
MAX_EVIDENCE_IDS = 250
MAX_REPORT_BODY_BYTES = 6 * 1024 * 1024

ReportKind = Literal["initial", "supplement", "correction", "retraction", "response"]
Priority = Literal["P1", "P2", "P3"]
EvidenceIds = Annotated[
    tuple[EvidenceId, ...],
    Meta(
        description="The evidence that belongs to the report; it need not be complete yet.",
        extra_json_schema={"maxItems": MAX_EVIDENCE_IDS, "uniqueItems": True},
    ),
]

# `public` or the id of a partner, as a chain is named by it. For the whole text: with fullmatch, or between ^ and \Z.
SENDER_PATTERN = "[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
_PARTNER_ID = re.compile(SENDER_PATTERN)
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_RESERVED_IDS = frozenset({PUBLIC_SENDER, AGENCY})


class ClearFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gateway may know of a report; the same fields stand inside the seal."""

    earlier_reference: Reference | None
    environment: Environment
    evidence_ids: EvidenceIds
    kind: ReportKind
    partner: PartnerId
    priority: Priority
    report_id: ReportId
    schema_version: Literal["1"]


class SubmissionStatement(ClearFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clear fields, the digest of the envelope (hexadecimal) and the partner's time."""

    created_at: WireTime
    envelope_sha256: Sha256Digits


class ReportPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/reports`: the envelope in base64url and the signed statement."""

    envelope: Annotated[str, base64url_of("The sealed report.", "AQAAAAAAAAAA", most_bytes=MAX_ENVELOPE_BYTES)]
    statement: SignedStatement


def clear_fields_of(statement: SubmissionStatement) -> ClearFields:
    """Return the clear fields of a submission statement."""
    return ClearFields(**{name: getattr(statement, name) for name in ClearFields.__struct_fields__})


def check_clear_fields(fields: ClearFields) -> None:
    """Raise `FormatError` for an id, a reference or a list that is not spelled as WIRE.md §6.1 says."""
    if fields.partner != PUBLIC_SENDER:
        check_partner_id(fields.partner)
    check_report_id(fields.report_id)
    if fields.earlier_reference is not None:
        check_reference(fields.earlier_reference)
    if len(fields.evidence_ids) > MAX_EVIDENCE_IDS or len(set(fields.evidence_ids)) != len(fields.evidence_ids):
        raise FormatError("Evidence ids must be at most 250 and all different.", reason="malformed")
    for evidence_id in fields.evidence_ids:
        check_report_id(evidence_id)


def check_partner_id(partner: str) -> None:
    """Raise `FormatError` unless `partner` is 1 to 64 of a-z, 0-9 and inner hyphens, and not a reserved word."""
    if not _PARTNER_ID.fullmatch(partner) or partner in _RESERVED_IDS:
        raise FormatError("A partner id has 1 to 64 of a-z, 0-9 and inner hyphens.", reason="malformed")


def sign_submission(statement: SubmissionStatement, *, submission_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes; raises `FormatError` if a clear field is misspelled."""
    _check_submission(statement)
    return sign_statement(statement, kind=StatementKind.SUBMISSION, private_keys=(submission_key,))


def open_submission(raw: bytes, *, keys: Mapping[str, bytes], envelope: bytes | None = None) -> SubmissionStatement:
    """Return the statement if one of `keys` signed it, and if it names `envelope` where that is given.

    Raises `FormatError` and `StatementError` (also `envelope-mismatch`).
    """
    statement = open_statement(raw, kind=StatementKind.SUBMISSION, keys=keys, payload_type=SubmissionStatement)
    _check_submission(statement)
    if envelope is not None and hashlib.sha256(envelope).hexdigest() != statement.envelope_sha256:
        raise StatementError("The statement names another envelope.", reason="envelope-mismatch")
    return statement


def peek_submission(signed: SignedStatement) -> SubmissionStatement:
    """Return what a submission statement says, without checking who signed it; raises `FormatError`."""
    payload = parse_base64url(signed.payload)
    return parse_exact(payload, kind=SubmissionStatement, max_bytes=len(payload))


def report_context(fields: ClearFields) -> SealContext:
    """Return the context that a report is sealed in, from its clear fields."""
    return SealContext(
        environment=fields.environment,
        purpose="report",
        sender=fields.partner,
        recipient=AGENCY,
        id=fields.report_id,
        kind=fields.kind,
        priority=fields.priority,
        schema_version=fields.schema_version,
    )


def _check_submission(statement: SubmissionStatement) -> None:
    check_partner_id(statement.partner)
    check_clear_fields(statement)
    parse_time(statement.created_at)
    if not _SHA256_HEX.fullmatch(statement.envelope_sha256):
        raise FormatError("A digest must be 64 hexadecimal digits in lower case.", reason="malformed")
