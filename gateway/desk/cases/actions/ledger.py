"""The ledger of actions: all that leaves the house about a case, each to one recipient, in one state, with one thread.

    drafted -> released -> sent -> acknowledged -> answered -> ended
       |           |         |
       +-----------+---------+--> withdrawn (once sent, a recall goes out in its thread), or failed with a code

Releases nothing without a second person's signature (people/releases.py) or a stated exception. The signature covers
the action, its recipient and its content: another content has another hash, so its signature is gone.

An entry of a thread goes `out` to the recipient, comes `in` from it, or is `kept` for the people of this desk. Never
keeps a text readable: bodies and entries lie in boxes under the key of their case, or else the desk's own key. Never
trusts the gateway: an entry counts only if a key of the partner signed it, and only about a message that this desk sent
to that partner. One that does not hold is kept as it came, up to a limit, with a code and an alarm.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from gateway.desk.cases.actions.destinations import PROTECTING
from gateway.desk.cases.actions.model import (
    KINDS,
    OUT_STATES,
    Action,
    ActionError,
    ActionKind,
    ActionState,
    ActionWay,
    find_action,
    find_recipient,
    get_action,
)
from gateway.desk.collection.chain import load_trusted_keys
from gateway.desk.collection.row_checks import TrustedKeys
from gateway.desk.keyring.case_boxes import close_box, get_box
from gateway.desk.keyring.key_set import make_copy_context, seal_own_copy
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import Intake, collect_items, keep_envelope
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.people.register import find_person
from gateway.desk.office.people.releases import Release, ReleaseError, draft_release, find_release, verify_release
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.mailbox import store_message
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES
from gateway.desk.store.audit import raise_alarm
from gateway.desk.store.schema import CASE_ACTIONS, CASE_STEPS, CASES, REFUSED_ENTRIES, SERVICE_ALERTS, THREAD_ENTRIES
from gateway.desk.vault.doors import CaseBox, Vault
from gateway.exchange.feed import THREAD_ENTRY, ItemRow
from partner_sdk.errors import EnvelopeError, FormatError, OpeningError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import check_report_id, encode, format_time, parse_base64url, parse_exact
from partner_sdk.wire.mailbox import (
    MAX_ENTRY_CHARACTERS,
    MAX_ENTRY_ENVELOPE_BYTES,
    SIGNED_ENTRY,
    DeskEntryKind,
    ThreadMessage,
    encode_body,
    entry_context,
)
from partner_sdk.wire.mailbox import ThreadEntry as SignedEntry
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.submission import check_partner_id

ActionBox = Literal["action", "entry"]
# Different from every other copy of the desk's own, so that none can pass for another.
_KINDS: Final[dict[ActionBox, str]] = {"action": "case-action", "entry": "thread-entry"}


def close_action_box(
    desk: Desk, connection: Connection, plain: bytes, *, kind: ActionBox, row_id: str, case_id: str | None
) -> bytes:
    """Return the box of a text, in the caller's transaction. Raises `OpeningError`, `VaultError`, `LocalStateError`."""
    sealed = seal_own_copy(desk, connection, plain, purpose="mailbox", message_id=row_id, kind=_KINDS[kind])
    if case_id is None:
        return sealed
    return close_box(desk.load_signer(), connection, case_id, sealed, kind=kind, row_id=row_id)


def open_action_box(
    desk: Desk,
    connection: Connection,
    vault: Vault,
    box: bytes,
    *,
    kind: ActionBox,
    row_id: str,
    case_id: str | None,
) -> bytes:
    """Return the text of a box. Raises `OpeningError` and `VaultError`."""
    context = make_copy_context(desk, purpose="mailbox", message_id=row_id, kind=_KINDS[kind])
    return vault.open_message_copy(_load(connection, box, kind=kind, row_id=row_id, case_id=case_id), context=context)


def _load(
    connection: Connection, box: bytes, *, kind: ActionBox, row_id: str, case_id: str | None
) -> CaseBox | Envelope:
    if not box:
        raise OpeningError("Its case was destroyed: nothing can open it.", reason="destroyed")
    if case_id is not None:
        return get_box(connection, case_id, box, kind=kind, row_id=row_id)
    try:
        return Envelope.parse(box)
    except EnvelopeError as error:
        raise OpeningError(str(error), reason="does-not-open") from None


