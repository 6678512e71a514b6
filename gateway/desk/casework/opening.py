"""Opens the report of a case for a person to read, and notes who did; the first reading is told to whom it may be.

Never keeps what was read: the content goes to the caller and stays in its envelope here.
"""

from dataclasses import dataclass

from sqlalchemy import select, update

from gateway.desk import audit
from gateway.desk.casework.cases import CaseError, CaseRow, get_case
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.partnership import stages
from gateway.desk.return_post.messages import Recipient, queue_read_note
from gateway.desk.store.schema import CASES, REPORTS
from gateway.desk.wiring import Desk
from partner_sdk.canonical import format_time
from partner_sdk.envelope import Envelope
from partner_sdk.intake import peek_intake
from partner_sdk.public_report import PublicReport, parse_public_report
from partner_sdk.report import parse_sealed_report
from partner_sdk.submission import PUBLIC_SENDER, report_context


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with what was said in it. The content is for the eyes of the reader: never store or log it."""

    case: CaseRow
    content: SealedContent


def open_case(desk: Desk, wanted: str, *, actor: str) -> OpenedCase:
    """Open the envelope of a case for a person to read; the first time is noted, and told to whom it may be told.

    Raises `CaseError` (`unknown-case`, `synthetic`), `OpeningError` when its key is gone.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    content = open_report(desk, found)
    with desk.store.write() as connection:
        first_time = connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id, CASES.c.opened_at.is_(None))
            .values(opened_at=format_time(now))
        ).rowcount
        audit.append_entry(connection, at=now, actor=actor, action="open-case", subject=found.case_id)
        if first_time:
            stages.queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=None, now=now)
            recipient = find_recipient(found, content)
            # That an addition was read says nothing about the report that it adds to.
            if recipient is not None and recipient.reference == found.reference:
                queue_read_note(desk, connection, recipient, actor=actor, now=now)
        return OpenedCase(case=get_case(connection, found.case_id), content=content)


def open_report(desk: Desk, found: CaseRow) -> SealedContent:
    """Open the envelope of a case without noting who reads it: whoever calls this has that to do.

    Raises `CaseError` (`synthetic`), `OpeningError` when its key is gone.
    """
    with desk.store.read() as connection:
        report = connection.execute(
            select(REPORTS).where(
                REPORTS.c.environment == found.environment,
                REPORTS.c.partner == found.partner,
                REPORTS.c.report_id == found.report_id,
            )
        ).first()
    if report is None:
        raise CaseError("This is a marked synthetic case: there is no report behind it to read.", reason="synthetic")
    clear = peek_intake(bytes(report.intake)).clear  # verified when it was collected
    plain = desk.load_vault().open_report(Envelope.parse(bytes(report.envelope)), context=report_context(clear))
    return parse_public_report(plain) if report.partner == PUBLIC_SENDER else parse_sealed_report(plain)


def find_recipient(found: CaseRow, content: SealedContent) -> Recipient | None:
    """Return who is written to through the return code, or None where the report has none.

    What was added later carries the code of the first report: the person comes back with the first one's reference.
    """
    if not isinstance(content, PublicReport) or content.reply_key is None:
        return None
    reference = content.clear.earlier_reference or found.reference
    return Recipient(case_id=found.case_id, reference=reference, reply_key=content.reply_key)
