"""Joins what a sender says later to its own earlier report: one case, whose priority and danger may only rise.

Never joins a report to anybody else's, and never takes one away: each keeps its own envelope, its kind and its place.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select, update

from gateway.desk.collection.row_checks import PRIORITIES, SealedContent
from gateway.desk.store.question_tables import INFORMATION_REQUESTS, OUTCOME_SIGNALS
from gateway.desk.store.schema import CASES
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

RESPONSE: Final = "response"


def find_request(connection: Connection, clear: ClearFields, content: SealedContent) -> str | None:
    """Return the question that a response answers, if this desk put it to this very partner."""
    if not isinstance(content, SealedIndustryReport) or clear.kind != RESPONSE:
        return None
    said = content.report.answers_request
    known = select(INFORMATION_REQUESTS.c.request_id).where(
        INFORMATION_REQUESTS.c.request_id == said, INFORMATION_REQUESTS.c.partner == clear.partner
    )
    return connection.execute(known).scalar()


def settle_cases(connection: Connection, filed: Iterable[Mapping[str, object]]) -> None:
    """Settle what new cases mean for older ones and for each other, once all are in the table, in one transaction.

    Questions are answered, and each report is settled as `settle_case` says. In which order reports come, and in which
    batches, makes no difference: whoever runs the gateway chooses both.
    """
    for values in filed:
        if values["answers_request"] is not None:
            _note_answer(connection, values)
        settle_case(connection, str(values["case_id"]))


def settle_case(connection: Connection, case_id: str) -> None:
    """Join a report to the first one of the case that it names, and to that whatever named this report before it came.

    Afterwards all of them are joined to the first report itself, never to one another, and the first is as urgent as
    the most urgent of them.
    """
    # Read from the table: a report that was settled before may have moved this one.
    case = connection.execute(select(CASES).where(CASES.c.case_id == case_id)).one()
    named = _find_named(connection, case)
    if case.partner == PUBLIC_SENDER:
        if named is not None:
            _take_over(connection, case, earlier=named)
        return
    stands_alone = case.joined_to is None
    first_id = _get_first_id(connection, case_id if named is None or not stands_alone else named.case_id)
    joined = [case_id] if stands_alone and first_id != case_id else []
    joined += _list_waiting(connection, case, first_id=first_id)
    for one in joined:
        _join(connection, one, first_id=first_id)
    if joined:
        _gather(connection, first_id)
        _raise_all(connection, first_id)


def list_misjoined(connection: Connection) -> list[str]:
    """Return the references of reports that are joined to anything but the first report of a case.

    There are none, unless the database was changed by hand or is from before this was kept: lists may not show them.
    """
    firsts = select(CASES.c.case_id).where(CASES.c.joined_to.is_(None))
    rows = connection.execute(
        select(CASES.c.reference)
        .where(CASES.c.joined_to.is_not(None), CASES.c.joined_to.not_in(firsts))
        .order_by(CASES.c.received_at, CASES.c.case_id)
    )
    return list(rows.scalars())


def _find_named(connection: Connection, case: Row[Any]) -> Row[Any] | None:
    """Return the sender's own earlier report that a report names, or the case of the question that it answers."""
    if case.adds_to is not None:
        wanted = or_(CASES.c.reference == case.adds_to, CASES.c.other_reference == case.adds_to)
    elif case.answers_request is not None:
        asked = select(INFORMATION_REQUESTS.c.case_id).where(INFORMATION_REQUESTS.c.request_id == case.answers_request)
        wanted = CASES.c.case_id == asked.scalar_subquery()
    else:
        return None
    return connection.execute(
        select(CASES).where(
            CASES.c.environment == case.environment,
            CASES.c.partner == case.partner,
            CASES.c.case_id != case.case_id,
            wanted,
        )
    ).first()


def _get_first_id(connection: Connection, case_id: str) -> str:
    """Return the first report of the case that a report is joined to, from step to step."""
    first_id, seen = case_id, {case_id}
    next_one = CASES.alias()
    while True:
        step = select(next_one.c.case_id).join(CASES, CASES.c.joined_to == next_one.c.case_id)
        joined_to = connection.execute(step.where(CASES.c.case_id == first_id)).scalar()
        if joined_to is None or joined_to in seen:
            return first_id
        first_id = joined_to
        seen.add(first_id)


