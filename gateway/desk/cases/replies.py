"""Replies to people reporting: the safe ways to reach them, the text under their return code, and the record.

Never counts a sealed reply as the owed one by itself: the person may never come back to read it. It counts only if
staff confirm it, with a reason wherever another safe way was open (R23).

Never takes one person's word alone that a child was answered: only a way that the person opened counts, with its time
and words, and a supervisor reads a sample. That no way is safe one person says, and another signs before the case can
close, having had the texts of the case open since; the signature binds exactly the sealed reason.

Never decides to contact a person: a report gives their wishes, and the warnings against a way.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, select, update

from gateway.desk.cases.holding import get_lead, hold_unless_closed
from gateway.desk.cases.model import (
    NO_SAFE_CONTACT,
    READ_STEPS,
    REPLY_CODES,
    REPLY_STEP,
    CaseError,
    CaseRow,
    CaseStep,
    StepText,
    add_step,
    check_code,
    check_read,
    get_case,
    get_clean_note,
    get_clean_reason,
    has_control_characters,
    list_steps,
    list_steps_since,
    normalise,
)
from gateway.desk.cases.opening import find_first_report, find_recipient, is_proven, list_additions, open_report
from gateway.desk.keyring.case_boxes import get_box
from gateway.desk.keyring.key_set import make_copy_context, make_key_set
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import list_with_role
from gateway.desk.office.people.releases import NO_REPLY, Release, ReleaseError, draft_release, find_release, get_signed
from gateway.desk.office.uk_times import UkTimeError, parse_uk_time
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import REPLY, Recipient, has_no_place, has_reply, list_written, store_reply
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import REPLY_MESSAGES
from gateway.desk.store.schema import CASES, REPLIED_BY_RETURN_CODE
from gateway.exchange.public_codes import BY_ADULT, BY_CALL, BY_EMAIL, BY_SCHOOL, BY_TEXT, NO, YES, YOUNGEST_BANDS
from gateway.exchange.public_report import MAX_BODY_CHARACTERS, SIGNED_REPLY, PublicReport, SafeContact
from partner_sdk.errors import FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import encode, format_time, parse_time
from partner_sdk.wire.signing import verify_keys

# Of the newest readings of a case, one is the signer's or the supervisor's: they open the page for it.
MOST_READINGS: Final = 200


def find_no_reply(connection: Connection, found: CaseRow) -> Release | None:
    """Return the decision as it stands, with its signature if it has one; None if a reply was given or none is owed."""
    if not is_without_reply(found):
        return None
    body = describe_no_reply(connection, found)
    return find_release(connection, kind=NO_REPLY, subject=found.case_id, body=body)


def list_no_reply_refusals(connection: Connection, found: CaseRow) -> Iterator[CaseError]:
    """Yield a refusal to close a case without a reply until another person has signed the reason as it stands now."""
    if not is_without_reply(found):
        return
    body = describe_no_reply(connection, found)
    try:
        get_signed(connection, kind=NO_REPLY, subject=found.case_id, body=body)
    except ReleaseError:
        yield CaseError(
            "No reply was given to this child: a second person has to sign the reason first.",
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
    """Raise `CaseError` unless this person opened the texts of the case since the draft."""
    events = audit.list_events(connection, subjects=[lead.case_id], actions=[READ_STEPS], most=MOST_READINGS)
    if not any(event.actor == by and event.at >= release.drafted_at for event in events):
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


# The contact field for each way; a way without one cannot be used.
_LINE_OF: Final = {BY_CALL: "phone", BY_TEXT: "phone", BY_EMAIL: "email", BY_ADULT: "adult", BY_SCHOOL: "school"}
WRITTEN_WAYS: Final = frozenset({BY_TEXT, BY_EMAIL})
# The way that each code of a recorded reply used.
_WAY_OF: Final = {
    "replied_by_call": BY_CALL,
    "replied_by_text": BY_TEXT,
    "replied_by_email": BY_EMAIL,
    "replied_through_adult": BY_ADULT,
    "replied_through_school": BY_SCHOOL,
}
_CLOCK_LEAD: Final = timedelta(minutes=5)  # a clock on a wall may run ahead of the desk's
_MOST_NAME_CHARACTERS: Final = 120
# A sentence, for this purpose: fewer words tell the next reader nothing.
_FEWEST_WORDS: Final = 3
_FEWEST_LETTERS: Final = 10
_WORD: Final = re.compile(r"[^\W\d_]+")
# A supervisor reads one in SAMPLE_OF recorded replies, for this long after it was recorded.
SAMPLE_OF: Final = 5
SAMPLED_FOR: Final = timedelta(days=90)
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


@dataclass(frozen=True, slots=True)
class GivenReply:
    """A reply as a person records it.

    `reason` is for no safe way or the return code alone. Any other code has the UK day and time of the reply, its words
    in `said`, and for a talk the name of the other side in `spoke_to`.
    """

    code: str
    reason: str = ""
    day: str = ""
    clock: str = ""
    spoke_to: str = ""
    said: str = ""


def record_reply(desk: Desk, wanted: str, given: GivenReply, *, actor: str) -> CaseRow:
    """Record how the person reporting was answered, or why a reply would do harm; everything typed is sealed."""
    check_code("reply", given.code, REPLY_CODES)
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    if found.destroyed_at is not None:
        raise CaseError("This case was destroyed: nothing is owed any more.", reason="destroyed")
    check_read(found)
    codes: dict[str, str] = {}
    if given.code in _WAY_OF:
        _check_way_is_open(desk, found, given.code, actor=actor)
        text, codes["said_at"] = _clean_words(found, given, now=desk.clock())
    else:
        text = StepText(reason=clean_reply_reason(given.code, given.reason))
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        hold_unless_closed(desk, connection, found, actor=actor)
        if given.code == REPLIED_BY_RETURN_CODE and not has_reply(connection, case_id=found.case_id):
            raise CaseError(
                "No reply has been written to the return code yet. Write one first.", reason="no-sealed-reply"
            )
        note_reply(desk, connection, found, code=given.code, text=text, codes=codes, actor=actor)
        return get_case(connection, found.case_id)


def list_reply_codes(reports: Sequence[PublicReport]) -> list[str]:
    """Return the codes that these reports of one person leave open."""
    ways = list_open_ways(*reports)
    return [code for code in REPLY_CODES if code not in _WAY_OF or _WAY_OF[code] in ways]


def _check_way_is_open(desk: Desk, found: CaseRow, code: str, *, actor: str) -> None:
    """Check that the person opened this way, in the first report or in a read addition that is proven to be theirs."""
    first = find_first_report(desk, found, actor=actor, is_read=False)
    with desk.store.read() as connection:
        theirs = [one for one in list_additions(connection, found) if is_proven(one, earlier=found) and one.opened_at]
    own = () if first is not None and not first.is_proven else (found, *theirs)
    opened = [open_report(desk, one, actor=actor, reason="check") for one in own]
    contents = opened if first is None else [first.content, *opened]
    reports = [one for one in contents if isinstance(one, PublicReport)]
    if code not in list_reply_codes(reports):
        raise CaseError(
            "The person did not open this way, or it is barred. Answer in a way that the report gives, write to the "
            "return code, or record that there is no safe way: a second person signs that.",
            reason="way-not-open",
        )


def _clean_words(found: CaseRow, given: GivenReply, *, now: datetime) -> tuple[StepText, str]:
    """Return the sealed text of a reply by another way, and its time."""
    try:
        said_at = parse_uk_time(given.day, given.clock)
    except UkTimeError as error:
        raise CaseError(str(error), reason=error.reason) from None
    if said_at > now + _CLOCK_LEAD:
        raise CaseError("This time has not come yet. Record the reply once you have given it.", reason="time-ahead")
    if said_at < parse_time(found.received_at).replace(second=0):
        raise CaseError("This is before the report came. Check the day and the time.", reason="time-before")
    spoke_to = given.spoke_to.strip()
    if _WAY_OF[given.code] not in WRITTEN_WAYS and not _WORD.search(spoke_to):
        raise CaseError("Write with whom you spoke, e.g. the child, or the teacher's name.", reason="spoke-to-missing")
    if len(spoke_to) > _MOST_NAME_CHARACTERS or not spoke_to.isprintable():
        raise CaseError(
            f"Write with whom you spoke in up to {_MOST_NAME_CHARACTERS} characters.", reason="bad-spoke-to"
        )
    if not is_sentence(given.said):
        raise CaseError("Write in a sentence or two what you told them, and what they said.", reason="said-missing")
    return StepText(reason=spoke_to, note=get_clean_note(given.said)), format_time(said_at)


def is_sentence(text: str) -> bool:
    """Return whether a text has the words of a sentence: "." or "done" has not.

    A letter of a script without capitals counts as a word, because some are written without spaces.
    """
    words = {word.casefold() for word in _WORD.findall(text)}
    letters = sum(len(word) for word in words)
    has_capitals = any(one.lower() != one.upper() for one in text)
    return letters >= _FEWEST_LETTERS and (len(words) >= _FEWEST_WORDS or not has_capitals)


def clean_reply_reason(code: str, reason: str) -> str:
    """Return the reason for no safe way or the return code alone, or raise `CaseError` as `record_reply` would."""
    cleaned = get_clean_reason(reason) if reason.strip() else ""
    if is_sentence(cleaned):
        return cleaned
    if code == NO_SAFE_CONTACT:
        raise CaseError("Explain in a sentence why there is no safe way to reply.", reason="reason-missing")
    # The person may never come back to read it: staff must state why it is enough.
    raise CaseError("Explain in a sentence why the return code alone is enough.", reason="return-code-reason-missing")


@dataclass(frozen=True, slots=True)
class SampledReply:
    """A recorded reply that a supervisor is to read, in the case `lead`."""

    lead: CaseRow
    code: str
    at: str
    by: str


def list_sampled_replies(desk: Desk) -> list[SampledReply]:
    """Return the replies of the sample that no supervisor but their author has read since, the oldest first.

    The vault's secret draws them from the random ids of their steps: the same ones every time, and foreseen only with
    the vault. A reading is the audit log's own entry of it. Raises `VaultError`.
    """
    since = format_time(desk.clock() - SAMPLED_FOR)
    secret, found = desk.load_signer().hash_text("sample", "replies"), list[SampledReply]()
    with desk.store.read() as connection:
        supervisors = list_with_role(connection, Role.SUPERVISOR)
        for step in list_steps_since(connection, REPLY_STEP, since=since):
            # Those without a safe way are left out: a second person reads and signs each.
            if not is_drawn(step.step_id, secret=secret) or step.detail["code"] == NO_SAFE_CONTACT:
                continue
            lead = get_lead(connection, step.case_id)
            events = audit.list_events(connection, subjects=[lead.case_id], actions=[READ_STEPS], most=MOST_READINGS)
            was_read = any(one.actor in supervisors and one.actor != step.by and one.at >= step.at for one in events)
            if not was_read and lead.destroyed_at is None:
                found.append(SampledReply(lead, step.detail["code"], step.at, step.by))
    return found


def is_drawn(step_id: str, *, secret: bytes) -> bool:
    """Return whether a reply is in the sample."""
    return int.from_bytes(hmac.digest(secret, step_id.encode(), "sha256")[:4]) % SAMPLE_OF == 0


def note_reply(
    desk: Desk,
    connection: Connection,
    found: CaseRow,
    *,
    code: str,
    text: StepText,
    actor: str,
    codes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Record the owed reply in the caller's transaction. Raises `LocalStateError` (`no-sealing-key`)."""
    now = desk.clock()
    connection.execute(
        update(CASES)
        .where(CASES.c.case_id == found.case_id)
        .values(reply_code=code, reply_recorded_at=format_time(now))
    )
    add_step(desk, connection, found.case_id, REPLY_STEP, actor=actor, text=text, codes={"code": code, **codes})
    noted = get_case(connection, found.case_id)
    if is_without_reply(noted):
        # A second person signs the decision.
        body = describe_no_reply(connection, noted)
        draft_release(connection, kind=NO_REPLY, subject=noted.case_id, body=body, by=actor, now=now)


