"""Destroys the cases of a list that two people signed (lists.py): begun, stopped, or finished after a week.

1. `begin_destruction`: the vault verifies both signatures, writes its record, and closes the keys of the cases: nothing
   opens from then on, and a case reads as destroyed everywhere. The outbox sends the gateway a list to forget.
2. `stop_destruction`, within a week, by one supervisor: the keys open again. The gateway's copies do not come back.
3. `finish_destruction`, after it: the vault overwrites the keys, which ends every copy of the rows (contents.py); rows
   and files go, then, once the gateway has confirmed, a signed certificate is made.

Every step may be interrupted and repeated. The row of a case stays with its codes, days and hashes: figures, digests
and the audit log count it as before.
"""

from collections.abc import Collection

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.evidence.holdings import get_parts, hold_alone
from gateway.desk.outbox.queue import SENT_AT, queue
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.people.releases import DESTRUCTION, DESTRUCTION_DRAFT, get_signed, get_touch
from gateway.desk.retention.certificates import keep_copy, make_certificate
from gateway.desk.retention.contents import count_contents, empty_report, forget_files, list_files
from gateway.desk.retention.lists import RetentionError, get_destruction, get_signatures, list_unfinished, make_listed
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.schema import CASES, DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.vault.destructions import list_keys, read_destructions
from gateway.desk.wiring import Desk
from gateway.guidance.destruction import DestructionList, ForgetList, ForgottenEvidence, ForgottenReport
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time


