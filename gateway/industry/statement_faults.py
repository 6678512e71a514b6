"""The statement of a report that a partner posts: opened as its own, or refused with each fault by its field."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_type_hints

import msgspec

from partner_sdk.errors import FieldFault, FormatError, StatementError
from partner_sdk.wire.canonical import (
    check_reference,
    check_report_id,
    convert,
    decode,
    encode,
    format_unknown,
    parse_base64url,
    parse_time,
)
from partner_sdk.wire.signing import (
    MAX_STATEMENT_BYTES,
    SIGNATURE_BYTES,
    Environment,
    SignedStatement,
    StatementKind,
    open_statement,
    parse_statement,
)
from partner_sdk.wire.submission import (
    MAX_EVIDENCE_IDS,
    SCHEMA_VERSION,
    SIGNED_SUBMISSION,
    Priority,
    ReportKind,
    SubmissionStatement,
    check_evidence_ids,
)

ENVELOPE_FAULT: Final = FieldFault(
    "#/statement/payload/envelope_sha256", "Give the SHA-256 of the envelope exactly as sent."
)

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
            check_evidence_ids(found)
        elif name == "report_id":
            check_report_id(found)
    except (msgspec.ValidationError, FormatError):
        return False
    return True


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
