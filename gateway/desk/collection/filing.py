"""Files each verified report as a case, in the transaction that stores the report.

Never keeps what the report says: the case gets codes, days and yes or no; the words stay in the envelope.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from gateway.desk.collection.row_checks import PRIORITIES, SealedContent, VerifiedRow
from gateway.desk.paging.pages import queue_page
from gateway.desk.post_room.queue import queue_notes
from gateway.desk.store.schema import CASES, PARTNERS
from partner_sdk.report import list_given
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.placement import find_owner
from partner_sdk.wire.public_codes import MEETS_SOON, YES, is_flagged, is_from_grown_up
from partner_sdk.wire.public_report import PublicReport
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

# What a partner says of harm that is near, whatever it says of the child.
_SIGNS_OF_DANGER: Final = frozenset({"threat_to_life", "self_harm", "meeting_soon", "ongoing_abuse"})


@dataclass(frozen=True, slots=True)
class _First:
    """What an addition takes over from the report that it adds to."""

    cluster: str
    priority: str


def file_cases(connection: Connection, rows: Sequence[VerifiedRow], *, case_ids: Sequence[str], now: datetime) -> None:
    """Make a case for each verified report, and queue its note and its page, in the transaction that stores them."""
    partners = _list_partner_ids(connection)
    values: list[Mapping[str, object]] = []
    firsts: dict[tuple[str, str], _First] = {}
    for row, case_id in zip(rows, case_ids, strict=True):
        clear = row.intake.clear
        # A supplement may come in the same batch as the report that it belongs to, before either is in the table.
        first = firsts.get((clear.partner, clear.earlier_reference or "")) or _find_first(connection, clear)
        case = _make_case(row, case_id=case_id, first=first, partners=partners, now=now)
        firsts[clear.partner, row.intake.reference] = _First(str(case["cluster_id"]), str(case["priority"]))
        values.append(case)
    if not values:
        return
    connection.execute(insert(CASES), values)
    reports = zip(case_ids, (row.content for row in rows), strict=True)
    queue_notes(connection, {case: report for case, report in reports if isinstance(report, PublicReport)}, now=now)
    queue_page(connection, count=sum(map(_is_urgent, values)), now=now)


def _make_case(
    row: VerifiedRow, *, case_id: str, first: _First | None, partners: frozenset[str], now: datetime
) -> Mapping[str, object]:
    clear, content = row.intake.clear, row.content
    public = content if isinstance(content, PublicReport) else None
    return {
        "case_id": case_id,
        "environment": clear.environment,
        "partner": clear.partner,
        "provider": _find_provider(row, partners=partners),
        "report_id": clear.report_id,
        "reference": row.intake.reference,
        "door": row.intake.door,
        "placement": row.intake.placement,
        # Who adds two words to an urgent report has not become less urgent.
        "priority": clear.priority if first is None else min(clear.priority, first.priority, key=PRIORITIES.index),
        "received_at": row.intake.received_at,
        "collected_at": format_time(now),
        "danger": _is_in_danger(content),
        "reply_owed": public is not None and not is_from_grown_up(public),
        "cluster_id": case_id if first is None else first.cluster,
        "synthetic": False,
        "reply_by": None if public is None else public.reply_by,
        "region": (public.region or None) if public is not None else None,
        "country": (public.country or None) if public is not None else None,
        "has_reply_key": public is not None and public.reply_key is not None,
        "flagged": public is not None and is_flagged(public),
        "meeting_soon": public is not None and public.meeting.when in MEETS_SOON,
        "adds_to": clear.earlier_reference,
        "reply_key_sha256": None if public is None else _hash_reply_key(public.reply_key),
    }


def _is_urgent(case: Mapping[str, object]) -> bool:
    return case["priority"] == PRIORITIES[0] or bool(case["danger"] or case["meeting_soon"])


def _is_in_danger(content: SealedContent) -> bool:
    if isinstance(content, PublicReport):
        return content.danger == YES
    children, signs = list_given(content.report.children), list_given(content.report.incident.harm_signs)
    return any(child.at_risk_now == YES for child in children) or not _SIGNS_OF_DANGER.isdisjoint(signs)


def _find_provider(row: VerifiedRow, *, partners: frozenset[str]) -> str | None:
    if row.intake.clear.partner != PUBLIC_SENDER:
        return row.intake.clear.partner
    return find_owner(row.intake.placement, partners=partners)


def _hash_reply_key(reply_key: str | None) -> str | None:
    # A hash of a public key tells nothing: it is there to be compared (docs/decisions/0016).
    return None if reply_key is None else hashlib.sha256(reply_key.encode()).hexdigest()


def _find_first(connection: Connection, clear: ClearFields) -> _First | None:
    # A supplement belongs to the sender's own earlier report, never to anyone else's.
    if clear.earlier_reference is None:
        return None
    row = connection.execute(
        select(CASES.c.case_id, CASES.c.cluster_id, CASES.c.priority).where(
            CASES.c.environment == clear.environment,
            CASES.c.partner == clear.partner,
            CASES.c.reference == clear.earlier_reference,
        )
    ).first()
    return None if row is None else _First(row.cluster_id or row.case_id, row.priority)


def _list_partner_ids(connection: Connection) -> frozenset[str]:
    return frozenset(connection.execute(select(PARTNERS.c.partner)).scalars())
