"""Closed cases whose time is over, lists that two people signed, and every byte that a desk keeps."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from gateway.desk.keyring.publication import share_passkeys
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.releases import Release, get_step_up, sign_release
from gateway.desk.office.wiring import Desk
from gateway.desk.retention.destruction import begin_destruction, finish_destruction
from gateway.desk.retention.lists import DUE, SignedList, draft_destruction, get_signatures
from gateway.desk.store.agency_tables import OUTBOX
from gateway.desk.store.schema import CASES
from gateway.desk.vault import SignedStepUp
from gateway.desk.vault.destructions import KNOWN_FOR, STOP_WITHIN
from gateway.exchange.desk_statements import DestructionReason
from partner_sdk.wire.canonical import format_time
from tests.desk.office.people.step_up_builders import register, state_release, step_up
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import ORIGIN, PASSKEYS

FIRST, SECOND = "s-first", "s-second"
A_YEAR = timedelta(days=366)


def enrol_supervisors(desk: Desk) -> None:
    """Register the two supervisors' passkeys, and let the vault have known them for a week."""
    clock: Any = desk.clock
    for person in (FIRST, SECOND):
        if (desk.paths.state, person) not in PASSKEYS:
            with desk.store.write() as connection:
                ensure_person(connection, person, (Role.SUPERVISOR,))
                passkey = register(connection, person, origin=ORIGIN, now=desk.clock() - KNOWN_FOR)
            PASSKEYS[desk.paths.state, person] = passkey
    clock.now -= KNOWN_FOR
    share_passkeys(desk)
    clock.now += KNOWN_FOR


def close_all(desk: Desk, **columns: Any) -> list[str]:
    """Close every case now, as far as its columns tell, and return their ids; the supervisors are known then."""
    enrol_supervisors(desk)
    moment = format_time(desk.clock())
    values = {"opened_at": moment, "closed_at": moment, "outcome": "used", "reply_code": "replied_by_call", **columns}
    with desk.store.write() as connection:
        query = update(CASES).where(CASES.c.closed_at.is_(None)).values(**values).returning(CASES.c.case_id)
        return sorted(connection.execute(query).scalars())


def read_signatures(desk: Desk, destruction_id: str) -> SignedList:
    """Return a list with its signatures."""
    with desk.store.read() as connection:
        return get_signatures(connection, destruction_id)


def sign(desk: Desk, release: Release, *, by: str, body: bytes) -> Release:
    """Sign a draft with a person's passkey."""
    now = desk.clock()
    statement = state_release(release, person=by, now=now, origin=ORIGIN)
    answer = step_up(PASSKEYS[desk.paths.state, by], statement)
    with desk.store.write() as connection:
        return sign_release(connection, release.id, body=body, answer=answer, statement=statement, now=now)


def sign_list(desk: Desk, release: Release, *, by: str = SECOND) -> Release:
    """Sign a drafted list as its author, unless that is done, and then as another person."""
    found = read_signatures(desk, release.subject)
    body = bytes(found.row.body)
    if found.author.signed_by is None:
        sign(desk, found.author, by=FIRST, body=body)
    return sign(desk, found.second, by=by, body=body)


def list_step_ups(desk: Desk, destruction_id: str) -> tuple[SignedStepUp, SignedStepUp]:
    """Return the step_ups of both people."""
    found = read_signatures(desk, destruction_id)
    with desk.store.read() as connection:
        return get_step_up(connection, found.author), get_step_up(connection, found.second)


def begin(desk: Desk, case_ids: list[str], *, reason: DestructionReason = DUE) -> str:
    """Draft, sign and begin a list, and return its id."""
    release = draft_destruction(desk, case_ids, reason=reason, actor=FIRST)
    sign_list(desk, release)
    begin_destruction(desk, release.subject, actor=SECOND)
    return release.subject


def confirm_forgetting(desk: Desk) -> None:
    """Let the gateway have confirmed its list."""
    with desk.store.write() as connection:
        values = {"state": "sent", "done_at": format_time(desk.clock())}
        connection.execute(update(OUTBOX).where(OUTBOX.c.kind == "forget").values(**values))


def destroy(desk: Desk, case_ids: list[str], *, reason: DestructionReason = DUE) -> bytes:
    """Draft, sign, begin and, a week later, finish a list; return the certificate."""
    clock: Any = desk.clock
    destruction_id = begin(desk, case_ids, reason=reason)
    confirm_forgetting(desk)
    clock.now += STOP_WITHIN
    certificate = finish_destruction(desk, destruction_id, actor=SECOND)
    assert certificate is not None
    return certificate


def list_files_with(state: Path, marker: bytes) -> list[Path]:
    """Return the files of a desk that contain these bytes."""
    files = [path for path in state.rglob("*") if path.is_file()]
    assert len(files) >= 10
    return [path for path in files if marker in path.read_bytes()]
