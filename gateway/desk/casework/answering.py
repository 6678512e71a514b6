"""Records how a person who reported was answered, or why an answer would do harm (R23).

Never writes to anybody: the reply itself is given by a person, or written to the return code.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, update

from gateway.desk import audit
from gateway.desk.casework.case_codes import NO_SAFE_CONTACT, REPLY_CODES, check_code
from gateway.desk.casework.cases import CaseError, CaseRow, get_case
from gateway.desk.outbox.replies import REPLIED_BY_RETURN_CODE, has_reply
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time

MAX_REASON_CHARACTERS: Final = 300


def record_reply(desk: Desk, wanted: str, *, code: str, reason: str | None, actor: str) -> CaseRow:
    """Record that the person reporting was answered, and how; or why an answer would do harm.

    Raises `CaseError` (`unknown-case`, `bad-code`, `reason-missing`, `return-code-reason-missing`, `no-sealed-reply`).
    """
    reason = clean_reply_reason(code, reason)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        if code == REPLIED_BY_RETURN_CODE and not has_reply(connection, case_id=found.case_id):
            raise CaseError("No reply was written to the return code of this report.", reason="no-sealed-reply")
        note_reply(connection, found, code=code, reason=reason, actor=actor, now=now)
        return get_case(connection, found.case_id)


def clean_reply_reason(code: str, reason: str | None) -> str | None:
    """Return the reason without the spaces around it, or raise `CaseError` for what `record_reply` would refuse."""
    check_code("reply", code, REPLY_CODES)
    reason = (reason or "").strip() or None
    if code == NO_SAFE_CONTACT and reason is None:
        raise CaseError("Say why there is no safe way to reply: --reply-reason.", reason="reason-missing")
    if code == REPLIED_BY_RETURN_CODE and reason is None:
        # It waits for somebody who may never come back: a person says why it is enough.
        raise CaseError(
            "Say why the return code alone is the right way: --reply-reason.", reason="return-code-reason-missing"
        )
    if reason is not None and len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason has at most {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    return reason


def note_reply(
    connection: Connection, found: CaseRow, *, code: str, reason: str | None, actor: str, now: datetime
) -> None:
    """Enter the reply that is owed, in the caller's transaction; `clean_reply_reason` has passed it."""
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id == found.case_id)
        .values(reply_code=code, reply_reason=reason, reply_recorded_at=format_time(now))
    )
    audit.append_entry(
        connection, at=now, actor=actor, action="record-reply", subject=found.case_id, detail={"code": code}
    )
