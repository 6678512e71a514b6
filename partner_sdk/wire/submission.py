"""Submitting a report: a partner's signed word on it, and the gateway's answers (WIRE.md §6.1, §10)."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from partner_sdk.errors import FieldFault, FormatError, StatementError
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
    convert,
    decode,
    encode,
    format_unknown,
    parse_base64url,
    parse_time,
)
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, SealContext
from partner_sdk.wire.signing import (
    MAX_STATEMENT_BYTES,
    SIGNATURE_BYTES,
    Environment,
    SignedKind,
    SignedStatement,
    StatementKind,
    open_statement,
    parse_statement,
)

PUBLIC_SENDER = "public"
AGENCY = "agency"
SCHEMA_VERSION = "1"
# As many as fit a signed statement of 16 KiB.
MAX_EVIDENCE_IDS = 250
MAX_REPORT_BODY_BYTES = 6 * 1024 * 1024

ENVELOPE_FAULT: Final = FieldFault(
    "#/statement/payload/envelope_sha256", "Give the SHA-256 of the envelope exactly as sent."
)

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
    """The facts that the gateway may know about a report; the same fields are inside the seal."""

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
    envelope_sha256: Sha256Hex


class ReportPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/reports`: the envelope in base64url and the signed statement."""

    envelope: Annotated[str, base64url_of("The sealed report.", "AQAAAAAAAAAA", most_bytes=MAX_ENVELOPE_BYTES)]
    statement: SignedStatement


def clear_fields_of(statement: SubmissionStatement) -> ClearFields:
    """Return the clear fields of a submission statement."""
    return ClearFields(**{name: getattr(statement, name) for name in ClearFields.__struct_fields__})


def check_clear_fields(fields: ClearFields) -> None:
    """Raise `FormatError` for an id, a reference or a list outside the format of WIRE.md §6.1."""
    if fields.partner != PUBLIC_SENDER:
        check_partner_id(fields.partner)
    check_report_id(fields.report_id)
    if fields.earlier_reference is not None:
        check_reference(fields.earlier_reference)
    _check_evidence_ids(fields.evidence_ids)


def _check_evidence_ids(evidence_ids: tuple[str, ...]) -> None:
    if len(evidence_ids) > MAX_EVIDENCE_IDS or len(set(evidence_ids)) != len(evidence_ids):
        raise FormatError("Evidence ids must be at most 250 and all different.", reason="malformed")
    for evidence_id in evidence_ids:
        check_report_id(evidence_id)


def check_partner_id(partner: str) -> None:
    """Raise `FormatError` unless `partner` is 1 to 64 of a-z, 0-9 and inner hyphens, and not a reserved word."""
    if not _PARTNER_ID.fullmatch(partner) or partner in _RESERVED_IDS:
        raise FormatError("A partner id has 1 to 64 of a-z, 0-9 and inner hyphens.", reason="malformed")


def open_own_submission(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, environment: Environment
) -> SubmissionStatement:
    """Return the statement if it holds and is `partner`'s own, or raise `StatementError` that names every fault."""
    try:
        statement = SIGNED_SUBMISSION.open(raw, keys=keys)
    except (FormatError, StatementError) as error:
        reason = error.reason
    else:
        if (statement.partner, statement.environment) == (partner, environment):
            return statement
        reason = "wrong-sender"
    faults = _list_statement_faults(raw, keys=keys, partner=partner, environment=environment)
    raise StatementError("The submission statement is not valid.", reason=reason, faults=tuple(faults))


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


