"""Writes a reply that the person who reported finds with their return code, and reads back what was written.

Never lets a sealed reply count as the one that is owed by itself: it waits for somebody who may never come back. It
counts only where a person of the desk says so, and says why wherever another safe way was open (R23).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk import audit
from gateway.desk.casework.answering import clean_reply_reason, note_reply
from gateway.desk.casework.cases import CaseRow, get_case
from gateway.desk.casework.opening import find_first_report, find_recipient, open_report
from gateway.desk.casework.safe_contact import list_open_ways
from gateway.desk.keyring.publication import make_key_set
from gateway.desk.outbox.replies import (
    REPLIED_BY_RETURN_CODE,
    REPLY,
    Recipient,
    copy_context,
    has_no_place,
    list_written,
    store_message,
)
from gateway.desk.store.post_tables import REPLY_MESSAGES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import encode, parse_time
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import verify_keys
from partner_sdk.wire.public_report import PublicReport
from partner_sdk.wire.reply_message import MAX_BODY_CHARACTERS, open_reply

# Kept where the analyst gives no other: the reason stands in the case for whoever reads it later.
NO_OTHER_WAY: Final = "The report names no other way that is safe."
# As JSON, in base64 and with its signature, it must fit the largest box (WIRE.md §10): 4,000 letters of two bytes do.
MOST_BODY_BYTES: Final = 11_000
_KEPT_CONTROLS: Final = frozenset("\n\t")


class ReplyError(ReportAbuseError):
    """A reply can not be written; the message says what to change, and nothing was stored."""


@dataclass(frozen=True, slots=True)
class ReplyDraft:
    """What a person of the desk wrote. `is_the_reply` says whether it is the reply that is owed, `reason` why."""

    text: str
    is_the_reply: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """A reply as it would be sealed: to whom, and why it is the one that is owed, where it is."""

    text: str
    recipient: Recipient
    reason: str | None


@dataclass(frozen=True, slots=True)
class ReplyCopy:
    """What was written before, for the next person who works on the case. `text` is None where it does not open."""

    text: str | None
    written_at: str
    written_by: str
    posted_at: str | None
    no_place_at: str | None


def write_reply(desk: Desk, wanted: str, draft: ReplyDraft, *, actor: str, message_id: str | None = None) -> str:
    """Seal a reply to the return code of a report, store it to be sent, and return its message id.

    The same `message_id` again (from `Desk.make_id`) is the same reply, whatever it says: nothing is written twice.

    Raises `ReplyError` (`no-text`, `too-long`, `unprintable`, `not-opened`, `first-not-opened`, `not-proven`,
    `no-reply-key`, `no-place`), `CaseError` (`unknown-case`, `synthetic`, `return-code-reason-missing`,
    `reason-too-long`), and what the vault, the keys and the sealing raise.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    checked = check_draft(desk, found, draft)
    now = desk.clock()
    with desk.store.write() as connection:
        if message_id is not None and _is_written(connection, message_id):
            return message_id
        found = get_case(connection, found.case_id)
        written = store_message(
            desk,
            connection,
            checked.recipient,
            kind=REPLY,
            body=checked.text,
            actor=actor,
            now=now,
            message_id=message_id,
        )
        if draft.is_the_reply and found.reply_owed and found.reply_code is None:
            note_reply(connection, found, code=REPLIED_BY_RETURN_CODE, reason=checked.reason, actor=actor, now=now)
    return written


