"""Queues how far a partner's report is, in the caller's transaction; partners/stages.py sends it.

Never queues anything about a report of the public: nobody may follow those.
"""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, delete, insert, select

from gateway.desk.outbox.queue import queue
from gateway.desk.store.post_tables import STAGES
from partner_sdk.wire.mailbox_message import SetAsideReason
from partner_sdk.wire.submission import PUBLIC_SENDER

COLLECTED: Final = "collected"
OPENED: Final = "opened"
# Of a response that answers nothing; unlike the other reasons it goes with a report that is filed.
NO_OPEN_REQUEST: Final = "no-open-request"


def queue_stage(
    connection: Connection,
    *,
    partner: str,
    report_id: str,
    now: datetime,
    outcome: str | None = None,
    stage: Literal["collected", "opened"] = OPENED,
    set_aside_reason: SetAsideReason | None = None,
) -> None:
    """Note in the caller's transaction how far a report is, and its outcome where that is released.

    A report that was set aside is `collected` with a reason, and one that is filed after all is `collected` without.
    An outcome that was queued before stays where no new one is named: it was released already.
    """
    if partner == PUBLIC_SENDER:
        return
    same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
    told = outcome or connection.execute(select(STAGES.c.outcome).where(same)).scalar()
    connection.execute(delete(STAGES).where(same))
    connection.execute(
        insert(STAGES).values(
            partner=partner, report_id=report_id, stage=stage, outcome=told, set_aside_reason=set_aside_reason
        )
    )
    queue(connection, "stage", [f"{partner} {report_id}"], now=now)


def queue_stage_again(connection: Connection, *, partner: str, report_id: str, now: datetime) -> None:
    """Queue the stage of a report once more as it is, where it has one."""
    same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
    if connection.execute(select(STAGES.c.stage).where(same)).first() is not None:
        queue(connection, "stage", [f"{partner} {report_id}"], now=now)
