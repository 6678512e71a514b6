"""Submitting a report: a partner's signed word on it, and the gateway's answers (WIRE.md §6.1, §10)."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import (
    EvidenceId,
    KeyId,
    PartnerId,
    Reference,
    ReportId,
    Sha256Hex,
    WireTime,
    base64url_of,
    check_reference,
    check_report_id,
    parse_time,
)
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, SealContext
from partner_sdk.wire.signing import (
    Environment,
    SignedKind,
    SignedStatement,
    StatementKind,
)

PUBLIC_SENDER = "public"
AGENCY = "agency"
# As many as fit a signed statement of 16 KiB.
MAX_EVIDENCE_IDS = 250
MAX_REPORT_BODY_BYTES = 6 * 1024 * 1024

ReportKind = Literal["initial", "supplement", "correction", "retraction", "response"]
Priority = Literal["P1", "P2", "P3"]
Way = Literal["phone", "plain"]  # sealed on the person's own phone, or by the gateway
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


class StatedFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clear fields that a partner states."""

    earlier_reference: Reference | None
    environment: Environment
    evidence_ids: EvidenceIds
    kind: ReportKind
    partner: PartnerId
    priority: Priority
    report_id: ReportId
    schema_version: Literal["1"]


class ClearFields(StatedFields, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The facts that the gateway may know about a report; the same fields are inside the seal.

    `way` is that of a report of the form. A partner's has none, nor one that the desk entered from a call.
    """

    way: Way | None = None


class SubmissionStatement(StatedFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clear fields, the digest of the envelope (hexadecimal) and the partner's time."""

    created_at: WireTime
    envelope_sha256: Sha256Hex


class ReportPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/reports`: the envelope in base64url and the signed statement."""

    envelope: Annotated[str, base64url_of("The sealed report.", "AQAAAAAAAAAA", most_bytes=MAX_ENVELOPE_BYTES)]
    statement: SignedStatement


def clear_fields_of(statement: SubmissionStatement) -> ClearFields:
    """Return the clear fields of a submission statement."""
    return ClearFields(**{name: getattr(statement, name) for name in StatedFields.__struct_fields__})


def check_clear_fields(fields: StatedFields) -> None:
    """Raise `FormatError` for an id, a reference or a list outside the format of WIRE.md §6.1."""
    if fields.partner != PUBLIC_SENDER:
        check_partner_id(fields.partner)
    check_report_id(fields.report_id)
    if fields.earlier_reference is not None:
        check_reference(fields.earlier_reference)
    check_evidence_ids(fields.evidence_ids)


def check_evidence_ids(evidence_ids: tuple[str, ...]) -> None:
    """Raise `FormatError` for too many ids, or for one that is malformed or named twice."""
    if len(evidence_ids) > MAX_EVIDENCE_IDS or len(set(evidence_ids)) != len(evidence_ids):
        raise FormatError("Evidence ids must be at most 250 and all different.", reason="malformed")
    for evidence_id in evidence_ids:
        check_report_id(evidence_id)


def check_partner_id(partner: str) -> None:
    """Raise `FormatError` unless `partner` is 1 to 64 of a-z, 0-9 and inner hyphens, and not a reserved word."""
    if not _PARTNER_ID.fullmatch(partner) or partner in _RESERVED_IDS:
        raise FormatError("A partner id has 1 to 64 of a-z, 0-9 and inner hyphens.", reason="malformed")


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
    # A statement that was built here has passed no decoder.
    if not _SHA256_HEX.fullmatch(statement.envelope_sha256):
        raise FormatError("A digest must be 64 hexadecimal digits in lower case.", reason="malformed")
    parse_time(statement.created_at)


SIGNED_SUBMISSION: Final = SignedKind(StatementKind.SUBMISSION, SubmissionStatement, check=_check_submission)


Stage = Literal["received", "collected", "set_aside", "opened"]

# Why the desk set a report aside: a code, and the sentence for its sender.
SetAsideReason = Literal["unreadable", "not-opened", "mismatch", "not-proven", "no-open-request", "held"]
SET_ASIDE_REASONS: Final[dict[SetAsideReason, str]] = {
    "unreadable": (
        "It opened, but a field or the version is unknown to the agency. "
        "Upgrade the SDK, or compare the report with /v1/schema/report.json, and send it again."
    ),
    "not-opened": (
        "It did not open: it was sealed to another key, or with clear fields that differ from its statement's. "
        "Fetch /v1/keys and send it again."
    ),
    "mismatch": "Its statement, envelope and sealed report contradict each other. Seal it again and send it again.",
    "not-proven": "Its statement is not signed by a current key of yours. Tell the agency by phone if you sent it.",
    "no-open-request": (
        "It is a response, but names no open question. It is filed with the report that it names, and answers "
        "nothing. Run `thread list`, and answer the right question."
    ),
    "held": "The agency is looking into it. You need do nothing.",
}
Outcome = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]


class ServiceCaller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The partner that the gateway recognises as the signer of a request."""

    environment: Environment
    key_id: KeyId
    partner: PartnerId


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/status`; `caller` is null for an unsigned question."""

    caller: ServiceCaller | None
    environment: Environment
    ready: Annotated[bool, Meta(description="False until the agency has published its keys.")]


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/reports/{id}`."""

    outcome: Outcome | None
    receipt: SignedStatement
    set_aside_reason: Annotated[
        SetAsideReason | None,
        Meta(description="With the stage `set_aside`: the reason why the desk could not read the report."),
    ]
    stage: Stage


class ReportProgress(msgspec.Struct, frozen=True):
    """How far an own report is. `outcome` is there once the agency released one.

    At the stage `set_aside` the desk holds the report and could not read it; `set_aside_reason` is the reason.
    """

    report_id: str
    stage: Stage
    outcome: str | None
    set_aside_reason: SetAsideReason | None = None
