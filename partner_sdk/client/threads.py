"""Threads: the agency's messages about cases, and every entry about them, read, written and sent (WIRE.md §9.6).

An entry is signed, sealed and saved, and only then sent, until the gateway has it: the same box again is the same
entry. An own entry is a note in `entries/`: its writer, time and kind, and its sealed box until the gateway has it. Its
words are never kept readable. Answers that are reports are noted in `answers/`: the id of the request and nothing else,
since the report lies sealed in the spool.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from partner_sdk.client._partner_state import GatewaySession, PartnerState, find_document
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, RETRIED_ERRORS
from partner_sdk.client.mailbox import OpenedMessage, read_message
from partner_sdk.durable_files import find_bytes, make_private_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError, MailboxError, ReportAbuseError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id, encode, format_time, parse_exact, parse_time
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
    ThreadEntry,
    ThreadMessage,
    parse_body,
    seal_entry,
)
from partner_sdk.wire.problems import UNKNOWN_AGENCY_KEY
from partner_sdk.wire.signing import get_active_sealing_key
from partner_sdk.wire.submission import ReportKind

if TYPE_CHECKING:
    from partner_sdk.reader.packages import CheckedPackage, OpenedPackage

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


class Line(msgspec.Struct, frozen=True):
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


class Thread(msgspec.Struct, frozen=True):
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


class ThreadList(msgspec.Struct, frozen=True):
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
                at = opened.message.issued_at
                line = Line(at, False, said.kind, said.by, said.entry_id, said.text, sent_at=at)
                lines.setdefault(said.about, []).append(line)
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


class EntryAttempt(msgspec.Struct, frozen=True):
    """The outcome of one entry that had been waiting: it was sent, or the error that stopped it."""

    entry: KeptEntry
    error: ReportAbuseError | None


class Threads(msgspec.Struct, frozen=True):
    """The threads of one partner: the agency's messages about cases, and the entries about them.

    for thread in partner.threads.read("package").threads:
        partner.threads.write(thread.message_id, kind="acknowledge", by="Sergeant Anna Example")
    """

    session: GatewaySession

    @property
    def state(self) -> PartnerState:
        """The partner's folder."""
        return self.session.state

    def read(self, *kinds: ThreadKind) -> ThreadList:
        """Return the saved threads of these kinds, or of all, without any network."""
        return read_threads(self.state, kinds=kinds or (*PACKAGES, *REQUESTS, *ALERTS))

    def write(
        self,
        about: str,
        *,
        kind: EntryKind,
        by: str,
        text: str = "",
        outcome: str | None = None,
        report_id: str | None = None,
        again: bool = False,
    ) -> KeptEntry:
        """Sign, seal, save and send one entry about a message, by its id; return the note of it.

        Raises `FormatError` before anything is saved, e.g. for a blank question; `MailboxError` as `check_may_write`.
        One that repeats or contradicts an earlier word is refused too, but with `again` (`check_not_said`).
        When sending fails (`TransportError`, `ProblemError`) it stays in the folder, and `send_waiting` sends it.
        """
        return self.send(
            self.seal(about, kind=kind, by=by, text=text, outcome=outcome, report_id=report_id, again=again)
        )

    def seal(
        self,
        about: str,
        *,
        kind: EntryKind,
        by: str,
        text: str = "",
        outcome: str | None = None,
        report_id: str | None = None,
        again: bool = False,
    ) -> KeptEntry:
        """Sign, seal and save an entry, and send nothing; raises as `write`, and `SealingError` without a key."""
        thread = next((one for one in self.read().threads if one.message_id == about), None)
        if thread is None:
            raise MailboxError("No message with this id is saved in this folder.", reason="no-such-message")
        check_may_write(thread, kind=kind)
        if not again:
            check_not_said(thread, kind=kind, outcome=outcome)
        profile, now = self.state.profile, self.session.clock()
        entry = ThreadEntry(
            about=about,
            by=by,
            created_at=format_time(now),
            entry_id=self.session.make_id(),
            environment=profile.environment,
            kind=kind,
            outcome=outcome,
            partner=profile.partner,
            report_id=report_id,
            text=text,
        )
        key = get_active_sealing_key(self.session.get_key_set(), now=now)
        post = seal_entry(entry, submission_key=self.state.load_submission_key(), agency_key=key)
        kept = KeptEntry(
            about=about,
            by=by,
            entry_id=entry.entry_id,
            kind=kind,
            outcome=outcome,
            post=post,
            report_id=report_id,
            sent_at=None,
            written_at=entry.created_at,
        )
        save_entry(self.state, kept)
        return kept

    def send(self, kept: KeptEntry) -> KeptEntry:
        """Send a sealed entry until the gateway has it or patience ends; return the note of it without the box.

        One that the agency can no longer open (`unknown-agency-key`) is removed: it has to be written again.
        """
        if kept.post is None:
            return kept
        path, body = f"/v1/mailbox/{kept.about}/entries", encode(kept.post)
        try:
            self.session.send_patiently(
                lambda: self.session.transport.send("POST", path, body=body, max_bytes=MAX_SMALL_REPLY_BYTES)
            )
        except ReportAbuseError as error:
            if error.reason == UNKNOWN_AGENCY_KEY.slug:
                (self.state.folder / ENTRIES / f"{kept.entry_id}.json").unlink(missing_ok=True)
                raise LocalStateError(
                    "The agency can no longer open these words, and neither can you: write them again.",
                    reason=error.reason,
                ) from None
            raise
        sent = msgspec.structs.replace(kept, post=None, sent_at=format_time(self.session.clock()))
        save_entry(self.state, sent)
        return sent

    def open_package(self, message_id: str, folder: Path) -> "OpenedPackage":
        """Check a saved package, and write its files into a new folder that only you can read.

            opened = partner.threads.open_package(thread.message_id, Path("package"))
            print(opened.manifest.reference, opened.files)

        Needs report-abuse-partner-reader. Raises `MailboxError` (`no-such-message`, `recalled`, `wrong-package`,
        `altered`, ...), `StatementError` for a signature that does not hold, and `LocalStateError` (`exists`): nothing
        is written over.
        """
        package = self.check_package(message_id)
        from partner_sdk.reader.packages import write_package

        return write_package(package, folder=folder)

    def check_package(self, message_id: str) -> "CheckedPackage":
        """Check a saved package and return its manifest and files, without writing any; raises as `open_package`."""
        try:
            from partner_sdk.reader.packages import check_package
        except ModuleNotFoundError:
            raise LocalStateError(
                "Packages are read by a package of its own: pip install report-abuse-partner-reader", reason="no-extra"
            ) from None
        thread = next((one for one in self.read(*PACKAGES).threads if one.message_id == message_id), None)
        if thread is None:
            raise MailboxError("No package with this id is saved in this folder.", reason="no-such-message")
        check_not_recalled(thread)
        return check_package(
            parse_body(read_message(self.state, thread.number).body, body=Package),
            message_id=message_id,
            key_set=self.session.get_key_set(),
            environment=self.state.profile.environment,
            now=self.session.clock(),
        )

    def list_waiting(self) -> list[KeptEntry]:
        """Return the entries that the gateway does not have yet, the oldest first."""
        return [kept for kept in list_entries(self.state) if kept.post is not None]

    def send_waiting(self) -> list[EntryAttempt]:
        """Send every waiting entry; one that is refused does not stop the others.

        After one that got no answer, 5xx or 429, the rest are not tried: they have the same error.
        """
        attempts: list[EntryAttempt] = []
        unanswered: ReportAbuseError | None = None
        for kept in self.list_waiting():
            if unanswered is not None:
                attempts.append(EntryAttempt(kept, unanswered))
                continue
            try:
                attempts.append(EntryAttempt(self.send(kept), None))
            except ReportAbuseError as error:
                unanswered = error if isinstance(error, RETRIED_ERRORS) else None
                attempts.append(EntryAttempt(kept, error))
        return attempts


