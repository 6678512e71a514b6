"""Sends a saved submission if its key allows that, and signs it again when its former key's word counts no longer.

A report may lie in the folder for longer than a former key is taken, or that key was revoked after it sealed. The
envelope and every field stay the same; only who signs changes. Never signs again what the gateway has taken already.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from partner_sdk.client.exchange_bounds import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.client.report_sealing import check_may_leave
from partner_sdk.client.transport import Reply, Transport
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    ProblemError,
    RefusedError,
    SealingError,
    TransportError,
)
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.keys import KeySet
from partner_sdk.wire.problems import NOT_FOUND, STATEMENT_REFUSED
from partner_sdk.wire.replies import Progress
from partner_sdk.wire.statements import MAX_STATEMENT_BYTES, parse_statement
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES, ReportPost, peek_submission, sign_submission


def send_submission(state: PartnerState, transport: Transport, report_id: str) -> Reply:
    """Send a saved submission and return the receipt's reply; raises as `Transport.send`.

    The caller holds the submission. Afterwards the saved one is what was taken.
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
    transport: Transport,
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


def find_receipt(transport: Transport, report_id: str) -> Reply | None:
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
