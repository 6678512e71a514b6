"""The one table of problem types (RFC 9457), and the environment header.

The gateway answers from the table; the client and the problem pages read it. `detail` is our own text and never echoes
the request. The header marks every answer under `/v1` as live or sandbox (WIRE.md §10).
"""

from typing import Final

import msgspec

NOT_A_REPORT: Final = "NOT A REPORT"
MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """A row of the table. `advice` is the caller's next step and the default `detail`."""

    slug: str
    status: int
    title: str
    advice: str
    retry_after_seconds: int | None = None


MALFORMED_REQUEST = Problem(
    "malformed-request",
    400,
    "The request cannot be parsed",
    "Send canonical JSON that matches the schema at /v1/openapi.json.",
)
NOT_CANONICAL = Problem(
    "not-canonical",
    400,
    "The JSON is not in canonical form",
    "Send RFC 8785 JSON: sorted keys, no white space, no duplicate keys; base64url without padding.",
)
BODY_NOT_ALLOWED = Problem("body-not-allowed", 400, "This call must have no body", "Send the request without a body.")
NOT_AUTHORISED = Problem(
    "not-authorised",
    401,
    "The request is not signed with a known key",
    "Sign each request with a key in the partner register, at most 300 seconds before it arrives (WIRE.md §7).",
)
EVIDENCE_QUOTA = Problem(
    "evidence-quota",
    403,
    "Your evidence quota is used up",
    "Do not retry: ask the agency for a larger quota. You can still send reports.",
)
NOT_FOUND = Problem("not-found", 404, "There is nothing here", "Check the path and the id.")
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "This path does not support that method", "Use a method from the Allow header."
)
CONFLICTING_REPORT = Problem(
    "conflicting-report",
    409,
    "This report id already belongs to another report",
    "Send a changed report as a supplement or a correction, with a new id.",
)
REFERENCE_TAKEN = Problem(
    "reference-taken",
    409,
    "Another report has this reference",
    "Ask for a new reference, and seal and send the report again under it.",
)
CONFLICTING_MESSAGE = Problem(
    "conflicting-message", 409, "This message id already belongs to another message", "Give each new message a new id."
)
CONFLICTING_EVIDENCE = Problem(
    "conflicting-evidence",
    409,
    "This part was sent with different bytes, or the evidence is already complete",
    "Evidence cannot be changed once it is sent. Start again with a new evidence id.",
)
STALE_SERIAL = Problem(
    "stale-serial", 409, "A newer list is already published", "Sign the list again with a higher serial."
)
BODY_TOO_LARGE = Problem(
    "body-too-large",
    413,
    "The request is too large",
    "Send a smaller body. Upload files as evidence, not inside a report.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type",
    415,
    "The content type or encoding is not supported",
    "Send application/json without a Content-Encoding.",
)
MALFORMED_ENVELOPE = Problem(
    "malformed-envelope",
    422,
    "The envelope is malformed",
    "The envelope was truncated or altered. Seal the report again.",
)
ENVELOPE_MISMATCH = Problem(
    "envelope-mismatch",
    422,
    "The envelope does not match the statement",
    "Sign the SHA-256 of the exact envelope bytes that you send.",
)
UNKNOWN_AGENCY_KEY = Problem(
    "unknown-agency-key",
    422,
    "The report is sealed to a key that is not in use",
    "Fetch /v1/keys, check it against the pinned root, and seal the report again.",
)
STATEMENT_REFUSED = Problem(
    "statement-refused",
    422,
    "The submission statement is not valid",
    "Fix the fields named in `errors`; the pointers lead into the statement and its payload.",
)
UNKNOWN_INVITATION = Problem(
    "unknown-invitation", 422, "The invitation is unknown, used or expired", "Ask the agency for a new invitation."
)
INCOMPLETE_EVIDENCE = Problem(
    "incomplete-evidence",
    422,
    "The stored parts do not match the evidence",
    "Send the parts named in `errors`, then complete the evidence again.",
)
REFUSED_LIST = Problem(
    "refused-list", 422, "The signed list is not valid", "Sign it under the root that this gateway pins."
)
RATE_LIMITED = Problem(
    "rate-limited", 429, "Too many requests", "Wait for the Retry-After seconds, then retry the same request.", 30
)
INTERNAL_ERROR = Problem(
    "internal-error",
    500,
    "The gateway failed",
    "Retry the same request later. If it keeps failing, send the agency the request id.",
    30,
)
NOT_READY = Problem(
    "not-ready",
    503,
    "The agency has not published its keys yet",
    "Wait for the Retry-After seconds, then try again.",
    60,
)
NO_ACTIVE_KEY = Problem(
    "no-active-key",
    503,
    "The agency has no active sealing key",
    "Wait for the Retry-After seconds, fetch /v1/keys, and try again.",
    60,
)
STORAGE_UNAVAILABLE = Problem(
    "storage-unavailable",
    503,
    "The gateway could not store the request",
    "Nothing was stored. Wait for the Retry-After seconds, then retry the same request.",
    10,
)
EVIDENCE_PAUSED = Problem(
    "evidence-paused",
    503,
    "Evidence is paused because the disk is nearly full",
    "Reports are still accepted. Wait for the Retry-After seconds, then send the same part again.",
    300,
)
ADOPTION_FULL = Problem(
    "adoption-full",
    503,
    "Too many requests to show the button are waiting",
    "Nothing was stored. Send the same request tomorrow, or contact the agency as described on /for-services.",
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
    REFERENCE_TAKEN,
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
