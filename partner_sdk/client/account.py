"""A partner's account at the agency: enrol, register, change keys (WIRE.md §8), and check that all is in order.

Enrolment checks the agency, makes keys and posts one sealed box. The key set is believed only under the root
fingerprint of the invitation, so a gateway in the middle can neither read the box nor put its own keys in place.

A registration is signed and kept in the folder as it was sent (`account.json`): a retry sends the saved box, never a
second one. Nothing here claims that the agency has accepted it: a person there decides, and calls when something is
missing.

Keys change without a pause: the old ones work on until the new ones are known. Sealed reports that wait stay as they
are: the gateway takes a statement that the former key signed, in a request that the new key signs. Only a reply to a
request that the new keys signed puts them in force, and until a message of the agency has come to the new mailbox, that
is the gateway's word alone and can be undone.

The check looks at everything that a delivery needs: one finding for each, and every warning or fault has its fix.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import requests

from partner_sdk.client._evidence_handover import find_oldest, list_waiting, list_waiting_evidence
from partner_sdk.client._keys import FORMER_KEYS_KEPT_FOR, find_pending, go_over_if_known, list_changes, prepare_keys
from partner_sdk.client._partner_state import (
    PARTNER_ROLES,
    PartnerProfile,
    PartnerState,
    find_document,
    make_already_enrolled,
)
from partner_sdk.client.exchange import ENROLLED_ANEW, MAX_SMALL_REPLY_BYTES, describe
from partner_sdk.client.http import read_clock
from partner_sdk.client.mailbox import list_gap_alarms
from partner_sdk.client.partner import Partner
from partner_sdk.client.threads import OPEN_STATES, REQUESTS, read_threads
from partner_sdk.client.transport import CLOCK_TOLERANCE_SECONDS, MAX_CLOCK_CORRECTION_SECONDS, Transport
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import (
    EnrolmentError,
    FormatError,
    KeySetError,
    LocalStateError,
    NotAuthorisedError,
    ProblemError,
    RefusedError,
    ReportAbuseError,
    TransportError,
)
from partner_sdk.finding import Finding
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
    SIGNED_CHANGE,
    AccountChange,
    AccountPost,
    EnrolmentPost,
    Invitation,
    Registration,
    make_partner_pin,
    seal_account_change,
    seal_enrolment,
    secret_sha256,
)
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES
from partner_sdk.wire.signing import (
    ALARM_BEFORE_EXPIRY,
    MAX_LIST_BYTES,
    KeySet,
    find_active_sealing_key,
    get_active_sealing_key,
    verify_bundle,
)

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
    return SIGNED_CHANGE.sign(change, state.load_submission_key())


def check_same_registration(state: PartnerState, registration: Registration) -> None:
    """Raise `LocalStateError` (`box-sealed`) unless the box that is sealed already holds this very registration."""
    sent = find_sent_registration(state)
    if sent is None or sent.registration != registration:
        raise LocalStateError(
            "The enrolment is already sealed without this registration: send it with account update once the agency "
            "has approved you.",
            reason="box-sealed",
        )


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
    signed = SIGNED_CHANGE.sign(change, partner.state.load_submission_key())
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
                (state.folder / _NAME).unlink(missing_ok=True)
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
    changes = [] if had_begun or anew else list_changes(partner.state)
    young = (one.changed_at for one in changes if parse_time(one.changed_at) + FORMER_KEYS_KEPT_FOR > now)
    changed_at = max(young, default=None)
    if changed_at is not None:
        # Another command went over since: a run that only shows that must not ask for a third set.
        partner.status()  # a refusal may lead back to the old keys, and then there is something to ask
        rotation = describe_rotation(partner.state)
        if rotation.is_done:
            return Renewal(rotation, had_begun, changed_at)
    return Renewal(rotate_keys(partner, now=now, ask_again=ask_again), had_begun, None)


def describe_rotation(state: PartnerState) -> Rotation:
    """Return how far a rotation is, without any network; `is_done` where none is under way."""
    key_ids = {role.value: state.read_key(role).key_id for role in PARTNER_ROLES}
    pending = find_pending(state)
    if pending is None:
        return Rotation(is_done=True, change_id=None, key_ids=key_ids, new_key_ids={})
    new_key_ids = {role.value: pending.keys[role].key_id for role in PARTNER_ROLES}
    return Rotation(is_done=False, change_id=pending.post.change_id, key_ids=key_ids, new_key_ids=new_key_ids)


KEYS_ARE_OLD_AFTER: Final = timedelta(days=365)
# A timer that flushes runs more often than this: a longer wait means no timer, or a cause of its own.
SPOOL_IS_OLD_AFTER: Final = timedelta(days=1)
REQUEST_IS_URGENT_WITHIN: Final = timedelta(days=2)
# A sealed report of the largest kind, its receipt and messages, some times over.
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
MOST_NAMED: Final = 3

# An intruder who has read a key can ask for a rotation too.
_IF_READ: Final = "If others may have read a key, phone the agency: it revokes your keys and invites you again."

# `requests` obeys these; an odd reply is often explained by one of them.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def examine(partner: Partner, *, now: datetime, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Yield the findings one by one, as they are made; never raises for a fault that it finds."""
    yield from _folder(partner.state.folder)
    yield from _rotation(partner, now=now)
    yield from _keys(partner, now=now)
    yield from _key_set(partner, now=now)
    yield from _approval(partner)
    yield from _clock(partner)
    yield from _spool(partner, now=now)
    yield from _evidence(partner)
    yield from _words(partner)
    yield from _mailbox(partner, now=now)
    yield from _environment(environ)


