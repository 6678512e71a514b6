"""Requests to show the button: taken from the feed and kept sealed, then the gateway is told to let go of them.

Never opens one: who asks is read when a person of the desk asks for it. Never takes more than people could read: the
gateway is not believed, and anybody can send to it.
"""

from typing import Final

from sqlalchemy import Connection, insert, select

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.partnership.adoptions import count_adoptions
from gateway.desk.partnership.kept_envelopes import keep_envelope
from gateway.desk.store.adoption_tables import ADOPTION_REQUESTS
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError
from partner_sdk.wire.adoption import MAX_ADOPTION_ENVELOPE_BYTES, MAX_ADOPTION_ROWS, AdoptionRow
from partner_sdk.wire.canonical import check_report_id, format_time

# A gateway keeps 300 at most. Behind this is a feed without end, or a flood that a person has to clear first.
MOST_TAKEN: Final = 500
MOST_WAITING: Final = 2_000
ADOPTIONS_ENDLESS: Final = "adoptions-endless"
ADOPTION_TOO_LARGE: Final = "adoption-too-large"


def collect_adoptions(desk: Desk, feed: FeedClient, *, actor: str) -> int:
    """Store the requests at the feed, acknowledge them, and return how many are new.

    While more than `MOST_WAITING` wait for a person nothing is taken: the gateway keeps what it has, and says to
    whoever asks next that there is no room.
    """
    taken = 0
    while True:
        with desk.store.read() as connection:
            is_full = count_adoptions(connection) >= MOST_WAITING
        rows = feed.get_adoption_requests().requests[:MAX_ADOPTION_ROWS]
        if not rows:
            return taken
        if is_full or taken >= MOST_TAKEN:
            now = desk.clock()
            with desk.store.write() as connection:
                raise_alarm(connection, ADOPTIONS_ENDLESS, f"on {now:%Y-%m-%d}", now=now)
            return taken
        with desk.store.write() as connection:
            fresh = sum(_take(connection, desk, row, actor=actor) for row in rows)
        feed.post_adoption_acks(tuple(row.request_id for row in rows))
        taken += fresh
        if not fresh:
            return taken


def _take(connection: Connection, desk: Desk, row: AdoptionRow, *, actor: str) -> bool:
    try:
        check_report_id(row.request_id)
    except FormatError:
        return False
    known = select(ADOPTION_REQUESTS.c.request_id).where(ADOPTION_REQUESTS.c.request_id == row.request_id)
    if connection.execute(known).first() is not None:
        return False
    now = desk.clock()
    envelope = keep_envelope(row.envelope, most_bytes=MAX_ADOPTION_ENVELOPE_BYTES)
    if envelope.is_cut:
        raise_alarm(connection, ADOPTION_TOO_LARGE, f"on {now:%Y-%m-%d}", now=now)
    connection.execute(
        insert(ADOPTION_REQUESTS).values(
            request_id=row.request_id, state="waiting", envelope=envelope.kept, received_at=format_time(now)
        )
    )
    audit.append_entry(connection, at=now, actor=actor, action="take-adoption", subject=row.request_id)
    return True
