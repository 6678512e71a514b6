"""Opens the report of a case for a person to read, with its later additions, and notes the reader.

The first reading is told to those who may know. Never keeps the content: it goes to the caller and stays in its
envelope here.

Never believes that an addition is the first person's because it names their reference: the gateway's operator knows
every reference. The key of the return code is sealed in both reports, and only the sender of the first can repeat it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseError, CaseRow, get_case, to_case
from gateway.desk.collection.joining import find_named, hold_back, list_added
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.collection.sealed_reports import find_sealed_report
from gateway.desk.collection.stage_queue import queue_stage
from gateway.desk.outbox.replies import Recipient, queue_read_note
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.report import parse_sealed_report
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.public_report import PublicReport, parse_public_report
from partner_sdk.wire.submission import PUBLIC_SENDER, report_context


def find_earlier(connection: Connection, found: CaseRow) -> CaseRow | None:
    """Return the case that an addition adds to, or None: its sender's own alone."""
    row = None if found.adds_to is None else find_named(connection, found)
    return None if row is None else to_case(row)


def list_additions(connection: Connection, found: CaseRow) -> Sequence[CaseRow]:
    """Return the cases that add to this one, the oldest first."""
    return [to_case(row) for row in list_added(connection, found)]


def has_nothing_to_repeat(earlier: CaseRow | None) -> bool:
    """Return whether a first report was sent without a return code, so that nobody can prove to have sent it.

    A person can have added to it all the same, in the same visit; so can whoever runs the gateway.
    """
    return earlier is not None and earlier.adds_to is None and earlier.reply_key_sha256 is None


def is_proven(found: CaseRow, *, earlier: CaseRow | None) -> bool:
    """Return whether a case is a first report, or an addition of whoever sent the first one.

    A partner signs what it adds. An addition of the public must hold the key of the first report's return code, and the
    first one must be known here and be no addition itself: else a chain of forged ones would prove the last.
    """
    if found.adds_to is None or found.partner != PUBLIC_SENDER:
        return True
    return (
        earlier is not None
        and earlier.adds_to is None
        and found.reply_key_sha256 is not None
        and found.reply_key_sha256 == earlier.reply_key_sha256
    )


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with what was said in it. The content is for the eyes of the reader: never store or log it."""

    case: CaseRow
    content: SealedContent


@dataclass(frozen=True, slots=True)
class FirstReport:
    """The report that an addition adds to. `content` is None where nobody has read it yet, or it does not open."""

    case: CaseRow
    content: PublicReport | None
    is_proven: bool


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
            .values(opened_at=format_time(now), is_behind=False)
        ).rowcount
        audit.append_entry(connection, "open-case", found.case_id, at=now, actor=actor)
        if first_time:
            hold_back(connection, partner=found.partner)
            queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=None, now=now)
            # That an addition was read says nothing about the report that it adds to.
            recipient = find_recipient(found, content) if found.adds_to is None else None
            if recipient is not None:
                queue_read_note(desk, connection, recipient, actor=actor, now=now)
        return OpenedCase(case=get_case(connection, found.case_id), content=content)


def open_report(desk: Desk, found: CaseRow) -> SealedContent:
    """Open the envelope of a case without noting who reads it: whoever calls this has that to do.

    Raises `CaseError` (`synthetic`), `OpeningError` when its key is gone.
    """
    with desk.store.read() as connection:
        sealed = find_sealed_report(
            connection, environment=found.environment, partner=found.partner, report_id=found.report_id
        )
    if sealed is None:
        raise CaseError("This is a marked synthetic case: there is no report behind it to read.", reason="synthetic")
    envelope, context = Envelope.parse(sealed.envelope), report_context(sealed.clear)
    plain = desk.load_vault().open_report(envelope, context=context)
    return parse_public_report(plain) if found.partner == PUBLIC_SENDER else parse_sealed_report(plain)


def find_first_report(desk: Desk, found: CaseRow, *, actor: str | None) -> FirstReport | None:
    """Return the report that an addition of the public adds to, with its content if somebody has read it before.

    How to reach the person safely is in there. That `actor` opened it for that is noted; without one, whoever calls
    this has that to do. None for what adds to nothing that is known here.
    """
    with desk.store.read() as connection:
        earlier = find_earlier(connection, found)
    if earlier is None or earlier.partner != PUBLIC_SENDER:
        return None
    content = None if earlier.opened_at is None else _find_content(desk, earlier)
    if content is not None and actor is not None:
        with desk.store.write() as connection:
            audit.append_entry(connection, "open-case", earlier.case_id, at=desk.clock(), actor=actor)
    return FirstReport(earlier, content, is_proven(found, earlier=earlier))


def find_recipient(found: CaseRow, content: SealedContent, *, first: FirstReport | None = None) -> Recipient | None:
    """Return who is written to through the return code, or None where the report has none.

    What was added later carries the code of the first report: the person comes back with the first one's reference.
    An addition that is not proven to be theirs has no recipient: its key may be anybody's (docs/decisions/0016).
    """
    if not isinstance(content, PublicReport) or content.reply_key is None:
        return None
    reference = found.reference
    if found.adds_to is not None:
        if first is None or not first.is_proven:
            return None
        reference = first.case.reference
    return Recipient(case_id=found.case_id, reference=reference, reply_key=content.reply_key)


def _find_content(desk: Desk, found: CaseRow) -> PublicReport | None:
    try:
        content = open_report(desk, found)
    except (OpeningError, FormatError):
        return None  # its key is gone with the reports of its time
    return content if isinstance(content, PublicReport) else None
