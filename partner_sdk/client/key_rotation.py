"""Goes over to new keys without a pause: asks the agency, works on with the old keys, switches once they are known.

Sealed reports that wait stay as they are: the gateway takes a statement that the former key signed, in a request that
the new key signs. Never decides that new keys count: only a reply to a request that they signed says so, and until a
message of the agency has come to the new mailbox, it is the gateway's word alone and can be gone back on.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from partner_sdk.client.exchange_bounds import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.key_renewal import go_over_if_known
from partner_sdk.client.partner import Partner
from partner_sdk.client.partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.pending_keys import find_pending, prepare_keys
from partner_sdk.errors import SealingError
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, encode
from partner_sdk.wire.keys import find_active_sealing_key


@dataclass(frozen=True, slots=True)
class Rotation:
    """How far it is. While `is_done` is False, read both submission key ids to the agency over the phone."""

    is_done: bool
    change_id: str | None
    key_ids: dict[str, str]
    new_key_ids: dict[str, str]


def rotate_keys(partner: Partner, *, now: datetime, ask_again: bool = False) -> Rotation:
    """Begin a rotation, or go on with one; safe to repeat after any failure.

    `ask_again` sends the question once more, for the same new keys, when the agency has refused it. Raises what
    sending raises; `SealingError` (`no-active-key`) when the agency has no key to seal to.
    """
    state = partner.state
    pending = find_pending(state)
    if pending is None:
        partner.status()  # new keys are asked for under a key that counts: a refusal may lead back to former ones
        pending = find_pending(state)
    if pending is not None and go_over_if_known(state, partner.transport, now=now):
        return describe_rotation(state)
    if pending is None or ask_again:
        agency_key = find_active_sealing_key(partner.refresh_key_set(), now=now)
        if agency_key is None:
            raise SealingError("The agency has no key to seal to now.", reason="no-active-key")
        pending = prepare_keys(
            state,
            agency_key=agency_key,
            now=now,
            random=secrets.token_bytes(REPORT_ID_RANDOM_BYTES),
            ask_again=ask_again,
        )
    partner.transport.send("POST", "/v1/account", body=encode(pending.post), max_bytes=MAX_SMALL_REPLY_BYTES)
    return describe_rotation(state)


def describe_rotation(state: PartnerState) -> Rotation:
    """Return how far a rotation is, without any network; `is_done` where none is under way."""
    key_ids = {role.value: state.read_key(role).key_id for role in PARTNER_ROLES}
    pending = find_pending(state)
    if pending is None:
        return Rotation(is_done=True, change_id=None, key_ids=key_ids, new_key_ids={})
    new_key_ids = {role.value: pending.keys[role].key_id for role in PARTNER_ROLES}
    return Rotation(is_done=False, change_id=pending.post.change_id, key_ids=key_ids, new_key_ids=new_key_ids)