class ReplyError(ReportAbuseError):
    """A reply cannot be written; the message explains the fault, and nothing was stored."""


@dataclass(frozen=True, slots=True)
class ReplyDraft:
    """A reply written at the desk. `is_the_reply` marks it as the owed one, with the `reason`.

    `is_part` is for one part of a longer text, which was checked as a whole.
    """

    text: str
    is_the_reply: bool
    reason: str = ""
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """A reply ready to be sealed: its recipient, and the reason if it is the owed one."""

    text: str
    recipient: Recipient
    reason: str


@dataclass(frozen=True, slots=True)
class ReplyCopy:
    """An earlier reply, for the next reader of the case. `text` is None if it does not open."""

    text: str | None
    written_at: str
    written_by: str
    posted_at: str | None
    no_place_at: str | None


def write_reply(desk: Desk, wanted: str, draft: ReplyDraft, *, actor: str, message_id: str | None = None) -> str:
    """Seal a reply to the return code of a report, store it to be sent, and return its message id.

    The same `message_id` again (from `Desk.make_id`) is the same reply, even with another text: nothing is written
    twice.

    Raises `ReplyError`, `CaseError`, and the errors of the vault, keys and sealing.
    """
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    checked = check_draft(desk, found, draft, actor=actor)
    now = desk.clock()
    with desk.store.write() as connection:
        same = select(REPLY_MESSAGES.c.message_id).where(REPLY_MESSAGES.c.message_id == message_id)
        if message_id is not None and connection.execute(same).first() is not None:
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
            text = StepText(reason=checked.reason)
            note_reply(desk, connection, found, code=REPLIED_BY_RETURN_CODE, text=text, actor=actor)
    return written