Direction = Literal["in", "out", "kept"]
EntryKind = Literal["acknowledge", "question", "answer", "outcome", "note", "decline", "reminder", "recall", "close"]
# An entry that a person writes on a page; the rest goes with an act.
OutKind = Literal["question", "answer", "note"]
# Each entry as the rest of a sentence, e.g. "Example Police took it".
ENTRY_TITLES: Final[dict[Direction, dict[str, str]]] = {
    "in": {
        "acknowledge": "took it",
        "question": "asked",
        "answer": "answered",
        "outcome": "gave the outcome",
        "note": "wrote",
        "decline": "declined",
    },
    "out": {
        "question": "asked",
        "answer": "answered",
        "note": "wrote",
        "reminder": "reminded them",
        "recall": "recalled it",
        "close": "closed it",
    },
    "kept": {"recall": "withdrew it"},
}
# Shown and opened at once, as of the steps of a case: a partner may write 300 an hour.
MOST_OPENED_ENTRIES: Final = 60
# 20,000 characters of four bytes each, escaped at worst, with names around them.
_MOST_TEXT_BYTES: Final = 256 * 1024
# The author of an entry that no person wrote, e.g. a reminder.
_THE_DESK: Final = "The desk"
# A recall, a reminder and a close need no words.
_WITH_TEXT: Final[frozenset[DeskEntryKind]] = frozenset({"question", "answer", "note"})
# An entry's act in the audit log, by its direction, e.g. `take-thread-entry`.
_VERBS: Final[dict[Direction, str]] = {"in": "take", "out": "write", "kept": "keep"}
READ_THREAD: Final = "read-thread"


class EntryText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything written in one entry. `by` is the name of the officer there, or of the contact here."""

    text: str = ""
    by: str = ""
    outcome: str | None = None
    report_id: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One entry for lists. `by` is a partner's id or a person of this desk; `box` holds its text."""

    entry_id: str
    action_id: str
    direction: Direction
    kind: EntryKind
    at: str
    by: str
    outside_id: str | None
    read_at: str | None
    read_by: str | None
    box: bytes


def add_entry(
    desk: Desk,
    connection: Connection,
    action: Action,
    *,
    direction: Direction,
    kind: EntryKind,
    text: EntryText,
    actor: str,
    outside_id: str | None = None,
) -> str:
    """Keep one entry in the caller's transaction and return its id."""
    entry_id, now = desk.make_id(), desk.clock()
    box = close_action_box(desk, connection, encode(text), kind="entry", row_id=entry_id, case_id=action.case_id)
    connection.execute(
        insert(THREAD_ENTRIES).values(
            entry_id=entry_id,
            action_id=action.action_id,
            direction=direction,
            kind=kind,
            at=format_time(now),
            by=actor,
            outside_id=outside_id,
            box=box,
        )
    )
    audit.append_entry(
        connection,
        f"{_VERBS[direction]}-thread-entry",
        action.subject,
        at=now,
        actor=actor,
        action_id=action.action_id,
        kind=kind,
    )
    return entry_id


def write_entry(
    desk: Desk, connection: Connection, action: Action, *, kind: DeskEntryKind, text: str, actor: str
) -> str:
    """Write an entry to the recipient of an action that was sent, in the caller's transaction, and return its id.

    It goes to the mailbox that has the action; about a letter or a sealed file a person sends it. Raises `ActionError`.
    """
    text = text.strip()
    if not text and kind in _WITH_TEXT:
        raise ActionError("Write a text.", reason="text-missing")
    if len(text) > MAX_ENTRY_CHARACTERS:
        raise ActionError(f"A text can have up to {MAX_ENTRY_CHARACTERS:,} characters.", reason="text-too-long")
    person = find_person(connection, actor)
    written = EntryText(text=text, by=_THE_DESK if person is None else person.name)
    entry_id = add_entry(desk, connection, action, direction="out", kind=kind, text=written, actor=actor)
    sent = select(MAILBOX_MESSAGES.c.partner).where(MAILBOX_MESSAGES.c.message_id == action.action_id)
    partner = connection.execute(sent).scalar()
    if partner is not None:
        message = ThreadMessage(about=action.action_id, by=written.by, entry_id=entry_id, kind=kind, text=text)
        store_message(
            desk,
            connection,
            partner=partner,
            kind="thread-message",
            body=encode_body(message),
            actor=actor,
            about_case=action.case_id,
            message_id=entry_id,
            is_sealed=True,
        )
    return entry_id


