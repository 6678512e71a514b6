"""Saved threads: the agency's messages about cases, with every entry about them, as the folder has them (WIRE.md §9.6).

An own entry is a note in `entries/`: its writer, time and kind, and its sealed box until the gateway has it
(threads.py). Its words are never kept readable. Answers that are reports are noted in `answers/`: the id of the request
and nothing else, since the report lies sealed in the spool.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from partner_sdk.client._partner_state import PartnerState, find_document
from partner_sdk.client.mailbox import OpenedMessage, read_message
from partner_sdk.durable_files import find_bytes, make_private_folder, write_durably
from partner_sdk.errors import FormatError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact, parse_time
from partner_sdk.wire.mailbox import (
    BODIES,
    MAX_ENTRY_BODY_BYTES,
    EntryKind,
    EntryPost,
    InformationRequest,
    MailboxMessage,
    MessageKind,
    Package,
    PreservationRequest,
    ServiceAlert,
    TermsReferral,
    ThreadMessage,
    parse_body,
)
from partner_sdk.wire.submission import ReportKind

ENTRIES: Final = "entries"
ANSWERS: Final = "answers"
_MAX_NOTE_BYTES: Final = 256
_MAX_KEPT_BYTES: Final = MAX_ENTRY_BODY_BYTES + 4096  # the box, and the note of it

ThreadKind = Literal["package", "information-request", "preservation-request", "terms-referral", "alert"]
PACKAGES: Final[tuple[ThreadKind, ...]] = ("package",)
QUESTIONS: Final[tuple[ThreadKind, ...]] = ("information-request",)
REQUESTS: Final[tuple[ThreadKind, ...]] = ("information-request", "preservation-request", "terms-referral")
ALERTS: Final[tuple[ThreadKind, ...]] = ("alert",)
ThreadBody = Package | InformationRequest | PreservationRequest | TermsReferral | ServiceAlert

# `waiting`: the partner's word is sealed, and the gateway does not have it yet.
ThreadState = Literal["open", "waiting", "acknowledged", "answered", "declined", "outcome", "recalled", "closed"]
OPEN_STATES: Final[Collection[ThreadState]] = frozenset({"open", "acknowledged"})
# The furthest of these entries gives a thread its state; an answer inside the thread of a package changes nothing.
_STATES: Final[dict[str, ThreadState]] = {
    "acknowledge": "acknowledged",
    "answer": "answered",
    "decline": "declined",
    "outcome": "outcome",
}


class AnswerNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request that a sealed response answers."""

    request_id: str


class KeptEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The note of one own entry; `post` is the sealed box until the gateway has it."""

    about: str
    by: str
    entry_id: str
    kind: EntryKind
    outcome: str | None
    post: EntryPost | None
    report_id: str | None
    sent_at: str | None
    written_at: str


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a thread, the agency's or an own one. Of an own one `text` is None: it is not kept.

    `sent_at` is None for an own entry that the gateway does not have yet.
    """

    at: str
    is_own: bool
    kind: str
    by: str
    entry_id: str
    text: str | None
    outcome: str | None = None
    report_id: str | None = None
    sent_at: str | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """A message of the agency about a case, with every entry about it, the oldest first.

    `body` is that of the message, but for the archive of a package: `Threads.open_package` reads it again.
    `answers` are the ids of reports that answer it. `is_asked`: the agency's last word is a question or a reminder.
    """

    kind: ThreadKind
    message_id: str
    number: int
    issued_at: str
    body: ThreadBody
    state: ThreadState
    lines: tuple[Line, ...]
    answers: tuple[str, ...]

    @property
    def is_asked(self) -> bool:
        """Return whether the agency waits for a word: its last entry asks, and no own one follows."""
        return bool(self.lines) and not self.lines[-1].is_own and self.lines[-1].kind in {"question", "reminder"}

    @property
    def has_open_question(self) -> bool:
        """Return whether the agency asked, or reminded, and no own answer follows."""
        lines = self.list_since_asked()
        return lines != self.lines and not any(line.is_own and line.kind == "answer" for line in lines)

    def list_since_asked(self) -> tuple[Line, ...]:
        """Return the entries after the agency's last question or reminder; all of them if it never asked in here."""
        asked = [
            place
            for place, line in enumerate(self.lines, start=1)
            if not line.is_own and line.kind in {"question", "reminder"}
        ]
        return self.lines[asked[-1] :] if asked else self.lines

    @property
    def due_at(self) -> datetime | None:
        """The time by which the agency wants the answer, or None."""
        due = getattr(self.body, "due_at", None)
        return None if due is None else parse_time(due)

    def is_overdue(self, now: datetime) -> bool:
        """Return whether its time has passed without a word that the gateway has."""
        return self.due_at is not None and self.state in {*OPEN_STATES, "waiting"} and now > self.due_at

    def find_own(self, kind: EntryKind) -> Line | None:
        """Return the first own entry of a kind, or None."""
        return next((line for line in self.lines if line.is_own and line.kind == kind), None)


@dataclass(frozen=True, slots=True)
class ThreadList:
    """Threads, and the numbers of messages that could not be read."""

    threads: tuple[Thread, ...]
    unreadable: tuple[int, ...]


