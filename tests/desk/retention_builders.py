"""Closed cases whose time is over, lists that two people signed, and every byte that a desk keeps."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from gateway.desk.people.passkeys import SIGNS_AFTER
from gateway.desk.people.releases import Release, sign_release
from gateway.desk.retention.destruction import destroy_cases
from gateway.desk.retention.lists import DUE, draft_destruction, get_destruction
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.destruction import DestructionReason
from tests.desk.people.touch_builders import register, state_release, touch

FIRST, SECOND = "s-first", "s-second"
A_YEAR = timedelta(days=366)


def close_all(desk: Desk, **columns: Any) -> list[str]:
    """Close every case now, as far as its columns tell, and return their ids."""
    moment = format_time(desk.clock())
    values = {"opened_at": moment, "closed_at": moment, "outcome": "used", "reply_code": "replied_by_call", **columns}
    with desk.store.write() as connection:
        query = update(CASES).where(CASES.c.closed_at.is_(None)).values(**values).returning(CASES.c.case_id)
        return sorted(connection.execute(query).scalars())


def sign_list(desk: Desk, release: Release, *, by: str = SECOND) -> Release:
    """Sign a drafted list as another person with a new passkey."""
    now = desk.clock()
    with desk.store.write() as connection:
        body = bytes(get_destruction(connection, release.subject).body)
        passkey = register(connection, by, now=now - SIGNS_AFTER)
        statement = state_release(release, person=by, now=now)
        answer = touch(passkey, statement)
        return sign_release(connection, release.id, body=body, answer=answer, statement=statement, now=now)


def destroy(desk: Desk, case_ids: list[str], *, reason: DestructionReason = DUE) -> bytes:
    """Draft, sign and carry out a list, and return the certificate."""
    release = draft_destruction(desk, case_ids, reason=reason, actor=FIRST)
    sign_list(desk, release)
    return destroy_cases(desk, release.subject, actor=SECOND)


def list_files_with(state: Path, marker: bytes) -> list[Path]:
    """Return the files of a desk that contain these bytes."""
    files = [path for path in state.rglob("*") if path.is_file()]
    assert len(files) >= 10
    return [path for path in files if marker in path.read_bytes()]
