"""Imports a sealed report from a file (the body of `POST /v1/reports`): checks it, files it, and returns a receipt.

Trusts only the partner's signature, the desk's own register and the sealed content. Never files a report twice: one
that came through the gateway before, or in the same file, is known and gets its receipt again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection, insert, select, tuple_

from gateway.desk.collection.chain import load_trusted_keys
from gateway.desk.collection.collect import ALWAYS, DUPLICATE_ID
from gateway.desk.collection.filing import BY_FILE, NewCase, file_cases, make_own_reference
from gateway.desk.collection.quarantine import Claim, keep_bytes, read_waiting, resolve_row
from gateway.desk.collection.row_checks import (
    RowRefusedError,
    SealedContent,
    TrustedKeys,
    assess,
    check_key_covers,
    check_same,
    open_content,
    open_partners_submission,
    read_clear_fields,
    weigh_envelope,
)
from gateway.desk.keyring.case_boxes import close_reports, find_report_key, make_keys
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.store import audit
from gateway.desk.store.schema import IMPORTED_REPORTS, REPORTS
from gateway.exchange.request_signatures import parse_any_spelling
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, parse_time
from partner_sdk.wire.receipts import DeskReceiptStatement
from partner_sdk.wire.sealing import MAX_ENVELOPE_BYTES
from partner_sdk.wire.submission import (
    MAX_REPORT_BODY_BYTES,
    SIGNED_SUBMISSION,
    ClearFields,
    ReportPost,
    clear_fields_of,
)


@dataclass(frozen=True, slots=True)
class VerifiedPost:
    """A file with a valid statement and an envelope that opens. `content` is in memory only."""

    clear: ClearFields
    submission_raw: bytes
    envelope_raw: bytes
    content: SealedContent

    @property
    def submission_sha256(self) -> bytes:
        """The digest that identifies the partner's statement."""
        return sha256(self.submission_raw).digest()

    @property
    def envelope_sha256(self) -> bytes:
        """The digest of the sealed box."""
        return sha256(self.envelope_raw).digest()


def parse_post(raw: bytes) -> ReportPost:
    """Parse a file strictly, without trusting it; raises `FormatError`."""
    return parse_any_spelling(raw, kind=ReportPost, max_bytes=MAX_REPORT_BODY_BYTES)


def check_post(raw: bytes, *, trusted: TrustedKeys, seen_at: datetime) -> VerifiedPost:
    """Return the report verified and opened, or raise `RowRefusedError`; `seen_at` is when this desk first saw it."""
    claimed_priority: str | None = None
    try:
        post = parse_post(raw)
        said = SIGNED_SUBMISSION.peek(post.statement)
        claimed_priority = said.priority
        return _check(post, trusted=trusted, seen_at=seen_at)
    except RowRefusedError as refused:
        raise RowRefusedError(
            str(refused),
            reason=refused.reason,
            priority=refused.stated_priority or claimed_priority,
            seals_crisis=weigh_envelope(post.envelope, [clear_fields_of(said)], trusted=trusted, now=seen_at)
            if refused.seals_crisis is None
            else refused.seals_crisis,
        ) from None
    except (FormatError, OpeningError) as error:
        reason = error.reason if isinstance(error, OpeningError) else "malformed"
        raise RowRefusedError(str(error), reason=reason, priority=claimed_priority) from None


def _check(post: ReportPost, *, trusted: TrustedKeys, seen_at: datetime) -> VerifiedPost:
    submission_raw = encode(post.statement)
    envelope_raw = parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    keys = trusted.submission_keys.get(SIGNED_SUBMISSION.peek(post.statement).partner, {})
    submission = open_partners_submission(submission_raw, keys=keys, envelope_raw=envelope_raw)
    if submission.environment != trusted.key_set.environment:
        raise RowRefusedError("The report is for another environment.", reason="wrong-environment")
    clear = clear_fields_of(submission)
    check_key_covers(submission_raw, keys=keys, seen_at=seen_at, priority=clear.priority)
    content = open_content(envelope_raw, clear=clear, trusted=trusted)
    try:
        check_same(content.clear, clear, whose="sealed report and the submission")
    except RowRefusedError as refused:
        refused.seals_crisis = assess(content, received_at=seen_at).crisis
        raise
    return VerifiedPost(clear=clear, submission_raw=submission_raw, envelope_raw=envelope_raw, content=content)


@dataclass(frozen=True, slots=True)
class Imported:
    """The result for one file: `receipt` and `reference` are None if it is in quarantine for `reason`."""

    state: Literal["filed", "known", "quarantined"]
    reference: str | None = None
    receipt: bytes | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """The desk's record for a report id. `imported_at` is None if the report came through the gateway alone.

    `is_this` is true for the same box with the same clear fields; `is_same_bytes` if the signature is the same too.
    """

    reference: str
    is_this: bool
    is_same_bytes: bool
    imported_at: str | None


def import_report(desk: Desk, raw: bytes, *, actor: str) -> Imported:
    """Check and file a sealed report from a file, and answer it, in one durable transaction.

    A file that is not a sealed report raises `FormatError` and is not kept. A report that does not verify or open is
    kept in quarantine, byte for byte, like a row of the feed.
    """
    read = parse_post(raw)
    said, submission_raw = SIGNED_SUBMISSION.peek(read.statement), encode(read.statement)
    envelope_raw = parse_base64url(read.envelope, max_bytes=MAX_ENVELOPE_BYTES)
    now = desk.clock()
    with desk.store.read() as connection:
        # A report that is already here stays provable after its key has ended.
        held = _find_held(connection, clear_fields_of(said), submission_raw=submission_raw, envelope_raw=envelope_raw)
    try:
        seen_at = ALWAYS if held is not None and held.is_same_bytes else now
        post = check_post(raw, trusted=load_trusted_keys(desk, actor=actor), seen_at=seen_at)
    except RowRefusedError as refused:
        with desk.store.write() as connection:
            return _quarantine(connection, raw, refused, actor=actor, now=now)
    with desk.store.write() as connection:
        try:
            return _take(desk, connection, post, actor=actor, now=now)
        except RowRefusedError as refused:
            return _quarantine(connection, raw, refused, actor=actor, now=now)


