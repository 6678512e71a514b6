"""Notes which context of a page came with which report, so that one that is used again is seen.

Never opens a context, and never refuses a report for one: whatever a token says, its report is filed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, insert, select

from gateway.desk.store.context_tables import PAGE_CONTEXTS
from gateway.desk.store.schema import CASES
from partner_sdk.errors import FormatError
from partner_sdk.wire.page_context import parse_context_token
from partner_sdk.wire.public_report import PublicReport

MOST_REFERENCES_SHOWN: Final = 5


def note_contexts(connection: Connection, reports: Mapping[str, PublicReport]) -> None:
    """Note the contexts of new cases (case id to report), in the transaction that files them."""
    values = [_to_values(case_id, report.context) for case_id, report in reports.items() if report.context is not None]
    if values:
        connection.execute(insert(PAGE_CONTEXTS), values)


@dataclass(frozen=True, slots=True)
class OtherReports:
    """How many other reports the very same context came with, and the references of the first of them."""

    count: int
    references: tuple[str, ...]


def get_other_reports(connection: Connection, case_id: str) -> OtherReports:
    """Return the other reports that the context of a case came with.

    Who has the page before them may report twice; nobody else can have made the same bytes.
    """
    own = select(PAGE_CONTEXTS.c.token_sha256).where(PAGE_CONTEXTS.c.case_id == case_id).scalar_subquery()
    same = (PAGE_CONTEXTS.c.token_sha256 == own, PAGE_CONTEXTS.c.case_id != case_id)
    count: int = connection.execute(select(func.count()).select_from(PAGE_CONTEXTS).where(*same)).scalar_one()
    references = connection.execute(
        select(CASES.c.reference)
        .join(PAGE_CONTEXTS, PAGE_CONTEXTS.c.case_id == CASES.c.case_id)
        .where(*same)
        .order_by(CASES.c.received_at, CASES.c.case_id)
        .limit(MOST_REFERENCES_SHOWN)
    )
    return OtherReports(count, tuple(references.scalars()))


def _to_values(case_id: str, token: str) -> dict[str, object]:
    try:
        named = parse_context_token(token)
    except FormatError:
        named = None
    return {
        "case_id": case_id,
        "token_sha256": hashlib.sha256(token.encode()).digest(),
        "partner": None if named is None else named.partner,
        "context_id": None if named is None else named.context_id,
    }
