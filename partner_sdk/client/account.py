"""A partner's account at the agency: enrol, register, and change keys (WIRE.md §8).

Enrolment checks the agency, makes keys and posts one sealed box. The key set is believed only under the root
fingerprint of the invitation, so a gateway in the middle can neither read the box nor put its own keys in place.

A registration is signed and kept in the folder as it was sent (`account.json`): a retry sends the saved box, never a
second one. Nothing here claims that the agency has accepted it: a person there decides, and calls when something is
missing.

Keys change without a pause: the old ones work on until the new ones are known. Sealed reports that wait stay as they
are: the gateway takes a statement that the former key signed, in a request that the new key signs. Only a reply to a
request that the new keys signed puts them in force, and until a message of the agency has come to the new mailbox, that
is the gateway's word alone and can be undone.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import requests

from partner_sdk.client._keys import FORMER_KEYS_KEPT_FOR, find_pending, go_over_if_known, list_changes, prepare_keys
from partner_sdk.client._partner_state import (
    PARTNER_ROLES,
    PartnerProfile,
    PartnerState,
    find_document,
    make_already_enrolled,
)
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES
from partner_sdk.client.http import read_clock
from partner_sdk.client.partner import Partner
from partner_sdk.client.transport import Transport
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import EnrolmentError, LocalStateError, RefusedError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import (
    REPORT_ID_RANDOM_BYTES,
    encode,
    format_time,
    make_report_id,
    parse_base64url,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.enrolment import (
    SECRET_BYTES,
    AccountChange,
    AccountPost,
    EnrolmentPost,
    Invitation,
    Registration,
    make_partner_pin,
    seal_account_change,
    seal_enrolment,
    secret_sha256,
    sign_registration,
)
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES
from partner_sdk.wire.signing import MAX_LIST_BYTES, KeySet, get_active_sealing_key, verify_bundle

MAX_SENT_BYTES = 256 * 1024

_NAME = "account.json"


class SentRegistration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last registration. `post` is None where it went inside the enrolment, `sent_at` while it did not arrive."""

    change_id: str
    made_at: str
    post: AccountPost | None
    registration: Registration
    sent_at: str | None


def make_registration_change(state: PartnerState, registration: Registration, *, now: datetime) -> AccountChange:
    """Return the change that carries a registration of this partner, to be signed."""
    return AccountChange(
        change_id=make_report_id(now, secrets.token_bytes(REPORT_ID_RANDOM_BYTES)),
        created_at=format_time(now),
        environment=state.profile.environment,
        keys=None,
        partner=state.profile.partner,
        registration=registration,
    )


def find_sent_registration(state: PartnerState) -> SentRegistration | None:
    """Return the last registration, or None; raises `LocalStateError` for a damaged file."""
    return find_document(state.folder / _NAME, kind=SentRegistration, max_bytes=MAX_SENT_BYTES)


def save_sent_registration(state: PartnerState, sent: SentRegistration) -> None:
    """Keep a registration, before it is sent and after."""
    write_durably(state.folder / _NAME, encode(sent))


def sign_enrolled_registration(state: PartnerState, registration: Registration, *, now: datetime) -> bytes:
    """Return the statement that goes inside an enrolment, and note it as sent: it cannot go twice."""
    change = make_registration_change(state, registration, now=now)
    save_sent_registration(state, _note(change, registration, post=None, sent_at=change.created_at))
    return sign_registration(change, submission_key=state.load_submission_key())


def check_same_registration(state: PartnerState, registration: Registration) -> None:
    """Raise `LocalStateError` (`box-sealed`) unless the box that is sealed already holds this very registration."""
    sent = find_sent_registration(state)
    if sent is None or sent.registration != registration:
        raise LocalStateError(
            "The enrolment is already sealed without this registration: send it with account update once the agency "
            "has approved you.",
            reason="box-sealed",
        )


def remove_sent_registration(state: PartnerState) -> None:
    """Take away the note of a registration, when the gateway refused the enrolment that it was in."""
    (state.folder / _NAME).unlink(missing_ok=True)


