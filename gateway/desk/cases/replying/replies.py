"""Replies to a person who reported: the safe ways to reach them, the text under their return code, and the record.

Never counts a sealed reply as the owed one by itself: the person may never come back to read it. It counts only if
staff confirm it, with a reason wherever another safe way was open (R23).

Never decides to contact a person: a report gives their wishes, and the warnings against a way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from sqlalchemy import Connection, select, update

from gateway.desk import audit
from gateway.desk.cases.holding import hold_unless_closed
from gateway.desk.cases.model import (
    NO_SAFE_CONTACT,
    REPLIED_BY_RETURN_CODE,
    REPLY_CODES,
    CaseError,
    CaseRow,
    check_code,
    get_case,
    has_control_characters,
    normalise,
)
from gateway.desk.cases.opening import find_first_report, find_recipient, open_report
from gateway.desk.cases.replying.no_reply import draft_no_reply
from gateway.desk.cases.steps import REPLY_STEP, StepText, add_step, get_clean_reason
from gateway.desk.keyring.case_boxes import get_box
from gateway.desk.keyring.key_set import make_copy_context, make_key_set
from gateway.desk.outbox.replies import (
    REPLY,
    Recipient,
    has_no_place,
    has_reply,
    list_written,
    store_reply,
)
from gateway.desk.store.outbox_tables import REPLY_MESSAGES
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import encode, format_time, parse_time
from partner_sdk.wire.keys import verify_keys
from partner_sdk.wire.public_codes import BY_ADULT, BY_CALL, BY_EMAIL, BY_SCHOOL, BY_TEXT, NO, YES, YOUNGEST_BANDS
from partner_sdk.wire.public_report import PublicReport, SafeContact
from partner_sdk.wire.reply_message import MAX_BODY_CHARACTERS, open_reply

# The contact field for each way; a way without one cannot be used.
_LINE_OF: Final = {BY_CALL: "phone", BY_TEXT: "phone", BY_EMAIL: "email", BY_ADULT: "adult", BY_SCHOOL: "school"}
WRITTEN_WAYS: Final = frozenset({BY_TEXT, BY_EMAIL})
# Used if the analyst gives no other reason: it stays in the case for later readers.
NO_OTHER_WAY: Final = "The report gives no other safe way."
# As JSON, in base64 and with its signature, it must fit the largest box (WIRE.md §10): 4,000 letters of two bytes do.
MOST_BODY_BYTES: Final = 11_000


class ContactWarning(Enum):
    """Warnings for the author of a reply, the most important first."""

    NEAR = "near"
    MAYBE_NEAR = "maybe-near"
    YOUNG = "young"
    SEEN = "seen"
    DOUBTED = "doubted"
    NO_WAY = "no-way"


def list_open_ways(*reports: PublicReport) -> tuple[str, ...]:
    """Return the picked ways that have details and cannot be read by the reported person.

    A way barred by either a report or its addition is barred for both.
    """
    ways = [way for report in reports for way in report.contact.ways if get_line(report.contact, way)]
    return tuple(way for way in dict.fromkeys(ways) if not any(is_barred(report, way) for report in reports))


def has_contact_details(report: PublicReport) -> bool:
    """Return whether any contact field was filled in; later additions mostly leave all of them blank."""
    contact = report.contact
    return any(getattr(contact, name) for name in contact.__struct_fields__) or bool(report.name or report.person.near)


def is_barred(report: PublicReport, way: str) -> bool:
    """Return whether the person the report is about could read messages sent this way."""
    return way in WRITTEN_WAYS and report.person.near == YES


def get_line(contact: SafeContact, way: str) -> str:
    """Return the number, address or name for a way, or ""."""
    name = _LINE_OF.get(way)
    return "" if name is None else str(getattr(contact, name)).strip()


def list_warnings(report: PublicReport, *, is_flagged: bool = False) -> tuple[ContactWarning, ...]:
    """Return the warnings to read before any contact. An unanswered question counts as the more careful answer."""
    contact, near = report.contact, report.person.near
    said = {
        ContactWarning.NEAR: near == YES,
        ContactWarning.MAYBE_NEAR: near not in {"", YES, NO},
        ContactWarning.YOUNG: bool({report.reporter_age_band, report.age_band} & {*YOUNGEST_BANDS}),
        ContactWarning.SEEN: contact.who_sees != NO,
        ContactWarning.DOUBTED: is_flagged,
        ContactWarning.NO_WAY: not list_open_ways(report),
    }
    return tuple(warning for warning in ContactWarning if said[warning])


def record_reply(desk: Desk, wanted: str, *, code: str, reason: str | None, actor: str) -> CaseRow:
    """Record how the person reporting was answered, or why a reply would do harm.

    Raises `CaseError` (`unknown-case`, `destroyed`, `held`, `bad-code`, `reason-missing`,
    `return-code-reason-missing`, `reason-too-long`, `unprintable`, `no-sealed-reply`).
    """
    reason = clean_reply_reason(code, reason)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        if found.destroyed_at is not None:
            raise CaseError("This case was destroyed: nothing is owed any more.", reason="destroyed")
        hold_unless_closed(desk, connection, found, actor=actor)
        if code == REPLIED_BY_RETURN_CODE and not has_reply(connection, case_id=found.case_id):
            raise CaseError("No reply has been written to this report's return code.", reason="no-sealed-reply")
        note_reply(desk, connection, found, code=code, reason=reason, actor=actor, now=now)
        return get_case(connection, found.case_id)


def clean_reply_reason(code: str, reason: str | None) -> str | None:
    """Return a person's reason, None for none, or raise `CaseError` as `record_reply` would."""
    check_code("reply", code, REPLY_CODES)
    reason = (reason or "").strip()
    if code == NO_SAFE_CONTACT and not reason:
        raise CaseError("Explain why there is no safe way to reply: --reply-reason.", reason="reason-missing")
    if code == REPLIED_BY_RETURN_CODE and not reason:
        # The person may never come back to read it: staff must state why it is enough.
        raise CaseError(
            "Explain why the return code alone is enough: --reply-reason.", reason="return-code-reason-missing"
        )
    return get_clean_reason(reason) if reason else None


