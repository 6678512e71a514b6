"""Judges one row of the feed, trusting only the signed statements, the desk's own register and the sealed content.

Never drops a row and never trusts a claim by the gateway alone: a row is verified, or refused with a reason.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.desk.collection.risk import assess
from gateway.desk.vault import VaultError
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import ReportRow
from gateway.exchange.public_report import PublicReport, parse_public_report
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.report import SealedIndustryReport, parse_sealed_report
from partner_sdk.wire.canonical import (
    decode,
    encode,
    get_reference_environment,
    parse_base64url,
    parse_exact,
    parse_reference,
    parse_time,
)
from partner_sdk.wire.receipts import (
    EPOCH_PATTERN,
    INSTANCE_PATTERN,
    MAX_SEQUENCE,
    PLACEMENT_PATTERN,
    IntakeStatement,
    peek_intake,
    verify_intake,
)
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import MAX_STATEMENT_BYTES, KeySet, parse_statement
from partner_sdk.wire.submission import (
    PUBLIC_SENDER,
    SENDER_PATTERN,
    ClearFields,
    SubmissionStatement,
    check_clear_fields,
    clear_fields_of,
    open_submission,
    peek_submission,
    report_context,
)

MAX_ROW_BYTES: Final = MAX_ENVELOPE_BYTES * 2
BY_GATEWAY: Final = "gateway"  # the channel of rows and cases, other than a file that was brought
# The most urgent first. A row without a proven priority is treated as the most urgent.
PRIORITIES: Final = ("P1", "P2", "P3")
KEY_ENDED: Final = "key-ended"
# An honest gateway and an honest partner never cause any of these reasons.
ALARMING_REASONS: Final = frozenset(
    {
        "no-intake-statement",
        "intake-not-genuine",
        "envelope-mismatch",
        "door-mismatch",
        "submission-mismatch",
        "submission-not-genuine",
        "clear-fields-mismatch",
        "duplicate-report-id",
        "wrong-environment",
        "intake-misspelled",
        "wrong-instance",
        "duplicate-reference",
        KEY_ENDED,
    }
)
# After a partner's key was suspended or replaced, reports accepted earlier still come in, e.g. from a gateway that was
# down over a long weekend. Counted from when this desk first saw a row: the times in a row are its sender's own.
KEY_ENDED_GRACE: Final = timedelta(days=4)

_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")
_INSTANCE: Final = re.compile(INSTANCE_PATTERN)
_EPOCH: Final = re.compile(EPOCH_PATTERN)
_SENDER: Final = re.compile(SENDER_PATTERN)
_PLACEMENT: Final = re.compile(PLACEMENT_PATTERN)

SealedContent = PublicReport | SealedIndustryReport


class RowRefusedError(ReportAbuseError):
    """A row does not verify or does not open; `intake` is set if the intake statement itself is genuine.

    `is_proven` is set if a partner key that is in force signed for it, even if the rest is wrong. `stated_priority` is
    None if no signature covers one: `priority` is then the most urgent. `seals_crisis` is true if the sealed report
    belongs in the crisis lane, and None if that cannot be known.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        priority: str | None = None,
        intake: IntakeStatement | None = None,
        seals_crisis: bool | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.stated_priority = priority
        self.seals_crisis = seals_crisis
        self.priority = priority or PRIORITIES[0]
        self.intake = intake
        self.is_proven = False


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """A partner's submission key; `ended_at` is when it was suspended, replaced, or (`is_revoked`) reported stolen."""

    public_key: bytes
    ended_at: datetime | None = None
    is_revoked: bool = False

    def covers(self, seen_at: datetime) -> bool:
        """Return whether a row first seen at that time may be filed under this key; a stolen one has no grace."""
        if self.ended_at is None:
            return True
        return seen_at < self.ended_at + (timedelta(0) if self.is_revoked else KEY_ENDED_GRACE)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The evidence for judging rows: the desk's own key set, its own register, and the vault."""

    key_set: KeySet
    instances: Mapping[str, str]  # receipt key id -> its one gateway
    submission_keys: Mapping[str, Mapping[str, PartnerKey]]  # partner -> key id -> key, including former ones
    vault: Vault


@dataclass(frozen=True, slots=True)
class VerifiedRow:
    """A row with valid statements and an envelope that opens. `content` is in memory only."""

    intake: IntakeStatement
    intake_raw: bytes
    submission_raw: bytes | None
    envelope_raw: bytes
    content: SealedContent

    @property
    def intake_sha256(self) -> bytes:
        """The digest that acknowledgements and the chain name."""
        return hashlib.sha256(self.intake_raw).digest()


def check_row(raw: bytes, *, trusted: TrustedKeys, now: datetime, seen_at: datetime | None = None) -> VerifiedRow:
    """Return the row verified and opened, or raise `RowRefusedError`.

    `seen_at` is the time at which this desk first saw the row, if not now; no time in the row itself replaces it. A
    refused row is weighed too, for every refusal reason: it may come from a child in danger.
    """
    try:
        return _check_row(raw, trusted=trusted, now=now, seen_at=seen_at or now)
    except RowRefusedError as refused:
        if refused.seals_crisis is None:
            refused.seals_crisis = _weigh_row(raw, trusted=trusted, now=now)
        raise


