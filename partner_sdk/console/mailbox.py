"""The mailbox for the pages: fetched when one opens, at most once a minute, and at a button; and its letters.

A message is acknowledged only once it is saved (client/mailbox.py). The fetch runs beside the page that asked for it,
so a gateway that is away or slow holds no page up for longer than a moment; the saved messages are always there.
Letters are the messages that ask nothing: outcomes, notices, digests and overviews. Those that no person of this folder
has looked at are shown as new.
"""

import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.mailbox import MailboxAlarm, OpenedMessage, read_digest, read_message
from partner_sdk.console.digests.view import parse_overview
from partner_sdk.console.page import (
    Console,
    describe_error,
    get_console,
    get_state,
    go_to,
    locate_fault,
    note_act,
    open_partner,
)
from partner_sdk.console.people import make_console_folder
from partner_sdk.durable_files import find_bytes, locked, write_durably
from partner_sdk.errors import FormatError, MailboxError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.wire.canonical import decode, encode, parse_exact
from partner_sdk.wire.digest import Digest, DigestNotice, Overview
from partner_sdk.wire.mailbox import (
    BODIES,
    MAX_BODY_BYTES,
    MessageKind,
    OutcomeNote,
    SetAsideNotice,
    Welcome,
    parse_body,
)
from partner_sdk.wire.mailbox import OUTCOMES as REPORT_OUTCOMES
from partner_sdk.wire.submission import SET_ASIDE_REASONS

blueprint = Blueprint("mailbox", __name__)

OUTCOMES: Final[tuple[MessageKind, ...]] = ("outcome", "set-aside", "welcome", "digest-not-published")
FIGURES: Final[tuple[MessageKind, ...]] = ("digest", "overview")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message with its body, e.g. an `OutcomeNote` or a `Digest`."""

    number: int
    issued_at: str
    body: Any


@dataclass(frozen=True, slots=True)
class News:
    """One line of the front page: new messages, and the page that shows them."""

    title: str
    endpoint: str
    values: dict[str, int]
    issued_at: str


def read_letters(state: PartnerState, kinds: Collection[MessageKind]) -> tuple[list[Letter], list[int]]:
    """Return the messages of these kinds, the newest first, and the numbers of those that cannot be read."""
    letters, unreadable = [], []
    for number in sorted(state.list_messages(), reverse=True):
        opened = read_message(state, number)
        if opened.message.kind not in kinds:
            continue
        try:
            letters.append(Letter(number, opened.message.issued_at, _read_body(state, opened)))
        except (FormatError, MailboxError):
            unreadable.append(number)
    return letters, unreadable


def _read_body(state: PartnerState, opened: OpenedMessage) -> Any:
    kind = opened.message.kind
    if kind == "digest":
        return read_digest(opened, profile=state.profile)
    if kind == "overview":
        return parse_overview(opened.body)
    if kind in {"digest-not-published", "welcome"}:
        return parse_exact(opened.body, kind=BODIES[kind], max_bytes=MAX_BODY_BYTES)
    return parse_body(opened.body, body=BODIES[kind])  # type: ignore[type-var] # it is one of those above


def say_letter(body: Any) -> str:
    """Return a message that asks nothing in one or two sentences."""
    if isinstance(body, OutcomeNote):
        return format_outcome(body.outcome)
    if isinstance(body, SetAsideNotice):
        return SET_ASIDE_REASONS[body.reason]
    if isinstance(body, DigestNotice):
        return f"The agency publishes no digest of {body.period}. There will be none for that period."
    return body.text if isinstance(body, Welcome) else ""


def list_news(state: PartnerState, *, seen: Collection[int]) -> list[News]:
    """Return the new messages for the front page: each digest, and the others in one line."""
    letters = [one for one in read_letters(state, (*OUTCOMES, *FIGURES))[0] if one.number not in seen]
    news = []
    others = [one for one in letters if not isinstance(one.body, (Digest, Overview))]
    if others:
        count = len(others)
        title = f"{count} new outcomes and notices" if count > 1 else "A new outcome or notice"
        news.append(News(title, "feedback.get_outcomes", {}, others[0].issued_at))
    for one in letters:
        if isinstance(one.body, (Digest, Overview)):
            values = {"number": one.number}
            news.append(News(f"New: {name_figures(one.body)}", "feedback.get_digest", values, one.issued_at))
    return news


def name_figures(body: Digest | Overview) -> str:
    """Return what a digest or an overview is of, e.g. `digest of 2026-Q3`."""
    return f"digest of {body.period}" if isinstance(body, Digest) else f"overview of {body.period}, all services"


_NAME: Final = "seen.json"


class _SeenFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    numbers: tuple[int, ...] = ()


class Seen:
    """The file in the console's folder; without it, or with a damaged one, every message is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / _NAME

    def list_numbers(self) -> frozenset[int]:
        """Return the numbers of the messages that were looked at."""
        try:
            return frozenset(decode(find_bytes(self._file) or b"{}", kind=_SeenFile).numbers)
        except msgspec.DecodeError:
            return frozenset()

    def add(self, numbers: Iterable[int]) -> None:
        """Note that these were shown."""
        wanted = frozenset(numbers)
        if wanted <= self.list_numbers():
            return
        with locked(self._folder):
            kept = self.list_numbers() | wanted
            write_durably(self._file, encode(_SeenFile(numbers=tuple(sorted(kept)))))