def count_entries(connection: Connection, action_id: str) -> int:
    """Return the number of entries of an action."""
    query = select(func.count()).select_from(THREAD_ENTRIES).where(THREAD_ENTRIES.c.action_id == action_id)
    return int(connection.execute(query).scalar_one())


def list_entries(connection: Connection, action_id: str, *, rows: slice = slice(0, None)) -> list[ThreadEntry]:
    """Return the entries of an action, the oldest first; `rows` count from the newest, e.g. `slice(0, 60)`."""
    newest = THREAD_ENTRIES.c.at.desc(), THREAD_ENTRIES.c.entry_id.desc()
    query = select(THREAD_ENTRIES).where(THREAD_ENTRIES.c.action_id == action_id).order_by(*newest).offset(rows.start)
    if rows.stop is not None:
        query = query.limit(rows.stop - rows.start)
    found = [ThreadEntry(**{**row._mapping, "box": bytes(row.box)}) for row in connection.execute(query)]
    return found[::-1]


def open_entries(desk: Desk, action: Action, entries: Sequence[ThreadEntry], *, actor: str) -> dict[str, EntryText]:
    """Return the texts of entries by entry id, without an entry that does not open; the reading is recorded."""
    if not entries:
        return {}
    texts = open_texts(desk, action, entries, vault=desk.load_vault(actor=actor, reason="read"))
    unread = [
        one.entry_id for one in entries if one.direction == "in" and one.read_at is None and one.entry_id in texts
    ]
    with desk.store.write() as connection:
        values = {"read_at": format_time(desk.clock()), "read_by": actor}
        connection.execute(update(THREAD_ENTRIES).where(THREAD_ENTRIES.c.entry_id.in_(unread)).values(values))
        audit.append_entry(
            connection, READ_THREAD, action.subject, at=desk.clock(), actor=actor, action_id=action.action_id
        )
    return texts


def open_texts(desk: Desk, action: Action, entries: Sequence[ThreadEntry], *, vault: Vault) -> dict[str, EntryText]:
    """Return the same for a check by the desk itself, which the vault alone records: they stay unread."""
    texts = dict[str, EntryText]()
    with desk.store.read() as connection:
        for entry in entries:
            try:
                plain = open_action_box(
                    desk,
                    connection,
                    vault,
                    entry.box,
                    kind="entry",
                    row_id=entry.entry_id,
                    case_id=action.case_id,
                )
                texts[entry.entry_id] = parse_exact(plain, kind=EntryText, max_bytes=_MOST_TEXT_BYTES)
            except (OpeningError, FormatError):
                continue
    return texts


# A package's archive of 700 kB in base64url, with the fields around it.
MAX_BODY_BYTES: Final = 1024 * 1024
# Why no second person signed: one person releases its kind, the duty officer sends it alone in a crisis, or it is an
# example of a sandbox.
Unsigned = Literal["one-person", "sent-alone", "example"]
# As of a step of a case.
MAX_REASON_CHARACTERS: Final = 300


