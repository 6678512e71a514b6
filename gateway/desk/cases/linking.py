"""Links a case to another about the same person or incident, or ends a link, before closing or after it.

Digests count linked cases once. A digest that was frozen before keeps its clusters: a link only changes the later ones.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.cases.steps import get_clean_reason
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

AT_CLOSING: Final = "Closed as the same person or incident."


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
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        if not record_link(connection, found, other, reason=reason, actor=actor, now=now):
            raise CaseError("These two cases are linked already.", reason="linked-already")
        return found


def unlink_cases(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two linked cases are not about the same person or incident. Digests made before keep them as one.

    Raises `CaseError`: `unknown-case`, `no-link`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        found, linked = get_case(connection, wanted), get_case(connection, other)
        try:
            end_link(connection, found.case_id, linked.case_id, by=actor, reason=reason, now=now)
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        _note(connection, "unlink-cases", found, linked, reason=reason, actor=actor, now=now)
        return found


def refuse_match(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two cases with a shared identifier are not about the same person or incident.

    They are not suggested again. Refusing twice changes nothing. Raises `CaseError`: `unknown-case`, `own-case`,
    `linked-already`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        found, refused = get_case(connection, wanted), get_case(connection, other)
        try:
            is_new = refuse_link(connection, found.case_id, refused.case_id, by=actor, reason=reason, now=now)
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        if is_new:
            _note(connection, "refuse-match", found, refused, reason=reason, actor=actor, now=now)
        return found


def record_link(connection: Connection, found: CaseRow, other: str, *, reason: str, actor: str, now: datetime) -> bool:
    """Link a case to another in the caller's transaction; return False if their own link stands already."""
    linked = get_case(connection, other)
    try:
        is_new = add_link(connection, found.case_id, linked.case_id, by=actor, reason=reason, now=now)
    except LinkError as error:
        raise CaseError(str(error), reason=error.reason) from None
    if is_new:
        _note(connection, "link-cases", found, linked, reason=reason, actor=actor, now=now)
    return is_new


def list_linked(connection: Connection, case: CaseRow) -> list[LinkedCase]:
    """Return the other cases of a case's cluster, those with a link of their own first."""
    newest = {record.other_id: record for record in list_records(connection, case.case_id)}
    standing = {other_id: record for other_id, record in newest.items() if not record.is_end}
    others = sorted(list_cluster(connection, case.case_id) - {case.case_id}, key=lambda one: (one not in standing, one))
    return [LinkedCase(get_case(connection, other_id), standing.get(other_id)) for other_id in others]


def _note(
    connection: Connection, action: str, found: CaseRow, linked: CaseRow, *, reason: str, actor: str, now: datetime
) -> None:
    # As for a move: the reason stays beside the cases, its hash in the log.
    proof = hashlib.sha256(reason.encode()).hexdigest()
    audit.append_entry(
        connection, action, found.case_id, at=now, actor=actor, other=linked.case_id, reason_sha256=proof
    )
