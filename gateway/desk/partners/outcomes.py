"""Informs a partner of the outcome of its own report: decided by a person, held until a day, sent with a collection.

Never informs a partner before that day, and never takes back a released outcome: a later one replaces it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk import audit
from gateway.desk.collection.joining import list_joined
from gateway.desk.outbox.queue import queue_stage
from gateway.desk.partners.mailbox import store_message
from gateway.desk.store import copy_fields
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.mailbox import OutcomeNote, encode_body


@dataclass(frozen=True, slots=True)
class OutcomeSignal:
    """One outcome to send, decided by a person. It waits until it is released or taken back."""

    signal_id: str
    case_id: str
    partner: str
    outcome: str
    decided_at: str
    decided_by: str
    held_until: str
    released_at: str | None
    taken_back_at: str | None
    taken_back_by: str | None

    @property
    def waits(self) -> bool:
        """Whether it can still be taken back."""
        return self.released_at is None and self.taken_back_at is None


def record_outcome(
    desk: Desk, connection: Connection, *, case_id: str, partner: str, outcome: str, held_until: datetime, actor: str
) -> str:
    """Record an outcome and its day, in the caller's transaction; return its id. The caller checks permission."""
    now, signal_id = desk.clock(), desk.make_id()
    connection.execute(
        insert(OUTCOME_SIGNALS).values(
            signal_id=signal_id,
            case_id=case_id,
            partner=partner,
            outcome=outcome,
            decided_at=format_time(now),
            decided_by=actor,
            held_until=format_time(held_until),
        )
    )
    audit.append_entry(
        connection, "decide-outcome", case_id, at=now, actor=actor, outcome=outcome, held_until=format_time(held_until)
    )
    return signal_id


def take_back_outcome(connection: Connection, signal: OutcomeSignal, *, actor: str, now: datetime) -> bool:
    """Take back a waiting outcome in the caller's transaction; False if it was released in the meantime."""
    changed = connection.execute(
        update(OUTCOME_SIGNALS)
        .where(
            OUTCOME_SIGNALS.c.signal_id == signal.signal_id,
            OUTCOME_SIGNALS.c.released_at.is_(None),
            OUTCOME_SIGNALS.c.taken_back_at.is_(None),
        )
        .values(taken_back_at=format_time(now), taken_back_by=actor)
    )
    if changed.rowcount == 0:
        return False
    audit.append_entry(connection, "take-back-outcome", signal.case_id, at=now, actor=actor, outcome=signal.outcome)
    return True


def list_signals(connection: Connection, *, case_id: str) -> list[OutcomeSignal]:
    """Return the outcomes of a case, the oldest first, including those taken back."""
    rows = connection.execute(
        select(OUTCOME_SIGNALS)
        .where(OUTCOME_SIGNALS.c.case_id == case_id)
        .order_by(OUTCOME_SIGNALS.c.decided_at, OUTCOME_SIGNALS.c.signal_id)
    )
    return [copy_fields(OutcomeSignal, row) for row in rows]


def find_released(connection: Connection, *, case_id: str) -> OutcomeSignal | None:
    """Return the newest released outcome of a case, or None."""
    told = [one for one in list_signals(connection, case_id=case_id) if one.released_at is not None]
    return told[-1] if told else None


def release_due(desk: Desk) -> int:
    """Release every due outcome: queue its stage for each report of the case. Return the number."""
    now = desk.clock()
    with desk.store.write() as connection:
        due = _list_rows(
            connection,
            OUTCOME_SIGNALS.c.released_at.is_(None)
            & OUTCOME_SIGNALS.c.taken_back_at.is_(None)
            & (OUTCOME_SIGNALS.c.held_until <= format_time(now)),
        )
        for row in due:
            connection.execute(
                update(OUTCOME_SIGNALS)
                .where(OUTCOME_SIGNALS.c.signal_id == row.signal_id)
                .values(released_at=format_time(now))
            )
            for report in list_joined(connection, row.case_id):
                if report.opened_at is None:
                    continue  # it arrived after the assessed report and is still unread
                queue_stage(connection, partner=row.partner, report_id=report.report_id, outcome=row.outcome, now=now)
            audit.append_entry(
                connection, "release-outcome", row.case_id, at=now, actor=row.decided_by, outcome=row.outcome
            )
    return len(due)


def write_outcome_notes(desk: Desk) -> int:
    """Write the mailbox message of every released outcome that lacks one; return the number.

    Raises the errors of the signing key and of the partner's mailbox key: messages written before the error stay.
    """
    with desk.store.read() as connection:
        waiting = _list_rows(
            connection, OUTCOME_SIGNALS.c.released_at.is_not(None) & OUTCOME_SIGNALS.c.message_id.is_(None)
        )
    for row in waiting:
        with desk.store.write() as connection:
            first = list_joined(connection, row.case_id)[0]
            note = OutcomeNote(
                outcome=row.outcome,
                reference=first.reference,
                released_at=row.released_at,
                report_id=first.report_id,
            )
            # With the id of the message in one transaction: a message is written once.
            message = store_message(
                desk, connection, partner=row.partner, kind="outcome", body=encode_body(note), actor=row.decided_by
            )
            connection.execute(
                update(OUTCOME_SIGNALS)
                .where(OUTCOME_SIGNALS.c.signal_id == row.signal_id)
                .values(message_id=message.message_id)
            )
    return len(waiting)


def _list_rows(connection: Connection, wanted: Any) -> Sequence[Row[Any]]:
    return connection.execute(
        select(OUTCOME_SIGNALS).where(wanted).order_by(OUTCOME_SIGNALS.c.decided_at, OUTCOME_SIGNALS.c.signal_id)
    ).all()
