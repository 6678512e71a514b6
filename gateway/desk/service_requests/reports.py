"""The reports of a case as a request needs them: to suggest accounts, and to keep the reporter out of the text."""

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import MOST_OPENED, find_earlier, list_additions, list_reports, open_report
from gateway.desk.cases.page_contexts import find_page_context
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.identifiers.traces import Traces, make_context_traces, make_traces
from gateway.desk.vault import Reason
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError

OpenedReports = Sequence[tuple[CaseRow, SealedContent]]


def list_case_reports(connection: Connection, found: CaseRow) -> list[CaseRow]:
    """Return the reports of a case: the sender's own later ones, and additions of the same person."""
    earlier = find_earlier(connection, found)
    every = [
        *list_reports(connection, found.first_id),
        *list_additions(connection, found),
        *([earlier] if earlier else []),
    ]
    return list({one.case_id: one for one in every}.values())[:MOST_OPENED]


def open_reports(desk: Desk, reports: Sequence[CaseRow], *, actor: str, reason: Reason) -> OpenedReports:
    """Return the reports that open, with their content. The caller records a reading (`reason` is `read`)."""
    opened = []
    for report in reports:
        try:
            opened.append((report, open_report(desk, report, actor=actor, reason=reason)))
        except (OpeningError, FormatError):
            continue  # its key was destroyed at the end of its time
    return opened


def make_case_traces(desk: Desk, opened: OpenedReports, *, recipient: str, actor: str) -> Traces:
    """Return the traces of the reporters, without those of reports that the recipient sent itself."""
    traces = Traces()
    for report, content in opened:
        if report.partner == recipient:
            continue
        names = [one for one in (report.reference, report.other_reference) if one is not None]
        context = find_page_context(desk, report, content, actor=actor)
        traces |= make_traces(content, references=names)
        traces |= make_context_traces(None if context is None else context.claim)
    return traces