def draft_action(
    desk: Desk,
    connection: Connection,
    *,
    kind: ActionKind,
    case_id: str | None,
    recipient: str,
    way: ActionWay,
    body: bytes,
    actor: str,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    covers: int | None = None,
    action_id: str | None = None,
) -> Action:
    """Keep a draft in the caller's transaction; nothing is sent before its release.

    `body` is the content for the recipient as canonical JSON; if it names the action itself, the caller makes the
    `action_id` first (`desk.make_id`). `covers`, of a package, is the number of its reports that were read
    (`cases.assessing.count_read`). Raises `ActionError` and `OpeningError`.
    """
    if case_id is None and KINDS[kind].is_about_case:
        raise ValueError(f"A {kind} is about a case.")
    if (covers is None) is (kind == "package"):
        raise ValueError("A package, and nothing else, gives how many read reports it covers.")
    now, action_id = desk.clock(), action_id or desk.make_id()
    if expires_at is not None and expires_at <= now:
        raise ActionError("This would end before it can go.", reason="expired")
    if len(body) > MAX_BODY_BYTES:
        raise ActionError("This is too large to send. Leave files out, or send a sealed file.", reason="too-large")
    if case_id is not None:
        if connection.execute(select(CASES.c.case_id).where(CASES.c.case_id == case_id)).first() is None:
            raise ActionError("No case has this id.", reason="unknown-case")
        assessed = (CASE_STEPS.c.case_id == case_id) & (CASE_STEPS.c.kind == "assess")
        if connection.execute(select(CASE_STEPS.c.id).where(assessed).limit(1)).first() is None:
            raise ActionError("Assess the case first: nothing leaves the desk before it.", reason="not-assessed")
    found = find_recipient(desk, connection, kind=kind, recipient=recipient, way=way)
    digest = hashlib.sha256(body).hexdigest()
    connection.execute(
        insert(CASE_ACTIONS).values(
            action_id=action_id,
            kind=kind,
            case_id=case_id,
            recipient=recipient,
            way=way,
            state="drafted",
            drafted_at=format_time(now),
            drafted_by=actor,
            expires_at=_format(expires_at),
            due_at=_format(due_at),
            covers=covers,
            protects=found is not None and found.group in PROTECTING,
            body_sha256=digest,
            box=close_action_box(desk, connection, body, kind="action", row_id=action_id, case_id=case_id),
        )
    )
    drafted = get_action(connection, action_id)
    _append(desk, connection, "draft-action", drafted, actor=actor, body_sha256=digest, way=way)
    return drafted


def open_body(desk: Desk, action: Action, *, actor: str) -> bytes:
    """Return the content for the recipient, to be read; the reading is recorded, in a transaction of its own."""
    vault = desk.load_vault(actor=actor, reason="read")
    with desk.store.read() as connection:
        body = open_stored_body(desk, connection, action, vault=vault)
    with desk.store.write() as connection:
        _append(desk, connection, "read-action", action, actor=actor)
    return body


def open_stored_body(desk: Desk, connection: Connection, action: Action, *, vault: Vault) -> bytes:
    """Return the body for a program of the desk, which the vault alone records."""
    box = connection.execute(
        select(CASE_ACTIONS.c.box).where(CASE_ACTIONS.c.action_id == action.action_id)
    ).scalar_one()
    body = open_action_box(
        desk, connection, vault, bytes(box), kind="action", row_id=action.action_id, case_id=action.case_id
    )
    if hashlib.sha256(body).hexdigest() != action.body_sha256:
        raise OpeningError("The box is not the one that was drafted.", reason="does-not-open")
    return body


def release_action(
    desk: Desk,
    connection: Connection,
    action_id: str,
    *,
    signature: Release | Unsigned,
    actor: str,
    not_before: datetime | None = None,
) -> Action:
    """Release a draft, or one that failed before it went: it is sent once its `not_before` has passed.

    The caller has checked the permission, and that the signature is for the content as it is. Raises `ActionError`,
    `ReleaseError`, `ValueError`.
    """
    action = get_action(connection, action_id)
    _check_signature(desk, connection, action, signature)
    if not action.may_be_released:
        raise ActionError("This was released, sent or withdrawn already.", reason="not-drafted")
    if action.is_expired(desk.clock()):
        raise ActionError("It has expired: write a new one.", reason="expired")
    find_recipient(desk, connection, kind=action.kind, recipient=action.recipient, way=action.way)
    cleared: dict[str, str | None] = {"failed_at": None, "failed_because": None}
    if not_before is not None:
        cleared["not_before"] = format_time(not_before)
    return change_state(desk, connection, action, "released", actor=actor, act="release-action", also=cleared)