def check_draft(desk: Desk, found: CaseRow, draft: ReplyDraft, *, actor: str) -> CheckedReply:
    """Return the reply ready to be sealed, or raise as `write_reply`; stores nothing.

    Opens the report, and an addition's first report, without recording the reader: the caller must do that.
    """
    text = clean_text(draft.text, is_part=draft.is_part)
    if found.opened_at is None:
        raise ReplyError("This report is still unread. Open it first.", reason="not-opened")
    content = open_report(desk, found, actor=actor, reason="check")
    if not isinstance(content, PublicReport) or content.reply_key is None:
        raise ReplyError("This report has no return code. Answer another way, then record it.", reason="no-reply-key")
    first = find_first_report(desk, found, actor=actor, is_read=False)
    recipient = find_recipient(found, content, first=first)
    if recipient is None:
        raise ReplyError(
            ("This is not proven to come from the same person, so you cannot reply here. Reply from the first report."),
            reason="not-proven",
        )
    if first is not None and first.case.opened_at is None:
        raise ReplyError(
            (
                "This adds to a report that is still unread. Open that report first: it explains "
                "how to reach them safely."
            ),
            reason="first-not-opened",
        )
    with desk.store.read() as connection:
        if has_no_place(connection, reference=recipient.reference):
            raise ReplyError("The gateway no longer keeps this return code. Answer another way.", reason="no-place")
    if not draft.is_the_reply:
        return CheckedReply(text, recipient, "")
    # If another safe way is open, only a person can state why the code alone is enough.
    reports = [content] if first is None or first.content is None else [first.content, content]
    reason = draft.reason.strip() or ("" if list_open_ways(*reports) else NO_OTHER_WAY)
    return CheckedReply(text, recipient, clean_reply_reason(REPLIED_BY_RETURN_CODE, reason))


