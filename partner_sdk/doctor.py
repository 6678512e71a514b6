"""Looks at everything that a delivery needs, before a delivery needs it: one finding for each, in plain words."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from partner_sdk.client.advice import describe
from partner_sdk.client.mailbox import find_gap
from partner_sdk.client.partner import Partner
from partner_sdk.client.partner_state import PARTNER_ROLES
from partner_sdk.client.transport import CLOCK_TOLERANCE_SECONDS, MAX_CLOCK_CORRECTION_SECONDS
from partner_sdk.errors import LocalStateError, NotAuthorisedError, ReportAbuseError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import ALARM_BEFORE_EXPIRY, KeySet, find_active_sealing_key

Outcome = Literal["ok", "look", "fail"]

# `requests` obeys these; an odd reply is often explained by one of them.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `look` (a person should know) or `fail` (deliveries will fail)."""

    name: str
    outcome: Outcome
    text: str


def examine(partner: Partner, *, now: datetime, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Yield the findings one by one, as they are made; never raises for what it finds."""
    yield from _keys(partner)
    yield from _key_set(partner, now=now)
    yield from _approval(partner)
    yield from _clock(partner)
    yield from _waiting(partner)
    yield from _mailbox(partner)
    yield from _environment(environ)


def _keys(partner: Partner) -> Iterator[Finding]:
    for role in PARTNER_ROLES:
        try:
            key_file = partner.state.read_key(role)
        except LocalStateError as error:
            yield Finding(f"{role.value} key", "fail", str(error))
        else:
            yield Finding(f"{role.value} key", "ok", f"id {key_file.key_id}, readable by its owner alone")


def _key_set(partner: Partner, *, now: datetime) -> Iterator[Finding]:
    try:
        key_set = partner.refresh_key_set()
    except ReportAbuseError as error:
        yield Finding("key set", "fail", f"{partner.profile.origin}: {describe(error)}")
        return
    until = f"serial {key_set.serial}, in force until {key_set.expires_at}"
    if parse_time(key_set.expires_at) - now < ALARM_BEFORE_EXPIRY:
        yield Finding("key set", "look", f"{until}: the agency should have renewed it; tell the agency")
    else:
        yield Finding("key set", "ok", f"{until}, under the pinned root")
    yield _sealing_key(key_set, now=now)


def _sealing_key(key_set: KeySet, *, now: datetime) -> Finding:
    key = find_active_sealing_key(key_set, now=now)
    if key is None:
        return Finding("sealing key", "fail", "the agency has no key to seal reports to now")
    return Finding("sealing key", "ok", f"id {key.key_id}, seals until {key.seal_until}")


def _approval(partner: Partner) -> Iterator[Finding]:
    profile = partner.profile
    try:
        status = partner.status()
    except NotAuthorisedError:
        yield Finding("approval", "fail", "the gateway does not know this key: not approved yet, or suspended")
        return
    except ReportAbuseError as error:
        yield Finding("approval", "fail", f"{error} ({error.reason})")
        return
    caller = status.caller
    if status.environment != profile.environment or caller is None or caller.partner != profile.partner:
        yield Finding("approval", "fail", "the gateway takes this key for another partner or environment")
    else:
        yield Finding("approval", "ok", f"the gateway knows {caller.partner} in the {caller.environment} environment")


def _clock(partner: Partner) -> Iterator[Finding]:
    difference = partner.transport.clock_difference_seconds
    if difference is None:
        yield Finding("clock", "look", "no reply named the time, so this clock could not be compared")
    elif abs(difference) > MAX_CLOCK_CORRECTION_SECONDS:
        way = "behind" if difference > 0 else "ahead of"
        days = "more than a day, which is not corrected: set the clock of this machine, or tell the agency"
        yield Finding("clock", "fail", f"this machine is {abs(difference)} seconds {way} the gateway, {days}")
    elif abs(difference) >= CLOCK_TOLERANCE_SECONDS:
        way = "behind" if difference > 0 else "ahead of"
        corrected = "; requests are signed with the corrected time" if partner.transport.clock_offset_seconds else ""
        yield Finding("clock", "look", f"this machine is {abs(difference)} seconds {way} the gateway{corrected}")
    else:
        yield Finding("clock", "ok", "agrees with the gateway")


def _waiting(partner: Partner) -> Iterator[Finding]:
    waiting = len(partner.state.list_undelivered())
    if waiting:
        yield Finding("outbox", "look", f"{waiting} sealed report(s) not delivered: run report submit --resume")
    else:
        yield Finding("outbox", "ok", "every sealed report has its receipt")


def _mailbox(partner: Partner) -> Iterator[Finding]:
    alarms = find_gap(partner.state)
    for alarm in alarms:
        yield Finding("mailbox", "look", alarm.text)
    if not alarms:
        yield Finding("mailbox", "ok", f"unbroken up to message {partner.state.read_position().number}")


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in (*_CA_VARIABLES, *_PROXY_VARIABLES):
        if environ.get(name):
            # Its value may hold a password.
            yield Finding("this machine", "look", f"{name} is set and changes how the gateway is reached")
