"""How many notes may go in a day: one to an address, so many to one domain, and so many text messages to all together.

Never loses a note over it: what has no room waits until there is some, for as long as a note may wait at all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, select

from gateway.desk.carrying.post_settings import PostRoomConfig
from gateway.desk.post_room.queue import OPEN_STATES
from gateway.desk.store.post_tables import OUTGOING_POST
from partner_sdk.wire.canonical import format_time, parse_time

ONE_DAY: Final = timedelta(days=1)
# While a note is being sent no other run takes it; longer than any carrier takes, shorter than anyone's patience.
LEASE: Final = timedelta(minutes=10)
# Why a note is held, where it is not for its own address: somebody fills in the form again and again.
SMS_FULL: Final = "text-messages-full"
DOMAIN_FULL: Final = "domain-full"


@dataclass(frozen=True, slots=True)
class Macs:
    """The keyed hashes of where a note goes; a number has no domain."""

    address: bytes
    domain: bytes | None


def find_room(
    connection: Connection, row: Row[Any], *, macs: Macs, post_room: PostRoomConfig, now: datetime
) -> tuple[datetime | None, str | None]:
    """Return when a note may go, or None for now; and why not now, where it is not for its own address."""
    limits: list[tuple[ColumnElement[bool], int, str | None]] = [(OUTGOING_POST.c.address_mac == macs.address, 1, None)]
    if macs.domain is not None:
        same_domain = OUTGOING_POST.c.domain_mac == macs.domain
        limits.append((same_domain, post_room.mail_most_a_day_per_domain, DOMAIN_FULL))
    else:
        limits.append((OUTGOING_POST.c.channel == row.channel, post_room.sms_most_a_day, SMS_FULL))
    for same, most, code in limits:
        free_at = _find_free_at(connection, same & (OUTGOING_POST.c.id != row.id), most=most, now=now)
        if free_at is not None:
            return free_at, code
    return None, None


def _find_free_at(connection: Connection, same: ColumnElement[bool], *, most: int, now: datetime) -> datetime | None:
    """Return when fewer than `most` of these notes are of the last day, or None for now.

    A note on its way counts as well: it is one that has its hash, which what waits for its turn has not.
    """
    others = connection.execute(
        select(OUTGOING_POST.c.state, OUTGOING_POST.c.sent_at, OUTGOING_POST.c.next_try_at).where(
            same,
            (OUTGOING_POST.c.state.in_(OPEN_STATES) & OUTGOING_POST.c.address_mac.is_not(None))
            | ((OUTGOING_POST.c.state == "sent") & (OUTGOING_POST.c.sent_at > format_time(now - ONE_DAY))),
        )
    ).all()
    times = sorted(
        parse_time(other.sent_at) + ONE_DAY if other.state == "sent" else parse_time(other.next_try_at) + LEASE
        for other in others
    )
    coming = [moment for moment in times if moment > now]
    return coming[len(coming) - most] if len(coming) >= most else None
