"""A request that was refused for its key: switch to newer keys, or back to former ones.

A register names one key for each partner, so the old one is refused from the moment that the new one counts, and
another process of this partner, or the agency, may have changed it: the sender switches and sends again, and no report
waits for a person. The gateway's statement about a key is its word alone: when it refuses the key that it had called
known, the former one is tried, and put in force again.
"""

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.client._keys import find_pending, finish_switch, go_back, list_changes, read_former_key, switch_keys
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.transport import Transport
from partner_sdk.errors import NotAuthorisedError, ProblemError, TransportError
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.submission import ServiceStatus

# A refused partner asks for as many keys: each is a request.
MOST_FORMER_KEYS_TRIED = 3


def find_newer_key(
    state: PartnerState, transport: Transport, *, clock: Callable[[], datetime], notify: Callable[[str], None]
) -> Ed25519PrivateKey | None:
    """Return the key to sign with instead of the refused one, or None when there is none.

    `notify` gets a line about a change of keys. Raises `LocalStateError` for a damaged folder.
    """
    found = _find_other_key(state, transport)
    if found is not None:
        return found
    try:
        if go_over_if_known(state, transport, now=clock()):
            notify("The agency has accepted the new keys, and this folder now uses them. `keys list` shows them.")
            return state.load_submission_key()
        if _go_back_if_known(state, transport, notify=notify):
            return state.load_submission_key()
    except (TransportError, ProblemError):
        return None  # the refusal stands
    return _find_other_key(state, transport)  # another process may have switched at this moment


def _find_other_key(state: PartnerState, transport: Transport) -> Ed25519PrivateKey | None:
    finish_switch(state)
    on_disk = state.read_key(KeyRole.SUBMISSION)
    return None if on_disk.key_id == transport.key_id else load_signing_key(on_disk)


def go_over_if_known(state: PartnerState, transport: Transport, *, now: datetime) -> bool:
    """Switch to the pending keys if the gateway knows them; return whether it does.

    Raises `TransportError` and `ProblemError` if the gateway gives no answer.
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
                f"The gateway refuses the new submission key {refused}, which it had accepted before. This folder uses "
                f"the old one again, {old_key.key_id}; the new keys wait. Phone the agency and ask whether it has "
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