def note_reply(
    desk: Desk, connection: Connection, found: CaseRow, *, code: str, reason: str | None, actor: str, now: datetime
) -> None:
    """Record the owed reply in the caller's transaction, after `clean_reply_reason`; its reason is sealed.

    Raises `LocalStateError` (`no-sealing-key`) if it has a reason.
    """
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id == found.case_id)
        .values(reply_code=code, reply_recorded_at=format_time(now))
    )
    text = StepText(reason=reason) if reason else None
    add_step(desk, connection, found.case_id, REPLY_STEP, actor=actor, text=text, codes={"code": code})
    draft_no_reply(connection, get_case(connection, found.case_id), by=actor, now=now)


class ReplyError(ReportAbuseError):
    """A reply cannot be written; the message explains the fault, and nothing was stored."""


@dataclass(frozen=True, slots=True)
class ReplyDraft:
    """A reply written at the desk. `is_the_reply` marks it as the owed one, with the `reason`."""

    text: str
    is_the_reply: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """A reply ready to be sealed: its recipient, and the reason if it is the owed one."""

    text: str
    recipient: Recipient
    reason: str | None


@dataclass(frozen=True, slots=True)
class ReplyCopy:
    """An earlier reply, for the next person who works on the case. `text` is None if it does not open."""

    text: str | None
    written_at: str
    written_by: str
    posted_at: str | None
    no_place_at: str | None


