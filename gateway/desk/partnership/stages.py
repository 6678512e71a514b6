"""Tells the gateway how far a partner's report is: queued with the deed, sent after, sent again until it is taken.

Never tells anything about a report of the public: nobody may follow those.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.desk.store.schema import STAGES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.feed_messages import StageItem
from partner_sdk.wire.submission import PUBLIC_SENDER

OPENED: Final = "opened"
_MOST_AT_ONCE: Final = 200


def queue_stage(connection: Connection, *, partner: str, report_id: str, outcome: str | None, now: datetime) -> None:
    """Note in the caller's transaction that a report was opened, and its outcome where that is released."""
    if partner == PUBLIC_SENDER:
        return
    same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
    connection.execute(delete(STAGES).where(same))
    connection.execute(
        insert(STAGES).values(
            partner=partner, report_id=report_id, stage=OPENED, outcome=outcome, queued_at=format_time(now)
        )
    )


def send_stages(desk: Desk) -> int:
    """Send every stage that was not taken yet and return how many; raises what the feed client raises."""
    sent = 0
    while True:
        with desk.store.read() as connection:
            waiting = connection.execute(
                select(STAGES).where(STAGES.c.sent_at.is_(None)).order_by(STAGES.c.queued_at).limit(_MOST_AT_ONCE)
            ).all()
        if not waiting:
            return sent
        items = tuple(
            StageItem(partner=row.partner, report_id=row.report_id, stage=row.stage, outcome=row.outcome)
            for row in waiting
        )
        desk.make_feed().post_stages(items)
        now = format_time(desk.clock())
        with desk.store.write() as connection:
            for row in waiting:
                # A stage that was queued anew while we sent keeps its place in the queue.
                connection.execute(
                    update(STAGES)
                    .where(
                        STAGES.c.partner == row.partner,
                        STAGES.c.report_id == row.report_id,
                        STAGES.c.outcome.is_not_distinct_from(row.outcome),
                    )
                    .values(sent_at=now)
                )
        sent += len(waiting)