def check_may_write(thread: Thread, *, kind: EntryKind) -> None:
    """Raise `MailboxError` for an entry that would mislead the agency.

    `recalled`: the agency took the message back, so only a question or a note may follow; `acknowledged-already`:
    a person has taken it on before.
    """
    if kind not in {"question", "note"}:
        check_not_recalled(thread)
    earlier = thread.find_own("acknowledge")
    if kind == "acknowledge" and earlier is not None:
        raise MailboxError(f"{earlier.by} acknowledged it already, at {earlier.at}.", reason="acknowledged-already")


# The earlier own words that a new one repeats or contradicts; a package may be answered and then declined.
_SAID_ABOUT_REQUESTS: Final[Mapping[EntryKind, Collection[str]]] = {
    "answer": {"answer", "decline"},
    "decline": {"answer", "decline"},
}
_SAID_ABOUT_PACKAGES: Final[Mapping[EntryKind, Collection[str]]] = {
    "acknowledge": {"decline"},
    "answer": {"answer"},
    "decline": {"decline", "outcome"},
    "outcome": {"decline", "outcome"},
}
_DONE: Final = {"answer": "answered this", "decline": "declined this", "outcome": "told this outcome"}


def check_not_said(thread: Thread, *, kind: EntryKind, outcome: str | None = None) -> None:
    """Raise `MailboxError` (`said-already`) for a word that repeats or contradicts one that the agency has or will get.

    A sent word cannot be taken back, so it is refused and not only warned about. A new question of the agency, or its
    reminder, opens a request again; a package may have several outcomes, each once.
    """
    is_request = thread.kind in REQUESTS
    said = (_SAID_ABOUT_REQUESTS if is_request else _SAID_ABOUT_PACKAGES).get(kind, ())
    lines = thread.list_since_asked() if is_request or kind == "answer" else thread.lines
    for line in lines:
        is_other_outcome = line.kind == kind == "outcome" and line.outcome != outcome
        if line.is_own and line.kind in said and not is_other_outcome:
            told = (
                "nothing was sent now" if line.sent_at else "it waits, and `report-abuse-partner spool flush` sends it"
            )
            raise _make_said_already(f"{line.by} {_DONE[line.kind]} at {line.at}: {told}.")
    if said and is_request and thread.answers and lines == thread.lines:
        raise _make_said_already(f"Your report {thread.answers[-1]} answers this: nothing was sent now.")


def check_asked(thread: Thread) -> None:
    """Raise `MailboxError` (`nothing-asked`) for an answer to a package about which the agency asks nothing."""
    if thread.kind not in PACKAGES or thread.has_open_question:
        return
    check_not_recalled(thread)
    check_not_said(thread, kind="answer")
    raise MailboxError(
        "The agency has asked nothing about this package: write a question or a note.",
        reason="nothing-asked",
    )


def _make_said_already(said: str) -> MailboxError:
    return MailboxError(f"{said} To send this as well, add --again.", reason="said-already")


def check_not_recalled(thread: Thread) -> None:
    """Raise `MailboxError` (`recalled`) for a message that the agency took back."""
    if thread.state == "recalled":
        raise MailboxError(
            "The agency took this back: do not use it any more, and delete your copies. You can still ask about it.",
            reason="recalled",
        )