def _folder(folder: Path) -> Iterator[Finding]:
    open_ones, foreign = [], []
    for path in (folder, *sorted(folder.rglob("*"))):
        try:
            found = path.lstat()
        except OSError:  # another process is at work in it
            continue
        if stat.S_IMODE(found.st_mode) & 0o077 and not stat.S_ISLNK(found.st_mode):
            open_ones.append(path)
        if found.st_uid != os.geteuid():
            foreign.append(path)
    if open_ones:
        fix = f"Run chmod -R go= {folder}. {_IF_READ}"
        yield Finding("folder", "fault", f"others can reach {_name(open_ones)}", fix)
    if foreign:
        fix = f"Run every command as one user, and chown -R {folder} to that user."
        yield Finding("folder", "warning", f"another user owns {_name(foreign)}", fix)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("folder", "fault", f"{folder} cannot be written to", "Run this as the user who owns the folder.")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        text = f"only {free // 1024**2} MiB are free on the disk of {folder}"
        yield Finding("disk", "warning", text, "Free some disk space: a report that cannot be saved cannot be sent.")
    if not open_ones and not foreign:
        yield Finding("folder", "ok", f"{folder} is accessible only to its owner")


def _name(paths: list[Path]) -> str:
    named = ", ".join(str(path) for path in paths[:MOST_NAMED])
    return named if len(paths) <= MOST_NAMED else f"{named} and {len(paths) - MOST_NAMED} more"