def try_imports_again(desk: Desk, *, actor: str, by_word: int | None = None) -> Sequence[Imported]:
    """Judge the files in quarantine again; return the reports now filed or known, with their receipts."""
    trusted = load_trusted_keys(desk, actor=actor)
    taken: list[Imported] = []
    for row_id, raw, seen_at in read_waiting(desk, channel=BY_FILE):
        is_accepted = row_id == by_word
        try:
            post = check_post(raw, trusted=trusted, seen_at=ALWAYS if is_accepted else parse_time(seen_at))
            with desk.store.write() as connection:
                imported = _take(desk, connection, post, actor=actor, now=desk.clock())
                filed_as = "filed-by-word" if is_accepted else "filed"
                resolution = filed_as if imported.state == "filed" else "known"
                resolve_row(connection, row_id, resolution=resolution, actor=actor, now=desk.clock())
        except RowRefusedError:
            continue
        taken.append(imported)
    return taken


def _take(desk: Desk, connection: Connection, post: VerifiedPost, *, actor: str, now: datetime) -> Imported:
    again = select(IMPORTED_REPORTS.c.reference, IMPORTED_REPORTS.c.receipt).where(
        IMPORTED_REPORTS.c.submission_sha256 == post.submission_sha256
    )
    if (row := connection.execute(again).first()) is not None:
        return Imported("known", reference=row.reference, receipt=bytes(row.receipt))
    held = _find_held(connection, post.clear, submission_raw=post.submission_raw, envelope_raw=post.envelope_raw)
    if held is not None and not held.is_this:
        raise RowRefusedError(
            "Another report already has this id.",
            reason=DUPLICATE_ID,
            priority=post.clear.priority,
            seals_crisis=assess(post.content, received_at=now).crisis,
        )
    reference, signer = make_own_reference(desk, connection) if held is None else held.reference, desk.load_signer()
    receipt = signer.sign(
        DeskReceiptStatement(
            clear=post.clear,
            environment=post.clear.environment,
            envelope_sha256=post.envelope_sha256.hex(),
            received_at=format_time(now) if held is None or held.imported_at is None else held.imported_at,
            reference=reference,
            submission_sha256=post.submission_sha256.hex(),
        )
    )
    if held is None or held.imported_at is None:
        key = (
            make_keys(signer, connection, [desk.make_id()])[0]
            if held is None
            else find_report_key(connection, post.clear)
        )
        (closed,) = close_reports(signer, [(key, post.clear.report_id, post.envelope_raw)], kind="import")
        connection.execute(
            insert(IMPORTED_REPORTS).values(
                environment=post.clear.environment,
                partner=post.clear.partner,
                report_id=post.clear.report_id,
                reference=reference,
                clear=encode(post.clear).decode(),
                submission_sha256=post.submission_sha256,
                submission=post.submission_raw,
                envelope_sha256=post.envelope_sha256,
                envelope=closed,
                receipt=receipt,
                imported_at=format_time(now),
                imported_by=actor,
            )
        )
        if held is None and key is not None:
            case = NewCase(
                clear=post.clear,
                content=post.content,
                reference=reference,
                received_at=format_time(now),
                door="industry",
                placement=None,
                channel=BY_FILE,
            )
            file_cases(connection, [case], case_ids=[key.case_id], signer=signer, now=now, keys=[key])
    state: Literal["filed", "known"] = "filed" if held is None else "known"
    audit.append_entry(
        connection,
        "import",
        f"{post.clear.partner}/{post.clear.report_id}",
        at=now,
        actor=actor,
        state=state,
        reference=reference,
    )
    return Imported(state, reference=reference, receipt=receipt)


def _find_held(
    connection: Connection, clear: ClearFields, *, submission_raw: bytes, envelope_raw: bytes
) -> _Held | None:
    own = (clear.environment, clear.partner, clear.report_id)
    by_gateway, by_file = (
        connection.execute(
            select(table).where(tuple_(table.c.environment, table.c.partner, table.c.report_id) == own)
        ).first()
        for table in (REPORTS, IMPORTED_REPORTS)
    )
    row = by_gateway or by_file
    if row is None:
        return None
    held_raw = bytes(row.submission or b"")
    return _Held(
        row.reference,
        # Signed again after a change of keys, it is still the same report (client/_submissions.py in the SDK).
        is_this=bytes(row.envelope_sha256) == sha256(envelope_raw).digest() and read_clear_fields(held_raw) == clear,
        is_same_bytes=held_raw == submission_raw,
        imported_at=None if by_file is None else by_file.imported_at,
    )


def _quarantine(connection: Connection, raw: bytes, refused: RowRefusedError, *, actor: str, now: datetime) -> Imported:
    try:
        said = SIGNED_SUBMISSION.peek(parse_post(raw).statement)
        claim = Claim(said.partner, said.report_id)
    except FormatError:
        claim = Claim()
    kept = keep_bytes(
        connection,
        raw,
        refused,
        claim=claim,
        stated_priority=refused.stated_priority,
        channel=BY_FILE,
        alerted=set(),
        actor=actor,
        now=now,
    )
    queue_alert(connection, count=int(kept.needs_alert), now=now)
    return Imported("quarantined", reason=refused.reason)
