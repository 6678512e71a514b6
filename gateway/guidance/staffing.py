"""The desk's statement of its staffed hours and reading times, and the promise of the form from it (WIRE.md §10.4).

Only desk and gateway speak this format. It holds for minutes, so that a promise ends with the desk that gave it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from gateway.guidance.agency import Agency
from gateway.guidance.risk import Urgency
from partner_sdk.errors import StatementError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.keys import Environment, KeySet, open_dated_statement
from partner_sdk.wire.statements import StatementKind, sign_statement

MAX_BYTES: Final = 2048
# The longest time that a promise outlives the desk that gave it. A desk that collects each minute renews it in time,
# also beside a round of slow evidence.
HOLDS_FOR: Final = timedelta(minutes=5)
# The clock skew of a signed request (WIRE.md §7): a desk further ahead cannot reach the gateway at all.
MAX_AHEAD: Final = timedelta(minutes=1)
_Minutes = Annotated[int, Meta(ge=1, le=168 * 60)]


class ReadWithin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Minutes until a person reads a report: of the desk's opening hours for `other`, of staffed time for the rest."""

    crisis: _Minutes
    other: _Minutes
    urgent: _Minutes


class Staffing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement. `staffed_until` is null while nobody is on duty; `next_hour` is the next opening."""

    environment: Environment
    expires_at: str
    issued_at: str
    next_hour: str
    read_within: ReadWithin
    staffed_until: str | None

    def is_fresh(self, now: datetime) -> bool:
        """Return whether the statement is in force."""
        return parse_time(self.issued_at) - MAX_AHEAD <= now < parse_time(self.expires_at)


@dataclass(frozen=True, slots=True)
class Promise:
    """The promise for one report: answered by the end of a day at the desk, and read by a time (aware UTC).

    `read_by` is None where no hour can be promised. `next_hour` is the next one with a person, if there is none now.
    """

    read_by: datetime | None
    next_hour: datetime | None
    reply_by: date


def sign_staffing(staffing: Staffing, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed bytes; raises `FormatError` for a time in another spelling."""
    _check_times(staffing)
    return sign_statement(staffing, kind=StatementKind.STAFFING, private_keys=(private_key,))


def open_staffing(raw: bytes, *, key_set: KeySet, now: datetime) -> Staffing:
    """Return a statement that a mailbox-signing key of the key set signed; it need not be fresh any more.

    Raises `FormatError`, and `StatementError`: those of `open_statement`, `wrong-environment`, `bad-lifetime`.
    """
    staffing = open_dated_statement(
        raw,
        kind=StatementKind.STAFFING,
        signers=key_set.mailbox_keys,
        payload_type=Staffing,
        dated_by="issued_at",
        now=now,
        max_bytes=MAX_BYTES,
    )
    if staffing.environment != key_set.environment:
        raise StatementError("The statement is for another environment.", reason="wrong-environment")
    _check_times(staffing)
    return staffing


def make_promise(agency: Agency, staffing: Staffing | None, *, sent_at: datetime, urgency: Urgency) -> Promise:
    """Return the promise of the form; without a fresh statement it has the next opening, and no time of reading."""
    days = agency.get_reply_by(sent_at, urgency="other")
    if staffing is None:
        return Promise(None, agency.get_next_opening(sent_at), days)
    within = timedelta(minutes=getattr(staffing.read_within, urgency))
    staffed_until, next_hour = parse_time(staffing.staffed_until or staffing.issued_at), parse_time(staffing.next_hour)
    is_staffed, read_by = sent_at < staffed_until, sent_at + within
    if urgency == "other":
        read_by = agency.add_desk_time(sent_at if is_staffed else next_hour, within)
    elif read_by > staffed_until:  # nobody would be on duty at the end of the hour
        return Promise(next_hour + within, None if is_staffed else next_hour, days)
    return Promise(read_by, None if is_staffed else next_hour, agency.get_reply_by(sent_at, urgency=urgency))


def _check_times(staffing: Staffing) -> None:
    issued_at, expires_at = parse_time(staffing.issued_at), parse_time(staffing.expires_at)
    parse_time(staffing.next_hour)
    parse_time(staffing.staffed_until or staffing.issued_at)
    if not issued_at <= expires_at <= issued_at + HOLDS_FOR:
        raise StatementError("The statement holds for longer than it may.", reason="bad-lifetime")
