"""Opens a case for a package: its read reports, the reasons of its assessment, and its files. Each time is recorded.

Never opens an unread report: a person reads it first, on the page of its case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.cases.assessing import Standing, count_read, get_standing
from gateway.desk.cases.case_files import ComparedReports, FileOfReport, make_whole_case
from gateway.desk.cases.holding import check_open, get_lead
from gateway.desk.cases.model import CaseError, CaseRow, StepText, get_case, open_texts
from gateway.desk.cases.opening import (
    OpenedReport,
    find_earlier,
    is_proven,
    list_additions,
    list_reports,
    list_sources,
    open_report,
)
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.keyring.case_boxes import find_sealed_report
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.submission import PUBLIC_SENDER

# The act of the audit log.
GATHER: Final = "gather-case"
# As on the page of a case: sealed bytes of the reports that are opened only to compare their files.
_MOST_COMPARED_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatheredReport:
    """One read report. `sealed_sha256` is the digest of its envelope, `sender` its partner by name, or blank.

    `is_proven` is False for an addition that may be from another person.
    """

    case: CaseRow
    content: SealedContent
    sealed_sha256: str
    sender: str
    is_proven: bool


@dataclass(frozen=True, slots=True)
class GatheredCase:
    """An open case with everything that a package of it may hold. `covers` counts its reports that were read.

    `closed` are the references of reports that cannot go: unread, or opening no more.
    """

    case: CaseRow
    standing: Standing
    reasons: StepText
    reports: Sequence[GatheredReport]
    closed: Sequence[str]
    files: Sequence[FileOfReport]
    covers: int


def get_ready(connection: Connection, wanted: str) -> tuple[CaseRow, Standing]:
    """Return the case in which a report is worked on, once it may leave.

    Raises `CaseError`: `unknown-case`, `synthetic`, `already-closed`, `not-opened`, `not-assessed`,
    `assessment-stale`.
    """
    found = get_lead(connection, wanted)
    if found.synthetic:
        raise CaseError("This is a synthetic case: it has no report to pass on.", reason="synthetic")
    check_open(found)
    if found.opened_at is None:
        raise CaseError("This report is still unread. Open it first.", reason="not-opened")
    standing = get_standing(connection, found)
    if standing.is_stale:
        raise CaseError(
            "Assess the case again: more was read, or it was reopened, after its assessment.", reason="assessment-stale"
        )
    return found, standing


def list_read_or_not(connection: Connection, lead: CaseRow) -> list[CaseRow]:
    """Return the reports of a case: of a person the first and its additions, of a partner those that were joined."""
    if lead.partner != PUBLIC_SENDER:
        return [one for one in list_reports(connection, lead.first_id) if lead.case_id in {one.case_id, one.joined_to}]
    earlier = find_earlier(connection, lead)
    first = lead if earlier is None else earlier
    return [first, *list_additions(connection, first)]


def gather_case(desk: Desk, wanted: str, *, actor: str) -> GatheredCase:
    """Open everything that a package of a case may hold, which is recorded. Raises as `get_ready`, and `VaultError`."""
    with desk.store.read() as connection:
        lead, standing = get_ready(connection, wanted)
        read = count_read(connection, lead)
    reports, closed = _open_reports(desk, lead, actor=actor)
    texts = open_texts(desk, lead, [standing.step], actor=actor)
    return GatheredCase(
        case=lead,
        standing=standing,
        reasons=texts.get(standing.step.step_id, StepText()),
        reports=reports,
        closed=closed,
        files=_list_files(desk, reports, actor=actor),
        covers=read,
    )


def open_files(desk: Desk, case: CaseRow, *, actor: str) -> Sequence[FileOfReport]:
    """Open the reports of a case for the keys of its files, which is recorded, in any state of the case."""
    return _list_files(desk, _open_reports(desk, case, actor=actor)[0], actor=actor)


def _open_reports(desk: Desk, lead: CaseRow, *, actor: str) -> tuple[list[GatheredReport], list[str]]:
    """Return the opened reports of a case, and the references of those that stay closed."""
    with desk.store.read() as connection:
        found = list_read_or_not(connection, lead)
        sources = list_sources(connection, found)
    reports, closed = list[GatheredReport](), list[str]()
    for case in found:
        source = sources.get(case.partner)
        sender = "" if case.partner == PUBLIC_SENDER else case.partner if source is None else source.name
        made = None if case.opened_at is None else _open(desk, case, sender=sender, actor=actor)
        if made is None:
            closed.append(case.reference)
        else:
            reports.append(made)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, GATHER, lead.case_id, at=desk.clock(), actor=actor, reports=len(reports), closed=len(closed)
        )
    return reports, closed


def _open(desk: Desk, case: CaseRow, *, sender: str, actor: str) -> GatheredReport | None:
    """Return an opened report, or None if its key was destroyed at the end of its time."""
    with desk.store.read() as connection:
        sealed, earlier = find_sealed_report(connection, case.case_id), find_earlier(connection, case)
    try:
        content = open_report(desk, case, actor=actor, reason="send")
    except (OpeningError, FormatError):
        return None
    digest = "" if sealed is None else sealed.sha256
    return GatheredReport(case, content, digest, sender, is_proven(case, earlier=earlier))


def _list_files(desk: Desk, reports: Sequence[GatheredReport], *, actor: str) -> Sequence[FileOfReport]:
    opened = [OpenedReport(one.case, one.content) for one in reports if isinstance(one.content, SealedIndustryReport)]
    compared = ComparedReports(bytes_left=_MOST_COMPARED_BYTES)
    return make_whole_case(desk, opened, actor=actor, compared=compared).files if opened else ()


def has_changed(connection: Connection, case_id: str, *, covers: int | None, assessed: int) -> bool:
    """Return whether a case was closed or assessed again since a draft, or more was read than a package `covers`."""
    found = get_case(connection, case_id)
    if found.closed_at is not None:
        return True
    is_read = covers is not None and covers != count_read(connection, found)
    return is_read or get_standing(connection, found).step.number != assessed