def check_draft(desk: Desk, found: CaseRow, draft: ReplyDraft) -> CheckedReply:
    """Return what would be sealed, or raise as `write_reply`; stores nothing.

    Opens the report, and the first report of an addition, without noting who does: whoever calls this has that to do.
    """
    text = clean_text(draft.text)
    if found.opened_at is None:
        raise ReplyError("Nobody has read this report yet: open it first.", reason="not-opened")
    content = open_report(desk, found)
    if not isinstance(content, PublicReport) or content.reply_key is None:
        raise ReplyError("This report has no return code: answer in another way.", reason="no-reply-key")
    first = find_first_report(desk, found, actor=None)
    recipient = find_recipient(found, content, first=first)
    if recipient is None:
        raise ReplyError(
            f"This is not proven to come from who sent {found.adds_to}: nothing is sealed to its key. Write there.",
            reason="not-proven",
        )
    if first is not None and first.case.opened_at is None:
        raise ReplyError(
            f"Nobody has read {first.case.reference} yet, which this adds to: open that first. How to reach the person "
            "safely is in there.",
            reason="first-not-opened",
        )
    with desk.store.read() as connection:
        if has_no_place(connection, reference=recipient.reference):
            raise ReplyError(
                "The gateway has no place for this return code any more: answer in another way.", reason="no-place"
            )
    reports = [content] if first is None or first.content is None else [first.content, content]
    return CheckedReply(text, recipient, _clean_reason(draft, reports) if draft.is_the_reply else None)


def clean_text(text: str) -> str:
    """Return the text as it is sent: one kind of line end, no space around it. Raises `ReplyError`."""
    cleaned = normalise(text)
    if not cleaned:
        raise ReplyError("There is nothing written yet.", reason="no-text")
    if len(cleaned) > MAX_BODY_CHARACTERS:
        raise ReplyError(
            f"A reply has at most {MAX_BODY_CHARACTERS:,} characters; this one has {len(cleaned):,}.",
            reason="too-long",
        )
    if len(encode(cleaned)) > MOST_BODY_BYTES:
        raise ReplyError("The text does not fit its box: make it shorter.", reason="too-long")
    if any(unicodedata.category(one) == "Cc" and one not in _KEPT_CONTROLS for one in cleaned):
        raise ReplyError("The text holds characters that no page can show.", reason="unprintable")
    return cleaned


def normalise(text: str) -> str:
    """Return the text with one kind of line end (forms send CR LF) and no space around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _clean_reason(draft: ReplyDraft, reports: Sequence[PublicReport]) -> str | None:
    # Where another safe way is open, only a person can say why the code alone is enough.
    reason = draft.reason.strip()
    if not reason and not list_open_ways(*reports):
        reason = NO_OTHER_WAY
    return clean_reply_reason(REPLIED_BY_RETURN_CODE, reason)


def open_copies(desk: Desk, found: CaseRow, *, actor: str) -> list[ReplyCopy]:
    """Open the desk's own copies of the replies of a case, the oldest first; that somebody read them is noted."""
    now = desk.clock()
    with desk.store.read() as connection:
        written = [one for one in list_written(connection, case_id=found.case_id) if one.kind == REPLY]
        mine = (REPLY_MESSAGES.c.case_id == found.case_id) & (REPLY_MESSAGES.c.kind == REPLY)
        rows = connection.execute(select(REPLY_MESSAGES.c.message_id, REPLY_MESSAGES.c.desk_copy).where(mine)).all()
        signing_keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
    if not written:
        return []
    vault, boxes = desk.load_vault(), {row.message_id: bytes(row.desk_copy) for row in rows}
    copies = []
    for one in written:
        context = copy_context(environment=desk.config.environment, message_id=one.message_id)
        try:
            signed = vault.open_reply_copy(Envelope.parse(boxes[one.message_id]), context=context)
            keys = verify_keys(signing_keys, signed_at=parse_time(one.written_at), now=now)
            text = open_reply(signed, keys=keys).body
        except (OpeningError, StatementError, FormatError):
            text = None  # its key is gone with the reports of its time, or the row was changed
        copies.append(ReplyCopy(text, one.written_at, one.written_by, one.posted_at, one.no_place_at))
    with desk.store.write() as connection:
        audit.append_entry(connection, at=now, actor=actor, action="read-replies", subject=found.case_id)
    return copies


def _is_written(connection: Connection, message_id: str) -> bool:
    known = select(REPLY_MESSAGES.c.message_id).where(REPLY_MESSAGES.c.message_id == message_id)
    return connection.execute(known).first() is not None
