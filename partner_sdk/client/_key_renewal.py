"""A request that was refused for its key: go over to newer keys, or sign the saved submission again.

A register names one key for each partner, so the old one is refused from the moment that the new one counts, and
another process of this partner, or the agency, may have changed it: the sender goes over and sends again, and no report
waits for a person. The gateway's statement about a key is its word alone: when it refuses the key that it had called
known, the former one is tried, and put in force again.

A report may lie in the folder for longer than a former key is taken, or that key was revoked after it sealed. The
envelope and every field stay the same; only the signature changes. Never signs again a report that the gateway has
taken already.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.client._keys import find_pending, finish_switch, go_back, list_changes, read_former_key, switch_keys
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._report_sealing import check_may_leave
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.transport import Reply, Transport
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    NotAuthorisedError,
    ProblemError,
    RefusedError,
    SealingError,
    TransportError,
)
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.keys import KeySet
from partner_sdk.wire.problems import NOT_FOUND, STATEMENT_REFUSED
from partner_sdk.wire.replies import Progress, ServiceStatus
from partner_sdk.wire.statements import MAX_STATEMENT_BYTES, parse_statement
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES, ReportPost, peek_submission, sign_submission

# A refused partner asks for as many keys: each is a request.
MOST_FORMER_KEYS_TRIED = 3


def find_newer_key(
    state: PartnerState, transport: Transport, *, clock: Callable[[], datetime], notify: Callable[[str], None]
) -> Ed25519PrivateKey | None:
    """Return the key to sign with instead of the refused one, or None when there is none.

    `notify` is told when it is a new key, or one of before. Raises `LocalStateError` for a damaged folder.
    """
    found = _find_other_key(state, transport)
    if found is not None:
        return found
    try:
        if go_over_if_known(state, transport, now=clock()):
            notify("The agency has accepted the new keys: this folder has gone over to them. `keys list` shows them.")
            return state.load_submission_key()
        if _go_back_if_known(state, transport, notify=notify):
            return state.load_submission_key()
    except (TransportError, ProblemError):
        return None  # the refusal stands
    return _find_other_key(state, transport)  # another process may have gone over at this moment


def _find_other_key(state: PartnerState, transport: Transport) -> Ed25519PrivateKey | None:
    finish_switch(state)
    on_disk = state.read_key(KeyRole.SUBMISSION)
    return None if on_disk.key_id == transport.key_id else load_signing_key(on_disk)


def go_over_if_known(state: PartnerState, transport: Transport, *, now: datetime) -> bool:
    """Switch to the pending keys if the gateway knows them; return whether it does.

    Raises `TransportError` and `ProblemError` when the gateway does not say.
    """
    pending = find_pending(state)
    if pending is None:
        return False
    new_key = pending.keys[KeyRole.SUBMISSION]
    if not _is_known(state, transport, new_key):
        return False
    switch_keys(state, now=now)
    transport.use_key(load_signing_key(new_key))
    return True


def _go_back_if_known(state: PartnerState, transport: Transport, *, notify: Callable[[str], None]) -> bool:
    refused = transport.key_id
    for change in list_changes(state)[:MOST_FORMER_KEYS_TRIED]:
        old_key = read_former_key(state, KeyRole.SUBMISSION, change.old.submission)
        if _is_known(state, transport, old_key):
            go_back(state, change)
            notify(
                f"The gateway refuses the new submission key {refused}, which it had called known. This folder goes on "
                f"with the one of before, {old_key.key_id}; the new keys wait. Phone the agency: ask whether it has "
                "accepted them."
            )
            return True
    return False


def _is_known(state: PartnerState, transport: Transport, key_file: KeyFile) -> bool:
    try:
        reply = transport.send_as(load_signing_key(key_file), "GET", "/v1/status", max_bytes=MAX_SMALL_REPLY_BYTES)
    except NotAuthorisedError:
        return False
    caller = parse_exact(reply.body, kind=ServiceStatus, max_bytes=MAX_SMALL_REPLY_BYTES).caller
    return caller is not None and (caller.partner, caller.key_id) == (state.profile.partner, key_file.key_id)


def send_submission(state: PartnerState, transport: Transport, report_id: str) -> Reply:
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
