"""Judges one sealed report that came as a file: the body of `POST /v1/reports`, as the partner signed it.

Never believes anything but the partner's signature, the desk's own register and the sealed content.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from gateway.desk.collection.risk import assess
from gateway.desk.collection.row_checks import (
    Believed,
    RowRefusedError,
    SealedContent,
    check_key_covers,
    check_same,
    open_content,
    open_partners_submission,
    weigh,
)
from gateway.desk.collection.set_aside import Claim
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.canonical import encode, parse_any_spelling, parse_base64url
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES
from partner_sdk.wire.submission import (
    MAX_REPORT_BODY_BYTES,
    ClearFields,
    ReportPost,
    clear_fields_of,
    peek_submission,
)


@dataclass(frozen=True, slots=True)
class VerifiedPost:
    """A file whose statement holds and whose envelope opens. `content` is in memory only."""

    clear: ClearFields
    submission_raw: bytes
    envelope_raw: bytes
    content: SealedContent

    @property
    def submission_sha256(self) -> bytes:
        """The digest that names the partner's statement."""
        return sha256(self.submission_raw).digest()

    @property
    def envelope_sha256(self) -> bytes:
        """The digest of the sealed box."""
        return sha256(self.envelope_raw).digest()


def parse_post(raw: bytes) -> ReportPost:
    """Read a file strictly, without believing it; raises `FormatError`."""
    return parse_any_spelling(raw, kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)


def peek_post_claim(raw: bytes) -> Claim:
    """Return what a file says of itself."""
    try:
        said = peek_submission(parse_post(raw).statement)
    except FormatError:
        return Claim()
    return Claim(said.partner, said.report_id)


def check_post(raw: bytes, *, believed: Believed, seen_at: datetime) -> VerifiedPost:
    """Return the report verified and opened, or raise `RowRefusedError`; `seen_at` is when this desk first saw it."""
    claimed_priority: str | None = None
    try:
        post = parse_post(raw)
        claimed_priority = peek_submission(post.statement).priority
        return _check(post, believed=believed, seen_at=seen_at)
    except RowRefusedError as refused:
        raise RowRefusedError(
            str(refused),
            reason=refused.reason,
            priority=refused.stated_priority or claimed_priority,
            seals_crisis=_weigh_post(raw, believed=believed, now=seen_at)
            if refused.seals_crisis is None
            else refused.seals_crisis,
        ) from None
    except (FormatError, OpeningError) as error:
        reason = error.reason if isinstance(error, OpeningError) else "malformed"
        raise RowRefusedError(str(error), reason=reason, priority=claimed_priority) from None


def _weigh_post(raw: bytes, *, believed: Believed, now: datetime) -> bool | None:
    try:
        post = parse_post(raw)
        return weigh(post.envelope, [clear_fields_of(peek_submission(post.statement))], believed=believed, now=now)
    except FormatError:
        return None


def _check(post: ReportPost, *, believed: Believed, seen_at: datetime) -> VerifiedPost:
    submission_raw = encode(post.statement)
    envelope_raw = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    keys = believed.submission_keys.get(peek_submission(post.statement).partner, {})
    submission = open_partners_submission(submission_raw, keys=keys, envelope_raw=envelope_raw)
    if submission.environment != believed.key_set.environment:
        raise RowRefusedError("The report is for another environment.", reason="wrong-environment")
    clear = clear_fields_of(submission)
    check_key_covers(submission_raw, keys=keys, seen_at=seen_at, priority=clear.priority)
    content = open_content(envelope_raw, clear=clear, believed=believed)
    try:
        check_same(content.clear, clear, whose="sealed report and the submission")
    except RowRefusedError as refused:
        refused.seals_crisis = assess(content, received_at=seen_at).crisis
        raise
    return VerifiedPost(clear=clear, submission_raw=submission_raw, envelope_raw=envelope_raw, content=content)
