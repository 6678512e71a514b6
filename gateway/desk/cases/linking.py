"""Links a case to another about the same person or incident, or ends a link, before closing or after it.

Digests count linked cases once. A digest that was frozen before keeps its clusters: a link only changes the later ones.
Each decision is a step of both cases, with its reason sealed.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.cases.steps import StepKind, StepText, add_step, get_clean_reason
from gateway.desk.collection.links import (
    LinkError,
    LinkRecord,
    add_link,
    end_link,
    list_cluster,
    list_records,
    refuse_link,
)
from gateway.desk.wiring import Desk


@dataclass(frozen=True, slots=True)
class LinkedCase:
    """Another case of the cluster. `record` is the newest of its own link; None if only other cases connect the two."""

    case: CaseRow
    record: LinkRecord | None


def link_cases(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two cases are about the same person or incident.

    Raises `CaseError`: `unknown-case`, `own-case`, `linked-already`, `reason-missing`, `reason-too-long`,
    `unprintable`.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        if not record_link(desk, connection, found, other, text=text, actor=actor):
            raise CaseError("These two cases are linked already.", reason="linked-already")
        return found


def unlink_cases(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two linked cases are not about the same person or incident. Digests made before keep them as one.

    Raises `CaseError`: `unknown-case`, `no-link`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found, linked = get_case(connection, wanted), get_case(connection, other)
        try:
            end_link(connection, found.case_id, linked.case_id, by=actor, now=desk.clock())
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        _add_steps(desk, connection, "unlink", found, linked, text=text, actor=actor)
        return found


def refuse_match(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two cases with a shared identifier are not about the same person or incident.

    They are not suggested again. Refusing twice changes nothing. Raises `CaseError`: `unknown-case`, `own-case`,
    `linked-already`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found, refused = get_case(connection, wanted), get_case(connection, other)
        try:
            is_new = refuse_link(connection, found.case_id, refused.case_id, by=actor, now=desk.clock())
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        if is_new:
            _add_steps(desk, connection, "keep-apart", found, refused, text=text, actor=actor)
        return found


def record_link(
    desk: Desk, connection: Connection, found: CaseRow, other: str, *, text: StepText | None, actor: str
) -> bool:
    """Link a case to another in the caller's transaction; return False if their own link stands already.

    No text is needed at closing: the step of closing follows.
    """
    linked = get_case(connection, other)
    try:
        is_new = add_link(connection, found.case_id, linked.case_id, by=actor, now=desk.clock())
    except LinkError as error:
        raise CaseError(str(error), reason=error.reason) from None
    if is_new:
        _add_steps(desk, connection, "link", found, linked, text=text, actor=actor)
    return is_new


def list_linked(connection: Connection, case: CaseRow) -> list[LinkedCase]:
    """Return the other cases of a case's cluster, those with a link of their own first."""
    newest = {record.other_id: record for record in list_records(connection, case.case_id)}
    standing = {other_id: record for other_id, record in newest.items() if not record.is_end}
    others = sorted(list_cluster(connection, case.case_id) - {case.case_id}, key=lambda one: (one not in standing, one))
    return [LinkedCase(get_case(connection, other_id), standing.get(other_id)) for other_id in others]


def _add_steps(
    desk: Desk,
    connection: Connection,
    kind: StepKind,
    found: CaseRow,
    linked: CaseRow,
    *,
    text: StepText | None,
    actor: str,
) -> None:
    """Record a step in the case of each report, or one step if a person parts a report from its own case."""
    first, second = (get_lead(connection, one.case_id).case_id for one in (found, linked))
    others = {first: linked, second: found}
    if first == second:
        others = {first: found if linked.case_id == first else linked}
    for lead_id, other in others.items():
        add_step(desk, connection, lead_id, kind, actor=actor, text=text, codes={"other": other.case_id})
