"""Tells the gateway how far a partner's report is: queued with the deed, sent after, sent again until it is taken.

Outcomes whose day has come are released first, and get their message to the partner's mailbox after.
"""

from typing import Final

from sqlalchemy import select, update

from gateway.desk.partnership.outcomes import release_due, write_outcome_notes
from gateway.desk.store.post_tables import STAGES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.feed_messages import StageItem

_MOST_AT_ONCE: Final = 200


def send_stages(desk: Desk) -> int:
    """Release what is due, send every stage that was not taken yet, and return how many of these.

    Raises what the feed client and the keys raise. The mailbox messages of outcomes wait for `post_waiting`.
    """
    release_due(desk)
    sent = _send_waiting(desk)
    write_outcome_notes(desk)
    return sent


def _send_waiting(desk: Desk) -> int:
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