def get_seen() -> Seen:
    """Return the file of this request's console."""
    return Seen(make_console_folder(get_console().state))


MOST_OFTEN: Final = timedelta(minutes=1)
# A page shows what is saved after this wait; a person who pressed the button waits as long as a call to connect may.
PAGE_WAITS_SECONDS: Final = 1.5
BUTTON_WAITS_SECONDS: Final = 12.0
_FAILED: Final = "This program failed; what was collected before is saved."
_LOGGER: Final = logging.getLogger(__name__)
_EXTENSION: Final = "report_abuse_collector"


@dataclass(frozen=True, slots=True)
class Look:
    """The newest look into the mailbox. `error` are its words where it failed; `is_away`: no gateway answered."""

    ended_at: datetime | None = None
    count: int = 0
    alarms: tuple[MailboxAlarm, ...] = ()
    error: str | None = None
    is_away: bool = False
    is_running: bool = False


class Collector:
    """Fetches for one console, one fetch at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._began_at: datetime | None = None
        self._look = Look()

    def collect(self, *, is_asked: bool = False) -> Look:
        """Fetch if a minute has passed or a person asks, wait a moment, and return the newest look."""
        with self._lock:
            now = self._console.clock()
            is_due = self._began_at is None or abs(now - self._began_at) >= MOST_OFTEN
            if (is_due or is_asked) and (self._thread is None or not self._thread.is_alive()):
                self._began_at = now
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(BUTTON_WAITS_SECONDS if is_asked else PAGE_WAITS_SECONDS)
        return replace(self._look, is_running=thread is not None and thread.is_alive())

    def _run(self) -> None:
        try:
            with open_partner(console=self._console) as partner:
                delivery = partner.collect_mailbox()
        except ReportAbuseError as error:
            is_away = isinstance(error, (TransportError, UnavailableError))
            words = describe_error(error).title
            self._look = Look(self._console.clock(), alarms=self._look.alarms, error=words, is_away=is_away)
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it, and its traceback may quote a message
            self._look = Look(self._console.clock(), alarms=self._look.alarms, error=_FAILED)
            _LOGGER.error("Collecting failed: %s", locate_fault(error))  # noqa: TRY400 - for the same reason
        else:
            self._look = Look(self._console.clock(), count=len(delivery.messages), alarms=delivery.alarms)


@blueprint.record_once
def _bind(setup: object) -> None:
    app = setup.app  # type: ignore[attr-defined] # Flask's BlueprintSetupState
    with app.app_context():
        app.extensions[_EXTENSION] = Collector(get_console())


def collect(*, is_asked: bool = False) -> Look:
    """Look into the mailbox for the page of this request."""
    collector: Collector = current_app.extensions[_EXTENSION]
    return collector.collect(is_asked=is_asked)


@blueprint.post("/agency/collect")
def post_collect() -> ResponseReturnValue:
    """Fetch now."""
    look = collect(is_asked=True)
    note_act("mailbox-collected", about=f"message-{get_state().read_position().number}")
    if look.is_running:
        return go_to("agency.get_list", notice="Still collecting. The messages appear here as they come.")
    if look.error is not None or look.alarms:
        return go_to("agency.get_list")  # the page itself tells it
    several = f"{look.count} new messages." if look.count > 1 else "One new message."
    return go_to("agency.get_list", notice=several if look.count else "Nothing new.")


_OUTCOME_WORDS: Final = dict(REPORT_OUTCOMES)


def format_outcome(outcome: str) -> str:
    """Return the words for an outcome; one that a later release knows stands for itself."""
    return _OUTCOME_WORDS.get(outcome, outcome.replace("_", " "))
