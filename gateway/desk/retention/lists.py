"""The lists of cases to destroy: one person drafts and signs one, another signs it too, and only then it begins.

A list names each case with its day and the digests of its reports, so that a case that changed since shows.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from gateway.desk import audit
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.people.releases import (
    DESTRUCTION,
    DESTRUCTION_DRAFT,
    Release,
    ReleaseError,
    check_may_sign,
    draft_release,
    find_release,
)
from gateway.desk.retention.classes import load_classes
from gateway.desk.retention.contents import list_digests
from gateway.desk.retention.due import REFUSALS, DueCase, judge
from gateway.desk.rights.exporting import list_reports_of_person
from gateway.desk.rights.requests import WIPE, list_requests
from gateway.desk.store.schema import DESTRUCTIONS
from gateway.desk.wiring import Desk
from gateway.guidance.destruction import MOST_CASES, DestructionList, DestructionReason, ListedCase, ListedReport
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.statements import MAX_LIST_BYTES

DUE: Final[DestructionReason] = "due"


class RetentionError(ReportAbuseError):
    """A case cannot be destroyed now; the message names it and the reason."""


def draft_destruction(desk: Desk, case_ids: Collection[str], *, reason: DestructionReason, actor: str) -> Release:
    """Draft a list of cases for a second person to sign: cases that are `due`, or for an `erasure` before their time.

    Each is named by its id or reference, and goes with every report that is joined to it. Raises `CaseError`
    (`unknown-case`), `RetentionError` (`not-destroyable`, `too-many`, `in-draft`).
    """
    if not 0 < len(case_ids) <= MOST_CASES:
        raise RetentionError(f"A list has 1 to {MOST_CASES} cases.", reason="too-many")
    now = desk.clock()
    with desk.store.write() as connection:
        leads = {lead.case_id: lead for lead in (get_lead(connection, one) for one in case_ids)}
        drafted = list_drafted(connection)
        if drafted & leads.keys():
            taken = leads[min(drafted & leads.keys())].reference
            raise RetentionError(f"{taken} is on another list, which waits for its signature.", reason="in-draft")
        wanted = DestructionList(
            cases=tuple(make_listed(desk, connection, leads[case_id], reason=reason) for case_id in sorted(leads)),
            destruction_id=desk.make_id(),
            environment=desk.config.environment,
            reason=reason,
        )
        body = encode(wanted)
        connection.execute(
            insert(DESTRUCTIONS).values(
                destruction_id=wanted.destruction_id, body=body, drafted_at=format_time(now), drafted_by=actor
            )
        )
        subject = wanted.destruction_id
        # Its author signs this one, so its draft is the desk's.
        draft_release(connection, kind=DESTRUCTION_DRAFT, subject=subject, body=body, by=BY_THE_DESK, now=now)
        return draft_release(connection, kind=DESTRUCTION, subject=subject, body=body, by=actor, now=now)


def draft_erasure(desk: Desk, wanted: str, *, actor: str) -> Release:
    """Draft the list for a case whose request was decided as "erase": one list with every report of this person.

    Raises `CaseError` (`unknown-case`) and `RetentionError`: `not-decided`, `other-requests`, those of a draft.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        cases = list_reports_of_person(connection, found)
        requests = [(case, one) for case in cases for one in list_requests(connection, case)]
    if not any(one.to_erase_by for case, one in requests if case.case_id == found.case_id):
        raise RetentionError("Nobody has decided to erase this report.", reason="not-decided")
    if any(one.kind != WIPE for _, one in requests):
        raise RetentionError(
            "Answer this person's other requests first: nothing of them can be shown or corrected afterwards.",
            reason="other-requests",
        )
    return draft_destruction(desk, [case.case_id for case in cases], reason="erasure", actor=actor)


