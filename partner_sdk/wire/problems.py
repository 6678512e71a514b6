"""The one table of problem types (RFC 9457), the problem of each error of this package, and the environment header.

The gateway answers from the table; the client and the pages read it. `detail` is our own text and never echoes the
request: a decoder's text may name a field or a value of the sender, so only its place is kept. By the header every
answer under `/v1` tells whether it is live (WIRE.md §10).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from partner_sdk.errors import (
    EnvelopeError,
    FieldFault,
    FormatError,
    KeySetError,
    RegisterError,
    SignatureProfileError,
    StatementError,
)
from partner_sdk.wire.canonical import list_mismatch_faults
from partner_sdk.wire.keys import Environment

ENVIRONMENT_HEADER: Final = "Report-Abuse-Environment"
NOT_A_REPORT: Final = "NOT A REPORT"


def format_environment(environment: Environment) -> str:
    """Return the value of the header: `live`, or `sandbox; NOT A REPORT`."""
    return environment if environment == "live" else f"{environment}; {NOT_A_REPORT}"


MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. `advice` is the caller's next step; it is also the default `detail`."""

    slug: str
    status: int
    title: str
    advice: str
    retry_after_seconds: int | None = None


MALFORMED_REQUEST = Problem(
    "malformed-request", 400, "The request cannot be read", "Send canonical JSON that fits the description at /v1."
)
NOT_CANONICAL = Problem(
    "not-canonical",
    400,
    "A value is not in its one spelling",
    "Send RFC 8785 JSON: sorted keys, no white space, no duplicate keys; base64url without padding.",
)
BODY_NOT_ALLOWED = Problem("body-not-allowed", 400, "This call takes no body", "Send the request without a body.")
NOT_AUTHORISED = Problem(
    "not-authorised",
    401,
    "The request is not signed by a known key",
    "Sign it as the wire specification says, with a key of the partner register, less than 300 seconds ago.",
)
EVIDENCE_QUOTA = Problem(
    "evidence-quota",
    403,
    "You hold as much evidence here as you may",
    "Do not try it again and again: ask the agency for more room. Reports are taken as before.",
)
NOT_FOUND = Problem("not-found", 404, "There is nothing here", "Look at the address and at the id.")
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "This address does not take that method", "Use a method that the Allow header names."
)
CONFLICTING_REPORT = Problem(
    "conflicting-report",
    409,
    "This report id is taken by another statement",
    "Send a changed report as a supplement or a correction with an id of its own.",
)
CONFLICTING_MESSAGE = Problem(
    "conflicting-message", 409, "This message id is taken by other bytes", "Give a new message an id of its own."
)
CONFLICTING_EVIDENCE = Problem(
    "conflicting-evidence",
    409,
    "This part has other bytes, or this evidence is complete",
    "Never change what was sent: begin anew with an evidence id of its own.",
)
STALE_SERIAL = Problem(
    "stale-serial", 409, "A newer list is already published", "Sign the list again with a higher serial."
)
BODY_TOO_LARGE = Problem(
    "body-too-large", 413, "The request is too large", "Send less; files travel as evidence, not inside the report."
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type", 415, "The content type or encoding is not taken", "Send application/json, unencoded."
)
MALFORMED_ENVELOPE = Problem(
    "malformed-envelope", 422, "The envelope cannot be read", "Seal the report again; the envelope is cut or altered."
)
ENVELOPE_MISMATCH = Problem(
    "envelope-mismatch",
    422,
    "The envelope is not the one that the statement names",
    "Sign the SHA-256 of the very envelope that is sent.",
)
UNKNOWN_AGENCY_KEY = Problem(
    "unknown-agency-key",
    422,
    "The report is sealed to a key that cannot be opened",
    "Fetch /v1/keys, check it against the pinned root, and seal the report again.",
)
STATEMENT_REFUSED = Problem(
    "statement-refused",
    422,
    "The submission statement does not hold",
    "Mend what the pointers name: they lead into the statement and its payload.",
)
UNKNOWN_INVITATION = Problem(
    "unknown-invitation", 422, "The invitation is unknown, used or expired", "Ask the agency for a new invitation."
)
INCOMPLETE_EVIDENCE = Problem(
    "incomplete-evidence",
    422,
    "The parts here are not the evidence that was named",
    "Send the parts that the pointers name, then complete it again.",
)
REFUSED_LIST = Problem(
    "refused-list", 422, "The signed list does not hold", "Sign it under the root that this gateway pins."
)
RATE_LIMITED = Problem(
    "rate-limited", 429, "Too many requests", "Wait as Retry-After says, then send the same again.", 30
)
INTERNAL_ERROR = Problem(
    "internal-error",
    500,
    "Something went wrong here",
    "Send the same again later; name the request id if it stays.",
    30,
)
NOT_READY = Problem(
    "not-ready", 503, "The agency has not published its keys yet", "Wait as Retry-After says, then try again.", 60
)
NO_ACTIVE_KEY = Problem(
    "no-active-key", 503, "There is no key to seal reports to now", "Wait as Retry-After says, then try again.", 60
)
STORAGE_UNAVAILABLE = Problem(
    "storage-unavailable",
    503,
    "What was sent could not be stored",
    "Nothing was kept. Wait as Retry-After says, then send the same again.",
    10,
)
EVIDENCE_PAUSED = Problem(
    "evidence-paused",
    503,
    "Evidence has to wait: the disk is nearly full",
    "Send reports as before. Wait as Retry-After says, then send the same part again.",
    300,
)
ADOPTION_FULL = Problem(
    "adoption-full",
    503,
    "Too many requests to show the button wait already",
    "Nothing was kept. Send the same again tomorrow, or write to the agency as its page /for-services says.",
    3600,
)

