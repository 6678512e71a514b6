"""Destroys the cases of a list that two people signed (lists.py): begun, stopped, or finished after a week.

1. `begin_destruction`: the vault verifies both signatures, writes its record, and closes the keys of the cases: nothing
   opens from then on, and a case reads as destroyed everywhere. The outbox sends the gateway a list to forget.
2. `stop_destruction`, within a week, by one supervisor: the keys open again. The gateway's copies do not come back.
3. `finish_destruction`, after it: the vault overwrites the keys, which ends every copy of the rows; rows and files go,
   then, once the gateway has confirmed, a signed certificate is made.

Every step may be interrupted and repeated. The row of a case stays with its codes, days and hashes: figures, digests
and the audit log count it as before. The certificate beside the database outlives a restore: content that an older copy
brought back is destroyed again by it, for two people signed before.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.collection.evidence_holdings import get_parts, hold_alone
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.people.passkeys import is_in_audit_log
from gateway.desk.office.people.permissions import BY_THE_DESK, Permission
from gateway.desk.office.people.releases import DESTRUCTION, DESTRUCTION_DRAFT, Release, get_signed, get_step_up
from gateway.desk.office.terminal import DONE, LOOK, Call, desk_command, print_result
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outbox.queue import SENT_AT, queue
from gateway.desk.retention.lists import (
    DUE,
    REFUSALS,
    DueCase,
    RetentionError,
    count_contents,
    draft_destruction,
    empty_report,
    forget_files,
    get_destruction,
    get_signatures,
    list_drafted,
    list_drafts,
    list_due,
    list_files,
    list_free,
    list_unfinished,
    make_listed,
)
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.schema import CASES, DESTROYED_CASES, DESTRUCTIONS
from gateway.desk.vault import VaultError
from gateway.desk.vault.destructions import DESTRUCTIONS_FILE, list_keys, read_destructions
from gateway.desk.vault.record import RecordError
from gateway.exchange.desk_statements import (
    GONE,
    MOST_CASES,
    SIGNED_CERTIFICATE,
    DestroyedCase,
    DestructionCertificate,
    DestructionList,
    ForgetList,
    ForgottenEvidence,
    ForgottenReport,
    Remainder,
)
from partner_sdk.durable_files import make_private_folder, write_durably
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_time

FOLDER: Final = "destroyed"
# Of both machines, as docs/running.md asks of their operators.
KEEP_BACKUPS: Final = timedelta(days=30)
_SUFFIX: Final = ".json"


def make_certificate(
    desk: Desk, connection: Connection, release: Release, row: Row[Any], wanted: DestructionList, *, forgotten_at: str
) -> bytes:
    """Return the signed certificate of a list whose rows, keys and files are gone, also at the gateway."""
    now = desk.clock()
    mine = DESTROYED_CASES.c.destruction_id == wanted.destruction_id
    rows = connection.execute(select(DESTROYED_CASES).where(mine).order_by(DESTROYED_CASES.c.case_id)).all()
    return desk.load_signer().sign(
        DestructionCertificate(
            begun_at=row.begun_at,
            certified_at=format_time(now),
            destroyed=tuple(
                DestroyedCase(**{name: one._mapping[name] for name in DestroyedCase.__struct_fields__}) for one in rows
            ),
            drafted_at=release.drafted_at,
            drafted_by=release.drafted_by,
            environment=wanted.environment,
            forgotten_at=forgotten_at,
            gone=GONE,
            list_sha256=release.body_sha256.hex(),
            listed=wanted,
            remains=(
                Remainder(kept="backups-of-the-desk", until=(now + KEEP_BACKUPS).date().isoformat()),
                Remainder(
                    kept="backups-of-the-gateway", until=(parse_time(forgotten_at) + KEEP_BACKUPS).date().isoformat()
                ),
                Remainder(kept="codes-days-and-hashes", until=None),
                Remainder(kept="statements-at-the-gateway", until=None),
            ),
            signed_at=release.signed_at or "",
            signed_by=release.signer,
        )
    )


def keep_copy(desk: Desk, destruction_id: str, certificate: bytes) -> None:
    """Keep a certificate beside the database; it is on the disk then."""
    folder = get_folder(desk.paths.state)
    make_private_folder(folder)
    write_durably(folder / f"{destruction_id}{_SUFFIX}", certificate)


def get_folder(state: Path) -> Path:
    """Return the folder of certificates."""
    return state / FOLDER


def list_certificates(connection: Connection) -> list[Row[Any]]:
    """Return the lists that were carried out, the newest first, each with its certificate."""
    done = select(DESTRUCTIONS).where(DESTRUCTIONS.c.certificate.is_not(None))
    return list(connection.execute(done.order_by(DESTRUCTIONS.c.destruction_id.desc())))


def find_certificate(connection: Connection, destruction_id: str) -> bytes | None:
    """Return the certificate of a list, or None before it was carried out."""
    mine = DESTRUCTIONS.c.destruction_id == destruction_id
    raw = connection.execute(select(DESTRUCTIONS.c.certificate).where(mine)).scalar()
    return None if raw is None else bytes(raw)


def verify_certificate(desk: Desk, connection: Connection, raw: bytes) -> DestructionCertificate:
    """Return a certificate if the desk signed it, for the list that two people signed here.

    Raises `FormatError`, `StatementError`, and `ReleaseError` for the signature of a person.
    """
    now = desk.clock()
    keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
    certificate = SIGNED_CERTIFICATE.open_dated(raw, signers=keys, now=now)
    body = encode(certificate.listed)
    for kind in (DESTRUCTION_DRAFT, DESTRUCTION):
        get_signed(connection, kind=kind, subject=certificate.listed.destruction_id, body=body)
    return certificate


def list_forgotten(desk: Desk, connection: Connection) -> Iterator[Path]:
    """Yield the certificates beside the database that it does not know: it was restored from an older copy."""
    known = set(connection.execute(select(DESTRUCTIONS.c.destruction_id)).scalars())
    for path in sorted(get_folder(desk.paths.state).glob(f"*{_SUFFIX}")):
        if path.stem not in known:
            yield path


def compare_with_vault(desk: Desk, connection: Connection) -> Iterator[str]:
    """Yield each difference between the vault's own record and this database, as a sentence for `doctor`."""
    try:
        known = read_destructions(desk.paths.vault)
    except RecordError as error:
        yield str(error)
        return
    rows = {row.destruction_id: row for row in connection.execute(select(DESTRUCTIONS))}
    for destruction_id, found in known.lists.items():
        row = rows.get(destruction_id)
        if found.state != "stopped" and (row is None or bytes(row.body) != encode(found.listed)):
            yield f"The vault has {found.state} the list {destruction_id}, which this desk does not know."
        elif found.state == "begun" and row is not None and row.begun_at is None:
            yield f"The vault has begun the list {destruction_id}; this desk has no record of its beginning."
    for destruction_id, row in rows.items():
        state = known.lists[destruction_id].state if destruction_id in known.lists else "not begun"
        if row.certificate is not None and state != "destroyed":
            yield f"The certificate {destruction_id} says destroyed; the vault's record says {state}."
    for passkey, _ in known.passkeys.values():
        if not is_in_audit_log(connection, passkey):
            yield f"The vault knows a passkey of {passkey.person} that the audit log does not."


