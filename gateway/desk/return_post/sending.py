"""Sends the gateway what was written to return codes: sealed boxes, the oldest first. Never opens one.

Never counts as given what the gateway has no place for: that reply is owed again, and an alarm says so.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.return_post.messages import REPLIED_BY_RETURN_CODE, REPLY, has_reply
from gateway.desk.store.post_tables import REPLY_MESSAGES
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.feed_messages import ReplyPostItem, ReplyResult

NO_PLACE: Final = "reply-without-place"
ACTOR: Final = "return-post"
_MOST_AT_ONCE: Final = 50


def send_replies(desk: Desk, feed: FeedClient) -> int:
    """Send every message that the gateway has not taken, the oldest first, and return how many it has now.

    Raises what the feed client raises; what was taken until then stays taken.
    """
    sent = 0
    while True:
        with desk.store.read() as connection:
            waiting = connection.execute(
                select(REPLY_MESSAGES)
                .where(REPLY_MESSAGES.c.posted_at.is_(None), REPLY_MESSAGES.c.no_place_at.is_(None))
                .order_by(REPLY_MESSAGES.c.written_at, REPLY_MESSAGES.c.message_id)
                .limit(_MOST_AT_ONCE)
            ).all()
        if not waiting:
            return sent
        # The same message again is harmless, so a whole handful is marked when the gateway has answered for all of it.
        results = feed.post_replies(
            tuple(
                ReplyPostItem(
                    envelope=to_base64url(bytes(row.envelope)), message_id=row.message_id, reference=row.reference
                )
                for row in waiting
            )
        )
        sent += _note_results(desk, waiting, results)


def _note_results(desk: Desk, rows: Sequence[Row[Any]], results: Sequence[ReplyResult]) -> int:
    now = desk.clock()
    taken = [row.message_id for row, result in zip(rows, results, strict=True) if result != "no-place"]
    lost = [row for row, result in zip(rows, results, strict=True) if result == "no-place"]
    with desk.store.write() as connection:
        for ids, values in (
            (taken, {"posted_at": format_time(now)}),
            ([row.message_id for row in lost], {"no_place_at": format_time(now)}),
        ):
            connection.execute(update(REPLY_MESSAGES).where(REPLY_MESSAGES.c.message_id.in_(ids)).values(values))
        for row in lost:
            # Also for the note that somebody has read it: nothing more can be written to this reference now.
            raise_alarm(connection, NO_PLACE, row.reference, now=now)
            if row.kind == REPLY:
                _reopen(connection, row, now=now)
    return len(taken)


def _reopen(connection: Connection, row: Row[Any], *, now: datetime) -> None:
    """Let a reply be owed again that nobody can read; a closed case stays closed."""
    audit.append_entry(
        connection, at=now, actor=ACTOR, action="no-place", subject=row.case_id, detail={"message_id": row.message_id}
    )
    if has_reply(connection, case_id=row.case_id):
        return
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id == row.case_id, CASES.c.reply_code == REPLIED_BY_RETURN_CODE)
        .values(reply_code=None, reply_reason=None, reply_recorded_at=None)
    )
