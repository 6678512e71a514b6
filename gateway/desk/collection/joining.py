"""Joins what a sender says later to its own earlier report: one case, whose priority and danger may only rise.

Never joins a report to anybody else's, and never takes one away: each keeps its own envelope, its kind and its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from gateway.desk.collection.row_checks import PRIORITIES, SealedContent
from gateway.desk.store.question_tables import INFORMATION_REQUESTS
from gateway.desk.store.schema import CASES
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

RESPONSE: Final = "response"

CaseValues = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a report takes over from the one that it adds to; `first_id` is the first report of that case."""

    first_id: str
    cluster: str
    priority: str


def find_earlier(connection: Connection, clear: ClearFields, *, request_id: str | None) -> Earlier | None:
    """Return the sender's own earlier report that a new one names, or the case of the question that it answers."""
    if clear.earlier_reference is not None:
        named = or_(CASES.c.reference == clear.earlier_reference, CASES.c.other_reference == clear.earlier_reference)
        return _find(connection, clear, named)
    if request_id is None:
        return None
    asked = select(INFORMATION_REQUESTS.c.case_id).where(INFORMATION_REQUESTS.c.request_id == request_id)
    return _find(connection, clear, CASES.c.case_id == asked.scalar_subquery())


def find_request(connection: Connection, clear: ClearFields, content: SealedContent) -> str | None:
    """Return the question that a response answers, if this desk put it to this very partner."""
    if not isinstance(content, SealedIndustryReport) or clear.kind != RESPONSE:
        return None
    said = content.report.answers_request
    known = select(INFORMATION_REQUESTS.c.request_id).where(
        INFORMATION_REQUESTS.c.request_id == said, INFORMATION_REQUESTS.c.partner == clear.partner
    )
    return connection.execute(known).scalar()


def settle_cases(connection: Connection, filed: Sequence[CaseValues]) -> None:
    """Settle what new cases mean for older ones, once they are in the table, in the same transaction.

    Questions are answered, reports that came before the one they name are joined to it, and the first report of a case
    takes over whatever makes it more urgent.
    """
    for values in filed:
        if values["partner"] == PUBLIC_SENDER:
            continue
        if values["answers_request"] is not None:
            _note_answer(connection, values)
        first_id = str(values["joined_to"] or values["case_id"])
        _join_earlier_comers(connection, values, first_id=first_id)
        _raise_first(connection, first_id)


def _find(connection: Connection, clear: ClearFields, wanted: ColumnElement[bool]) -> Earlier | None:
    row = connection.execute(
        select(CASES.c.case_id, CASES.c.joined_to, CASES.c.cluster_id, CASES.c.priority).where(
            CASES.c.environment == clear.environment,
            CASES.c.partner == clear.partner,
            wanted,
        )
    ).first()
    if row is None:
        return None
    return Earlier(row.joined_to or row.case_id, row.cluster_id or row.case_id, row.priority)


def _note_answer(connection: Connection, values: CaseValues) -> None:
    connection.execute(
        update(INFORMATION_REQUESTS)
        .where(
            INFORMATION_REQUESTS.c.request_id == values["answers_request"],
            INFORMATION_REQUESTS.c.answered_at.is_(None),
        )
        .values(answered_at=values["received_at"], answer_case_id=values["case_id"])
    )


def _join_earlier_comers(connection: Connection, values: CaseValues, *, first_id: str) -> None:
    """Join what named this report before it came, and what was joined to that."""
    waiting = connection.execute(
        select(CASES.c.case_id).where(
            CASES.c.environment == values["environment"],
            CASES.c.partner == values["partner"],
            CASES.c.adds_to == values["reference"],
            CASES.c.joined_to.is_(None),
            CASES.c.case_id != first_id,
        )
    ).scalars()
    for case_id in list(waiting):
        joined = or_(CASES.c.case_id == case_id, CASES.c.joined_to == case_id)
        # A cluster that a person has joined to another one stays as it is.
        connection.execute(
            update(CASES).where(joined, CASES.c.cluster_id == case_id).values(cluster_id=values["cluster_id"])
        )
        connection.execute(update(CASES).where(joined).values(joined_to=first_id))


def _raise_first(connection: Connection, first_id: str) -> None:
    # P1 sorts before P2 (row_checks.PRIORITIES), so the least text is the most urgent.
    joined = or_(CASES.c.case_id == first_id, CASES.c.joined_to == first_id)
    most = connection.execute(select(func.min(CASES.c.priority), func.max(CASES.c.danger)).where(joined)).one()
    priority, danger = most
    if priority in PRIORITIES:
        connection.execute(
            update(CASES).where(CASES.c.case_id == first_id).values(priority=priority, danger=bool(danger))
        )
