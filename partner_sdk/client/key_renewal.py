"""What a refused request looks for: keys that another process of this partner, or the agency, has put in force since.

A register names one key for each partner, so the old one is refused from the moment that the new one counts: whoever
sends then goes over and sends again, and no report waits for a person.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.client.partner_state import PartnerState
from partner_sdk.client.pending_keys import find_pending, finish_switch, switch_keys
from partner_sdk.client.transport import Transport
from partner_sdk.errors import NotAuthorisedError, ProblemError, TransportError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.replies import ServiceStatus

MAX_STATUS_BYTES = 64 * 1024


def find_newer_key(state: PartnerState, transport: Transport) -> Ed25519PrivateKey | None:
    """Return the key to sign with instead of the refused one, or None when there is none.

    Raises `LocalStateError` for a damaged folder.
    """
    found = _find_other_key(state, transport)
    if found is not None:
        return found
    try:
        if go_over_if_known(state, transport):
            return state.load_submission_key()
    except (TransportError, ProblemError):
        return None  # the refusal stays what is said
    return _find_other_key(state, transport)  # another process may have gone over at this moment


def _find_other_key(state: PartnerState, transport: Transport) -> Ed25519PrivateKey | None:
    finish_switch(state)
    on_disk = state.read_key(KeyRole.SUBMISSION)
    return None if on_disk.key_id == transport.key_id else load_signing_key(on_disk)


def go_over_if_known(state: PartnerState, transport: Transport) -> bool:
    """Switch to the pending keys if the gateway knows them; return whether it does.

    Raises `TransportError` and `ProblemError` when the gateway does not say.
    """
    pending = find_pending(state)
    if pending is None:
        return False
    new_key = pending.keys[KeyRole.SUBMISSION]
    private_key = load_signing_key(new_key)
    try:
        reply = transport.send_as(private_key, "GET", "/v1/status", max_bytes=MAX_STATUS_BYTES)
    except NotAuthorisedError:
        return False
    caller = parse_exact(reply.body, kind=ServiceStatus, max_bytes=MAX_STATUS_BYTES).caller
    if caller is None or (caller.partner, caller.key_id) != (state.profile.partner, new_key.key_id):
        return False
    switch_keys(state)
    transport.use_key(private_key)
    return True