# The valid values of each field of a submission statement; faults are listed in this order.
_FIELD_SENTENCES: Final = {
    "created_at": "Give a time in UTC and whole seconds, like 2026-11-25T08:30:00Z.",
    "earlier_reference": "Give null, or the canonical reference of your own report, e.g. K7QF-2M9TX-D.",
    "environment": "Give the environment of your enrolment, live or sandbox.",
    "envelope_sha256": "Give the SHA-256 of the envelope in 64 lower-case hexadecimal digits.",
    "evidence_ids": f"Give a list of at most {MAX_EVIDENCE_IDS} ids (UUIDv7), each once.",
    "kind": f"Give one of {', '.join(get_args(ReportKind))}.",
    "partner": "Give your own partner id, as in your invitation.",
    "priority": f"Give one of {', '.join(get_args(Priority))}.",
    "report_id": "Give a UUIDv7 in lower case with hyphens.",
    "schema_version": f'Give "{SCHEMA_VERSION}".',
}
_OUTER_SENTENCES: Final = {
    "wrong-kind": ("/payloadType", f"Give {StatementKind.SUBMISSION.value}."),
    "wrong-signature-count": ("/signatures", "Give exactly one signature."),
    "unknown-key": (
        "/signatures/0/keyid",
        "Sign with the key that signs the request, or with one that it replaced recently.",
    ),
    "bad-signature": (
        "/signatures/0/sig",
        "Sign DSSE's pre-authentication encoding of the payload's bytes, before base64url, with this key.",
    ),
}
_POINTER: Final = "#/statement"


def _list_statement_faults(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, environment: Environment
) -> Iterator[FieldFault]:
    """Yield every fault of a statement that was refused, in our own words: never the sender's."""
    try:
        signed = parse_statement(raw)
    except FormatError:
        yield FieldFault(_POINTER, f"Give a statement of at most {MAX_STATEMENT_BYTES // 1024} KiB.")
        return
    place, sentence = _find_outer_fault(signed, keys=keys)
    if place is not None:
        yield FieldFault(_POINTER + place, sentence)
    if place != "/payload":
        yield from _list_payload_faults(parse_base64url(signed.payload), partner=partner, environment=environment)


def _find_outer_fault(signed: SignedStatement, *, keys: Mapping[str, bytes]) -> tuple[str | None, str]:
    try:
        parse_base64url(signed.payload)
    except FormatError:
        return "/payload", "Give the payload's bytes in base64url, unpadded."
    try:
        if len(signed.signatures) == 1:
            parse_base64url(signed.signatures[0].sig, length=SIGNATURE_BYTES)
    except FormatError:
        return "/signatures/0/sig", f"Give the {SIGNATURE_BYTES} bytes of an Ed25519 signature in base64url, unpadded."
    try:
        open_statement(encode(signed), kind=StatementKind.SUBMISSION, keys=keys, payload_type=Any)
    except StatementError as error:
        return _OUTER_SENTENCES[error.reason]
    except FormatError:
        pass  # of the payload: told field by field
    return None, ""


def _list_payload_faults(body: bytes, *, partner: str, environment: Environment) -> Iterator[FieldFault]:
    place = f"{_POINTER}/payload"
    try:
        value = decode(body)
        is_canonical = encode(value) == body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, FormatError):
        value, is_canonical = None, False
    if not isinstance(value, dict):
        yield FieldFault(place, "Give one JSON object in UTF-8.")
        return
    if not is_canonical:
        yield FieldFault(place, "Send canonical JSON (RFC 8785): sorted keys, no white space, each key once.")
    if set(value) - set(_FIELD_SENTENCES):
        which = format_unknown(value, known=_FIELD_SENTENCES)
        yield FieldFault(place, f"Unknown field: {which}. Keep only {', '.join(_FIELD_SENTENCES)}.")
    for name, sentence in _FIELD_SENTENCES.items():
        if name not in value:
            yield FieldFault(f"{place}/{name}", f"Add this field. {sentence}")
        elif not _fits(name, value[name], partner=partner, environment=environment):
            yield FieldFault(f"{place}/{name}", sentence)


def _fits(name: str, value: Any, *, partner: str, environment: Environment) -> bool:
    if name in {"partner", "environment"}:
        return bool(value == (partner if name == "partner" else environment))
    try:
        kind = get_type_hints(SubmissionStatement, include_extras=True)[name]
        found = convert(value, kind=kind)
        if name == "created_at":
            parse_time(found)
        elif name == "earlier_reference" and found is not None:
            check_reference(found)
        elif name == "evidence_ids":
            _check_evidence_ids(found)
        elif name == "report_id":
            check_report_id(found)
    except (msgspec.ValidationError, FormatError):
        return False
    return True


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


class WaitingReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of `POST /v1/enrol` and `POST /v1/account`: the box waits for the desk, which decides."""

    status: Literal["waiting"] = "waiting"


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
