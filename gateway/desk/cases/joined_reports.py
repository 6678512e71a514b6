"""The reports of a partner that are one case: listed in order, opened together, and what speaks against each.

Never hides one behind another: a correction or a retraction stands beside the first report, which stays whole.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, or_, select

from gateway.desk.cases.model import CaseError, CaseRow, to_case
from gateway.desk.cases.opening import open_case
from gateway.desk.collection.sealed_reports import list_sealed_sizes
from gateway.desk.partners.registrations import find_authorisation
from gateway.desk.store.partner_tables import PARTNERS
from gateway.desk.store.schema import CASES, of_sender
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.wire.submission import PUBLIC_SENDER

# Of a case with more reports, the others are opened one by one, on their own pages.
MOST_OPENED: Final = 20
# Sealed bytes, beside the first report: opening and laying out two megabytes takes about half a second.
MOST_OPENED_BYTES: Final = 2 * 1024 * 1024
RETRACTION: Final = "retraction"
RESPONSE: Final = "response"


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """One report of a case. `content` is None where it does not open; `fault` says why."""

    case: CaseRow
    content: SealedIndustryReport | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent a case: the type of the partner as this desk registered it, its name, and the country of an agency."""

    type: str
    name: str
    country: str | None


@dataclass(frozen=True, slots=True)
class OwnReport:
    """A reference that a report names as another one of its sender's own, and the case that it is here."""

    reference: str
    case_id: str | None


def list_joined(connection: Connection, found: CaseRow) -> list[CaseRow]:
    """Return every report of a case, the first one first, then as they were received."""
    if found.partner == PUBLIC_SENDER:
        return [found]
    rows = connection.execute(
        select(CASES)
        .where(or_(CASES.c.case_id == found.first_id, CASES.c.joined_to == found.first_id))
        .order_by((CASES.c.case_id == found.first_id).desc(), CASES.c.received_at, CASES.c.case_id)
    )
    return [to_case(row) for row in rows]


def open_whole_case(desk: Desk, found: CaseRow, content: SealedIndustryReport, *, actor: str) -> list[OpenedReport]:
    """Open what a sender added to a case whose first report is open already, for a person to read; each is noted.

    Of an addition that alone. What does not open is said to be so; of a case with very many or very large ones, the
    others are left, the largest first.
    """
    with desk.store.read() as connection:
        later = [one for one in list_joined(connection, found) if one.joined_to == found.case_id]
        sizes = list_sealed_sizes(
            connection,
            environment=found.environment,
            partner=found.partner,
            report_ids=[one.report_id for one in later],
        )
    later = later[: MOST_OPENED - 1]
    chosen = _choose_small(later, sizes)
    opened = (_open(desk, one, actor=actor) for one in later if one.case_id in chosen)
    return [OpenedReport(found, content), *opened]


def _choose_small(reports: Sequence[CaseRow], sizes: Mapping[str, int]) -> set[str]:
    # The smallest first: no large one shuts out the retraction behind it.
    chosen, left = set(), MOST_OPENED_BYTES
    for one in sorted(reports, key=lambda one: sizes.get(one.report_id, 0)):
        left -= sizes.get(one.report_id, 0)
        if left < 0:
            break
        chosen.add(one.case_id)
    return chosen


def list_case_doubts(found: CaseRow, reports: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return what speaks against the reports of a partner's case, from what stands in the clear."""
    if found.partner == PUBLIC_SENDER or found.synthetic:
        return []
    doubts = []
    for report in reports:
        if report.adds_to is not None and report.joined_to is None:
            doubts.append(
                (
                    f"{report.adds_to} is not at this desk.",
                    f"{report.reference} names it as the sender's earlier report. It stands as a case of its own.",
                )
            )
        elif report.report_kind in _LATER_KINDS and report.joined_to is None:
            doubts.append((f"This {report.report_kind} names no earlier report.", "It stands as a case of its own."))
        if report.report_kind == RESPONSE and report.answers_request is None:
            doubts.append(
                (
                    f"{report.reference} is a response, and names no open question about this report.",
                    "No question counts as answered by it. Read it, and ask the partner which one it means.",
                )
            )
    return doubts


_LATER_KINDS: Final = frozenset({"supplement", "correction", RETRACTION})


def list_unopened(opened: Sequence[OpenedReport]) -> list[tuple[str, str]]:
    """Return which reports did not open, and why."""
    return [(f"{one.case.reference} does not open.", one.fault) for one in opened if one.fault]


def list_submitter_doubts(connection: Connection, opened: Sequence[OpenedReport]) -> list[tuple[str, str]]:
    """Return which opened reports were submitted by somebody whom their partner did not register (SI 2026/268).

    A note and no more: the report counts like any other, and of a partner that registered nothing there is none.
    """
    strangers = []
    for one in opened:
        if one.content is None:
            continue
        said = one.content.report.reporter
        if (
            find_authorisation(connection, one.case.partner, email=said.submitter_email, name=said.submitter_name)
            is False
        ):
            strangers.append(one.case.reference)
    if not strangers:
        return []
    head = f"{', '.join(strangers)}: whoever submitted this is not one of the partner's authorised persons."
    return [(head, "It counts all the same. Ask the partner whether its registration is complete.")]


def list_own_reports(connection: Connection, found: CaseRow, references: Collection[str]) -> list[OwnReport]:
    """Return the sender's own reports of these references, with the case of each that is known here."""
    rows = connection.execute(
        select(CASES.c.case_id, CASES.c.reference, CASES.c.other_reference).where(
            *of_sender(found.environment, found.partner),
            CASES.c.reference.in_(references) | CASES.c.other_reference.in_(references),
        )
    ).all()
    known = {name: row.case_id for row in rows for name in (row.other_reference, row.reference)}
    return [OwnReport(reference, known.get(reference)) for reference in references]


def list_linked(opened: Sequence[OpenedReport]) -> list[str]:
    """Return the references that opened reports name as other reports of their sender, each once."""
    contents = (one.content for one in opened if one.content is not None)
    named = (reference for content in contents for reference in list_given(content.report.linked_reports))
    return list(dict.fromkeys(named))


def list_sources(connection: Connection, cases: Collection[CaseRow]) -> dict[str, Source]:
    """Return by partner who sent these cases; the public is no partner."""
    wanted = {case.partner for case in cases}
    columns = (PARTNERS.c.partner, PARTNERS.c.type, PARTNERS.c.name, PARTNERS.c.country)
    rows = connection.execute(select(*columns).where(PARTNERS.c.partner.in_(wanted)))
    return {row.partner: Source(row.type, row.name, row.country) for row in rows}


def _open(desk: Desk, report: CaseRow, *, actor: str) -> OpenedReport:
    try:
        opened = open_case(desk, report.case_id, actor=actor)
    except (CaseError, OpeningError, FormatError) as error:
        return OpenedReport(report, None, str(error))
    content = opened.content
    return OpenedReport(opened.case, content if isinstance(content, SealedIndustryReport) else None)
