"""Authenticates requests at the industry door and the feed, first the headers, then the body, and answers both.

Never reads the body before the signature over its digest is verified. Never reveals which check failed, except to a
caller whose signature matches a known key: it learns which rule of the profile it broke. Each door supplies its own
keys. Both answer in canonical JSON, or with stored signed bytes. Never echoes the request in a problem.

A partner's key counts only if it is in the register signed by the agency.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, current_app, request

from gateway.evidence.keeper import EvidencePausedError, EvidenceQuotaError, IncompleteEvidenceError
from gateway.exchange.feed import ENROLMENT, RegisterEntry, list_former_keys
from gateway.exchange.request_signatures import (
    STAND_IN_KEY,
    WRONG_DIGEST_ADVICE,
    SignatureClaim,
    check_claim,
    check_content_digest,
    explain_refusal,
    is_unreserved_path,
    parse_signature_headers,
)
from gateway.intake import (
    ConflictingReportError,
    EnvelopeMismatchError,
    NoActiveKeyError,
    ReceiptKeyNotInUseError,
    ReferenceTakenError,
    UnknownSealingKeyError,
    WrongDoorError,
    WrongEnvironmentError,
)
from gateway.key_state import AcceptedKeys
from gateway.limits import SharedStore
from gateway.store import StorageUnavailableError
from gateway.store.evidence import ConflictingEvidenceError
from gateway.store.items import ConflictingInvitationError, ConflictingItemError, NoRoomError
from gateway.web.logs import log_failure
from gateway.web.rules import RequestRefusedError, find_current_rule, make_problem_response
from gateway.wiring import Gateway, get_gateway
from partner_sdk.errors import (
    EnvelopeError,
    FieldFault,
    FormatError,
    KeySetError,
    LogError,
    RegisterError,
    ReportAbuseError,
    SignatureProfileError,
    StatementError,
)
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, list_mismatch_faults, parse_base64url
from partner_sdk.wire.problems import Problem
from partner_sdk.wire.signing import CONTENT_TYPE, PUBLIC_KEY_BYTES


class NotReadyError(ReportAbuseError):
    """The agency has not published its keys yet, so no caller can be authenticated."""


class UnknownInvitationError(ReportAbuseError):
    """No open invitation has this secret."""


class UnknownItemError(ReportAbuseError):
    """The caller owns nothing with this id."""


ErrorRow = tuple[type[Exception], str, Problem]
"""The error class, the error's `reason` (`ANY` matches all), and the problem."""

ANY: Final = ""
# The first matching row wins, so a row with a reason precedes ANY, and a subclass precedes its base.
TABLE: Final[tuple[ErrorRow, ...]] = (
    (SignatureProfileError, ANY, problems.NOT_AUTHORISED),
    (EnvelopeError, "too-large", problems.BODY_TOO_LARGE),
    (EnvelopeError, ANY, problems.MALFORMED_ENVELOPE),
    (FormatError, "too-large", problems.BODY_TOO_LARGE),
    (FormatError, "not-canonical", problems.NOT_CANONICAL),
    (FormatError, ANY, problems.MALFORMED_REQUEST),
    (StatementError, "envelope-mismatch", problems.ENVELOPE_MISMATCH),
    (StatementError, "stale-serial", problems.STALE_SERIAL),
    (StatementError, ANY, problems.STATEMENT_REFUSED),
    (KeySetError, "stale-serial", problems.STALE_SERIAL),
    (KeySetError, "forked-serial", problems.STALE_SERIAL),
    (KeySetError, ANY, problems.REFUSED_LIST),
    (RegisterError, "stale-serial", problems.STALE_SERIAL),
    (RegisterError, "forked-serial", problems.STALE_SERIAL),
    (RegisterError, "no-key-set", problems.NOT_READY),
    (LogError, "forked-anchor", problems.STALE_SERIAL),
    (LogError, ANY, problems.REFUSED_LIST),
    (RegisterError, ANY, problems.REFUSED_LIST),
    (NotReadyError, ANY, problems.NOT_READY),
    (UnknownInvitationError, ANY, problems.UNKNOWN_INVITATION),
    (UnknownItemError, ANY, problems.NOT_FOUND),
    (ReceiptKeyNotInUseError, ANY, problems.STORAGE_UNAVAILABLE),
    (NoActiveKeyError, ANY, problems.NO_ACTIVE_KEY),
    (UnknownSealingKeyError, ANY, problems.UNKNOWN_AGENCY_KEY),
    (ConflictingReportError, ANY, problems.CONFLICTING_REPORT),
    (ReferenceTakenError, ANY, problems.CONFLICTING_REPORT),
    (EnvelopeMismatchError, ANY, problems.ENVELOPE_MISMATCH),
    (WrongEnvironmentError, ANY, problems.STATEMENT_REFUSED),
    (WrongDoorError, ANY, problems.STATEMENT_REFUSED),
    # An invitation accepts one box: for any other it counts as used.
    (ConflictingItemError, ENROLMENT.name, problems.UNKNOWN_INVITATION),
    (ConflictingItemError, ANY, problems.CONFLICTING_MESSAGE),
    (NoRoomError, ANY, problems.ADOPTION_FULL),
    (ConflictingInvitationError, ANY, problems.CONFLICTING_MESSAGE),
    (ConflictingEvidenceError, ANY, problems.CONFLICTING_EVIDENCE),
    (EvidenceQuotaError, ANY, problems.EVIDENCE_QUOTA),
    (EvidencePausedError, ANY, problems.EVIDENCE_PAUSED),
    (IncompleteEvidenceError, ANY, problems.INCOMPLETE_EVIDENCE),
    (StorageUnavailableError, ANY, problems.STORAGE_UNAVAILABLE),
)


