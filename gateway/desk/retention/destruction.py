"""Destroys cases: a list that one person drafts and another signs, then rows, keys and files, then a certificate.

Every step may be stopped and repeated: `destroy_cases` finishes an earlier run. From the first transaction
on a case reads as destroyed everywhere, so no step can be overtaken by a hold or by opening the case again:

1. one transaction empties the rows of every case on the list, if each may still go, and counts it;
2. the vault overwrites the keys of the cases, which ends every copy of those rows;
3. the sealed files of evidence that no other case names are removed;
4. one transaction forgets the names of those files and keeps the signed certificate.

The row of a case stays with its codes, days and hashes: figures, digests and the audit log count it as before.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from gateway.desk import audit
from gateway.desk.actions.boxes import count_boxes, empty_boxes
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.evidence.sealed_parts import get_parts, hold_alone
from gateway.desk.outbox.queue import drop
from gateway.desk.people.releases import DESTRUCTION, Release, draft_release, find_release, get_signed
from gateway.desk.retention.certificates import keep_copy, make_certificate
from gateway.desk.retention.classes import load_classes
from gateway.desk.retention.due import REFUSALS, DueCase, judge, list_reports
from gateway.desk.store.identifier_tables import CASE_IDENTIFIERS
from gateway.desk.store.outbox_tables import MAILBOX_MESSAGES, NOTES, REPLY_MESSAGES
from gateway.desk.store.retention_tables import DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.store.schema import (
    CASE_STEPS,
    CASES,
    EVIDENCE,
    IMPORTED_REPORTS,
    NAMED_EVIDENCE,
    PAGE_CONTEXTS,
    REPORTS,
    SET_ASIDE,
)
from gateway.desk.vault import CaseKey
from gateway.desk.wiring import Desk
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.destruction import (
    MOST_CASES,
    DestructionList,
    DestructionReason,
    ListedCase,
)
from partner_sdk.wire.statements import MAX_LIST_BYTES

DUE: Final[DestructionReason] = "due"
# The columns of a case that say more about a person than codes do.
_FORGOTTEN: Final = {"reply_key_sha256": None, "has_reply_key": False, "holder": None}
# A request to wipe it is done by this.
_ANSWERED: Final = {"requests": "", "request_due": None}


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
            cases=tuple(_make_listed(desk, connection, leads[case_id], reason=reason) for case_id in sorted(leads)),
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
        return draft_release(connection, kind=DESTRUCTION, subject=wanted.destruction_id, body=body, by=actor, now=now)


def withdraw_draft(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Give up an unsigned list. Raises `RetentionError` (`unknown-list`, `signed-before`)."""
    with desk.store.write() as connection:
        row = get_destruction(connection, destruction_id)
        release = find_release(connection, kind=DESTRUCTION, subject=destruction_id, body=bytes(row.body))
        if release is not None and release.signed_by is not None:
            raise RetentionError("This list was signed: it is carried out.", reason="signed-before")
        connection.execute(delete(DESTRUCTIONS).where(DESTRUCTIONS.c.destruction_id == destruction_id))
        audit.append_entry(connection, "withdraw-destruction", destruction_id, at=desk.clock(), actor=actor)