def weigh(envelope: str, clears: Iterable[ClearFields], *, trusted: TrustedKeys, now: datetime) -> bool | None:
    """Return whether an envelope seals a crisis, opened under unverified clear fields; None if none opens.

    Use it only for an alert.
    """
    for clear in clears:
        try:
            raw = parse_base64url(envelope, max_bytes=MAX_ENVELOPE_BYTES)
            return assess(open_content(raw, clear=clear, trusted=trusted), received_at=now).crisis
        except VaultError:
            raise  # the row was not judged at all: the next run does it
        except ReportAbuseError:
            continue
    return None


def _weigh_row(raw: bytes, *, trusted: TrustedKeys, now: datetime) -> bool | None:
    try:
        row = parse_exact(raw, kind=ReportRow, max_bytes=MAX_ROW_BYTES)
        clears = [peek_intake(encode(row.intake)).clear]
        if row.submission is not None:
            clears.append(clear_fields_of(peek_submission(row.submission)))
    except FormatError:
        return None
    return weigh(row.envelope, clears, trusted=trusted, now=now)


def _check_row(raw: bytes, *, trusted: TrustedKeys, now: datetime, seen_at: datetime) -> VerifiedRow:
    row = _parse_row(raw)
    intake_raw = encode(row.intake)
    submission_raw = None if row.submission is None else encode(row.submission)
    intake = _check_intake(intake_raw, trusted=trusted, now=now)
    _check_place(intake, key_id=row.intake.signatures[0].keyid, trusted=trusted)
    clear, content, is_proven = intake.clear, None, False
    try:
        _check_names(intake)
        envelope_raw = _read_envelope(row.envelope, intake=intake)
        _check_door(intake, submission_raw=submission_raw)
        check_clear_fields(clear)
        if submission_raw is not None:
            _check_submission(
                submission_raw, intake=intake, envelope_raw=envelope_raw, trusted=trusted, seen_at=seen_at
            )
            is_proven = True
        content = open_content(envelope_raw, clear=clear, trusted=trusted)
        _check_content(content, intake=intake)
    except RowRefusedError as error:
        error.intake = intake  # the chain has seen this link, even if the rest of the row is wrong
        error.is_proven = is_proven
        if content is not None:
            error.seals_crisis = assess(content, received_at=parse_time(intake.received_at)).crisis
        raise
    except (FormatError, OpeningError) as error:
        reason = error.reason if isinstance(error, OpeningError) else "malformed"
        refused = RowRefusedError(str(error), reason=reason, intake=intake)
        refused.is_proven = is_proven
        raise refused from None
    return VerifiedRow(
        intake=intake,
        intake_raw=intake_raw,
        submission_raw=submission_raw,
        envelope_raw=envelope_raw,
        content=content,
    )


def _parse_row(raw: bytes) -> ReportRow:
    try:
        return parse_exact(raw, kind=ReportRow, max_bytes=MAX_ROW_BYTES)
    except FormatError as error:
        if _lacks_intake(raw):
            raise RowRefusedError("The row has no intake statement.", reason="no-intake-statement") from None
        raise RowRefusedError(f"The row cannot be read: {error}", reason="malformed") from None


