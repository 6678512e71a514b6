"""Destroys the cases of a signed list (lists.py): rows, keys and files (contents.py), then a certificate.

Every step may be stopped and repeated: `destroy_cases` finishes an earlier run. From the first transaction
on a case reads as destroyed everywhere, so no step can be overtaken by a hold or by opening the case again:

1. one transaction empties the rows of every case on the list, if each may still go, and counts it;
2. the vault overwrites the keys of the cases, which ends every copy of those rows;
3. the sealed files of evidence that no other case names are removed;
4. one transaction forgets the names of those files and keeps the signed certificate.

The row of a case stays with its codes, days and hashes: figures, digests and the audit log count it as before.
"""

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.evidence.sealed_parts import get_parts, hold_alone
from gateway.desk.people.releases import DESTRUCTION, Release, get_signed
from gateway.desk.retention.certificates import keep_copy, make_certificate
from gateway.desk.retention.contents import count_contents, empty_report, forget_files, list_files
from gateway.desk.retention.lists import RetentionError, get_destruction, make_listed, parse_list
from gateway.desk.store.retention_tables import DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.vault import CaseKey
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.destruction import DestructionList


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
    wanted = parse_list(body)
    _empty_rows(desk, wanted, actor=actor)
    _destroy_keys(desk, wanted)
    _remove_files(desk, wanted)
    certificate = _certify(desk, release, wanted, actor=actor)
    desk.store.erase_deleted_bytes()
    return certificate


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
                is_same = make_listed(desk, connection, case, reason=wanted.reason) == listed
            except RetentionError as error:
                raise RetentionError(f"Nothing was destroyed. {error}", reason="changed") from None
            if not is_same:
                fault = f"Nothing was destroyed: {case.reference} has changed since the list was drafted."
                raise RetentionError(fault, reason="changed")
            reports = list_reports(connection, case.case_id)
            counts = count_contents(connection, reports)
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


def _destroy_keys(desk: Desk, wanted: DestructionList) -> None:
    with desk.store.read() as connection:
        reports = _list_all_reports(connection, wanted)
    keys = [CaseKey(case_id=one.case_id, number=one.key_number) for one in reports if one.key_number is not None]
    gone = desk.load_signer().destroy_case_keys(keys)
    if gone != {key.number for key in keys}:
        raise RetentionError("A key of these cases is still there. Run `retention run` again.", reason="key-left")


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


def _certify(desk: Desk, release: Release, wanted: DestructionList, *, actor: str) -> bytes:
    """Forget the names of the files, and keep the signed certificate, also beside the database."""
    with desk.store.write() as connection:
        reports = _list_all_reports(connection, wanted)
        forget_files(connection, reports)
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
