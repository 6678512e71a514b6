"""Signs the statement of staffing that the form's promise rests on, and renews it while the desk can keep it.

A promise is withdrawn by a statement without staffed time, and ends by itself after minutes (docs/decisions/0070).
"""

import hashlib
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert

from gateway.desk.keyring.publication import PublicationKind, find_newest
from gateway.desk.outbox.alerts import find_end_of_escalation, is_able
from gateway.desk.store.agency_tables import PUBLICATIONS
from gateway.desk.watch import CRISIS_UNREAD, STOPPED, URGENT_WAIT, URGENT_WITHIN, list_concerns
from gateway.desk.wiring import Desk
from gateway.guidance.agency import HOLDS_FOR, ReadWithin, Staffing
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.signing import peek_statement

# An idle desk signs one in two minutes. With a slow round behind it, the next still comes before this one ends.
RENEWED_AFTER: Final = timedelta(minutes=2)
_LOOKS_AHEAD: Final = timedelta(days=1)
# Reports wait for too long: a promise of these hours is broken already.
_BROKEN: Final = frozenset({CRISIS_UNREAD, STOPPED, URGENT_WAIT})
_KIND: Final[PublicationKind] = "staffing"


def publish_staffing(desk: Desk) -> None:
    """Publish a new statement at the gateway, unless the last one is recent and still true.

    Raises the feed client's errors; the next run tries again, and meanwhile the gateway's statement ends by itself.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        row = find_newest(connection, _KIND)
        last = None if row is None else peek_statement(bytes(row.body), Staffing)
        staffing = make_staffing(desk, connection, last=last)
    if last is not None and not _is_news(last, staffing):
        return
    body = desk.load_signer().sign(staffing)
    desk.make_feed().put_list(_KIND, body)
    with desk.store.write() as connection:
        # Only the newest is kept: no check reads an older one, and one in two minutes would fill the table.
        connection.execute(delete(PUBLICATIONS).where(PUBLICATIONS.c.kind == _KIND))
        values = {
            "kind": _KIND,
            "serial": int(parse_time(staffing.issued_at).timestamp()),
            "content_sha256": hashlib.sha256(body).digest(),
            "body": body,
            "signed_at": format_time(now),
            "published_at": format_time(now),
        }
        connection.execute(insert(PUBLICATIONS).values(**values))


def make_staffing(desk: Desk, connection: Connection, *, last: Staffing | None) -> Staffing:
    """Return the statement that is true now: unstaffed once nobody answered, or reports wait for too long."""
    now, agency = desk.clock(), desk.agency
    # The gateway accepts only a newer one, also within one second or after this clock was set back.
    issued_at = now if last is None else max(now, parse_time(last.issued_at) + timedelta(seconds=1))
    expires_at, staffed_until = issued_at + HOLDS_FOR, now
    end = find_end_of_escalation(desk, connection, now=now, sent_within=URGENT_WITHIN)
    is_broken = any(one.code in _BROKEN for one in list_concerns(connection, desk=desk))
    if (end is None or end > now) and not is_broken:
        able = tuple(one for one in desk.escalation.levels if is_able(connection, one.person))
        escalation = msgspec.structs.replace(desk.escalation, level=able)
        gap = escalation.find_gap(agency, now, within=_LOOKS_AHEAD, counts_hours=True)
        staffed_until = gap or now + _LOOKS_AHEAD
        # If nobody answers by then, the promise ends at that second, whatever this desk does.
        expires_at = expires_at if end is None or staffed_until == now else max(issued_at, min(expires_at, end))
    promises = agency.promises
    return Staffing(
        environment=desk.config.environment,
        expires_at=format_time(expires_at),
        issued_at=format_time(issued_at),
        next_hour=format_time(agency.get_next_opening(now)),
        read_within=ReadWithin(
            crisis=promises.crisis_read_within_hours * 60,
            other=promises.read_within_hours * 60,
            urgent=promises.urgent_read_within_hours * 60,
        ),
        staffed_until=None if staffed_until == now else format_time(staffed_until),
    )


def _is_news(last: Staffing, new: Staffing) -> bool:
    is_other = (last.staffed_until is None, last.read_within) != (new.staffed_until is None, new.read_within)
    gained = parse_time(new.expires_at) - parse_time(last.expires_at)
    return is_other or not timedelta(0) <= gained < RENEWED_AFTER