def _lacks_intake(raw: bytes) -> bool:
    try:
        row = decode(raw, kind=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(row.get("intake", b"null")) in {b"null", b'""'}


def _check_intake(raw: bytes, *, trusted: TrustedKeys, now: datetime) -> IntakeStatement:
    try:
        return verify_intake(raw, key_set=trusted.key_set, now=now)
    except StatementError as error:
        reason = "wrong-environment" if error.reason == "wrong-environment" else "intake-not-genuine"
        raise RowRefusedError(f"The intake statement is not genuine: {error}", reason=reason) from None
    except FormatError as error:
        raise RowRefusedError(f"The intake statement cannot be read: {error}", reason="malformed") from None


def _check_place(intake: IntakeStatement, *, key_id: str, trusted: TrustedKeys) -> None:
    """Raise unless the statement has a place in a chain: without one, its link is not entered at all."""
    if not (
        1 <= intake.sequence <= MAX_SEQUENCE
        and _INSTANCE.fullmatch(intake.instance)
        and _EPOCH.fullmatch(intake.epoch)
        and _SENDER.fullmatch(intake.clear.partner)
        and all(_SHA256_HEX.fullmatch(one) for one in (intake.previous, intake.envelope_sha256))
    ):
        raise RowRefusedError(
            ("The intake statement is genuine, but not in canonical form."), reason="intake-misspelled"
        )
    if trusted.instances.get(key_id) != intake.instance:
        raise RowRefusedError(
            "The intake statement names one gateway but is signed with the key of another.", reason="wrong-instance"
        )


def _check_names(intake: IntakeStatement) -> None:
    # People type and read these, and search lists by them: only one spelling of each.
    try:
        spelled = parse_reference(intake.reference)
    except FormatError:
        spelled = None
    if spelled != intake.reference or get_reference_environment(spelled) != intake.environment:
        raise RowRefusedError("The reference is malformed.", reason="intake-misspelled")
    if intake.placement is not None and not _PLACEMENT.fullmatch(intake.placement):
        raise RowRefusedError("The placement is malformed.", reason="intake-misspelled")


def _read_envelope(text: str, *, intake: IntakeStatement) -> bytes:
    raw = parse_base64url(text, max_bytes=MAX_ENVELOPE_BYTES)
    if hashlib.sha256(raw).hexdigest() != intake.envelope_sha256:
        raise RowRefusedError(
            ("The envelope differs from the one that the gateway accepted."), reason="envelope-mismatch"
        )
    return raw


def _check_door(intake: IntakeStatement, *, submission_raw: bytes | None) -> None:
    # If a gateway called a partner's report public, its proof of origin would be lost, and vice versa.
    is_public = intake.door == "public"
    if (
        is_public != (intake.clear.partner == PUBLIC_SENDER)
        or is_public != (submission_raw is None)
        or is_public != (intake.submission_sha256 is None)
        or (not is_public and intake.placement is not None)  # a partner's report does not come from a button
    ):
        raise RowRefusedError("The row does not match the door that it names.", reason="door-mismatch")


def _check_submission(
    raw: bytes, *, intake: IntakeStatement, envelope_raw: bytes, trusted: TrustedKeys, seen_at: datetime
) -> None:
    if hashlib.sha256(raw).hexdigest() != intake.submission_sha256:
        raise RowRefusedError(
            ("The submission differs from the one that the gateway accepted."), reason="submission-mismatch"
        )
    keys = trusted.submission_keys.get(intake.clear.partner, {})
    submission = open_partners_submission(raw, keys=keys, envelope_raw=envelope_raw)
    check_same(clear_fields_of(submission), intake.clear, whose="submission and the intake statement")
    check_key_covers(raw, keys=keys, seen_at=seen_at, priority=intake.clear.priority)


def open_partners_submission(raw: bytes, *, keys: Mapping[str, PartnerKey], envelope_raw: bytes) -> SubmissionStatement:
    """Return the statement if one of a partner's keys signed it for this envelope, or raise `RowRefusedError`."""
    raw_keys = {key_id: key.public_key for key_id, key in keys.items()}
    try:
        return open_submission(raw, keys=raw_keys, envelope=envelope_raw)
    except StatementError as error:
        raise RowRefusedError(
            f"The submission is not the partner's: {error}", reason="submission-not-genuine"
        ) from None


def check_key_covers(raw: bytes, *, keys: Mapping[str, PartnerKey], seen_at: datetime, priority: str) -> None:
    """Raise `RowRefusedError` (`key-ended`) if a submission's key ended before the desk first saw it."""
    (signature,) = parse_statement(raw).signatures
    if not keys[signature.keyid].covers(seen_at):
        raise RowRefusedError(
            "The submission is signed with a key that ended before this desk received it.",
            reason=KEY_ENDED,
            priority=priority,
        )


def open_content(envelope_raw: bytes, *, clear: ClearFields, trusted: TrustedKeys) -> SealedContent:
    """Open an envelope in the context of its clear fields and read it; raises `OpeningError`, `RowRefusedError`."""
    plain = trusted.vault.open_report(Envelope.parse(envelope_raw), context=report_context(clear))
    try:
        return parse_public_report(plain) if clear.partner == PUBLIC_SENDER else parse_sealed_report(plain)
    except FormatError:
        raise RowRefusedError(
            "The envelope opens, but its content is not a report in a known format.", reason="unreadable-content"
        ) from None


def _check_content(content: SealedContent, *, intake: IntakeStatement) -> None:
    check_same(content.clear, intake.clear, whose="sealed report and the intake statement")
    if isinstance(content, PublicReport) and content.placement != intake.placement:
        raise RowRefusedError(
            "The sealed report and the intake statement name different placements.",
            reason="clear-fields-mismatch",
            priority=content.clear.priority,
        )


def check_same(inner: ClearFields, outer: ClearFields, *, whose: str) -> None:
    """Raise `RowRefusedError` (`clear-fields-mismatch`) unless both agree; the higher priority counts."""
    if inner == outer:
        return
    names = [name for name in ClearFields.__struct_fields__ if getattr(inner, name) != getattr(outer, name)]
    raise RowRefusedError(
        f"The {whose} differ in: {', '.join(names)}.",
        reason="clear-fields-mismatch",
        priority=min(inner.priority, outer.priority),
    )


def parse_clear_fields(text: str) -> ClearFields:
    """Return clear fields as this desk stored them beside a report from another channel; raises `FormatError`."""
    return parse_exact(text.encode(), kind=ClearFields, max_bytes=MAX_STATEMENT_BYTES)


def read_clear_fields(submission_raw: bytes) -> ClearFields:
    """Return the clear fields of a stored, previously verified submission; raises `FormatError`."""
    return clear_fields_of(peek_submission(parse_statement(submission_raw)))