def register_refusals(blueprint: Blueprint) -> None:
    """Answer the errors of the table inside this blueprint; the app handles all others."""
    for kind in dict.fromkeys(kind for kind, _reason, _problem in TABLE):
        blueprint.register_error_handler(kind, answer_refusal)


def answer_refusal(error: Exception) -> Response:
    """Return the problem document of an error of the table."""
    problem = get_problem(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_failure(error, event=problem.slug)
    detail = error.advice if isinstance(error, SignatureProfileError) else None
    return make_problem_response(problem, detail=detail, faults=list_faults(error))


def get_problem(error: Exception) -> Problem:
    """Return the problem for an error; raises `KeyError` if the table has none."""
    reason = getattr(error, "reason", ANY)
    for kind, wanted, problem in TABLE:
        if isinstance(error, kind) and wanted in (ANY, reason):
            return problem
    raise KeyError(type(error).__name__)


def list_faults(error: Exception) -> tuple[FieldFault, ...]:
    """Return a JSON pointer for each fault: in the evidence, in the statement, or in a body that cannot be decoded.

    A decoder's message may quote the sender's fields or values, so only the pointer is kept.
    """
    if isinstance(error, (IncompleteEvidenceError, StatementError)):
        return error.faults
    if type(error) is not FormatError:
        return ()
    if error.reason == "duplicate-key":
        return (FieldFault("#", "Use each key only once in an object."),)
    return tuple(list_mismatch_faults(str(error))) if error.reason == "malformed" else ()


# Larger than any chunk that the server reads from a connection (granian: 408 KiB), so that none is split.
PIECE_BYTES: Final = 1024 * 1024

# A proxy that passes a request to a second gateway repeats this header: the same nonce is then no replay. Outsiders
# cannot know the value of another's request, and without the header each request is a delivery of its own.
DELIVERY_VARIABLE: Final = "HTTP_X_DELIVERY_ID"
_REPLAY_ADVICE: Final = "This nonce was used before: sign each try afresh, with a new nonce."
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_DELIVERY: Final = re.compile(r"[0-9a-f]{32}")

KeyFinder = Callable[[str], bytes | None]
"""Returns the raw public key for a key id that may sign here now, or None."""


def has_signature() -> bool:
    """Return whether the request is signed; on an open route a signature is optional but must be valid."""
    environ = request.environ
    return "HTTP_SIGNATURE" in environ or "HTTP_SIGNATURE_INPUT" in environ


def check_signature(*, origin: str, find_key: KeyFinder, now: datetime, shared: SharedStore) -> SignatureClaim:
    """Verify this request's signature and return its claims; `shared` keeps the nonces that were used.

    Raises `SignatureProfileError` for any fault in the signature, and refuses a content type that differs from the
    route's.
    """
    content_type = _get_content_type()
    if request.environ.get("CONTENT_TYPE") not in (None, "", content_type):
        raise RequestRefusedError(problems.UNSUPPORTED_MEDIA_TYPE)
    headers = _read_headers(request.environ)
    asked: dict[str, Any] = {
        "method": request.method,
        "target_uri": make_target_uri(request.environ, origin=origin),
        "has_body": request.method in {"POST", "PUT"},
        "now": now,
    }
    try:
        claim = parse_signature_headers(headers, content_type=content_type)
        public_key = find_key(claim.key_id)
        check_claim(claim, public_key=STAND_IN_KEY if public_key is None else public_key, **asked)
    except SignatureProfileError as error:
        error.advice = explain_refusal(headers, content_type=content_type, find_key=find_key, **asked)
        raise
    if public_key is None:
        raise SignatureProfileError("The key is unknown.", reason="unknown-key")
    if not shared.claim_nonce(claim.key_id, claim.nonce, delivery=_get_delivery(request.environ)):
        raise SignatureProfileError("The nonce was used before.", reason="replayed", advice=_REPLAY_ADVICE)
    return claim


def read_signed_body(claim: SignatureClaim) -> bytes:
    """Read the body, up to the route's limit, and return it if it matches the signed digest."""
    body = request.get_data(cache=False)
    check_content_digest(claim, body=body)
    return body


def copy_signed_body(claim: SignatureClaim, *, write: Callable[[bytes], object]) -> None:
    """Pass the body to `write` in pieces, hashing it once, without a copy of the whole.

    Raises `SignatureProfileError` (`wrong-digest`) at the end if the digest differs, so written data must not count
    before this returns. The route's limit on the length was checked before.
    """
    stream, left = request.environ["wsgi.input"], request.content_length or 0
    hashed = hashlib.sha256()
    while left:
        # Not Werkzeug's stream, which copies each piece three times.
        piece = stream.read(min(left, PIECE_BYTES))
        if not piece:
            break
        left -= len(piece)
        hashed.update(piece)
        write(piece)
    if left or claim.body_sha256 != hashed.digest():
        raise SignatureProfileError(
            "The body does not match the signed digest.", reason="wrong-digest", advice=WRONG_DIGEST_ADVICE
        )


def make_target_uri(environ: Mapping[str, object], *, origin: str) -> str:
    """Return the expected `@target-uri`; never built from `Host` or a forwarded header."""
    query = environ.get("QUERY_STRING")
    return f"{origin}{environ['PATH_INFO']}?{query}" if query else f"{origin}{environ['PATH_INFO']}"


def check_path() -> None:
    """Refuse a path with `%` or any other character that has two encodings.

    Where the server provides the raw path, that is checked; otherwise the decoded path must need no encoding.
    """
    environ = request.environ
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    path = raw.partition("?")[0]
    if not is_unreserved_path(path) or not is_unreserved_path(environ["PATH_INFO"]):
        raise RequestRefusedError(
            problems.MALFORMED_REQUEST,
            detail="Use only unreserved characters (RFC 3986 §2.3) in the path; percent-encoding is not supported.",
        )


@lru_cache(maxsize=4096)
def parse_public_key(text: str) -> bytes:
    """Return the raw bytes of a public key from a signed list, which was verified when it was accepted."""
    return parse_base64url(text, length=PUBLIC_KEY_BYTES)


def _get_delivery(environ: Mapping[str, str]) -> str:
    named = environ.get(DELIVERY_VARIABLE, "")
    return named if _DELIVERY.fullmatch(named) else secrets.token_hex(16)


def _get_content_type() -> str:
    """Return the media type of this route; a route without a rule accepts no body."""
    stated = find_current_rule()
    return CONTENT_TYPE if stated is None else stated.body_media_type


def _read_headers(environ: Mapping[str, str]) -> dict[str, str]:
    # WSGI servers join a repeated header with a comma, which the profile refuses.
    return {
        "content-type": environ.get("CONTENT_TYPE", ""),
        "content-digest": environ.get("HTTP_CONTENT_DIGEST", ""),
        "signature": environ.get("HTTP_SIGNATURE", ""),
        "signature-input": environ.get("HTTP_SIGNATURE_INPUT", ""),
    }


def get_number(name: str, *, default: int, least: int, most: int) -> int:
    """Return a number from the query, or `default` if absent; raises `FormatError`."""
    values = request.args.getlist(name)
    if not values:
        return default
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or not least <= int(values[0]) <= most:
        raise FormatError(f"{name} must be a single number from {least} to {most}.", reason="malformed")
    return int(values[0])


def answer_bytes(raw: bytes, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with JSON bytes unchanged."""
    return Response(raw, status=status, content_type=CONTENT_TYPE)


def answer_json(value: object, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a value in canonical JSON."""
    return Response(encode(value), status=status, content_type=CONTENT_TYPE)


@dataclass(frozen=True, slots=True)
class Caller:
    """A partner, authenticated by the signature over its headers; the body is not yet checked."""

    gateway: Gateway
    keys: AcceptedKeys
    entry: RegisterEntry
    claim: SignatureClaim

    @property
    def partner(self) -> str:
        """The partner's id."""
        return self.entry.partner

    @property
    def submission_keys(self) -> dict[str, bytes]:
        """The keys that may have signed a statement of this caller.

        The key that signed the request, and the partner's recently rotated keys, for signed reports still in its spool.
        A rotated key signs no request; a key that the agency has ended is not included.
        """
        keys = {self.entry.key_id: parse_public_key(self.entry.submission_key)}
        if self.entry.former_keys:
            former = list_former_keys(self.entry, now=self.gateway.clock())
            keys |= {key.key_id: parse_public_key(key.submission_key) for key in former}
        return keys


def get_caller() -> Caller:
    """Return the active partner that signed this request.

    Raises `SignatureProfileError`, the same for every cause, or `NotReadyError` before the first key set.
    """
    gateway = get_gateway(current_app)
    keys = get_accepted_keys(gateway)

    def find_key(key_id: str) -> bytes | None:
        found = keys.find_partner(key_id)
        return None if found is None else parse_public_key(found.submission_key)

    claim = check_signature(
        origin=gateway.config.public_origin, find_key=find_key, now=gateway.clock(), shared=gateway.limits.store
    )
    entry = keys.find_partner(claim.key_id)
    if entry is None:
        raise SignatureProfileError("The key is unknown.", reason="unknown-key")
    gateway.limits.name_caller(entry.partner)
    return Caller(gateway=gateway, keys=keys, entry=entry, claim=claim)


def get_accepted_keys(gateway: Gateway) -> AcceptedKeys:
    """Return the published keys; raises `NotReadyError` if there are none."""
    keys = gateway.key_state.find_keys()
    if keys is None:
        raise NotReadyError("The agency has not published its keys yet.", reason="no-key-set")
    return keys