def destroy_cases(desk: Desk, destruction_id: str, *, actor: str) -> bytes:
    """Carry out a list that a second person signed, or finish it, and return the certificate.

    Raises `RetentionError` (`unknown-list`, `changed` if a case of it may not go any more, `busy` while evidence is
    collected), `ReleaseError` (`not-signed`, `not-genuine`), `VaultError`, `LocalStateError`.
    """
    with desk.store.read() as connection:
        row = get_destruction(connection, destruction_id)
        if row.certificate is not None:
            return bytes(row.certificate)
        body = bytes(row.body)
        release = get_signed(connection, kind=DESTRUCTION, subject=destruction_id, body=body)
    wanted = parse_exact(body, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    _empty_rows(desk, wanted, actor=actor)
    _destroy_keys(desk, wanted)
    _remove_files(desk, wanted)
    certificate = _certify(desk, release, wanted, actor=actor)
    desk.store.erase_deleted_bytes()
    return certificate


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


def list_drafts(connection: Connection) -> list[tuple[DestructionList, Release | None]]:
    """Return the lists without a certificate, each with its release, the oldest first."""
    drafts = []
    for destruction_id in list_unfinished(connection):
        body = bytes(get_destruction(connection, destruction_id).body)
        drafts.append((parse_list(body), find_release(connection, kind=DESTRUCTION, subject=destruction_id, body=body)))
    return drafts


def parse_list(raw: bytes) -> DestructionList:
    """Return a stored list."""
    return parse_exact(raw, kind=DestructionList, max_bytes=MAX_LIST_BYTES)


def list_drafted(connection: Connection) -> set[str]:
    """Return the cases that are on a list without a certificate."""
    rows = connection.execute(select(DESTRUCTIONS.c.body).where(DESTRUCTIONS.c.certificate.is_(None)))
    return {case.case_id for raw in rows.scalars() for case in parse_list(bytes(raw)).cases}


def _make_listed(desk: Desk, connection: Connection, case: CaseRow, *, reason: DestructionReason) -> ListedCase:
    classes = load_classes(desk.paths.state)
    found = judge(desk, connection, case, classes=classes, is_early=reason != DUE)
    if found.refusal is not None:
        raise RetentionError(f"{case.reference} stays: {REFUSALS[found.refusal]}.", reason="not-destroyable")
    return _describe(connection, found)


def _describe(connection: Connection, found: DueCase) -> ListedCase:
    digests = [digest for one in list_reports(connection, found.case) for digest in _list_digests(connection, one)]
    return ListedCase(
        case_id=found.case.case_id,
        closed_at=found.closed_at,
        due_on=found.due.isoformat(),
        reference=found.case.reference,
        report_sha256=tuple(sorted(set(digests))),
        retention_class=found.code,
    )


def _list_digests(connection: Connection, report: CaseRow) -> list[str]:
    queries = [select(table.c.envelope_sha256).where(*_of(table, report)) for table in (REPORTS, IMPORTED_REPORTS)]
    return [bytes(one).hex() for query in queries for one in connection.execute(query).scalars()]


def _of(table: Any, report: CaseRow) -> tuple[Any, ...]:
    return tuple(table.c[name] == getattr(report, name) for name in ("environment", "partner", "report_id"))


def _empty_rows(desk: Desk, wanted: DestructionList, *, actor: str) -> None:
    """Take the content of every case on the list out of the database, all or none; those of an earlier run stay."""
    now = desk.clock()
    moment = format_time(now)
    with desk.store.write() as connection:
        for listed in wanted.cases:
            done = select(DESTROYED_CASES.c.destruction_id).where(DESTROYED_CASES.c.case_id == listed.case_id)
            if connection.execute(done).scalar() == wanted.destruction_id:
                continue
            case = get_case(connection, listed.case_id)
            try:
                is_same = _make_listed(desk, connection, case, reason=wanted.reason) == listed
            except RetentionError as error:
                raise RetentionError(f"Nothing was destroyed. {error}", reason="changed") from None
            if not is_same:
                fault = f"Nothing was destroyed: {case.reference} has changed since the list was drafted."
                raise RetentionError(fault, reason="changed")
            reports = list_reports(connection, case)
            counts = _count(connection, reports)
            for report in reports:
                empty_report(connection, report, at=moment)
            connection.execute(
                insert(DESTROYED_CASES).values(
                    case_id=case.case_id, destruction_id=wanted.destruction_id, destroyed_at=moment, **counts
                )
            )
            audit.append_entry(
                connection,
                "destroy-case",
                case.case_id,
                at=now,
                actor=actor,
                destruction=wanted.destruction_id,
                reason=wanted.reason,
            )


def _count(connection: Connection, reports: Sequence[CaseRow]) -> dict[str, int]:
    """Return how many boxes and files the case has, and their bytes."""
    ids = [one.case_id for one in reports]
    rows = row_bytes = 0
    boxes = [
        *((table.c.envelope, _of(table, one)) for table in (REPORTS, IMPORTED_REPORTS) for one in reports),
        *((SET_ASIDE.c.row, _of_aside(one)) for one in reports),
        (CASE_STEPS.c.box, (CASE_STEPS.c.case_id.in_(ids),)),
        (REPLY_MESSAGES.c.envelope, (REPLY_MESSAGES.c.case_id.in_(ids),)),
        (REPLY_MESSAGES.c.desk_copy, (REPLY_MESSAGES.c.case_id.in_(ids),)),
        (MAILBOX_MESSAGES.c.envelope, (MAILBOX_MESSAGES.c.case_id.in_(ids),)),
        (MAILBOX_MESSAGES.c.desk_copy, (MAILBOX_MESSAGES.c.case_id.in_(ids),)),
    ]
    for column, where in boxes:
        counted = select(func.count(column), func.coalesce(func.sum(func.length(column)), 0)).where(*where)
        count, size = connection.execute(counted).one()
        rows, row_bytes = rows + count, row_bytes + size
    boxes_of_actions, bytes_of_actions = count_boxes(connection, ids)
    rows, row_bytes = rows + boxes_of_actions, row_bytes + bytes_of_actions
    for table in (CASE_IDENTIFIERS, PAGE_CONTEXTS, NOTES):
        counted = select(func.count()).select_from(table).where(table.c.case_id.in_(ids))
        rows += connection.execute(counted).scalar_one()
    files = file_bytes = 0
    for partner, evidence_id in _list_files(connection, reports):
        held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
        size = connection.execute(select(EVIDENCE.c.size_bytes).where(held)).scalar()
        files, file_bytes = files + (size is not None), file_bytes + (size or 0)
    return {"rows": int(rows), "row_bytes": int(row_bytes), "files": files, "file_bytes": int(file_bytes)}


def _of_aside(report: CaseRow) -> tuple[Any, ...]:
    """Return the conditions of rows that were set aside as this report and resolved since: its bytes once more."""
    return (
        SET_ASIDE.c.claimed_partner == report.partner,
        SET_ASIDE.c.claimed_report_id == report.report_id,
        SET_ASIDE.c.resolved_at.is_not(None),
    )


def empty_report(connection: Connection, report: CaseRow, *, at: str) -> None:
    """Take the content of one report, and all that hangs on it, out of the database."""
    mine = report.case_id
    for table in (REPORTS, IMPORTED_REPORTS):
        connection.execute(update(table).where(*_of(table, report)).values(envelope=b""))
    connection.execute(update(SET_ASIDE).where(*_of_aside(report)).values(row=b""))
    for table in (REPLY_MESSAGES, MAILBOX_MESSAGES):
        connection.execute(update(table).where(table.c.case_id == mine).values(envelope=b"", desk_copy=None))
    for table in (CASE_IDENTIFIERS, PAGE_CONTEXTS, NOTES):
        connection.execute(delete(table).where(table.c.case_id == mine))
    empty_boxes(connection, mine, at=at)
    drop(connection, "note", [mine])
    connection.execute(update(CASES).where(CASES.c.case_id == mine).values(destroyed_at=at, **_FORGOTTEN, **_ANSWERED))


def _destroy_keys(desk: Desk, wanted: DestructionList) -> None:
    with desk.store.read() as connection:
        reports = _list_all_reports(connection, wanted)
    keys = [CaseKey(case_id=one.case_id, number=one.key_number) for one in reports if one.key_number is not None]
    gone = desk.load_signer().destroy_case_keys(keys)
    if gone != {key.number for key in keys}:
        raise RetentionError("A key of these cases is still there. Run `retention run` again.", reason="key-left")


def _list_all_reports(connection: Connection, wanted: DestructionList) -> list[CaseRow]:
    leads = (get_case(connection, one.case_id) for one in wanted.cases)
    return [report for lead in leads for report in list_reports(connection, lead)]


def _list_files(connection: Connection, reports: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return the files that these reports name and no other case with content does, by partner and id."""
    mine = {one.case_id for one in reports}
    other = NAMED_EVIDENCE.alias("other")
    of_case = and_(CASES.c.partner == other.c.partner, CASES.c.report_id == other.c.report_id)
    files = []
    for report in reports:
        named = select(NAMED_EVIDENCE.c.evidence_id).where(
            NAMED_EVIDENCE.c.partner == report.partner, NAMED_EVIDENCE.c.report_id == report.report_id
        )
        for evidence_id in connection.execute(named).scalars().all():
            others = (
                select(CASES.c.case_id)
                .select_from(other.join(CASES, of_case))
                .where(
                    other.c.partner == report.partner,
                    other.c.evidence_id == evidence_id,
                    CASES.c.destroyed_at.is_(None),
                    CASES.c.case_id.not_in(mine),
                )
            )
            if connection.execute(others.limit(1)).first() is None:
                files.append((report.partner, evidence_id))
    return list(dict.fromkeys(files))


def _remove_files(desk: Desk, wanted: DestructionList) -> None:
    with desk.store.read() as connection:
        files = _list_files(connection, _list_all_reports(connection, wanted))
    if not files:
        return
    with hold_alone(desk.paths.evidence) as is_alone:
        if not is_alone:
            raise RetentionError("Evidence is being collected. Run `retention run` again after it.", reason="busy")
        for partner, evidence_id in files:
            get_parts(desk.paths.evidence, partner=partner, evidence_id=evidence_id).remove()


def _certify(desk: Desk, release: Release, wanted: DestructionList, *, actor: str) -> bytes:
    """Forget the names of the files, and keep the signed certificate, also beside the database."""
    with desk.store.write() as connection:
        reports = _list_all_reports(connection, wanted)
        for partner, evidence_id in _list_files(connection, reports):
            held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
            connection.execute(delete(EVIDENCE).where(held))
        for report in reports:
            named = (NAMED_EVIDENCE.c.partner == report.partner) & (NAMED_EVIDENCE.c.report_id == report.report_id)
            connection.execute(delete(NAMED_EVIDENCE).where(named))
        now = desk.clock()
        certificate = make_certificate(desk, connection, release, wanted, now=now)
        keep_copy(desk, wanted.destruction_id, certificate)
        connection.execute(
            update(DESTRUCTIONS)
            .where(DESTRUCTIONS.c.destruction_id == wanted.destruction_id)
            .values(certificate=certificate, certified_at=format_time(now))
        )
        audit.append_entry(
            connection,
            "certify-destruction",
            wanted.destruction_id,
            at=now,
            actor=actor,
            cases=len(wanted.cases),
        )
        return certificate