def _check_signature(desk: Desk, connection: Connection, action: Action, signature: Release | Unsigned) -> None:
    if not isinstance(signature, Release):
        has_exception = {
            "one-person": KINDS[action.kind].signed_as is None,
            "sent-alone": KINDS[action.kind].goes_alone,
            "example": desk.config.environment == "sandbox",
        }
        if not has_exception[signature]:
            raise ValueError(f"A {action.kind} needs a second person's signature here, not {signature}.")
        return
    release = verify_release(connection, signature.id)
    alert = select(SERVICE_ALERTS.c.alert_id).where(SERVICE_ALERTS.c.action_id == action.action_id)
    subject = connection.execute(alert).scalar() if action.kind == "alert" else action.action_id
    if (release.kind, release.subject) != (KINDS[action.kind].signed_as, subject):
        raise ReleaseError("A second person signed another draft, and not this one.", reason="not-signed")


# The next act of a person of this desk.
NextAct = Literal["review", "sign", "release", "send", ""]
NEXT_ACTS: Final[Mapping[NextAct, str]] = {
    "review": "Released by one person alone: read it and sign it",
    "sign": "Waits for a second person's signature",
    "release": "Not sent: release it",
    "send": "Released: send it, and record that it went",
    "": "",
}
# Of the newest readings of the actions of a case, one is the signer's: they open the page to sign.
_MOST_READINGS: Final = 200


@dataclass(frozen=True, slots=True)
class ActionSigning:
    """An action with the signature that it has or waits for; None for a kind that one person releases."""

    action: Action
    release: Release | None

    @property
    def is_signed(self) -> bool:
        """Whether a second person signed it, or its kind needs none."""
        is_needed = KINDS[self.action.kind].signed_as is not None
        return not is_needed or (self.release is not None and self.release.signed_by is not None)

    @property
    def is_unreviewed(self) -> bool:
        """Whether one person alone released it, and a second one has not signed it since."""
        return self.action.released_at is not None and not self.is_signed

    @property
    def next(self) -> NextAct:
        """The next act of a person of this desk; blank while others have it."""
        if self.action.state == "withdrawn" or KINDS[self.action.kind].is_one_of_many:
            return ""
        if self.action.may_be_released and self.is_signed:
            return "release"
        if self.action.state == "released" and self.action.way != "mailbox":
            return "send"  # before its review: a child may wait for it
        if self.is_unreviewed:
            return "review"
        return "sign" if self.action.state == "drafted" else ""

    @property
    def is_to_sign(self) -> bool:
        """Whether it waits for the signature of a second person, before it goes or afterwards."""
        return self.release is not None and not self.is_signed and self.action.state != "withdrawn"


def describe_action(action: Action) -> bytes:
    """Return the bytes that a second person signs."""
    return encode(
        {
            "action": action.action_id,
            "body_sha256": action.body_sha256,
            "case": action.case_id,
            "kind": action.kind,
            "recipient": action.recipient,
        }
    )


def draft_signature(connection: Connection, action: Action, *, by: str, now: datetime) -> None:
    """Enter a drafted action for a second person to sign, as a release of its kind."""
    kind = KINDS[action.kind].signed_as or ""
    draft_release(connection, kind=kind, subject=action.action_id, body=describe_action(action), by=by, now=now)


def get_signing(connection: Connection, action: Action) -> ActionSigning:
    """Return an action with the draft of its release, signed or not."""
    kind = KINDS[action.kind].signed_as or ""
    release = find_release(connection, kind=kind, subject=action.action_id, body=describe_action(action))
    return ActionSigning(action, release)


def check_was_read(connection: Connection, action: Action, *, by: str) -> None:
    """Raise `ActionError` unless this person read these bytes: the signature is for them."""
    events = audit.list_events(connection, subjects=[action.subject], actions=["read-action"], most=_MOST_READINGS)
    if not any(event.actor == by and event.detail["action_id"] == action.action_id for event in events):
        raise ActionError("Read it first: you sign exactly this page.", reason="unread")


