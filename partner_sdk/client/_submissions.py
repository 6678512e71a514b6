"""Submissions, the bodies of `POST /v1/reports`: sealed, signed and saved, then sent until taken (WIRE.md §6.1).

A report is sealed under the key set that is saved here, before the network is asked for a newer one, and it leaves the
folder only if a key set in force allows its key (docs/decisions/0026). It may lie in the folder for longer than a
former key is taken, or that key was revoked after it sealed. Then only the signature changes. Never signs again a
report that the gateway has taken already.

Repeats: the reports that were sealed in the last hour, so that the same one does not go twice by accident. A keyed
digest of each is the name of a link to it: never a word of a report. The first report of a new hour deletes the links
from before the last one. A thief of the folder has the key too, and can test whether a report that they know word by
word is among them. A P1 is never held back: a report too many costs minutes, and one too few can cost a child.

Earlier reports: only a receipt makes a response an answer, and no answer goes to another case than the one that the
question is about: the saved request decides, not the reference that was typed.
"""

import hmac
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from partner_sdk.client._partner_state import GatewaySession, PartnerState
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, Reply, log_event
from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.client.threads import OPEN_STATES, QUESTIONS, Thread, ThreadState, note_answer, read_threads
from partner_sdk.durable_files import make_private_folder
from partner_sdk.errors import (
    FieldFault,
    FormatError,
    KeySetError,
    LocalStateError,
    ProblemError,
    RefusedError,
    RepeatedReportError,
    ReportAbuseError,
    ReportError,
    SealingError,
    TransportError,
)
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import (
    check_filled_in,
    check_report_id,
    decode,
    encode,
    format_time,
    get_id_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.mailbox import InformationRequest
from partner_sdk.wire.problems import NOT_FOUND, STATEMENT_REFUSED, UNKNOWN_AGENCY_KEY
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES, Envelope, SealingKey, seal
from partner_sdk.wire.signing import (
    MAX_STATEMENT_BYTES,
    KeySet,
    accepts_envelope,
    find_active_sealing_key,
    find_saving_key,
    parse_statement,
)
from partner_sdk.wire.submission import (
    MAX_REPORT_BODY_BYTES,
    SIGNED_SUBMISSION,
    ClearFields,
    Priority,
    Progress,
    ReportKind,
    ReportPost,
    StatedFields,
    SubmissionStatement,
    report_context,
)

if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport

KEPT_FOR: Final = timedelta(hours=1)
_FOLDER: Final = "recent"
_LABEL: Final = b"report-abuse/recent-report\n"


class SentAs(msgspec.Struct, frozen=True):
    """What makes two equal reports the same one besides their words; at another priority it is another.

    `files` has the id and SHA-256 of each file that goes with the report and whose hash its words do not name.
    """

    priority: Priority
    kind: ReportKind
    earlier_reference: str | None
    files: tuple[tuple[str, str], ...] = ()


def list_unnamed(report: IndustryReport, hashes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return those of some files (`file_id` to SHA-256) that the report does not name by their hash."""
    from partner_sdk.report import list_given

    named = {
        file.file_id
        for file in list_given(report.files)
        if any(one.type == "sha256" for one in list_given(file.hashes))
    }
    return tuple(sorted(one for one in hashes.items() if one[0] not in named))


def check_not_repeated(session: GatewaySession, report: IndustryReport, sent_as: SentAs) -> None:
    """Raise `RepeatedReportError` for a report that was sealed here in the last hour.

    A P1, and any report to a sandbox, goes: `notify` hears of the first one. An answer has a check of its own.
    """
    if sent_as.kind == "response":
        return
    repeat = find_repeat(session.state, report, sent_as, now=session.clock())
    if repeat is None:
        return
    log_event("report-repeated", report_id=repeat.report_id, priority=sent_as.priority)
    if sent_as.priority == "P1":
        session.notify(f"{repeat} A P1 is never held back: this one goes too.")
    elif session.state.profile.environment != "live":
        session.notify(f"{repeat} To a live agency it would not go twice unless you say so.")
    else:
        raise repeat


def find_repeat(
    state: PartnerState, report: IndustryReport, sent_as: SentAs, *, now: datetime
) -> RepeatedReportError | None:
    """Return the error for a report that was sealed here in the last hour, or None. A discarded one does not count."""
    name = _digest(state, report, sent_as)
    for folder in _list_folders(state, now=now):
        try:
            report_id = (folder / name).readlink().stem
            check_report_id(report_id)
            minutes, left = divmod(abs(now - get_id_time(report_id)), timedelta(minutes=1))
            if minutes * timedelta(minutes=1) + left <= KEPT_FOR and state.find_submission(report_id) is not None:
                return _make_error(state, report_id, minutes=minutes)
        except (OSError, FormatError, LocalStateError):
            continue  # a damaged note, submission or receipt must not hold a report back
    return None


def note_report(state: PartnerState, report_id: str, report: IndustryReport, sent_as: SentAs, *, now: datetime) -> None:
    """Remember a report that was sealed. Not synced: without the note, the same report may go twice."""
    folder, *_ = kept = _list_folders(state, now=now)
    link = folder / _digest(state, report, sent_as)
    with suppress(OSError, LocalStateError):
        if not folder.exists():
            make_private_folder(folder.parent)
            make_private_folder(folder)
            for older in set(folder.parent.iterdir()) - set(kept):
                shutil.rmtree(older)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../submissions") / f"{report_id}.json")


def _list_folders(state: PartnerState, *, now: datetime) -> list[Path]:
    """Return the folders of this hour and of the one before."""
    hour = int(now.timestamp() // KEPT_FOR.total_seconds())
    return [state.folder / _FOLDER / str(number) for number in (hour, hour - 1)]


def _digest(state: PartnerState, report: IndustryReport, sent_as: SentAs) -> str:
    key = state.load_submission_key().private_bytes_raw()
    fields = encode([sent_as.priority, sent_as.kind, sent_as.earlier_reference, sent_as.files])
    return hmac.digest(key, _LABEL + fields + b"\n" + encode(report), "sha256").hex()


def _make_error(state: PartnerState, report_id: str, *, minutes: int) -> RepeatedReportError:
    receipt = state.find_receipt(report_id)
    reference = None if receipt is None else SIGNED_INTAKE.peek(receipt).reference
    ago = f"{minutes} minute{'' if minutes == 1 else 's'} ago" if minutes else "less than a minute ago"
    known = (
        f"It was delivered as {reference}."
        if reference is not None
        else "It is sealed and waits in your folder: `spool flush`, or `resume()`, sends it."
        if not state.is_delivered(report_id)
        else "The desk has it."
    )
    return RepeatedReportError(
        f"The same report was sealed here {ago}, as {report_id}. {known}",
        reason="sent-before",
        report_id=report_id,
        reference=reference,
    )


# With it comes all that sends, which a command that runs alone does not need.


_EXAMPLES: Final = ("report.json", "full-report.json")
_TO_REPLACE: Final = "what happened, the times, the accounts and your organisation's details"


def make_report_body(
    report: IndustryReport,
    *,
    clear: ClearFields,
    evidence: tuple[EvidenceReference, ...],
    key: SealingKey,
    submission_key: Ed25519PrivateKey,
    now: datetime,
) -> bytes:
    """Seal a report to `key` and sign for it at `now`; other bytes each time, so they are made once and then kept."""
    from partner_sdk.report import encode_sealed_report, make_sealed_report  # as in partner.py

    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear, evidence=evidence))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in StatedFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = SIGNED_SUBMISSION.sign(statement, submission_key)
    return encode(ReportPost(envelope=to_base64url(envelope.to_bytes()), statement=parse_statement(signed)))


class ReportToSend(msgspec.Struct, frozen=True):
    """A checked report, and its clear fields."""

    report: IndustryReport
    priority: Priority
    kind: ReportKind = "initial"
    earlier_reference: str | None = None
    again: bool = False


def seal_report(
    session: GatewaySession,
    sent: ReportToSend,
    *,
    evidence: tuple[EvidenceReference, ...] = (),
    report_id: str | None = None,
    replaces: bool = False,
    on_saved: Callable[[str], None] = lambda _: None,
) -> str:
    """Seal and save a report, and only then renew the key set and seal again if it names another key; return its id.

    Without a saved key set one is fetched first. An error before `on_saved` was called means that nothing is
    saved; nothing is raised afterwards. A live agency is never sent an example of this package as it was: `FormatError`
    (`unchanged-example`), nor, unless `again`, the same report twice in an hour: `RepeatedReportError`.
    """
    state, report = session.state, sent.report
    clear = ClearFields(
        earlier_reference=sent.earlier_reference
        if replaces
        else find_earlier_reference(state, report, kind=sent.kind, given=sent.earlier_reference),
        environment=state.profile.environment,
        evidence_ids=tuple(one.evidence_id for one in evidence),
        kind=sent.kind,
        partner=state.profile.partner,
        priority=sent.priority,
        report_id=session.make_id() if report_id is None else report_id,
        schema_version="1",
    )
    raw_clear = encode(clear)
    parse_exact(raw_clear, kind=ClearFields, max_bytes=len(raw_clear))  # a wrong priority or kind, before sealing
    if clear.environment == "live":
        plain = structs.replace(report, answers_request=None)
        check_filled_in(plain, examples=_load_examples(), yours=_TO_REPLACE)
    unnamed = list_unnamed(report, {one.file_id: one.sha256 for one in evidence})
    sent_as = SentAs(clear.priority, clear.kind, clear.earlier_reference, unnamed)
    if not sent.again and not replaces:
        check_not_repeated(session, report, sent_as)
    submission_key = state.load_submission_key()

    def make_body(key: SealingKey) -> bytes:
        now = session.clock()
        return make_report_body(report, clear=clear, evidence=evidence, key=key, submission_key=submission_key, now=now)

    key = _find_saved_key(state, now=session.clock()) or _fetch_key(session)
    body = make_body(key)
    # Held until the newest key has sealed it: a flush beside this must not send a report that is about to be replaced.
    with state.holding_submission(clear.report_id):
        note_answer(state, clear.report_id, report=report, kind=clear.kind)
        (state.replace_submission if replaces else state.save_submission)(clear.report_id, body)
        log_event("report-sealed", report_id=clear.report_id, priority=clear.priority, kind=clear.kind)
        on_saved(clear.report_id)
        note_report(state, clear.report_id, report, sent_as, now=session.clock())
        try:
            newest = find_active_sealing_key(session.get_key_set(), now=session.clock())
            if newest is not None and newest.key_id != key.key_id:
                state.replace_submission(clear.report_id, make_body(newest))
        except ReportAbuseError as error:
            session.notify(f"Report {clear.report_id} is sealed and saved. The key set could not be renewed: {error}")
    return clear.report_id


@cache
def _load_examples() -> tuple[IndustryReport, ...]:
    folder = files("partner_sdk") / "examples"
    return tuple(decode((folder / name).read_bytes(), kind=IndustryReport) for name in _EXAMPLES)


def _find_saved_key(state: PartnerState, *, now: datetime) -> SealingKey | None:
    try:
        return find_saving_key(state.read_key_set(now=now, allow_expired=True), now=now)
    except (KeySetError, LocalStateError):
        return None


def _fetch_key(session: GatewaySession) -> SealingKey:
    try:
        key = find_active_sealing_key(session.get_key_set(), now=session.clock())
    except (TransportError, ProblemError) as error:
        # Not the error itself: it promises that the report is saved.
        raise SealingError(
            f"Nothing was sealed or saved: this folder has no agency key to seal to. {error}", reason="nothing-saved"
        ) from None
    if key is None:
        raise SealingError(
            "Nothing was sealed or saved: the agency has no active key for reports.", reason="no-active-key"
        )
    return key


def check_may_leave(post: ReportPost, *, key_set: KeySet, now: datetime) -> None:
    """Raise unless a sealed report may leave the folder under the newest key set that is known.

    `KeySetError` (`expired`): sealed under an expired key set, so that its key may not have counted any more.
    `SealingError` (`unknown-agency-key`): by a current key set the agency opens nothing under this key.
    """
    if parse_time(SIGNED_SUBMISSION.peek(post.statement).created_at) >= parse_time(key_set.expires_at):
        raise KeySetError("The report was sealed under an expired key set: it waits for a newer one.", reason="expired")
    if now >= parse_time(key_set.expires_at):
        return  # it was sealed in time, and nothing newer is known: the gateway decides
    key_id = to_base64url(Envelope.parse(parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)).key_id)
    if not any(key.key_id == key_id and accepts_envelope(key, now=now) for key in key_set.sealing_keys):
        raise SealingError(
            "The agency can no longer open a report sealed to this key, and neither can you.",
            reason=UNKNOWN_AGENCY_KEY.slug,
        )


def send_submission(session: GatewaySession, report_id: str) -> Reply:
    """Send a saved submission and return the receipt's reply; raises as `Transport.send`.

    The caller holds the submission. Afterwards the saved one is the one that was taken.
    """
    state, transport = session.state, session.transport
    saved = state.find_submission(report_id)
    body = b"" if saved is None else saved[0]
    try:
        return transport.send("POST", "/v1/reports", body=body, max_bytes=MAX_STATEMENT_BYTES)
    except RefusedError as error:
        again = sign_again(state, body) if error.reason == STATEMENT_REFUSED.slug else None
        if again is None:
            raise
    taken = find_receipt(transport, report_id)
    if taken is not None:
        return taken
    state.replace_submission(report_id, again)
    return transport.send("POST", "/v1/reports", body=again, max_bytes=MAX_STATEMENT_BYTES)


def find_taken_before(session: GatewaySession, post: ReportPost) -> Reply | None:
    """Return None if a saved report may be sent, or its receipt if the gateway took it before its key ended.

    Raises as `check_may_leave`, judged by a renewed key set where one can be had.
    """
    try:
        _check_may_leave(session.state, post, now=session.clock())
    except (KeySetError, SealingError):
        with suppress(TransportError, ProblemError, KeySetError, FormatError):
            session.refresh_key_set()
    else:
        return None
    try:
        _check_may_leave(session.state, post, now=session.clock())
    except SealingError:
        taken = find_receipt(session.transport, SIGNED_SUBMISSION.peek(post.statement).report_id)
        if taken is None:
            raise
        return taken
    return None


def sign_again(state: PartnerState, body: bytes) -> bytes | None:
    """Return a submission under the key of now, or None where that key has signed it already."""
    post = parse_exact(body, kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)
    key_file = state.read_key(KeyRole.SUBMISSION)
    if [signature.keyid for signature in post.statement.signatures] == [key_file.key_id]:
        return None
    signed = SIGNED_SUBMISSION.sign(SIGNED_SUBMISSION.peek(post.statement), load_signing_key(key_file))
    return encode(ReportPost(envelope=post.envelope, statement=parse_statement(signed)))


def find_receipt(transport: "Transport", report_id: str) -> Reply | None:
    """Return the receipt of a report whose reply was lost before a key of it ended, or None."""
    try:
        reply = transport.send("GET", f"/v1/reports/{report_id}", max_bytes=MAX_SMALL_REPLY_BYTES)
    except RefusedError as error:
        if error.reason == NOT_FOUND.slug:
            return None
        raise
    progress = parse_exact(reply.body, kind=Progress, max_bytes=MAX_SMALL_REPLY_BYTES)
    return Reply(status=reply.status, body=encode(progress.receipt))


def _check_may_leave(state: PartnerState, post: ReportPost, *, now: datetime) -> None:
    try:
        key_set = state.read_key_set(now=now, allow_expired=True)
    except (KeySetError, LocalStateError):
        return  # nothing to judge by: the gateway decides
    check_may_leave(post, key_set=key_set, now=now)


class Question(msgspec.Struct, frozen=True):
    """One question of the agency, and the state of its answer.

    `waiting`: an answer is sealed and not yet delivered; `answered`: one is. `answers` are reports that answer it.
    """

    request: InformationRequest
    thread: Thread

    @property
    def request_id(self) -> str:
        """The id that an answer names."""
        return self.request.request_id

    @property
    def text(self) -> str:
        """The agency's question."""
        return self.request.question

    @property
    def reference(self) -> str | None:
        """The reference of the report that it is about, or None: it is about `request.accounts` alone."""
        return self.request.reference

    @property
    def due_at(self) -> datetime:
        """The legal deadline of the answer (UTC)."""
        return parse_time(self.request.due_at)

    @property
    def state(self) -> ThreadState:
        """The state of its thread, e.g. `open`."""
        return self.thread.state

    @property
    def answers(self) -> tuple[str, ...]:
        """The ids of the reports that answer it."""
        return self.thread.answers

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the deadline has passed without a delivered answer."""
        return self.thread.is_overdue(now)


class Questions(msgspec.Struct, frozen=True):
    """The questions, the soonest due first, and the numbers of messages whose question could not be read."""

    questions: tuple[Question, ...]
    unreadable: tuple[int, ...]


def list_requests(state: PartnerState, *, messages: Iterable[OpenedMessage] | None = None) -> Questions:
    """Return the questions in the saved messages with their states."""
    found = read_threads(state, kinds=QUESTIONS, messages=messages)
    questions = [Question(one.body, one) for one in found.threads if isinstance(one.body, InformationRequest)]
    ordered = sorted(questions, key=lambda one: (one.request.due_at, one.thread.number))
    return Questions(questions=tuple(ordered), unreadable=found.unreadable)


_UNKNOWN: Final = "No request with this id is saved here: `thread list` fetches them. Give the id of an open one."
_MOST_NAMED: Final = 5


def check_earlier_reference(reference: str | None, *, kind: ReportKind) -> None:
    """Raise `FormatError` if a report of this kind must name an earlier one and does not; a response need not."""
    if kind not in {"initial", "response"} and reference is None:
        raise FormatError(
            f"A {kind} needs an earlier reference (--earlier-reference) to your own report.",
            reason="no-earlier-reference",
        )


def find_earlier_reference(
    state: PartnerState, report: IndustryReport, *, kind: ReportKind, given: str | None
) -> str | None:
    """Return the earlier reference to seal: the one given, and for a response that of the question that it answers.

    Raises `FormatError` (`no-earlier-reference`), and `ReportError`: `unknown-request` when the question is not saved
    in this folder, `not-open` when it has an answer already, `other-report` when it is about another report.
    """
    check_earlier_reference(given, kind=kind)
    if kind != "response":
        return given
    kept = list_requests(state).questions
    asked = next((one for one in kept if one.request_id == report.answers_request), None)
    if asked is None:
        raise _refuse(
            "The question that this answers is not saved here, so its report is unknown too.",
            reason="unknown-request",
            detail=f"{_UNKNOWN} {_format_open(kept)}",
        )
    if asked.state not in OPEN_STATES:
        raise _refuse(
            "The question is not open any more.", reason="not-open", detail=f"{_describe(asked)} {_format_open(kept)}"
        )
    if given not in {None, asked.reference}:
        raise _refuse(
            "The question is about a different report from the one in --earlier-reference.",
            reason="other-report",
            detail="This request is about no report of yours: give no reference."
            if asked.reference is None
            else f"This request is about your report {asked.reference}: give that reference.",
        )
    return asked.reference


def _describe(asked: Question) -> str:
    """Return why a question takes no further report as its answer."""
    named = f" ({', '.join(asked.answers)})" if asked.answers else ""
    if asked.state == "waiting":
        return f"An answer waits in the spool{named}: `spool flush` sends it, `report discard` drops a report."
    if asked.state == "answered" and asked.answers:
        about = "it" if asked.reference is None else asked.reference
        return f"Your report {', '.join(asked.answers)} answers it. Send more as a supplement to {about}."
    ended = {"answered": "You answered it", "declined": "You declined it", "recalled": "The agency withdrew it"}
    return f"{ended.get(asked.state, 'The agency closed it')}: `thread show {asked.request_id}` shows all of it."


def _refuse(message: str, *, reason: str, detail: str) -> ReportError:
    return ReportError(message, reason=reason, faults=[FieldFault("#/answers_request", detail)])


def _format_open(kept: Sequence[Question]) -> str:
    """Return the ids of the open questions, the soonest due first: they come from the agency, so they may be shown."""
    still_open = [one for one in kept if one.state in OPEN_STATES]
    if not still_open:
        return "No question is open."
    named = [
        f"{one.request_id} (about {one.reference or 'accounts'}, due {one.request.due_at[:10]})"
        for one in still_open[:_MOST_NAMED]
    ]
    more = f", and {len(still_open) - _MOST_NAMED} more" if len(still_open) > _MOST_NAMED else ""
    return f"Open now: {', '.join(named)}{more}."
