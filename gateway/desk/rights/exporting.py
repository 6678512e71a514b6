"""Exports everything from and to one person reporting: their report, their proven additions, and our replies.

For the person alone. Never holds anything that a colleague wrote about the case, nor an addition that is not proven to
come from the same person. Opened through the vault, and recorded as an export; kept nowhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.actions.model import TO_DESTINATIONS, list_actions, name_recipient
from gateway.desk.cases.model import CaseError, CaseRow, get_case, list_steps
from gateway.desk.cases.opening import find_earlier, is_proven, list_additions, open_report
from gateway.desk.cases.reading.public_report import Section, make_sections
from gateway.desk.cases.replying.replies import ReplyCopy, open_copies
from gateway.desk.uk_times import format_uk_day_of, format_uk_time
from gateway.desk.wiring import Desk
from partner_sdk.wire.public_report import PublicReport

# The form's and the desk's own fields, which the person never typed.
_OURS: Final = "Particulars"


@dataclass(frozen=True, slots=True)
class ExportedReport:
    """One report of the person, with the answers that they gave."""

    reference: str
    sent: str
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class Export:
    """Everything of one person: reports, the first one first, the replies, and the bodies that got it.

    `passed_to` has each body with the day on which the reports went to it, the oldest first.
    """

    reports: Sequence[ExportedReport]
    replies: Sequence[ReplyCopy]
    passed_to: Sequence[tuple[str, str]] = ()


def export_case(desk: Desk, wanted: str, *, actor: str) -> Export:
    """Open every report of the person of a case and every reply to them, and record the export.

    Raises `CaseError` (`unknown-case`, `not-opened`) and the errors of the vault.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        cases = list_reports_of_person(connection, found)
        passed_to = _list_bodies(desk, connection, cases)
    if any(case.opened_at is None for case in cases):
        raise CaseError("Open each report of this person first.", reason="not-opened")
    reports = [_open(desk, case, actor=actor) for case in cases]
    replies = [copy for case in cases for copy in open_copies(desk, case, actor=actor)]
    with desk.store.write() as connection:
        audit.append_entry(connection, "export-case", found.case_id, at=desk.clock(), actor=actor, reports=len(reports))
    return Export(reports, sorted(replies, key=lambda one: one.written_at), passed_to)


def list_reports_of_person(connection: Connection, found: CaseRow) -> list[CaseRow]:
    """Return the reports that are proven to come from the person of this one, the first one first."""
    earlier = find_earlier(connection, found)
    first = earlier if earlier is not None and is_proven(found, earlier=earlier) else found
    return [first, *(one for one in list_additions(connection, first) if is_proven(one, earlier=first))]


def make_export_text(export: Export) -> str:
    """Return an export as plain text, for a reply or a letter."""
    return "\n".join(_list_lines(export))


def _list_lines(export: Export) -> Iterator[str]:
    yield "This is what you told us. “They” means you."
    for report in export.reports:
        yield f"\n{report.reference}, {report.sent}"
        for section in report.sections:
            yield from (f"{line.title}: {line.text}" for line in section.lines)
    for body, day in export.passed_to:
        yield f"\nWe passed it on to {body} on {day}."
    for copy in export.replies:
        yield f"\nWe wrote on {format_uk_time(copy.written_at)}:\n{copy.text or 'This can no longer be opened.'}"


def _list_bodies(desk: Desk, connection: Connection, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return the bodies that a package, the report itself or a call went to, and when (UK GDPR Article 15(1)(c))."""
    went = set[tuple[str, str]]()
    for case in cases:
        for one in list_actions(connection, case_id=case.case_id):
            if one.kind in TO_DESTINATIONS and one.sent_at is not None:
                went.add((one.sent_at, one.recipient))
        for step in list_steps(connection, case, kinds={"pass-on"}):
            went.add((step.at, str(step.detail["destination"])))
    named = [(name_recipient(desk, connection, key, kind="package"), format_uk_day_of(at)) for at, key in sorted(went)]
    return list(dict.fromkeys(named))


def _open(desk: Desk, case: CaseRow, *, actor: str) -> ExportedReport:
    content = open_report(desk, case, actor=actor)
    if not isinstance(content, PublicReport):
        raise CaseError("Only a person who reported has such requests here.", reason="not-from-public")
    sections = [
        Section(section.title, tuple(line for line in section.lines if line.text))
        for section in make_sections(content)
        if section.title != _OURS
    ]
    return ExportedReport(case.reference, format_uk_time(case.received_at), [one for one in sections if one.lines])