def withdraw_action(desk: Desk, connection: Connection, action_id: str, *, reason: str, actor: str) -> Action:
    """Withdraw an action; once it was sent, a recall goes out in its thread.

    The reason is kept sealed. A body that works on the case reads it too; a service never does. Raises `ActionError`.
    """
    action = get_action(connection, action_id)
    text = reason.strip()
    if not text:
        raise ActionError("Give a reason.", reason="reason-missing")
    if len(text) > MAX_REASON_CHARACTERS:
        raise ActionError(f"A reason can have up to {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    if action.state in ("withdrawn", "ended"):
        raise ActionError("This was withdrawn or ended already.", reason="not-open")
    is_out, is_told_why = action.sent_at is not None, KINDS[action.kind].to_body
    if is_out:
        write_entry(desk, connection, action, kind="recall", text=text if is_told_why else "", actor=actor)
    if not is_out or not is_told_why:
        add_entry(desk, connection, action, direction="kept", kind="recall", text=EntryText(text=text), actor=actor)
    return change_state(desk, connection, action, "withdrawn", actor=actor, act="withdraw-action")


def record_sent(desk: Desk, connection: Connection, action_id: str, *, actor: str) -> Action:
    """Record that a person sent a released sealed file or letter. Raises `ActionError`."""
    action = get_action(connection, action_id)
    now = desk.clock()
    if action.state != "released" or action.way == "mailbox":
        raise ActionError("Only a released file or letter is sent by hand.", reason="not-released")
    if action.is_expired(now):
        raise ActionError("It has expired: write a new one.", reason="expired")
    if action.not_before is not None and format_time(now) < action.not_before:
        raise ActionError(f"This may not go before {action.not_before}.", reason="too-early")
    return change_state(desk, connection, action, "sent", actor=actor, act="send-action")


def end_action(desk: Desk, connection: Connection, action_id: str, *, actor: str, text: str = "") -> Action:
    """End an action that was sent; its thread is closed on both sides, with `text` as the last word."""
    action = get_action(connection, action_id)
    if action.state not in OUT_STATES:
        raise ActionError("Only an action that was sent can be ended; withdraw any other.", reason="not-sent")
    if action.way == "mailbox":
        write_entry(desk, connection, action, kind="close", text=text, actor=actor)
    return change_state(desk, connection, action, "ended", actor=actor, act="end-action")


def change_state(
    desk: Desk,
    connection: Connection,
    action: Action,
    state: ActionState,
    *,
    actor: str,
    act: str,
    code: str | None = None,
    is_late: bool = False,
    also: Mapping[str, str | None] = MappingProxyType({}),
) -> Action:
    """Bring an action, as it was read in this transaction, into a state; the act is recorded with its case.

    `is_late`: a later state was reached before, and stays; `also` sets more columns.
    """
    moment = format_time(desk.clock())
    by = {"failed_because": code} if state == "failed" else {f"{state}_by": actor}
    connection.execute(
        update(CASE_ACTIONS)
        .where(CASE_ACTIONS.c.action_id == action.action_id)
        .values(state=action.state if is_late else state, **{f"{state}_at": moment}, **by, **also)
    )
    _append(desk, connection, act, action, actor=actor, code=code)
    return get_action(connection, action.action_id)


def _append(
    desk: Desk, connection: Connection, act: str, action: Action, *, actor: str, **detail: audit.Detail
) -> None:
    audit.append_entry(
        connection,
        act,
        action.subject,
        at=desk.clock(),
        actor=actor,
        action_id=action.action_id,
        kind=action.kind,
        recipient=action.recipient,
        **{name: value for name, value in detail.items() if value is not None},
    )


def _format(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


InKind = Literal["acknowledge", "question", "answer", "outcome", "note", "decline"]
# The state that an entry brings about, the states in which it does, and the act of the audit log.
_REACHES: Final[dict[InKind, tuple[ActionState, tuple[ActionState, ...], str]]] = {
    "acknowledge": ("acknowledged", ("sent",), "acknowledge-action"),
    "answer": ("answered", ("sent", "acknowledged"), "answer-action"),
    "outcome": ("answered", ("sent", "acknowledged"), "answer-action"),
    "decline": ("answered", ("sent", "acknowledged"), "answer-action"),
}


def take_entry(
    desk: Desk,
    connection: Connection,
    action: Action,
    *,
    kind: InKind,
    text: EntryText,
    actor: str,
    outside_id: str | None = None,
) -> Action:
    """Keep an entry in the caller's transaction, and bring its action into the state that follows, if any.

    It also proves that an action went which this desk did not know to have gone. None is lost: one about an action that
    was withdrawn or ended is kept in its thread and changes no state. An acknowledgement counts once, also after the
    answer.
    """
    add_entry(desk, connection, action, direction="in", kind=kind, text=text, actor=actor, outside_id=outside_id)
    if kind not in _REACHES:
        return action
    state, earlier, act = _REACHES[kind]
    if action.may_have_gone:
        also = {"failed_at": None, "failed_because": None}
        return change_state(desk, connection, action, state, actor=actor, act=act, also=also)
    if action.state in earlier:
        return change_state(desk, connection, action, state, actor=actor, act=act)
    if kind == "acknowledge" and action.state == "answered" and action.acknowledged_at is None:
        return change_state(desk, connection, action, state, actor=actor, act=act, is_late=True)
    return action


def record_entry(
    desk: Desk, connection: Connection, action_id: str, *, kind: InKind, text: EntryText, actor: str
) -> Action:
    """Record an entry that came by post or phone, e.g. the name of the officer with a package. Raises `ActionError`."""
    action = get_action(connection, action_id)
    if action.state not in OUT_STATES and not action.may_have_gone:
        raise ActionError("This has not gone yet, or was withdrawn or ended.", reason="not-sent")
    if not text.by.strip():
        raise ActionError("Write the name of the person there.", reason="name-missing")
    if kind in {"question", "answer", "note", "decline"} and not text.text.strip():
        raise ActionError("Write what they said.", reason="words-missing")
    return take_entry(desk, connection, action, kind=kind, text=text, actor=actor)


INTAKE: Final = Intake(
    THREAD_ENTRY,
    most_items=2_000,
    most_bytes=64 * 1024 * 1024,
    endless="thread-entries-endless",
    too_large="thread-entry-too-large",
)
REFUSED: Final = "thread-entry-refused"
# A copy is kept of so many, and of so many under one partner's name; of later ones only the alarm tells. They hold back
# no entry that holds.
MOST_REFUSED: Final = 1_000
MOST_REFUSED_OF_ONE: Final = 100


class _RefusedError(ReportAbuseError):
    """This entry is not taken."""


@dataclass(frozen=True, slots=True)
class EntriesTaken:
    """The result of one fetch: the entries kept in their threads, and the refused ones."""

    taken: int
    refused: int


NO_ENTRIES: Final = EntriesTaken(0, 0)


def collect_entries(desk: Desk, feed: FeedClient, *, actor: str) -> EntriesTaken:
    """Open and check the entries at the feed, keep every one, then acknowledge them."""
    take = partial(_take, desk=desk, trusted=load_trusted_keys(desk, actor=actor))
    results = collect_items(desk, feed, INTAKE, take=take)
    return EntriesTaken(taken=sum(results), refused=len(results) - sum(results))


def count_refused(connection: Connection) -> int:
    """Return the number of entries that were refused."""
    return int(connection.execute(select(func.count()).select_from(REFUSED_ENTRIES)).scalar_one())


def _take(connection: Connection, row: ItemRow, *, desk: Desk, trusted: TrustedKeys) -> bool | None:
    try:
        # An impossible name is not stored as one.
        check_partner_id(row.address)
        check_report_id(row.item_id)
    except FormatError:
        return None
    mine = (THREAD_ENTRIES.c.by == row.address) & (THREAD_ENTRIES.c.outside_id == row.item_id)
    if connection.execute(select(THREAD_ENTRIES.c.entry_id).where(mine)).first() is not None:
        return None
    try:
        entry, action = _open(connection, row, desk=desk, trusted=trusted)
    except (_RefusedError, FormatError, OpeningError, StatementError) as error:
        return _refuse(connection, row, desk=desk, reason=error.reason)
    gone = (CASES.c.case_id == action.case_id) & CASES.c.destroyed_at.is_not(None)
    if connection.execute(select(CASES.c.case_id).where(gone)).first() is not None:
        # Nothing of a destroyed case is kept again; its partner reads in the thread that it was closed.
        audit.append_entry(
            connection,
            "drop-thread-entry",
            action.subject,
            at=desk.clock(),
            actor=BY_THE_DESK,
            action_id=action.action_id,
            kind=entry.kind,
        )
        return None
    text = EntryText(text=entry.text, by=entry.by, outcome=entry.outcome, report_id=entry.report_id)
    take_entry(desk, connection, action, kind=entry.kind, text=text, actor=row.address, outside_id=row.item_id)
    return True


def _open(connection: Connection, row: ItemRow, *, desk: Desk, trusted: TrustedKeys) -> tuple[SignedEntry, Action]:
    """Return an entry that its partner signed, and its action, whose message this desk sent to that partner."""
    context = entry_context(environment=desk.config.environment, partner=row.address, entry_id=row.item_id)
    envelope = Envelope.parse(parse_base64url(row.envelope, max_bytes=MAX_ENTRY_ENVELOPE_BYTES))
    raw = trusted.vault.open_entry(envelope, context=context)
    keys = trusted.submission_keys.get(row.address, {})
    now = desk.clock()
    entry = open_entry(
        raw,
        keys={key_id: key.public_key for key_id, key in keys.items() if key.covers(now)},
        environment=desk.config.environment,
        partner=row.address,
        entry_id=row.item_id,
    )
    sent_to = select(MAILBOX_MESSAGES.c.partner).where(MAILBOX_MESSAGES.c.message_id == entry.about)
    recipient, action = connection.execute(sent_to).scalar(), find_action(connection, entry.about)
    if recipient is None or action is None:
        raise _RefusedError("It is about no message of this desk.", reason="unknown-message")
    if recipient != row.address:
        raise _RefusedError("It is about a message to another partner.", reason="another-partners-message")
    return entry, action


def _refuse(connection: Connection, row: ItemRow, *, desk: Desk, reason: str) -> bool:
    mine = (REFUSED_ENTRIES.c.partner == row.address) & (REFUSED_ENTRIES.c.entry_id == row.item_id)
    now = desk.clock()
    is_kept = connection.execute(select(REFUSED_ENTRIES.c.entry_id).where(mine)).first() is not None
    theirs = select(func.count()).select_from(REFUSED_ENTRIES).where(REFUSED_ENTRIES.c.partner == row.address)
    is_one_full = connection.execute(theirs).scalar_one() >= MOST_REFUSED_OF_ONE
    if not is_kept and not is_one_full and count_refused(connection) < MOST_REFUSED:
        connection.execute(
            insert(REFUSED_ENTRIES).values(
                partner=row.address,
                entry_id=row.item_id,
                reason=reason,
                envelope=keep_envelope(desk, connection, row, intake=INTAKE),
                received_at=format_time(now),
            )
        )
    raise_alarm(connection, REFUSED, f"{row.address}: {reason} on {now:%Y-%m-%d}", now=now)
    return False


def open_entry(raw: bytes, *, keys: Mapping[str, bytes], environment: str, partner: str, entry_id: str) -> SignedEntry:
    """Return the entry that a statement (`raw`, the opened box) carries, for the desk.

    `keys` are the submission keys of the partner that count, by id. Raises `FormatError` for an entry that cannot be
    read, `StatementError` for one that is not the partner's (`unknown-key`, `bad-signature`, `wrong-kind`,
    `wrong-signature-count`, `wrong-sender`, `wrong-entry`).
    """
    entry = SIGNED_ENTRY.open(raw, keys=keys)
    if (entry.partner, entry.environment) != (partner, environment):
        raise StatementError("The entry is another partner's, or of another environment.", reason="wrong-sender")
    if entry.entry_id != entry_id:
        raise StatementError("The entry has a different id inside and outside.", reason="wrong-entry")
    return entry
