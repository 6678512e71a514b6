"""Puts a note that was given up back into the queue, when a person of the desk says so.

Never one that is older than a note may be: "we have got it" after days says something else, and then a person answers.
"""

from sqlalchemy import select, update

from gateway.desk import audit
from gateway.desk.post_room.queue import GIVE_UP_AFTER
from gateway.desk.store.post_tables import OUTGOING_POST
from gateway.desk.wiring import Desk
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time


class PostRetryError(ReportAbuseError):
    """A note can not be tried again; the message says why."""


def retry_note(desk: Desk, note_id: int, *, actor: str) -> None:
    """Let the next run of the post room try a given up note again.

    Raises `PostRetryError` (`not-given-up`, `too-late`).
    """
    now = desk.clock()
    with desk.store.write() as connection:
        row = connection.execute(
            select(OUTGOING_POST).where(OUTGOING_POST.c.id == note_id, OUTGOING_POST.c.state == "given_up")
        ).first()
        if row is None:
            raise PostRetryError("This note is not one that was given up.", reason="not-given-up")
        if now - parse_time(row.queued_at) >= GIVE_UP_AFTER:
            raise PostRetryError(
                "This note is too old: it would say the wrong thing. Answer the person in the way that they picked.",
                reason="too-late",
            )
        connection.execute(
            update(OUTGOING_POST)
            .where(OUTGOING_POST.c.id == note_id)
            .values(state="waiting", tries=0, next_try_at=format_time(now), last_error=None)
        )
        audit.append_entry(
            connection, at=now, actor=actor, action="retry-note", subject=row.case_id, detail={"channel": row.channel}
        )