def begin_destruction(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Close the keys of a list that its author and a second person signed, and queue the list for the gateway.

    Raises `RetentionError` (`unknown-list`, `changed` if a case of it may not go any more), `ReleaseError`
    (`not-signed`, `not-genuine`), `VaultError` (`not-signed`, `stopped`), `LocalStateError`.
    """
    now = desk.clock()
    with desk.store.write() as connection:
        signed = get_signatures(connection, destruction_id)
        if signed.row.begun_at is not None:
            return
        wanted, body = signed.listed, bytes(signed.row.body)
        for kind in (DESTRUCTION_DRAFT, DESTRUCTION):
            get_signed(connection, kind=kind, subject=destruction_id, body=body)
        for listed in wanted.cases:
            case = get_case(connection, listed.case_id)
            try:
                is_same = make_listed(desk, connection, case, reason=wanted.reason) == listed
            except RetentionError as error:
                raise RetentionError(f"Nothing was destroyed. {error}", reason="changed") from None
            if not is_same:
                fault = f"Nothing was destroyed: {case.reference} has changed since the list was drafted."
                raise RetentionError(fault, reason="changed")
            codes = {"destruction": destruction_id, "reason": wanted.reason}
            audit.append_entry(connection, "destroy-case", case.case_id, at=now, actor=actor, **codes)
        forget = _make_forget_list(connection, wanted, issued_at=format_time(now))
        # Inside the transaction: if the vault refuses, nothing has changed; after a failed commit a repeat is safe.
        signer = desk.load_signer()
        touches = get_touch(connection, signed.author), get_touch(connection, signed.second)
        _check_all(signer.begin_destruction(body, touches), wanted)
        _set_destroyed(connection, wanted, format_time(now))
        values = {"begun_at": format_time(now), "forget": signer.sign(forget)}
        mine = DESTRUCTIONS.c.destruction_id == destruction_id
        connection.execute(update(DESTRUCTIONS).where(mine).values(**values))
        queue(connection, "forget", [destruction_id], now=now)


def stop_destruction(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Open the keys of a begun list again, also of one that this desk does not know.

    Raises `VaultError` (`unknown-list`, `too-late`).
    """
    desk.load_signer().change_destruction(destruction_id, "stopped", actor=actor)
    with desk.store.write() as connection:
        known = read_destructions(desk.paths.vault)
        held = {key.case_id for key in known.list_held(besides=destruction_id)}
        # A stop that comes again brings back no case that a newer list has closed or destroyed.
        _set_destroyed(connection, known.lists[destruction_id].listed, None, besides=held)
        connection.execute(OUTBOX.delete().where(OUTBOX.c.kind == "forget", OUTBOX.c.subject == destruction_id))
        connection.execute(DESTRUCTIONS.delete().where(DESTRUCTIONS.c.destruction_id == destruction_id))
        cases = (one.case_id for one in known.lists[destruction_id].listed.cases)
        for subject in (destruction_id, *cases):  # each case has its entry of the beginning, and now of the stop
            audit.append_entry(connection, "stop-destruction", subject, at=desk.clock(), actor=actor)


def finish_due(desk: Desk, *, actor: str = BY_THE_DESK) -> list[str]:
    """Finish every begun list whose week is over, and return the ids of those with a certificate now.

    Raises as `finish_destruction`, after the others were finished.
    """
    with desk.store.read() as connection:
        unfinished = list_unfinished(connection)
    if not unfinished:
        return []
    known, now, finished, failure = read_destructions(desk.paths.vault).lists, desk.clock(), list[str](), None
    for destruction_id in unfinished:
        found = known.get(destruction_id)
        if found is None or found.state == "stopped" or now < found.ends_at:
            continue
        try:
            if finish_destruction(desk, destruction_id, actor=actor) is not None:
                finished.append(destruction_id)
        except ReportAbuseError as error:  # the next list does not wait for this one
            failure = failure or error
    if failure is not None:
        raise failure
    return finished


def finish_destruction(desk: Desk, destruction_id: str, *, actor: str) -> bytes | None:
    """Destroy the content of a begun list, and return the certificate; None until the gateway has confirmed.

    Raises `RetentionError` (`unknown-list`, `busy` while evidence is collected), `VaultError` (`too-early`, `stopped`),
    `LocalStateError`.
    """
    with desk.store.read() as connection:
        row = get_destruction(connection, destruction_id)
        if row.certificate is not None:
            return bytes(row.certificate)
        wanted = get_signatures(connection, destruction_id).listed
    _destroy_keys(desk, wanted, actor=actor)
    _empty_rows(desk, wanted)
    _remove_files(desk, wanted)
    desk.store.erase_deleted_bytes()
    return _certify(desk, wanted, actor=actor)


def find_forgotten_at(connection: Connection, destruction_id: str) -> str | None:
    """Return when the gateway confirmed that it forgot the reports of a list, or None."""
    mine = (OUTBOX.c.kind == "forget") & (OUTBOX.c.subject == destruction_id)
    return connection.execute(select(SENT_AT).where(mine)).scalar()


def _make_forget_list(connection: Connection, wanted: DestructionList, *, issued_at: str) -> ForgetList:
    files = list_files(connection, _list_all_reports(connection, wanted))
    return ForgetList(
        destruction_id=wanted.destruction_id,
        environment=wanted.environment,
        evidence=tuple(ForgottenEvidence(evidence_id=one, partner=partner) for partner, one in files),
        issued_at=issued_at,
        reports=tuple(
            ForgottenReport(partner=one.partner, reference=one.reference, report_id=one.report_id)
            for case in wanted.cases
            for one in case.reports
        ),
    )


def _set_destroyed(
    connection: Connection, wanted: DestructionList, at: str | None, *, besides: Collection[str] = ()
) -> None:
    ids = [report.case_id for case in wanted.cases for report in case.reports if report.case_id not in besides]
    connection.execute(update(CASES).where(CASES.c.case_id.in_(ids)).values(destroyed_at=at))


def _destroy_keys(desk: Desk, wanted: DestructionList, *, actor: str) -> None:
    signer = desk.load_signer()
    _check_all(signer.change_destruction(wanted.destruction_id, "destroyed", actor=actor), wanted)


def _check_all(numbers: frozenset[int], wanted: DestructionList) -> None:
    if numbers != {key.number for key in list_keys(wanted)}:
        raise RetentionError("A key of these cases is still there. Run `retention run` again.", reason="key-left")


def _empty_rows(desk: Desk, wanted: DestructionList) -> None:
    """Take the content of every case on the list out of the database; those of an earlier run stay."""
    moment = format_time(desk.clock())
    with desk.store.write() as connection:
        for listed in wanted.cases:
            done = select(DESTROYED_CASES.c.destruction_id).where(DESTROYED_CASES.c.case_id == listed.case_id)
            if connection.execute(done).scalar() == wanted.destruction_id:
                continue
            reports = list_reports(connection, listed.case_id)
            counts = count_contents(connection, reports)
            for report in reports:
                empty_report(connection, report, at=moment)
            connection.execute(
                insert(DESTROYED_CASES).values(
                    case_id=listed.case_id, destruction_id=wanted.destruction_id, destroyed_at=moment, **counts
                )
            )


def _list_all_reports(connection: Connection, wanted: DestructionList) -> list[CaseRow]:
    return [report for listed in wanted.cases for report in list_reports(connection, listed.case_id)]


def _remove_files(desk: Desk, wanted: DestructionList) -> None:
    with desk.store.read() as connection:
        files = list_files(connection, _list_all_reports(connection, wanted))
    if not files:
        return
    with hold_alone(desk.paths.evidence) as is_alone:
        if not is_alone:
            raise RetentionError("Evidence is being collected. Run `retention run` again after it.", reason="busy")
        for partner, evidence_id in files:
            get_parts(desk.paths.evidence, partner=partner, evidence_id=evidence_id).remove()


def _certify(desk: Desk, wanted: DestructionList, *, actor: str) -> bytes | None:
    """Forget the names of the files, and keep the signed certificate, also beside the database."""
    destruction_id, now = wanted.destruction_id, desk.clock()
    with desk.store.write() as connection:
        forgotten_at = find_forgotten_at(connection, destruction_id)
        if forgotten_at is None:
            return None
        forget_files(connection, _list_all_reports(connection, wanted))
        signed = get_signatures(connection, destruction_id)
        certificate = make_certificate(desk, connection, signed.second, signed.row, wanted, forgotten_at=forgotten_at)
        keep_copy(desk, destruction_id, certificate)
        connection.execute(
            update(DESTRUCTIONS)
            .where(DESTRUCTIONS.c.destruction_id == destruction_id)
            .values(certificate=certificate, certified_at=format_time(now))
        )
        cases = len(wanted.cases)
        audit.append_entry(connection, "certify-destruction", destruction_id, at=now, actor=actor, cases=cases)
        return certificate
