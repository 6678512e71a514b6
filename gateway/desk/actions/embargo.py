"""The embargo on a case: reasons why no service may learn anything of it now, e.g. while police work on it.

Judged when a referral is drafted, released and sent, over every case of its cluster: a service that ends an account of
a suspect warns that person.
"""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, or_, select

from gateway.desk.actions.model import OPEN_STATES, TO_DESTINATIONS, ActionError
from gateway.desk.collection.links import list_cluster
from gateway.desk.store.action_tables import CASE_ACTIONS
from gateway.desk.store.partner_tables import OUTCOME_SIGNALS
from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.wire.canonical import format_time

Embargo = Literal["legal-hold", "for-action", "outcome-held", "package-open", "with-police"]
# As the rest of a sentence: "Not referred: the case, or one linked to it, ...".
EMBARGO_TITLES: Final[dict[Embargo, str]] = {
    "legal-hold": "is under a legal hold",
    "for-action": "is assessed as one that a body acts on",
    "outcome-held": "has an outcome that is held back until a later day",
    "package-open": "has a package or redirected report that police or another body are working on",
    "with-police": "was taken by police or child protection",
}
# Answers to "Who is best placed?" of a report that no body acts on.
NOT_FOR_ACTION: Final = ("harm_reduction", "nobody")
_QUESTIONS: Final = ("immediate_risk", "urgent", "urgent_dissemination")


def find_embargo(connection: Connection, case_id: str, *, now: datetime) -> Embargo | None:
    """Return the gravest reason for an embargo on a case, one of its reports or one linked to it; None for none."""
    cluster = list_cluster(connection, case_id)
    of_cluster = or_(CASES.c.case_id.in_(cluster), CASES.c.joined_to.in_(cluster))
    rows = connection.execute(select(CASES.c.case_id, CASES.c.hold_review).where(of_cluster)).all()
    if any(row.hold_review is not None for row in rows):
        return "legal-hold"
    case_ids = {row.case_id for row in rows}
    if _has_open_package(connection, case_ids):
        return "package-open"
    if _is_with_police(connection, case_ids):
        return "with-police"
    if _is_for_action(connection, case_ids):
        return "for-action"
    return "outcome-held" if _has_held_outcome(connection, case_ids, now=now) else None


def check_embargo(connection: Connection, case_id: str, *, now: datetime) -> None:
    """Raise `ActionError`, with the embargo as its reason, while nothing of a case may reach a service."""
    embargo = find_embargo(connection, case_id, now=now)
    if embargo is not None:
        raise ActionError(f"Not referred: this case, or one linked to it, {EMBARGO_TITLES[embargo]}.", reason=embargo)


def _has_open_package(connection: Connection, case_ids: Collection[str]) -> bool:
    wanted = CASE_ACTIONS.c.case_id.in_(case_ids), CASE_ACTIONS.c.kind.in_(TO_DESTINATIONS)
    # One that was withdrawn, or ended with its outcome, holds nothing back.
    query = select(CASE_ACTIONS.c.action_id).where(*wanted, CASE_ACTIONS.c.state.in_(OPEN_STATES))
    return connection.execute(query.limit(1)).first() is not None


def _is_with_police(connection: Connection, case_ids: Collection[str]) -> bool:
    wanted = CASE_STEPS.c.case_id.in_(case_ids), CASE_STEPS.c.kind == "pass-on"
    details = connection.execute(select(CASE_STEPS.c.detail).where(*wanted)).scalars()
    return any(json.loads(detail).get("protects") for detail in details)


def _is_for_action(connection: Connection, case_ids: Collection[str]) -> bool:
    """Return whether the standing assessment of any of these cases leads to an action."""
    wanted = CASE_STEPS.c.case_id.in_(case_ids), CASE_STEPS.c.kind.in_(("assess", "advise"))
    rows = connection.execute(
        select(CASE_STEPS.c.case_id, CASE_STEPS.c.detail).where(*wanted).order_by(CASE_STEPS.c.id)
    )
    standing = {row.case_id: json.loads(row.detail) for row in rows}  # the newest of each case
    return any(
        one["best_placed"] not in NOT_FOR_ACTION or any(one[name] != "no" for name in _QUESTIONS)
        for one in standing.values()
    )


def _has_held_outcome(connection: Connection, case_ids: Collection[str], *, now: datetime) -> bool:
    waits = OUTCOME_SIGNALS.c.released_at.is_(None) & OUTCOME_SIGNALS.c.taken_back_at.is_(None)
    held = OUTCOME_SIGNALS.c.case_id.in_(case_ids), waits, OUTCOME_SIGNALS.c.held_until > format_time(now)
    return connection.execute(select(OUTCOME_SIGNALS.c.signal_id).where(*held).limit(1)).first() is not None
