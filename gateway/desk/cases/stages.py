"""The stage of a partner's report, for its sender: set aside, or with an outcome that is held until a day.

Never informs a partner of an outcome before that day, and never takes back a released one: a later one replaces it.
Set-aside reports are announced here: collecting must not depend on a partner's mailbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk.collection.joining import list_joined
from gateway.desk.collection.quarantine import list_unnotified, mark_notified
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import COLLECTED, NO_OPEN_REQUEST, Run, Sender, queue_stage
from gateway.desk.partners.mailbox import store_message
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import OUTCOME_SIGNALS, STAGES, SignalColumns
from gateway.desk.store.schema import CASES
from gateway.exchange.feed import StageItem
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.mailbox import MAX_SET_ASIDE_REPORTS, OutcomeNote, SetAsideNotice, SetAsideReport, encode_body
from partner_sdk.wire.submission import SetAsideReason


class OutcomeSignal(SignalColumns):
    """One outcome to send."""

    __slots__ = ()

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
        select(*(OUTCOME_SIGNALS.c[name] for name in OutcomeSignal._fields))
        .where(OUTCOME_SIGNALS.c.case_id == case_id)
        .order_by(OUTCOME_SIGNALS.c.decided_at, OUTCOME_SIGNALS.c.signal_id)
    )
    return [OutcomeSignal._make(row) for row in rows]


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


# The sender's text for the desk's own reasons (row_checks.py, vault.py); for any other one, that the report is held.
COARSE_REASONS: Final[dict[str, SetAsideReason]] = {
    "unreadable-content": "unreadable",
    "does-not-open": "not-opened",
    "unknown-key": "not-opened",
    "bad-padding": "not-opened",
    "clear-fields-mismatch": "mismatch",
    "envelope-mismatch": "mismatch",
    "submission-mismatch": "mismatch",
    "submission-not-genuine": "not-proven",
    "key-ended": "not-proven",
}


def queue_due_stages(desk: Desk) -> None:
    """Queue the stages of reports in quarantine, and of outcomes that are due."""
    _queue_set_aside_stages(desk)
    release_due(desk)


def coarsen(reason: str) -> SetAsideReason:
    """Return the sender's reason code for a report in quarantine, e.g. `unreadable` for `unreadable-content`."""
    return COARSE_REASONS.get(reason, "held")


def _queue_set_aside_stages(desk: Desk) -> None:
    """Queue the stage of every report in quarantine or filed after all, and one notice for partner and reason."""
    now = desk.clock()
    notices: dict[tuple[str, SetAsideReason], list[SetAsideReport]] = {}
    with desk.store.write() as connection:
        for row in list_unnotified(connection):
            reason = None if row.is_filed else coarsen(row.reason)
            queue_stage(
                connection,
                partner=row.partner,
                report_id=row.report_id,
                stage=COLLECTED,
                set_aside_reason=reason,
                now=now,
            )
            mark_notified(connection, row)
            # Without the partner's own signature it may be forged: then only the stage is sent.
            if reason is not None and row.is_proven:
                report = SetAsideReport(reference=row.reference, report_id=row.report_id)
                notices.setdefault((row.partner, reason), []).append(report)
        for (partner, reason), reports in notices.items():
            _write_notices(desk, connection, partner=partner, reason=reason, reports=reports)


def _write_notices(
    desk: Desk, connection: Connection, *, partner: str, reason: SetAsideReason, reports: list[SetAsideReport]
) -> None:
    set_aside_at = format_time(desk.clock())
    for start in range(0, len(reports), MAX_SET_ASIDE_REPORTS):
        some = tuple(reports[start : start + MAX_SET_ASIDE_REPORTS])
        notice = SetAsideNotice(reason=reason, reports=some, set_aside_at=set_aside_at)
        try:
            store_message(
                desk, connection, partner=partner, kind="set-aside", body=encode_body(notice), actor=BY_THE_DESK
            )
        except ReportAbuseError:
            return  # e.g. suspended in the meantime: the stage is still sent, and `doctor` names the fault of the keys


def _write_unanswering_notice(desk: Desk, connection: Connection, *, partner: str, report_id: str) -> None:
    """Inform a partner, once, that its response answers nothing: in the transaction that marks its stage as sent."""
    case = (CASES.c.partner == partner) & (CASES.c.report_id == report_id)
    reference = connection.execute(select(CASES.c.reference).where(case)).scalar()
    if reference is not None:
        report = SetAsideReport(reference=reference, report_id=report_id)
        _write_notices(desk, connection, partner=partner, reason=NO_OPEN_REQUEST, reports=[report])


@dataclass(frozen=True, slots=True)
class StageSender(Sender):
    """Sends the stages of reports to the gateway."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> StageItem:
        partner, report_id = row.subject.split()
        same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
        stage = connection.execute(select(STAGES).where(same)).one()
        return StageItem(
            partner=partner,
            report_id=report_id,
            stage=stage.stage,
            outcome=stage.outcome,
            set_aside_reason=stage.set_aside_reason,
        )

    def send(self, items: Sequence[StageItem]) -> list[None]:
        self.run.feed.post_stages(tuple(items))
        return [None] * len(items)

    def sent(self, connection: Connection, row: Row[Any], item: StageItem) -> None:
        if item.set_aside_reason == NO_OPEN_REQUEST:
            _write_unanswering_notice(self.run.desk, connection, partner=item.partner, report_id=item.report_id)
