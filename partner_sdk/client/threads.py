"""Writes to the agency about its messages: entries are signed, sealed and saved, and only then sent (WIRE.md §9.6).

An entry is made once and sent until the gateway has it: the same box again is the same entry. Never keeps its words.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._threads import (
    ALERTS,
    PACKAGES,
    REQUESTS,
    KeptEntry,
    Thread,
    ThreadKind,
    ThreadList,
    list_entries,
    read_threads,
    remove_entry,
    save_entry,
)
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, RETRIED_ERRORS
from partner_sdk.client.mailbox import read_message
from partner_sdk.errors import LocalStateError, MailboxError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.mailbox import EntryKind, Package, ThreadEntry, parse_body, seal_entry
from partner_sdk.wire.problems import UNKNOWN_AGENCY_KEY
from partner_sdk.wire.signing import KeySet, get_active_sealing_key

# With it comes all that sends, which a command that only reads the saved messages does not need.
if TYPE_CHECKING:
    from partner_sdk.client.packages import CheckedPackage, OpenedPackage
    from partner_sdk.client.transport import Transport


@dataclass(frozen=True, slots=True)
class EntryAttempt:
    """The outcome of one entry that had been waiting: it was sent, or the error that stopped it."""

    entry: KeptEntry
    error: ReportAbuseError | None


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of one partner: the agency's messages about cases, and the entries about them.

    for thread in partner.threads.read("package").threads:
        partner.threads.write(thread.message_id, kind="acknowledge", by="Sergeant Anna Example")
    """

    state: PartnerState
    transport: "Transport"
    get_key_set: Callable[[], KeySet]
    clock: Callable[[], datetime]
    patiently: Callable[[Callable[[], object]], object]
    make_id: Callable[[], str]

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
        profile, now = self.state.profile, self.clock()
        entry = ThreadEntry(
            about=about,
            by=by,
            created_at=format_time(now),
            entry_id=self.make_id(),
            environment=profile.environment,
            kind=kind,
            outcome=outcome,
            partner=profile.partner,
            report_id=report_id,
            text=text,
        )
        key = get_active_sealing_key(self.get_key_set(), now=now)
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
            self.patiently(lambda: self.transport.send("POST", path, body=body, max_bytes=MAX_SMALL_REPLY_BYTES))
        except ReportAbuseError as error:
            if error.reason == UNKNOWN_AGENCY_KEY.slug:
                remove_entry(self.state, kept)
                raise LocalStateError(
                    "The agency can no longer open these words, and neither can you: write them again.",
                    reason=error.reason,
                ) from None
            raise
        sent = msgspec.structs.replace(kept, post=None, sent_at=format_time(self.clock()))
        save_entry(self.state, sent)
        return sent

    def open_package(self, message_id: str, folder: Path) -> "OpenedPackage":
        """Check a saved package, and write its files into a new folder that only you can read.

            opened = partner.threads.open_package(thread.message_id, Path("package"))
            print(opened.manifest.reference, opened.files)

        Raises `MailboxError` (`no-such-message`, `recalled`, `wrong-package`, `altered`, ...), `StatementError` for a
        signature that does not hold, and `LocalStateError` (`exists`): nothing is written over.
        """
        # Loaded here: the reader of archives is a file for itself, and no other call needs it.
        from partner_sdk.client.packages import write_package

        return write_package(self.check_package(message_id), folder=folder)

    def check_package(self, message_id: str) -> "CheckedPackage":
        """Check a saved package and return its manifest and files, without writing any; raises as `open_package`."""
        from partner_sdk.client.packages import check_package

        thread = next((one for one in self.read(*PACKAGES).threads if one.message_id == message_id), None)
        if thread is None:
            raise MailboxError("No package with this id is saved in this folder.", reason="no-such-message")
        check_not_recalled(thread)
        return check_package(
            parse_body(read_message(self.state, thread.number).body, body=Package),
            message_id=message_id,
            key_set=self.get_key_set(),
            profile=self.state.profile,
            now=self.clock(),
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
        "The agency has asked nothing about this package; use `report-abuse-partner package ask`.",
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
