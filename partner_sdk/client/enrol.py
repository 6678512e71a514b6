"""Enrolment, the partner's half: check the agency, make keys, post one sealed box (WIRE.md §8).

The key set is believed only under the root fingerprint of the invitation, so a gateway in the middle can neither read
the box nor put keys of its own in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests

from partner_sdk.client.exchange_bounds import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.own_account import (
    check_same_registration,
    remove_sent_registration,
    sign_enrolled_registration,
)
from partner_sdk.client.partner_state import PARTNER_ROLES, PartnerProfile, PartnerState, make_already_enrolled
from partner_sdk.client.requests_auth import read_clock
from partner_sdk.client.transport import Transport
from partner_sdk.errors import EnrolmentError, RefusedError, SealingError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.enrolment import (
    SECRET_BYTES,
    EnrolmentPost,
    Invitation,
    make_partner_pin,
    seal_enrolment,
    secret_sha256,
)
from partner_sdk.wire.keys import XWING_PUBLIC_KEY_BYTES, KeySet, find_active_sealing_key, verify_bundle
from partner_sdk.wire.registration import Registration
from partner_sdk.wire.statements import MAX_LIST_BYTES


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What was posted. Read the key ids to the agency over the phone: it compares them before it approves."""

    profile: PartnerProfile
    key_ids: dict[str, str]


def enrol(
    invitation: Invitation,
    *,
    folder: Path,
    ca_file: Path | None = None,
    session: requests.Session | None = None,
    clock: Callable[[], datetime] = read_clock,
    registration: Registration | None = None,
) -> Enrolled:
    """Check the key set, make the folder and the keys, and post the box; the agency then approves.

    `registration` goes along inside the box, so that whoever approves sees who is responsible.

    The same call with the same invitation is safe after any failure: keys and box are made once. Another invitation
    needs another folder, since the old keys may have leaked. If the gateway refuses the invitation at the first post,
    the folder goes again. Raises
    `EnrolmentError` (`expired-invitation`), `KeySetError` (`wrong-root` and others), `LocalStateError`,
    `TransportError`, `ProblemError`.
    """
    now = clock()
    if now >= parse_time(invitation.expires_at):
        raise EnrolmentError("The invitation has expired: ask the agency for a new one.", reason="expired-invitation")
    transport = Transport(invitation.origin, ca_file=ca_file, session=session, clock=clock)
    try:
        bundle = transport.send("GET", "/v1/keys", is_signed=False, max_bytes=MAX_LIST_BYTES).body
        verify_bundle(bundle, pin=make_partner_pin(invitation), now=now)  # before anything is made here
        is_new = not PartnerState.is_in(folder)
        state = PartnerState.create(folder, invitation=invitation, now=now)
        key_set = state.accept_key_set(bundle, now=now)
        post = state.find_enrolment()
        if post is not None and post.secret_sha256 != _hashed_secret(invitation):
            raise make_already_enrolled()
        if post is None:
            post = _seal(invitation, state, key_set=key_set, now=now, registration=registration)
            state.save_enrolment(post)
        elif registration is not None:
            check_same_registration(state, registration)
        try:
            transport.send("POST", "/v1/enrol", body=encode(post), is_signed=False, max_bytes=MAX_SMALL_REPLY_BYTES)
        except RefusedError as error:
            # Only keys that were never posted before: an earlier post may have been stored, and approved since.
            if is_new and error.reason == "unknown-invitation":
                remove_sent_registration(state)
                state.remove_refused()
            raise
    finally:
        transport.close()
    return Enrolled(profile=state.profile, key_ids={role.value: state.read_key(role).key_id for role in PARTNER_ROLES})


def _hashed_secret(invitation: Invitation) -> str:
    return to_base64url(secret_sha256(parse_base64url(invitation.secret, length=SECRET_BYTES)))


def _seal(
    invitation: Invitation,
    state: PartnerState,
    *,
    key_set: KeySet,
    now: datetime,
    registration: Registration | None,
) -> EnrolmentPost:
    agency_key = find_active_sealing_key(key_set, now=now)
    if agency_key is None:
        raise SealingError("The agency has no key to seal to now.", reason="no-active-key")
    mailbox = state.read_key(KeyRole.MAILBOX)
    return seal_enrolment(
        invitation,
        submission_key=state.load_submission_key(),
        context_key=load_signing_key(state.read_key(KeyRole.CONTEXT)),
        mailbox_key=parse_base64url(mailbox.public_key, length=XWING_PUBLIC_KEY_BYTES),
        agency_key=agency_key,
        registration=None if registration is None else sign_enrolled_registration(state, registration, now=now),
    )
