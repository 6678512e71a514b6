"""The stage of a partner's report, for its sender: stages that fall due by time are queued here; the outbox sends them.

Reports in quarantine are announced here too, because collecting must not depend on a partner's mailbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from gateway.desk.collection.quarantine import list_unnotified, mark_notified
from gateway.desk.outbox.queue import COLLECTED, NO_OPEN_REQUEST, Run, Sender, queue_stage
from gateway.desk.partners.mailbox import store_message
from gateway.desk.partners.outcomes import release_due
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.agency_tables import STAGES
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from gateway.exchange.feed import StageItem
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.mailbox import MAX_SET_ASIDE_REPORTS, SetAsideNotice, SetAsideReport, encode_body
from partner_sdk.wire.submission import SetAsideReason

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