def write_reply(desk: Desk, wanted: str, draft: ReplyDraft, *, actor: str, message_id: str | None = None) -> str:
    """Seal a reply to the return code of a report, store it to be sent, and return its message id.

    The same `message_id` again (from `Desk.make_id`) is the same reply, even with another text: nothing is written
    twice.

    Raises `ReplyError` (`no-text`, `too-long`, `unprintable`, `not-opened`, `first-not-opened`, `not-proven`,
    `no-reply-key`, `no-place`), `CaseError` (`unknown-case`, `held`, `synthetic`,
    `return-code-reason-missing`, `reason-too-long`, `unprintable`), and the errors of the vault, keys and sealing.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    checked = check_draft(desk, found, draft, actor=actor)
    now = desk.clock()
    with desk.store.write() as connection:
        if message_id is not None and _is_written(connection, message_id):
            return message_id
        found = get_case(connection, found.case_id)
        hold_unless_closed(desk, connection, found, actor=actor)
        written = store_reply(
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
            note_reply(
                desk, connection, found, code=REPLIED_BY_RETURN_CODE, reason=checked.reason, actor=actor, now=now
            )
    return written


def check_draft(desk: Desk, found: CaseRow, draft: ReplyDraft, *, actor: str) -> CheckedReply:
    """Return the reply ready to be sealed, or raise as `write_reply`; stores nothing.

    Opens the report, and an addition's first report, without recording the reader: the caller must do that.
    """
    text = clean_text(draft.text)
    if found.opened_at is None:
        raise ReplyError("This report is still unread: open it first.", reason="not-opened")
    content = open_report(desk, found, actor=actor, reason="check")
    if not isinstance(content, PublicReport) or content.reply_key is None:
        raise ReplyError("This report has no return code: answer another way.", reason="no-reply-key")
    first = find_first_report(desk, found, actor=actor, is_read=False)
    recipient = find_recipient(found, content, first=first)
    if recipient is None:
        raise ReplyError(
            (
                f"This is not proven to come from the sender of {found.adds_to}, so you cannot reply "
                f"here. Reply from {found.adds_to}."
            ),
            reason="not-proven",
        )
    if first is not None and first.case.opened_at is None:
        raise ReplyError(
            (
                f"This adds to {first.case.reference}, which is still unread. Open that report first: it "
                "explains how to reach the person safely."
            ),
            reason="first-not-opened",
        )
    with desk.store.read() as connection:
        if has_no_place(connection, reference=recipient.reference):
            raise ReplyError("The gateway no longer keeps this return code: answer another way.", reason="no-place")
    reports = [content] if first is None or first.content is None else [first.content, content]
    return CheckedReply(text, recipient, _clean_reason(draft, reports) if draft.is_the_reply else None)


def clean_text(text: str) -> str:
    """Return the text to send: LF line ends, no outer spaces. Raises `ReplyError`."""
    cleaned = normalise(text)
    if not cleaned:
        raise ReplyError("The reply is empty.", reason="no-text")
    if len(cleaned) > MAX_BODY_CHARACTERS:
        raise ReplyError(
            f"A reply can have up to {MAX_BODY_CHARACTERS:,} characters; this one has {len(cleaned):,}.",
            reason="too-long",
        )
    if len(encode(cleaned)) > MOST_BODY_BYTES:
        raise ReplyError("The text is too long: shorten it.", reason="too-long")
    if has_control_characters(cleaned):
        raise ReplyError("The text contains characters that a page cannot show.", reason="unprintable")
    return cleaned


def _clean_reason(draft: ReplyDraft, reports: Sequence[PublicReport]) -> str | None:
    # If another safe way is open, only a person can state why the code alone is enough.
    reason = draft.reason.strip()
    if not reason and not list_open_ways(*reports):
        reason = NO_OTHER_WAY
    return clean_reply_reason(REPLIED_BY_RETURN_CODE, reason)


def open_copies(desk: Desk, found: CaseRow, *, actor: str) -> list[ReplyCopy]:
    """Open the desk's own copies of a case's replies, the oldest first; the reading is recorded."""
    now = desk.clock()
    with desk.store.read() as connection:
        written = [one for one in list_written(connection, case_id=found.case_id) if one.kind == REPLY]
        mine = (REPLY_MESSAGES.c.case_id == found.case_id) & (REPLY_MESSAGES.c.kind == REPLY)
        rows = connection.execute(select(REPLY_MESSAGES.c.message_id, REPLY_MESSAGES.c.desk_copy).where(mine)).all()
        boxes = {
            row.message_id: get_box(
                connection, found.case_id, bytes(row.desk_copy), kind="reply", row_id=row.message_id
            )
            for row in rows
            if row.desk_copy is not None
        }
        signing_keys = make_key_set(connection, desk=desk, now=now).mailbox_keys
    if not written:
        return []
    vault = desk.load_vault(actor=actor, reason="read")
    copies = []
    for one in written:
        context = make_copy_context(desk, purpose="reply", message_id=one.message_id)
        try:
            signed = vault.open_reply_copy(boxes[one.message_id], context=context)
            keys = verify_keys(signing_keys, signed_at=parse_time(one.written_at), now=now)
            text = open_reply(signed, keys=keys).body
        except (KeyError, OpeningError, StatementError, FormatError):
            text = None  # its key was destroyed at the end of its time, or the row was changed
        copies.append(ReplyCopy(text, one.written_at, one.written_by, one.posted_at, one.no_place_at))
    with desk.store.write() as connection:
        audit.append_entry(connection, "read-replies", found.case_id, at=now, actor=actor)
    return copies


def _is_written(connection: Connection, message_id: str) -> bool:
    known = select(REPLY_MESSAGES.c.message_id).where(REPLY_MESSAGES.c.message_id == message_id)
    return connection.execute(known).first() is not None
