"""The outcomes for children of all cases, for the overview and the figures. Reads codes alone, never a note."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, false, func, select

from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.wire.canonical import format_time


@dataclass(frozen=True, slots=True)
class OutcomesOfCase:
    """The outcomes that hold for one case, with the service that it names."""

    case_id: str
    received_at: str
    about: str | None
    codes: frozenset[str]


def list_outcomes_of_cases(
    connection: Connection, *, since: datetime | None = None, until: datetime | None = None
) -> list[OutcomesOfCase]:
    """Return the real cases with an outcome received in a span; a joined report counts under its first."""
    case_id = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("case_id")
    query = (
        select(case_id, CASES.c.received_at, CASES.c.about, CASE_STEPS.c.detail)
        .join(CASES, CASES.c.case_id == CASE_STEPS.c.case_id)
        .where(CASE_STEPS.c.kind == "child-outcome", CASES.c.synthetic == false())
        .order_by(CASE_STEPS.c.id)
    )
    if since is not None:
        query = query.where(CASES.c.received_at >= format_time(since))
    if until is not None:
        query = query.where(CASES.c.received_at < format_time(until))
    found: dict[str, OutcomesOfCase] = {}
    for row in connection.execute(query):
        one = found.get(row.case_id, OutcomesOfCase(row.case_id, row.received_at, row.about, frozenset()))
        told = json.loads(row.detail)
        codes = one.codes | {told["outcome"]} if told["holds"] else one.codes - {told["outcome"]}
        found[row.case_id] = replace(one, codes=codes)
    return [one for one in found.values() if one.codes]
