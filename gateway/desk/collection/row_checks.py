"""Judges one row of the feed, trusting only the signed statements, the desk's own register and the sealed content.

Never drops a row and never trusts a claim by the gateway alone: a row is verified, or refused with a reason. An opened
report is weighed by the rules of `gateway.guidance.risk`, which the form's promises use too.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

import msgspec

from gateway.desk.vault import VaultError
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import EPOCH_PATTERN, INSTANCE_PATTERN, MAX_SEQUENCE, ReportRow
from gateway.exchange.form_rules import get_priority, list_answer_faults
from gateway.exchange.public_report import PublicReport, check_made_values, parse_public_report, salvage_public_report
from gateway.guidance.risk import (
    SOMETHING_ELSE,
    Risk,
    assess_public,
    find_kind,
    is_untold,
    list_answered,
    list_derived,
    list_found_in_words,
    weigh,
)
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.report import IndustryReport, SealedIndustryReport, list_given, parse_sealed_report
from partner_sdk.report.model import Child, Suspect
from partner_sdk.wire.canonical import (
    decode,
    encode,
    get_reference_environment,
    parse_base64url,
    parse_exact,
    parse_reference,
    parse_time,
)
from partner_sdk.wire.receipts import PLACEMENT_PATTERN, SIGNED_INTAKE, IntakeStatement, verify_intake
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.signing import MAX_STATEMENT_BYTES, KeySet, parse_statement
from partner_sdk.wire.submission import (
    PUBLIC_SENDER,
    SENDER_PATTERN,
    SIGNED_SUBMISSION,
    ClearFields,
    SubmissionStatement,
    check_clear_fields,
    clear_fields_of,
    report_context,
)

# The kind of a report whose sender named none until a person assesses it: it may be any, told in words.
UNTOLD: Final = "untold"
_TODAY: Final = timedelta(days=1)
_NEXT_DAYS: Final = timedelta(days=7)


def assess(content: PublicReport | SealedIndustryReport, *, received_at: datetime) -> Risk:
    """Return an opened report's urgency; the time until a meeting counts from the receipt of the report."""
    if isinstance(content, PublicReport):
        return assess_public(content, in_words=list_found_in_words(content.story))
    report = content.report
    derived = _derive_partner(report, content.clear, received_at)
    return weigh(frozenset(chain(list_answered(report, "partner"), list_derived(derived))))


def get_filed_kind(content: PublicReport | SealedIndustryReport, risk: Risk) -> str:
    """Return the kind under which a report is filed: a partner's own answer, or the gravest that a person named."""
    if not isinstance(content, PublicReport):
        return content.report.category
    return find_kind(risk.factors) or (UNTOLD if is_untold(content) else SOMETHING_ELSE)


def _derive_partner(report: IndustryReport, clear: ClearFields, received_at: datetime) -> Iterator[str]:
    if clear.priority == "P1" or (clear.priority == "P2" and clear.partner != PUBLIC_SENDER):
        yield "priority-p1" if clear.priority == "P1" else "priority-p2"
    incident, suspects = report.incident, list_given(report.suspects)
    for meeting in list_given(incident.meetings):
        yield _judge_meeting(meeting.meets_at, received_at)
    if list_given(incident.payments):
        yield "payments"
    if isinstance(incident.off_platform_move, str):
        yield "off-platform"
    if any(isinstance(one.position_of_trust, str) for one in suspects):
        yield "position-of-trust"
    yield from _derive_children(list_given(report.children), received_at)
    reported: list[Suspect | Child] = [*suspects, *list_given(report.children)]
    if any(list_given(one.earlier_reports) for one in reported):
        yield "earlier-reports"


def _derive_children(children: Sequence[Child], received_at: datetime) -> Iterator[str]:
    if len(children) > 1:
        yield "several-children"
    ages = [age for child in children if (age := _find_age(child, received_at)) is not None]
    if any(age < 13 for age in ages):
        yield "age-under-13"
    if any(13 <= age <= 15 for age in ages):
        yield "age-13-to-15"
    if not ages and not any(isinstance(child.age_band, str) for child in children):
        yield "age-not-said"


def _judge_meeting(meets_at: object, received_at: datetime) -> str:
    """Return the urgency of a meeting; one long past may have taken place, or be repeated."""
    try:
        wait = parse_time(meets_at) - received_at if isinstance(meets_at, str) else None
    except FormatError:
        wait = None
    if wait is None or not -_TODAY <= wait <= _NEXT_DAYS:
        return "meets-some-time"
    return "meets-today" if wait <= _TODAY else "meets-soon"


def _find_age(child: Child, received_at: datetime) -> int | None:
    """Return a child's age as stated, or the youngest that a date of birth allows; None if neither is given."""
    if isinstance(child.age, int):
        return child.age
    if not isinstance(child.born_on, str):
        return None
    # If only a year or a month is given, assume its last day: "2013" is read as "2013-12-31".
    born_on = child.born_on + "-12-31"[len(child.born_on) - 4 :]
    birthday = born_on[4:]
    today = received_at.astimezone(UTC).date().isoformat()
    return max(0, int(today[:4]) - int(born_on[:4]) - (today[4:] < birthday))


