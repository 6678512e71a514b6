"""A child's case without a reply: one person says why none is safe, and another signs that before it can close."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from gateway.desk.cases.model import NO_SAFE_CONTACT, CaseError, CaseRow
from gateway.desk.people.releases import NO_REPLY, Release, ReleaseError, draft_release, find_release, get_signed
from partner_sdk.wire.canonical import encode


def draft_no_reply(connection: Connection, found: CaseRow, *, by: str, now: datetime) -> None:
    """Enter the decision for a second person to sign, if no reply is safe and one is owed."""
    if is_without_reply(found):
        body = describe_no_reply(found)
        draft_release(connection, kind=NO_REPLY, subject=found.case_id, body=body, by=by, now=now)


def find_no_reply(connection: Connection, found: CaseRow) -> Release | None:
    """Return the decision as it stands, with its signature if it has one; None if a reply was given or none is owed."""
    if not is_without_reply(found):
        return None
    return find_release(connection, kind=NO_REPLY, subject=found.case_id, body=describe_no_reply(found))


def list_no_reply_refusals(connection: Connection, found: CaseRow) -> Iterator[CaseError]:
    """Yield why a case without a reply may not close: nobody else has signed the reason as it stands now."""
    if not is_without_reply(found):
        return
    try:
        get_signed(connection, kind=NO_REPLY, subject=found.case_id, body=describe_no_reply(found))
    except ReleaseError as error:
        yield CaseError(
            "No reply was given to this child. A second person reads the case and signs the reason on its page with a "
            f"passkey. ({error.reason})",
            reason="no-reply-unsigned",
        )


def is_without_reply(found: CaseRow) -> bool:
    """Return whether a reply is owed and a person decided that none is safe."""
    return found.reply_owed and found.reply_code == NO_SAFE_CONTACT


def describe_no_reply(found: CaseRow) -> bytes:
    """Return the bytes that a second person signs: case, reason and time. Another reason is another draft."""
    return encode({"at": found.reply_recorded_at, "case": found.case_id, "reason": found.reply_reason})
