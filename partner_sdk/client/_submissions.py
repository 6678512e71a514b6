"""Submissions, the bodies of `POST /v1/reports`: sealed, signed and saved, then sent until taken (WIRE.md §6.1).

A report is sealed under the key set that is saved here, before the network is asked for a newer one, and it leaves the
folder only if a key set in force allows its key (docs/decisions/0026).

It may lie in the folder for longer than a former key is taken, or that key was revoked after it sealed. Then only the
signature changes. Never signs again a report that the gateway has taken already.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from partner_sdk.client._events import log_event
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._repeats import SentAs, check_not_repeated, list_unnamed, note_report
from partner_sdk.client._threads import note_answer
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, Reply
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    ProblemError,
    RefusedError,
    ReportAbuseError,
    SealingError,
    TransportError,
)
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.report import IndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import (
    check_filled_in,
    decode,
    encode,
    format_time,
    parse_base64url,
    parse_exact,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.problems import NOT_FOUND, STATEMENT_REFUSED, UNKNOWN_AGENCY_KEY
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
    ClearFields,
    Progress,
    ReportPost,
    SubmissionStatement,
    peek_submission,
    report_context,
    sign_submission,
)

# With it comes all that sends, which a command that runs alone does not need.
if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport

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
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear, evidence=evidence))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in ClearFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = sign_submission(statement, submission_key=submission_key)
    return encode(ReportPost(envelope=to_base64url(envelope.to_bytes()), statement=parse_statement(signed)))


def seal_and_save(
    state: PartnerState,
    report: IndustryReport,
    *,
    clear: ClearFields,
    evidence: tuple[EvidenceReference, ...],
    get_key_set: Callable[[], KeySet],
    clock: Callable[[], datetime],
    notify: Callable[[str], None],
    replaces: bool,
    again: bool,
    on_saved: Callable[[str], None],
) -> None:
    """Seal and save a report, and only then renew the key set and seal again if it names another key.

    Without a saved key set one is fetched first. An error before `on_saved` was called means that nothing is
    saved; nothing is raised afterwards. A live agency is never sent an example of this package as it was: `FormatError`
    (`unchanged-example`), nor, unless `again`, the same report twice in an hour: `RepeatedReportError`.
    """
    if clear.environment == "live":
        plain = structs.replace(report, answers_request=None)
        check_filled_in(plain, examples=_load_examples(), yours=_TO_REPLACE)
    unnamed = list_unnamed(report, {one.file_id: one.sha256 for one in evidence})
    sent_as = SentAs(clear.priority, clear.kind, clear.earlier_reference, unnamed)
    if not again and not replaces:
        check_not_repeated(state, report, sent_as, now=clock(), notify=notify)
    submission_key = state.load_submission_key()

    def make_body(key: SealingKey) -> bytes:
        return make_report_body(
            report, clear=clear, evidence=evidence, key=key, submission_key=submission_key, now=clock()
        )

    key = _find_saved_key(state, now=clock()) or _fetch_key(get_key_set, clock=clock)
    body = make_body(key)
    # Held until the newest key has sealed it: a flush beside this must not send a report that is about to be replaced.
    with state.holding_submission(clear.report_id):
        note_answer(state, clear.report_id, report=report, kind=clear.kind)
        (state.replace_submission if replaces else state.save_submission)(clear.report_id, body)
        log_event("report-sealed", report_id=clear.report_id, priority=clear.priority, kind=clear.kind)
        on_saved(clear.report_id)
        note_report(state, clear.report_id, report, sent_as, now=clock())
        try:
            newest = find_active_sealing_key(get_key_set(), now=clock())
            if newest is not None and newest.key_id != key.key_id:
                state.replace_submission(clear.report_id, make_body(newest))
        except ReportAbuseError as error:
            notify(f"Report {clear.report_id} is sealed and saved. The key set could not be renewed: {error}")


@cache
def _load_examples() -> tuple[IndustryReport, ...]:
    folder = files("partner_sdk") / "examples"
    return tuple(decode((folder / name).read_bytes(), kind=IndustryReport) for name in _EXAMPLES)


def _find_saved_key(state: PartnerState, *, now: datetime) -> SealingKey | None:
    try:
        return find_saving_key(state.read_key_set(now=now, allow_expired=True), now=now)
    except (KeySetError, LocalStateError):
        return None


def _fetch_key(get_key_set: Callable[[], KeySet], *, clock: Callable[[], datetime]) -> SealingKey:
    try:
        key = find_active_sealing_key(get_key_set(), now=clock())
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
    if parse_time(peek_submission(post.statement).created_at) >= parse_time(key_set.expires_at):
        raise KeySetError("The report was sealed under an expired key set: it waits for a newer one.", reason="expired")
    if now >= parse_time(key_set.expires_at):
        return  # it was sealed in time, and nothing newer is known: the gateway decides
    key_id = to_base64url(Envelope.parse(parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)).key_id)
    if not any(key.key_id == key_id and accepts_envelope(key, now=now) for key in key_set.sealing_keys):
        raise SealingError(
            "The agency can no longer open a report sealed to this key, and neither can you.",
            reason=UNKNOWN_AGENCY_KEY.slug,
        )


def send_submission(state: PartnerState, transport: "Transport", report_id: str) -> Reply:
    """Send a saved submission and return the receipt's reply; raises as `Transport.send`.

    The caller holds the submission. Afterwards the saved one is the one that was taken.
    """
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


def find_taken_before(
    state: PartnerState,
    transport: "Transport",
    post: ReportPost,
    *,
    clock: Callable[[], datetime],
    refresh: Callable[[], KeySet],
) -> Reply | None:
    """Return None if a saved report may be sent, or its receipt if the gateway took it before its key ended.

    Raises as `check_may_leave`, judged by a renewed key set where one can be had.
    """
    try:
        _check_may_leave(state, post, now=clock())
    except (KeySetError, SealingError):
        with suppress(TransportError, ProblemError, KeySetError, FormatError):
            refresh()
    else:
        return None
    try:
        _check_may_leave(state, post, now=clock())
    except SealingError:
        taken = find_receipt(transport, peek_submission(post.statement).report_id)
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
    signed = sign_submission(peek_submission(post.statement), submission_key=load_signing_key(key_file))
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