MAX_ROW_BYTES: Final = MAX_ENVELOPE_BYTES * 2
BY_GATEWAY: Final = "gateway"  # the channel of rows and cases, other than a file that was brought
# The most urgent first. A row without a proven priority is treated as the most urgent.
PRIORITIES: Final = ("P1", "P2", "P3")
KEY_ENDED: Final = "key-ended"
UNREADABLE_CONTENT: Final = "unreadable-content"
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
    intake_sha256: bytes  # the digest that acknowledgements and the chain name
    submission_raw: bytes | None
    envelope_raw: bytes
    content: SealedContent


def check_row(
    raw: bytes, *, trusted: TrustedKeys, now: datetime, seen_at: datetime | None = None, by_word: bool = False
) -> VerifiedRow:
    """Return the row verified and opened, or raise `RowRefusedError`.

    `seen_at` is the time at which this desk first saw the row, if not now; no time in the row itself replaces it. A
    refused row is weighed too, for every refusal reason: it may come from a child in danger. `by_word`: a person has
    read it, and takes it although it breaks the form's rules.
    """
    try:
        return _check_row(raw, trusted=trusted, now=now, seen_at=seen_at or now, by_word=by_word)
    except RowRefusedError as refused:
        # What opens and cannot be read was weighed there already.
        if refused.seals_crisis is None and refused.reason != UNREADABLE_CONTENT:
            with suppress(FormatError):
                row = parse_exact(raw, kind=ReportRow, max_bytes=MAX_ROW_BYTES)
                clears = [SIGNED_INTAKE.peek(encode(row.intake)).clear]
                if row.submission is not None:
                    clears.append(clear_fields_of(SIGNED_SUBMISSION.peek(row.submission)))
                refused.seals_crisis = weigh_envelope(row.envelope, clears, trusted=trusted, now=now)
        raise


def weigh_envelope(envelope: str, clears: Iterable[ClearFields], *, trusted: TrustedKeys, now: datetime) -> bool | None:
    """Return whether an envelope seals a crisis, opened under unverified clear fields; None if none opens.

    Use it only for an alert.
    """
    for clear in clears:
        try:
            raw = parse_base64url(envelope, max_bytes=MAX_ENVELOPE_BYTES)
            return assess(open_content(raw, clear=clear, trusted=trusted), received_at=now).crisis
        except VaultError:
            raise  # the row was not judged at all: the next run does it
        except RowRefusedError as refused:
            return refused.seals_crisis
        except ReportAbuseError:
            continue
    return None


def _check_row(raw: bytes, *, trusted: TrustedKeys, now: datetime, seen_at: datetime, by_word: bool) -> VerifiedRow:
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
        if isinstance(content, PublicReport) and not by_word:
            _check_answers(content, intake=intake)
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
        intake_sha256=hashlib.sha256(intake_raw).digest(),
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
            "The envelope differs from the one that the gateway accepted.", reason="envelope-mismatch"
        )
    return raw


def _check_door(intake: IntakeStatement, *, submission_raw: bytes | None) -> None:
    # If a gateway called a partner's report public, its proof of origin would be lost, and vice versa.
    is_public = intake.door == "public"
    if (
        is_public != (intake.clear.partner == PUBLIC_SENDER)
        or is_public != (submission_raw is None)
        or is_public != (intake.submission_sha256 is None)
        or is_public != (intake.clear.way is not None)
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
        submission = SIGNED_SUBMISSION.open(raw, keys=raw_keys)
    except StatementError as error:
        raise RowRefusedError(
            f"The submission is not the partner's: {error}", reason="submission-not-genuine"
        ) from None
    if hashlib.sha256(envelope_raw).hexdigest() != submission.envelope_sha256:
        raise RowRefusedError("The submission names another envelope.", reason="submission-not-genuine")
    return submission


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
        report = parse_public_report(plain) if clear.partner == PUBLIC_SENDER else parse_sealed_report(plain)
        if isinstance(report, PublicReport):
            check_made_values(report)
    except FormatError:
        raise RowRefusedError(
            "The envelope opens, but its content is not a report in a known format.",
            reason=UNREADABLE_CONTENT,
            seals_crisis=_weigh_unreadable(plain, clear=clear),
        ) from None
    return report


def _weigh_unreadable(plain: bytes, *, clear: ClearFields) -> bool | None:
    """Return True if what can be read of a public report is a crisis, and else None: the rest may be one."""
    report = salvage_public_report(plain, clear=clear) if clear.partner == PUBLIC_SENDER else None
    return (report is not None and assess_public(report, in_words=list_found_in_words(report.story)).crisis) or None


def _check_content(content: SealedContent, *, intake: IntakeStatement) -> None:
    check_same(content.clear, intake.clear, whose="sealed report and the intake statement")
    if isinstance(content, PublicReport) and content.placement != intake.placement:
        raise RowRefusedError(
            "The sealed report and the intake statement name different placements.",
            reason="clear-fields-mismatch",
            priority=content.clear.priority,
        )


def _check_answers(report: PublicReport, *, intake: IntakeStatement) -> None:
    """Raise if the form could not have made a report: whoever has the public key can seal any answers."""
    faults = list_answer_faults(report, received_on=parse_time(intake.received_at).date())
    if faults:
        raise RowRefusedError(
            f"The form makes no such report: {faults[0].path}.",
            reason=faults[0].kind,
            priority=min(report.clear.priority, get_priority(report)),
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
    return clear_fields_of(SIGNED_SUBMISSION.peek(parse_statement(submission_raw)))
