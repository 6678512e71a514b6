"""The thread of an action: the entries of both sides, each sealed under the key of its case.

An entry goes `out` to the recipient, comes `in` from it, or is `kept` for the people of this desk, e.g. why an action
was withdrawn before it went.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from gateway.desk import audit
from gateway.desk.actions.boxes import close_action_box, open_action_box
from gateway.desk.actions.model import Action, ActionError
from gateway.desk.partners.mailbox import store_message
from gateway.desk.people.register import find_person
from gateway.desk.store.action_tables import THREAD_ENTRIES
from gateway.desk.store.outbox_tables import MAILBOX_MESSAGES
from gateway.desk.vault.doors import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.action_bodies import MAX_ENTRY_CHARACTERS, DeskEntryKind, ThreadMessage
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.mailbox_message import encode_body

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
    """Keep one entry in the caller's transaction and return its id. Raises as `close_action_box`."""
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

    It goes to the mailbox that has the action; about a letter or a sealed file a person sends it. Raises `ActionError`
    (`text-missing`, `text-too-long`) and as `store_message`.
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
    """Return the same for a check by the desk itself, which the vault alone records: nobody has read them."""
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
