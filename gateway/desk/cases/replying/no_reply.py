"""A child's case without a reply: one person says why none is safe, and another signs that before it can close.

The reason is sealed in a step of the case. The signature covers the hash of that box, so it binds exactly this reason;
it is taken only from a person who had the texts of the case open since.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.cases.model import NO_SAFE_CONTACT, CaseError, CaseRow
from gateway.desk.cases.steps import READ_STEPS, REPLY_STEP, CaseStep, list_steps
from gateway.desk.people.releases import NO_REPLY, Release, ReleaseError, draft_release, find_release, get_signed
from partner_sdk.wire.canonical import encode

# Of the newest readings of a case, one is the signer's or the supervisor's: they open the page for it.
MOST_READINGS: Final = 200


def draft_no_reply(connection: Connection, found: CaseRow, *, by: str, now: datetime) -> None:
    """Enter the decision for a second person to sign, if no reply is safe and one is owed."""
    if is_without_reply(found):
        body = describe_no_reply(connection, found)
        draft_release(connection, kind=NO_REPLY, subject=found.case_id, body=body, by=by, now=now)


def find_no_reply(connection: Connection, found: CaseRow) -> Release | None:
    """Return the decision as it stands, with its signature if it has one; None if a reply was given or none is owed."""
    if not is_without_reply(found):
        return None
    body = describe_no_reply(connection, found)
    return find_release(connection, kind=NO_REPLY, subject=found.case_id, body=body)


def list_no_reply_refusals(connection: Connection, found: CaseRow) -> Iterator[CaseError]:
    """Yield why a case without a reply may not close: nobody else has signed the reason as it stands now."""
    if not is_without_reply(found):
        return
    body = describe_no_reply(connection, found)
    try:
        get_signed(connection, kind=NO_REPLY, subject=found.case_id, body=body)
    except ReleaseError as error:
        yield CaseError(
            "No reply was given to this child. A second person reads the case and signs the reason on its page with a "
            f"passkey. ({error.reason})",
            reason="no-reply-unsigned",
        )


def is_without_reply(found: CaseRow) -> bool:
    """Return whether a reply is owed and a person decided that none is safe."""
    return found.reply_owed and found.reply_code == NO_SAFE_CONTACT


def find_reply_step(connection: Connection, found: CaseRow) -> CaseStep | None:
    """Return the step that recorded the reply of this report last, which holds the sealed reason; None for none."""
    steps = list_steps(connection, found, kinds={REPLY_STEP})
    return next((step for step in steps if step.case_id == found.case_id), None)


def check_was_read(connection: Connection, lead: CaseRow, release: Release, *, by: str) -> None:
    """Raise `CaseError` (`reason-unread`) unless this person opened the texts of the case since the draft."""
    acts = audit.list_acts(connection, subjects=[lead.case_id], actions=[READ_STEPS], most=MOST_READINGS)
    if not any(act.actor == by and act.at >= release.drafted_at for act in acts):
        raise CaseError("Open the report first: you sign the reason, which opens with it.", reason="reason-unread")


def describe_no_reply(connection: Connection, found: CaseRow) -> bytes:
    """Return the bytes that a second person signs: case, time, step and sealed reason. Another reason is another step.

    A box exchanged in the database has another hash, so its signature is gone.
    """
    step = find_reply_step(connection, found)
    return encode(
        {
            "at": found.reply_recorded_at,
            "box_sha256": None if step is None or step.box is None else hashlib.sha256(step.box).hexdigest(),
            "case": found.case_id,
            "step": None if step is None else step.step_id,
        }
    )