def begin_destruction(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Close the keys of a list that its author and a second person signed, and queue the list for the gateway.

    Raises `RetentionError` (`unknown-list`, `changed` if a case of it may not go any more), `ReleaseError` (`not-
    signed`, `not-genuine`), `VaultError`, `LocalStateError`.
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
        step_ups = get_step_up(connection, signed.author), get_step_up(connection, signed.second)
        _check_all(signer.begin_destruction(body, step_ups), wanted)
        _set_destroyed(connection, wanted, format_time(now))
        values = {"begun_at": format_time(now), "forget": signer.sign(forget)}
        mine = DESTRUCTIONS.c.destruction_id == destruction_id
        connection.execute(update(DESTRUCTIONS).where(mine).values(**values))
        queue(connection, "forget", [destruction_id], now=now)


def stop_destruction(desk: Desk, destruction_id: str, *, actor: str) -> None:
    """Open the keys of a begun list again, also of one that this desk does not know. Raises `VaultError`."""
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

    Raises `RetentionError` (`unknown-list`, `busy` while evidence is collected), `VaultError`, `LocalStateError`.
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


def restore_destructions(desk: Desk, *, actor: str) -> list[str]:
    """Repeat the destructions that the database forgot, and return their ids.

    Raises `FormatError`, `StatementError` for a certificate that this desk did not sign, `RetentionError`
    (`unknown-list`) without the vault's own record of it.
    """
    with desk.store.read() as connection:
        forgotten = [(path.stem, path.read_bytes()) for path in list_forgotten(desk, connection)]
        signers = make_key_set(connection, desk=desk, now=desk.clock()).mailbox_keys
    for _, raw in forgotten:
        _repeat(desk, SIGNED_CERTIFICATE.open_dated(raw, signers=signers, now=desk.clock()), raw=raw, actor=actor)
    return [destruction_id for destruction_id, _ in forgotten]


def _repeat(desk: Desk, certificate: DestructionCertificate, *, raw: bytes, actor: str) -> None:
    listed, now = certificate.listed, desk.clock()
    try:
        desk.load_signer().change_destruction(listed.destruction_id, "destroyed", actor=actor)
    except VaultError as error:
        if error.reason != "unknown-list":
            raise
        raise RetentionError(
            f"The vault's record does not have the destruction {listed.destruction_id}: it is an older copy too. Bring "
            f"back the newest {desk.paths.vault / DESTRUCTIONS_FILE}.",
            reason="unknown-list",
        ) from None
    with desk.store.write() as connection:
        for one in certificate.destroyed:
            for report in list_reports(connection, one.case_id):
                empty_report(connection, report, at=one.destroyed_at)
            connection.execute(
                insert(DESTROYED_CASES).values(**msgspec.structs.asdict(one), destruction_id=listed.destruction_id)
            )
        connection.execute(
            insert(DESTRUCTIONS).values(
                destruction_id=listed.destruction_id,
                body=encode(listed),
                drafted_at=certificate.drafted_at,
                drafted_by=certificate.drafted_by,
                begun_at=certificate.begun_at,
                certificate=raw,
                certified_at=certificate.certified_at,
            )
        )
        cases = len(certificate.destroyed)
        audit.append_entry(connection, "repeat-destruction", listed.destruction_id, at=now, actor=actor, cases=cases)
    desk.store.erase_deleted_bytes()


@desk_command(Permission.DESTROY_CASES, example="--dry-run --json")
@click.option("--dry-run", is_flag=True, help="List the cases whose time is over, and change nothing.")
def retention_run(call: Call, *, dry_run: bool) -> int:
    """Draft the cases whose time is over, and finish lists whose week is over.

    Its author and another supervisor sign a list on the page Retention, which closes its cases; a week later `collect`
    destroys them, and so does this. Exit code 1 if a list waits for its signature.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        drafted = list_drafted(connection)
        due = list_due(desk, connection, most=MOST_CASES)
    rows = [_describe(one, is_drafted=one.case.case_id in drafted) for one in due]
    lines = [f"{row['reference']}  {row['class']}  due {row['due']}  {row['state']}" for row in rows]
    if dry_run:
        return print_result(call, {"due": rows}, *(lines or ["No case is due."]))
    finished = [*restore_destructions(desk, actor=call.actor), *finish_due(desk, actor=call.actor)]
    with desk.store.read() as connection:
        waiting = [one.listed.destruction_id for one in list_drafts(connection)]
    free = [one.case.case_id for one in list_free(due, drafted)]
    if free:
        waiting.append(draft_destruction(desk, free, reason=DUE, actor=call.actor).subject)
    return print_result(
        call,
        {"due": rows, "finished": finished, "waiting": waiting},
        *lines,
        *(f"Destroyed, with a certificate: {one}." for one in finished),
        *(f"Waits for two supervisors on the page Retention: {one}." for one in waiting),
        code=LOOK if waiting else DONE,
    )


def _describe(one: DueCase, *, is_drafted: bool) -> dict[str, str]:
    state = f"stays: {REFUSALS[one.refusal]}" if one.refusal else "on a list" if is_drafted else "may go"
    return {
        "class": one.code,
        "closed_at": one.closed_at,
        "due": one.due.isoformat(),
        "reference": one.case.reference,
        "state": state,
    }