def _list_waiting(connection: Connection, case: Row[Any], *, first_id: str) -> Collection[str]:
    """Return what named this report before it was known by that reference, and stands for itself until now."""
    names = [name for name in (case.reference, case.other_reference) if name is not None]
    return (
        connection.execute(
            select(CASES.c.case_id).where(
                CASES.c.environment == case.environment,
                CASES.c.partner == case.partner,
                CASES.c.adds_to.in_(names),
                CASES.c.joined_to.is_(None),
                # Of reports that name each other in a circle one stays the first: none is hidden.
                CASES.c.case_id.not_in((case.case_id, first_id)),
            )
        )
        .scalars()
        .all()
    )


def _note_answer(connection: Connection, values: Mapping[str, object]) -> None:
    connection.execute(
        update(INFORMATION_REQUESTS)
        .where(
            INFORMATION_REQUESTS.c.request_id == values["answers_request"],
            INFORMATION_REQUESTS.c.answered_at.is_(None),
        )
        .values(answered_at=values["received_at"], answer_case_id=values["case_id"])
    )


def _take_over(connection: Connection, case: Row[Any], *, earlier: Row[Any]) -> None:
    # What the public adds stays a case of its own: nothing but a return code proves that it is the same person.
    # Who adds two words to an urgent report has not become less urgent.
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id == case.case_id)
        .values(
            cluster_id=earlier.cluster_id or earlier.case_id,
            priority=min(case.priority, earlier.priority, key=PRIORITIES.index),
        )
    )


def _join(connection: Connection, case_id: str, *, first_id: str) -> None:
    """Join what was the first report of a case, or a case of its own, to another first report."""
    cluster = connection.execute(select(CASES.c.cluster_id).where(CASES.c.case_id == first_id)).scalar_one()
    # A cluster that a person has joined to another one stays as it is.
    connection.execute(
        update(CASES)
        .where(or_(CASES.c.case_id == case_id, CASES.c.joined_to == case_id), CASES.c.cluster_id == case_id)
        .values(cluster_id=cluster or first_id)
    )
    connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(joined_to=first_id))
    # Pages show questions and outcomes with the first report of the case: what waits there can be taken back there.
    for table in (INFORMATION_REQUESTS, OUTCOME_SIGNALS):
        connection.execute(update(table).where(table.c.case_id == case_id).values(case_id=first_id))


def _gather(connection: Connection, first_id: str) -> None:
    """Join to a first report itself whatever is joined to a report that is joined to it."""
    family = select(CASES.c.case_id).where(CASES.c.case_id == first_id).cte("family", recursive=True)
    # UNION, not UNION ALL: it ends, whatever the table says.
    family = family.union(select(CASES.c.case_id).where(CASES.c.joined_to == family.c.case_id))
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id.in_(select(family.c.case_id)), CASES.c.case_id != first_id)
        .values(joined_to=first_id)
    )


def _raise_all(connection: Connection, first_id: str) -> None:
    """Let a case be as urgent as the most urgent of its reports, and what nobody has closed of it too."""
    # P1 sorts before P2 (row_checks.PRIORITIES), so the least text is the most urgent.
    whole = or_(CASES.c.case_id == first_id, CASES.c.joined_to == first_id)
    most = connection.execute(select(func.min(CASES.c.priority), func.max(CASES.c.danger)).where(whole)).one()
    priority, danger = most
    if priority not in PRIORITIES:
        return
    connection.execute(update(CASES).where(CASES.c.case_id == first_id).values(priority=priority, danger=bool(danger)))
    # What is added to an urgent case is not less urgent, also where it stands for itself because that was closed.
    later = (CASES.c.joined_to == first_id) & CASES.c.closed_at.is_(None)
    connection.execute(update(CASES).where(later, CASES.c.priority > priority).values(priority=priority))