PROBLEMS: tuple[Problem, ...] = (
    MALFORMED_REQUEST,
    NOT_CANONICAL,
    BODY_NOT_ALLOWED,
    NOT_AUTHORISED,
    EVIDENCE_QUOTA,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    CONFLICTING_REPORT,
    CONFLICTING_MESSAGE,
    CONFLICTING_EVIDENCE,
    STALE_SERIAL,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    MALFORMED_ENVELOPE,
    ENVELOPE_MISMATCH,
    UNKNOWN_AGENCY_KEY,
    STATEMENT_REFUSED,
    UNKNOWN_INVITATION,
    INCOMPLETE_EVIDENCE,
    REFUSED_LIST,
    RATE_LIMITED,
    INTERNAL_ERROR,
    NOT_READY,
    NO_ACTIVE_KEY,
    STORAGE_UNAVAILABLE,
    EVIDENCE_PAUSED,
    ADOPTION_FULL,
)

_BY_SLUG = {problem.slug: problem for problem in PROBLEMS}


def find_problem(type_or_slug: str) -> Problem | None:
    """Return the row for a slug or for the URI of a problem document, or None."""
    return _BY_SLUG.get(type_or_slug.rsplit("/", 1)[-1])


def make_document(
    problem: Problem,
    *,
    origin: str,
    request_id: str,
    detail: str | None = None,
    faults: Sequence[FieldFault] = (),
) -> dict[str, object]:
    """Return the problem document; `detail` replaces the advice and must be our own words."""
    document: dict[str, object] = {
        "type": f"{origin}/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.advice if detail is None else detail,
        "instance": f"urn:uuid:{request_id}",
    }
    if faults:
        document["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
    return document


ErrorRow = tuple[type[Exception], str, Problem]
"""The kind of error, the reason that it carries (`ANY` for every one), and the problem."""

ANY: Final = ""
# The first row that fits decides: a reason stands before the rest of its kind, a kind before the one that it is of.
SDK_ERRORS: Final[tuple[ErrorRow, ...]] = (
    (SignatureProfileError, ANY, NOT_AUTHORISED),
    (EnvelopeError, "too-large", BODY_TOO_LARGE),
    (EnvelopeError, ANY, MALFORMED_ENVELOPE),
    (FormatError, "too-large", BODY_TOO_LARGE),
    (FormatError, "not-canonical", NOT_CANONICAL),
    (FormatError, ANY, MALFORMED_REQUEST),
    (StatementError, "envelope-mismatch", ENVELOPE_MISMATCH),
    (StatementError, ANY, STATEMENT_REFUSED),
    (KeySetError, "stale-serial", STALE_SERIAL),
    (KeySetError, "forked-serial", STALE_SERIAL),
    (KeySetError, ANY, REFUSED_LIST),
    (RegisterError, "stale-serial", STALE_SERIAL),
    (RegisterError, "forked-serial", STALE_SERIAL),
    (RegisterError, "no-key-set", NOT_READY),
    (RegisterError, ANY, REFUSED_LIST),
)


def find_error_problem(error: Exception, *, table: Iterable[ErrorRow] = SDK_ERRORS) -> Problem | None:
    """Return the problem of the first row that fits, or None for an error that the table does not know."""
    reason = getattr(error, "reason", ANY)
    return next(
        (problem for kind, wanted, problem in table if isinstance(error, kind) and wanted in (ANY, reason)), None
    )


def list_error_faults(error: Exception) -> tuple[FieldFault, ...]:
    """Return the places of faults in a body: those of a statement, or the one that the decoder named."""
    if isinstance(error, StatementError):
        return error.faults
    if type(error) is not FormatError:
        return ()
    if error.reason == "duplicate-key":
        return (FieldFault("#", "Give each key once in an object."),)
    return tuple(list_mismatch_faults(str(error))) if error.reason == "malformed" else ()


def find_error_detail(error: Exception) -> str | None:
    """Return the `detail` in place of the problem's advice, or None: always our own words."""
    return error.advice if isinstance(error, SignatureProfileError) else None