def clean_text(text: str, *, is_part: bool = False) -> str:
    """Return the text to send: LF line ends, no outer spaces. Raises `ReplyError`."""
    cleaned = normalise(text)
    if not cleaned:
        raise ReplyError("Write the reply first.", reason="no-text")
    if len(cleaned) > MAX_BODY_CHARACTERS:
        raise ReplyError(
            f"A reply can have up to {MAX_BODY_CHARACTERS:,} characters; this one has {len(cleaned):,}.",
            reason="too-long",
        )
    if len(encode(cleaned)) > MOST_BODY_BYTES:
        raise ReplyError("The text is too long: shorten it.", reason="too-long")
    if has_control_characters(cleaned):
        raise ReplyError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    if not is_part and not is_sentence(cleaned):
        raise ReplyError("This is no sentence. Write words that help the person who reported.", reason="no-sentence")
    return cleaned


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
            text = SIGNED_REPLY.open(signed, keys=keys).body
        except (KeyError, OpeningError, StatementError, FormatError):
            text = None  # its key was destroyed at the end of its time, or the row was changed
        copies.append(ReplyCopy(text, one.written_at, one.written_by, one.posted_at, one.no_place_at))
    with desk.store.write() as connection:
        audit.append_entry(connection, "read-replies", found.case_id, at=now, actor=actor)
    return copies
