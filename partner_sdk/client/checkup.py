"""Looks at everything that a delivery needs, before a delivery needs it: one finding for each, in plain words.

Every warning and fault has a sentence about how to fix it.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from partner_sdk.client._keys import go_over_if_known
from partner_sdk.client._partner_state import PARTNER_ROLES
from partner_sdk.client._spool import find_oldest, list_waiting, list_waiting_evidence
from partner_sdk.client.account import describe_rotation
from partner_sdk.client.exchange import ENROLLED_ANEW, describe
from partner_sdk.client.mailbox import list_gap_alarms
from partner_sdk.client.partner import Partner
from partner_sdk.client.threads import OPEN_STATES, REQUESTS, read_threads
from partner_sdk.client.transport import CLOCK_TOLERANCE_SECONDS, MAX_CLOCK_CORRECTION_SECONDS
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    NotAuthorisedError,
    ProblemError,
    ReportAbuseError,
    TransportError,
)
from partner_sdk.finding import Finding
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.signing import ALARM_BEFORE_EXPIRY, KeySet, find_active_sealing_key

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