def send_registration(partner: Partner, registration: Registration, *, now: datetime) -> SentRegistration:
    """Sign, seal, save and send a registration; the same again, after a failure, sends the same bytes.

    Raises the errors of sending; `SealingError` (`no-active-key`) when the agency has no key to seal to.
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
    agency_key = get_active_sealing_key(partner.refresh_key_set(), now=now)
    change = make_registration_change(partner.state, registration, now=now)
    signed = sign_registration(change, submission_key=partner.state.load_submission_key())
    post = seal_account_change(signed, change=change, agency_key=agency_key)
    return _note(change, registration, post=post, sent_at=None)


def _note(
    change: AccountChange, registration: Registration, *, post: AccountPost | None, sent_at: str | None
) -> SentRegistration:
    return SentRegistration(
        change_id=change.change_id, made_at=change.created_at, post=post, registration=registration, sent_at=sent_at
    )


class Enrolled(msgspec.Struct, frozen=True):
    """A posted enrolment. Read the key ids to the agency over the phone: it compares them before it approves."""

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

        made = enrol(parse_invitation(Path("invitation.json").read_bytes()), folder=Path("report-abuse-partner"))
        made.key_ids  # to be read to the agency by phone

    `registration` travels inside the box, so that the approver sees the responsible people.

    The same call with the same invitation is safe after any failure: keys and box are made once. Another invitation
    needs another folder, since the old keys may have leaked. If the gateway refuses the invitation at the first post,
    the folder goes again. Raises `EnrolmentError` (`expired-invitation`), `KeySetError` (`wrong-root` and others),
    `LocalStateError`, `TransportError`, `ProblemError`.
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
    invitation: Invitation, state: PartnerState, *, key_set: KeySet, now: datetime, registration: Registration | None
) -> EnrolmentPost:
    agency_key = get_active_sealing_key(key_set, now=now)
    mailbox = state.read_key(KeyRole.MAILBOX)
    return seal_enrolment(
        invitation,
        submission_key=state.load_submission_key(),
        context_key=load_signing_key(state.read_key(KeyRole.CONTEXT)),
        mailbox_key=parse_base64url(mailbox.public_key, length=XWING_PUBLIC_KEY_BYTES),
        agency_key=agency_key,
        registration=None if registration is None else sign_enrolled_registration(state, registration, now=now),
    )


class Rotation(msgspec.Struct, frozen=True):
    """How far it is. While `is_done` is False, read both submission key ids to the agency over the phone."""

    is_done: bool
    change_id: str | None
    key_ids: dict[str, str]
    new_key_ids: dict[str, str]


def rotate_keys(partner: Partner, *, now: datetime, ask_again: bool = False) -> Rotation:
    """Begin a rotation, or continue one; safe to repeat after any failure.

    `ask_again` sends the question once more, for the same new keys, when the agency has refused it. Raises the
    errors of sending; `SealingError` (`no-active-key`) when the agency has no key to seal to. Run it again until
    `is_done`, e.g. daily: the switch waits for the agency.
    """
    state = partner.state
    pending = find_pending(state)
    if pending is None:
        partner.status()  # new keys are asked for under a key that counts: a refusal may lead back to former ones
        pending = find_pending(state)
    if pending is not None and go_over_if_known(state, partner.transport, now=now):
        return describe_rotation(state)
    if pending is None or ask_again:
        agency_key = get_active_sealing_key(partner.refresh_key_set(), now=now)
        pending = prepare_keys(
            state,
            agency_key=agency_key,
            now=now,
            random=secrets.token_bytes(REPORT_ID_RANDOM_BYTES),
            ask_again=ask_again,
        )
    partner.transport.send("POST", "/v1/account", body=encode(pending.post), max_bytes=MAX_SMALL_REPLY_BYTES)
    return describe_rotation(state)


class Renewal(msgspec.Struct, frozen=True):
    """A rotation after a person asked for it. `changed_at`: the keys are younger than that, so nothing was sent."""

    rotation: Rotation
    had_begun: bool
    changed_at: str | None


def renew_keys(partner: Partner, *, now: datetime, ask_again: bool = False, anew: bool = False) -> Renewal:
    """Begin or continue a rotation as `rotate_keys`, but ask for no third set soon after a change, unless `anew`."""
    had_begun = not describe_rotation(partner.state).is_done
    changed_at = None if had_begun or anew else _find_last_change(partner.state, now=now)
    if changed_at is not None:
        # Another command went over since: a run that only shows that must not ask for a third set.
        partner.status()  # a refusal may lead back to the old keys, and then there is something to ask
        rotation = describe_rotation(partner.state)
        if rotation.is_done:
            return Renewal(rotation, had_begun, changed_at)
    return Renewal(rotate_keys(partner, now=now, ask_again=ask_again), had_begun, None)


def _find_last_change(state: PartnerState, *, now: datetime) -> str | None:
    """Return when the keys were changed, if that is younger than the former ones are kept."""
    young = [one.changed_at for one in list_changes(state) if parse_time(one.changed_at) + FORMER_KEYS_KEPT_FOR > now]
    return max(young, default=None)


def describe_rotation(state: PartnerState) -> Rotation:
    """Return how far a rotation is, without any network; `is_done` where none is under way."""
    key_ids = {role.value: state.read_key(role).key_id for role in PARTNER_ROLES}
    pending = find_pending(state)
    if pending is None:
        return Rotation(is_done=True, change_id=None, key_ids=key_ids, new_key_ids={})
    new_key_ids = {role.value: pending.keys[role].key_id for role in PARTNER_ROLES}
    return Rotation(is_done=False, change_id=pending.post.change_id, key_ids=key_ids, new_key_ids=new_key_ids)