def withdraw_draft(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Give up an unsigned list. Raises `RetentionError` (`unknown-list`, `signed-before`)."""
    with desk.store.write() as connection:
        row = get_destruction(connection, destruction_id)
        release = find_release(connection, kind=DESTRUCTION, subject=destruction_id, body=bytes(row.body))
        if release is not None and release.signed_by is not None:
            raise RetentionError("This list was signed: it is carried out.", reason="signed-before")
        connection.execute(delete(DESTRUCTIONS).where(DESTRUCTIONS.c.destruction_id == destruction_id))
        audit.append_entry(connection, "withdraw-destruction", destruction_id, at=desk.clock(), actor=actor)


def get_destruction(connection: Connection, destruction_id: str) -> Row[Any]:
    """Return the row of a list. Raises `RetentionError` (`unknown-list`)."""
    mine = DESTRUCTIONS.c.destruction_id == destruction_id
    row = connection.execute(select(DESTRUCTIONS).where(mine)).first()
    if row is None:
        raise RetentionError("There is no such list: it was withdrawn, or never drafted.", reason="unknown-list")
    return row


def list_unfinished(connection: Connection) -> list[str]:
    """Return the ids of lists without a certificate, signed or not, the oldest first."""
    waiting = select(DESTRUCTIONS.c.destruction_id).where(DESTRUCTIONS.c.certificate.is_(None))
    return list(connection.execute(waiting.order_by(DESTRUCTIONS.c.destruction_id)).scalars())


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list as two people sign it: its bytes, and the signature of each as far as it is there."""

    row: Row[Any]
    listed: DestructionList
    author: Release
    second: Release

    @property
    def next(self) -> Release:
        """The signature that is missing, or the second one."""
        return self.second if self.author.signed_by else self.author


def get_signatures(connection: Connection, destruction_id: str) -> SignedList:
    """Return a list with its signatures, unverified. Raises `RetentionError` (`unknown-list`)."""
    row = get_destruction(connection, destruction_id)
    body = bytes(row.body)
    author, second = (
        find_release(connection, kind=kind, subject=destruction_id, body=body)
        for kind in (DESTRUCTION_DRAFT, DESTRUCTION)
    )
    if author is None or second is None:
        raise RetentionError("This list was changed since it was drafted.", reason="unknown-list")
    return SignedList(row, parse_list(body), author, second)


def sign_next(found: SignedList, *, by: str) -> Release:
    """Return the signature that this person gives now. Raises `ReleaseError` (`same-person`, `not-signed`)."""
    if not found.author.signed_by and by != found.second.drafted_by:
        raise ReleaseError("Its author signs a list first, with their own passkey.", reason="not-signed")
    check_may_sign(found.next, by=by)
    return found.next


def list_drafts(connection: Connection) -> list[SignedList]:
    """Return the lists that were not begun, the oldest first."""
    waiting = select(DESTRUCTIONS.c.destruction_id).where(DESTRUCTIONS.c.begun_at.is_(None))
    ids = connection.execute(
        waiting.where(DESTRUCTIONS.c.certificate.is_(None)).order_by(DESTRUCTIONS.c.destruction_id)
    )
    return [get_signatures(connection, destruction_id) for destruction_id in ids.scalars().all()]


def parse_list(raw: bytes) -> DestructionList:
    """Return a stored list."""
    return parse_exact(raw, kind=DestructionList, max_bytes=MAX_LIST_BYTES)


def list_drafted(connection: Connection) -> set[str]:
    """Return the cases that are on a list without a certificate."""
    rows = connection.execute(select(DESTRUCTIONS.c.body).where(DESTRUCTIONS.c.certificate.is_(None)))
    return {case.case_id for raw in rows.scalars() for case in parse_list(bytes(raw)).cases}


def make_listed(desk: Desk, connection: Connection, case: CaseRow, *, reason: DestructionReason) -> ListedCase:
    """Return a case as a list has it now. Raises `RetentionError` (`not-destroyable`)."""
    classes = load_classes(desk.paths.state)
    found = judge(desk, connection, case, classes=classes, is_early=reason != DUE)
    if found.refusal is not None:
        raise RetentionError(f"{case.reference} stays: {REFUSALS[found.refusal]}.", reason="not-destroyable")
    return _describe(connection, found)


def _describe(connection: Connection, found: DueCase) -> ListedCase:
    reports = list_reports(connection, found.case.case_id)
    return ListedCase(
        case_id=found.case.case_id,
        closed_at=found.closed_at,
        due_on=found.due.isoformat(),
        reference=found.case.reference,
        report_sha256=list_digests(connection, reports),
        reports=tuple(
            ListedReport(**{name: getattr(one, name) for name in ListedReport.__struct_fields__}) for one in reports
        ),
        retention_class=found.code,
    )
