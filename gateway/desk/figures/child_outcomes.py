"""Counts the outcomes for children, as bodies outside reported them: codes of steps alone (R52)."""

import json
from collections import Counter, defaultdict
from datetime import datetime

from sqlalchemy import Connection, false, func, select

from gateway.desk.cases.child_outcome import CHILD_OUTCOMES
from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.wire.canonical import format_time


def count_child_outcomes(connection: Connection, *, since: datetime) -> list[tuple[str, int]]:
    """Return each outcome in words with the number of its cases, of those received since a time.

    A case may have several; one that was taken back does not count.
    """
    query = (
        select(func.coalesce(CASES.c.joined_to, CASES.c.case_id), CASE_STEPS.c.detail)
        .join(CASES, CASES.c.case_id == CASE_STEPS.c.case_id)
        .where(
            CASE_STEPS.c.kind == "child-outcome",
            CASES.c.received_at >= format_time(since),
            CASES.c.synthetic == false(),
        )
        .order_by(CASE_STEPS.c.id)
    )
    held: defaultdict[str, set[str]] = defaultdict(set)
    for case_id, detail in connection.execute(query):
        codes = json.loads(detail)
        (held[case_id].add if codes["holds"] else held[case_id].discard)(codes["outcome"])
    counts = Counter(code for codes in held.values() for code in codes)
    return [(title, counts[code]) for code, title in CHILD_OUTCOMES.items()]