def _keys(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    for role in PARTNER_ROLES:
        name = f"{role.value} key"
        try:
            key_file = partner.state.read_key(role)
        except LocalStateError as error:
            fix = "Restore the folder from its backup; without one, ask the agency for a new invitation."
            if error.reason == "open-to-others":
                fix = f"Run chmod 600 on it. {_IF_READ}"
            yield Finding(name, "fault", str(error), fix)
            continue
        if now - parse_time(key_file.created_at) > KEYS_ARE_OLD_AFTER:
            yield Finding(name, "warning", f"id {key_file.key_id} is more than a year old", "Run keys rotate.")
        else:
            yield Finding(name, "ok", f"id {key_file.key_id}, readable by its owner alone")


def _rotation(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    try:
        if _goes_over(partner, now=now):
            yield Finding("new keys", "ok", "the agency has accepted them, and this folder now uses them")
        rotation = describe_rotation(partner.state)
    except LocalStateError as error:
        fix = "Restore the folder from its backup, or ask the agency for a new invitation."
        yield Finding("new keys", "fault", str(error), fix)
        return
    if not rotation.is_done:
        old_id, new_id = (ids[KeyRole.SUBMISSION.value] for ids in (rotation.key_ids, rotation.new_key_ids))
        text = f"submission key id {new_id} is to replace {old_id}: the agency must accept change {rotation.change_id}"
        fix = "Phone the agency and read out both key ids. Once it accepts them, the next command switches to them."
        yield Finding("new keys", "warning", text, fix)


def _goes_over(partner: Partner, *, now: datetime) -> bool:
    try:
        return go_over_if_known(partner.state, partner.transport, now=now)
    except (TransportError, ProblemError, FormatError):
        return False  # a fault of the gateway is a finding of its own check


def _key_set(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    try:
        key_set = partner.refresh_key_set()
    except ReportAbuseError as error:
        yield Finding("key set", "fault", f"{partner.profile.origin}: {describe(error)}", _fix_key_set(error))
        return
    until = f"serial {key_set.serial}, in force until {key_set.expires_at}"
    if parse_time(key_set.expires_at) - now < ALARM_BEFORE_EXPIRY:
        text = f"{until}: the agency should have renewed it"
        yield Finding("key set", "warning", text, "Tell the agency: after it expires nothing can be sealed.")
    else:
        yield Finding("key set", "ok", f"{until}, under the pinned root")
    yield _sealing_key(key_set, now=now)


def _fix_key_set(error: ReportAbuseError) -> str:
    if isinstance(error, TransportError) and error.reason == "tls":
        return "Name the certificate authority with --ca-file, or fix the one that this machine trusts."
    if isinstance(error, TransportError):
        return "Check the network, the proxy and the firewall of this machine; it must reach that address."
    if isinstance(error, KeySetError):
        return "Send nothing until you have phoned the agency."
    return "Wait a few minutes and run doctor again; if it keeps failing, phone the agency."


def _sealing_key(key_set: KeySet, *, now: datetime) -> Finding:
    key = find_active_sealing_key(key_set, now=now)
    if key is None:
        return Finding("sealing key", "fault", "the agency has no active sealing key", "Phone the agency.")
    return Finding("sealing key", "ok", f"id {key.key_id}, seals until {key.seal_until}")


def _approval(partner: Partner) -> Iterator[Finding]:
    profile = partner.profile
    try:
        status = partner.status()
    except NotAuthorisedError:
        text = "the gateway does not know this key: not approved yet, suspended, revoked, or replaced by a newer one"
        fix = f"Call the agency with the key ids above; then run spool flush. {ENROLLED_ANEW}"
        yield Finding("approval", "fault", text, fix)
        return
    except ReportAbuseError as error:
        fix = "Fix the key set first." if isinstance(error, TransportError) else "Run doctor again in a few minutes."
        yield Finding("approval", "fault", f"{error} ({error.reason})", fix)
        return
    caller = status.caller
    if status.environment != profile.environment or caller is None or caller.partner != profile.partner:
        text = "the gateway assigns this key to another partner or environment"
        yield Finding("approval", "fault", text, "Send nothing from this folder, and phone the agency.")
    else:
        yield Finding("approval", "ok", f"the gateway knows {caller.partner} in the {caller.environment} environment")


def _clock(partner: Partner) -> Iterator[Finding]:
    difference = partner.transport.clock_difference_seconds
    if difference is None:
        text = "no reply had a date, so this clock could not be compared"
        yield Finding("clock", "warning", text, "Compare it yourself; it may differ by a minute at most.")
        return
    text = f"this machine is {abs(difference)} seconds {'behind' if difference > 0 else 'ahead of'} the gateway"
    if abs(difference) > MAX_CLOCK_CORRECTION_SECONDS:
        fix = "Set the clock of this machine, or tell the agency if yours is right."
        yield Finding("clock", "fault", f"{text}, more than a day, which is not corrected", fix)
    elif abs(difference) >= CLOCK_TOLERANCE_SECONDS:
        corrected = "; requests are signed with the corrected time" if partner.transport.clock_offset_seconds else ""
        yield Finding(
            "clock", "warning", f"{text}{corrected}", "Set this machine's clock and keep it synchronised (NTP)."
        )
    else:
        yield Finding("clock", "ok", "agrees with the gateway")


def _spool(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    waiting = list_waiting(partner.state)
    if not waiting:
        yield Finding("spool", "ok", "every sealed report has its receipt")
        return
    since = find_oldest(waiting)
    text = f"{len(waiting)} sealed report(s) not delivered, the oldest since {since or 'an unknown time'}"
    fix = "Run spool flush, now and from a timer. While the gateway is down, spool write makes a file of a report."
    if any(one.error is not None for one in waiting):
        unread = ", ".join(one.report_id for one in waiting if one.error is not None)
        mend_unread = "Restore the file from your backup, or submit that report again and discard this one."
        yield Finding("spool", "fault", f"cannot be read: {unread}", mend_unread)
    if any(one.priority == "P1" for one in waiting):
        yield Finding("spool", "fault", f"{text}; a P1 among them", f"If a child is in danger now, call 999. {fix}")
    elif since is None or now - parse_time(since) > SPOOL_IS_OLD_AFTER:
        yield Finding("spool", "fault", text, fix)
    else:
        yield Finding("spool", "warning", text, fix)


def _evidence(partner: Partner) -> Iterator[Finding]:
    for one in list_waiting_evidence(partner.state):
        text = f"{one.files} file(s) of report {one.report_id} have been waiting since {one.since or 'an unknown time'}"
        if one.error is not None:
            fix = "Restore the file from your backup, or hand the evidence over again with a supplement."
            yield Finding("evidence", "fault", f"{text}: {one.error}", fix)
        elif not one.is_sealed:
            yield Finding(
                "evidence", "warning", f"{text}, and the report is not sealed", "Run the same report submit again."
            )
        else:
            yield Finding("evidence", "warning", text, "Leave the files where they are, and run spool flush.")


def _words(partner: Partner) -> Iterator[Finding]:
    try:
        waiting = partner.threads.list_waiting()
    except ReportAbuseError as error:
        fix = "Restore the entries folder from your backup, and write to the agency again."
        yield Finding("words", "fault", f"words to the agency cannot be read: {error}", fix)
        return
    if waiting:
        text = f"{len(waiting)} of your words to the agency not sent, the oldest since {waiting[0].written_at}"
        yield Finding("words", "warning", text, "Run spool flush.")


def _mailbox(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    alarms = list_gap_alarms(partner.state)
    for alarm in alarms:
        fix = "Run inbox. If the gap remains, phone the agency; do not use this service for that."
        yield Finding("mailbox", "warning", alarm.text, fix)
    if not alarms:
        yield Finding("mailbox", "ok", f"unbroken up to message {partner.state.read_position().number}")
    try:
        kept = read_threads(partner.state, kinds=REQUESTS)
    except ReportAbuseError as error:
        fix = "Restore the mailbox folder from your backup, and tell the agency."
        yield Finding("requests", "fault", f"saved messages cannot be read: {error}", fix)
        return
    if kept.unreadable:
        numbers = ", ".join(map(str, kept.unreadable))
        fix = "Update this program. If that does not help, ask the agency for the question."
        yield Finding("requests", "warning", f"the request in message {numbers} cannot be read", fix)
    for one in kept.threads:
        if one.due_at is None or one.state not in {*OPEN_STATES, "waiting"}:
            continue
        text = f"request {one.message_id} is due {format_time(one.due_at)}"
        fix = f"Run thread show {one.message_id}, and answer it."
        if one.state == "waiting":
            fix = "The answer is sealed and waiting: run spool flush."
        if one.is_overdue(now):
            yield Finding("requests", "fault", f"{text}, which has passed", fix)
        elif one.due_at - now < REQUEST_IS_URGENT_WITHIN:
            yield Finding("requests", "warning", text, fix)


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    # No value is told: a proxy's may hold a password.
    for name in _CA_VARIABLES:
        if not environ.get(name):
            continue
        if Path(environ[name]).exists():
            text = f"{name} is set and changes whose certificates are trusted"
            yield Finding(
                "this machine", "warning", text, "Unset it if the gateway's certificate is refused, or use --ca-file."
            )
        else:
            text = f"{name} names a file that does not exist"
            yield Finding(
                "this machine", "warning", text, "Correct or unset it: every call without --ca-file fails with it."
            )
    for name in _PROXY_VARIABLES:
        if environ.get(name):
            text = f"{name} is set and changes how the gateway is reached"
            fix = "Add the gateway's host to NO_PROXY if it is reached directly."
            yield Finding("this machine", "warning", text, fix)
