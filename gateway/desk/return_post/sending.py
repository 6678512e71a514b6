"""Sends the gateway what was written to return codes: sealed boxes, the oldest first. Never opens one."""

from typing import Final

from sqlalchemy import select, update

from gateway.desk.feed_client import FeedClient
from gateway.desk.store.schema import REPLY_MESSAGES
from gateway.desk.wiring import Desk
from partner_sdk.canonical import format_time, to_base64url
from partner_sdk.feed_messages import ReplyPostItem

_MOST_AT_ONCE: Final = 50


def send_replies(desk: Desk, feed: FeedClient) -> int:
    """Send every message that the gateway has not taken, the oldest first, and return how many.

    Raises what the feed client raises; what was taken until then stays taken.
    """
    sent = 0
    while True:
        with desk.store.read() as connection:
            waiting = connection.execute(
                select(REPLY_MESSAGES)
                .where(REPLY_MESSAGES.c.posted_at.is_(None))
                .order_by(REPLY_MESSAGES.c.written_at, REPLY_MESSAGES.c.message_id)
                .limit(_MOST_AT_ONCE)
            ).all()
        if not waiting:
            return sent
        # The same message again is harmless, so a whole handful is marked when the gateway has taken all of it.
        feed.post_replies(
            tuple(
                ReplyPostItem(
                    envelope=to_base64url(bytes(row.envelope)), message_id=row.message_id, reference=row.reference
                )
                for row in waiting
            )
        )
        posted = [row.message_id for row in waiting]
        with desk.store.write() as connection:
            connection.execute(
                update(REPLY_MESSAGES)
                .where(REPLY_MESSAGES.c.message_id.in_(posted))
                .values(posted_at=format_time(desk.clock()))
            )
        sent += len(waiting)
