"""Sends what this partner registers of itself to the agency, sealed.

Never sends two boxes for one registration: what is saved is sent again after a failure.
"""

from datetime import datetime

import msgspec

from partner_sdk.client.exchange_bounds import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.own_account import (
    SentRegistration,
    find_sent_registration,
    make_registration_change,
    save_sent_registration,
)
from partner_sdk.client.partner import Partner
from partner_sdk.errors import SealingError
from partner_sdk.wire.account import seal_account_change, sign_registration
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.keys import find_active_sealing_key
from partner_sdk.wire.registration import Registration


def send_registration(partner: Partner, registration: Registration, *, now: datetime) -> SentRegistration:
    """Sign, seal, save and send a registration; the same again, after a failure, sends the same bytes.

    Raises what sending raises; `SealingError` (`no-active-key`) when the agency has no key to seal to.
    """
    state = partner.state
    sent = find_sent_registration(state)
    if sent is None or sent.sent_at is not None or sent.post is None or sent.registration != registration:
        sent = _prepare(partner, registration, now=now)
        save_sent_registration(state, sent)
    partner.transport.send("POST", "/v1/account", body=encode(sent.post), max_bytes=MAX_SMALL_REPLY_BYTES)
    sent = msgspec.structs.replace(sent, sent_at=format_time(now))
    save_sent_registration(state, sent)
    return sent


def _prepare(partner: Partner, registration: Registration, *, now: datetime) -> SentRegistration:
    agency_key = find_active_sealing_key(partner.refresh_key_set(), now=now)
    if agency_key is None:
        raise SealingError("The agency has no key to seal to now.", reason="no-active-key")
    change = make_registration_change(partner.state, registration, now=now)
    signed = sign_registration(change, submission_key=partner.state.load_submission_key())
    return SentRegistration(
        change_id=change.change_id,
        made_at=change.created_at,
        post=seal_account_change(signed, change=change, agency_key=agency_key),
        registration=registration,
        sent_at=None,
    )