def read_threads(
    state: PartnerState, *, kinds: Collection[ThreadKind], messages: Iterable[OpenedMessage] | None = None
) -> ThreadList:
    """Return the threads of these kinds in the saved messages, in the order of the mailbox."""
    if messages is None:
        messages = (read_message(state, number) for number in state.list_messages())
    lines: dict[str, list[Line]] = {}
    unreadable: list[int] = []
    first: list[tuple[MailboxMessage, ThreadKind, ThreadBody]] = []
    for opened in messages:
        kind = opened.message.kind
        try:
            if kind == "thread-message":
                said = parse_body(opened.body, body=ThreadMessage)
                lines.setdefault(said.about, []).append(_to_line(said, at=opened.message.issued_at))
            elif kind in kinds:
                # Without the message around it: one of a package has 2 MiB, and a force may hold thousands.
                head = msgspec.structs.replace(opened.message, body="")
                first.append((head, kind, _parse(opened)))  # type: ignore[arg-type] # it is one of `kinds`
        except FormatError:
            unreadable.append(opened.message.number)
    for kept in list_entries(state):
        lines.setdefault(kept.about, []).append(_to_own_line(kept))
    answers, delivered, undelivered = _list_answers(state), state.list_delivered(), set(state.list_undelivered())
    threads = []
    for message, kind, body in first:
        own = sorted(lines.get(message.message_id, ()), key=lambda line: (line.at, line.is_own))
        given = tuple(one for one in answers.get(message.message_id, ()) if one in delivered or one in undelivered)
        state_of_it = _get_state(kind, own, is_answered=any(one in delivered for one in given), is_given=bool(given))
        threads.append(
            Thread(kind, message.message_id, message.number, message.issued_at, body, state_of_it, tuple(own), given)
        )
    return ThreadList(threads=tuple(threads), unreadable=tuple(unreadable))


def _parse(opened: OpenedMessage) -> ThreadBody:
    body: ThreadBody = parse_body(opened.body, body=BODIES[opened.message.kind])  # type: ignore[type-var, assignment]
    if isinstance(body, InformationRequest) and body.request_id != opened.message.message_id:
        raise FormatError("A request has the id of its message.", reason="malformed")
    return msgspec.structs.replace(body, archive="") if isinstance(body, Package) else body


def _get_state(kind: MessageKind, lines: list[Line], *, is_answered: bool, is_given: bool) -> ThreadState:
    if any(line.kind == "recall" and not line.is_own for line in lines):
        return "recalled"
    if any(line.kind == "close" and not line.is_own for line in lines):
        return "closed"
    if is_answered:
        return "answered"
    deciding = [one for one in _STATES if one != "answer" or kind in REQUESTS]
    said = [line for line in lines if line.is_own and line.kind in deciding]
    if not said:
        return "waiting" if is_given else "open"
    furthest = max(said, key=lambda line: deciding.index(line.kind))
    return "waiting" if furthest.sent_at is None else _STATES[furthest.kind]


def _to_line(said: ThreadMessage, *, at: str) -> Line:
    return Line(at=at, is_own=False, kind=said.kind, by=said.by, entry_id=said.entry_id, text=said.text, sent_at=at)


def _to_own_line(kept: KeptEntry) -> Line:
    return Line(
        at=kept.written_at,
        is_own=True,
        kind=kept.kind,
        by=kept.by,
        entry_id=kept.entry_id,
        text=None,
        outcome=kept.outcome,
        report_id=kept.report_id,
        sent_at=kept.sent_at,
    )


def save_entry(state: PartnerState, kept: KeptEntry) -> None:
    """Keep the note of an own entry, before it is sent and after."""
    make_private_folder(state.folder / ENTRIES)
    write_durably(state.folder / ENTRIES / f"{kept.entry_id}.json", encode(kept))


def remove_entry(state: PartnerState, kept: KeptEntry) -> None:
    """Take away the note of an entry that the agency cannot open any more."""
    (state.folder / ENTRIES / f"{kept.entry_id}.json").unlink(missing_ok=True)


def list_entries(state: PartnerState) -> list[KeptEntry]:
    """Return the notes of all own entries, the oldest first; raises `LocalStateError` for a damaged one."""
    names = sorted(path.stem for path in (state.folder / ENTRIES).glob("[0-9a-f]*.json"))
    found = (find_entry(state, name) for name in names)
    return [one for one in found if one is not None]


def find_entry(state: PartnerState, entry_id: str) -> KeptEntry | None:
    check_report_id(entry_id)  # a file name is never built from anything else
    return find_document(state.folder / ENTRIES / f"{entry_id}.json", kind=KeptEntry, max_bytes=_MAX_KEPT_BYTES)


def note_answer(state: PartnerState, report_id: str, *, report: IndustryReport, kind: ReportKind) -> None:
    """Record the request that a response answers, before it is saved; nothing for another kind, or for free text."""
    if kind != "response" or report.answers_request is None:
        return
    try:
        check_report_id(report.answers_request)
    except FormatError:
        return  # it may be words about a person: those are only kept sealed
    make_private_folder(state.folder / ANSWERS)
    check_report_id(report_id)
    write_durably(state.folder / ANSWERS / f"{report_id}.json", encode(AnswerNote(request_id=report.answers_request)))


def _list_answers(state: PartnerState) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((state.folder / ANSWERS).glob("[0-9a-f]*.json")):
        raw = find_bytes(path) or b""
        try:
            note = parse_exact(raw, kind=AnswerNote, max_bytes=_MAX_NOTE_BYTES)
        except FormatError:
            continue  # the request then counts as open: better asked twice than forgotten
        found.setdefault(note.request_id, []).append(path.stem)
    return found
