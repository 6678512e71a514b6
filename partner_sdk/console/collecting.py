"""Fetching of the mailbox for the pages: when one opens, at most once a minute, and at a button.

A message is acknowledged only once it is saved (client/mailbox.py). The fetch runs beside the page that asked for it,
so a gateway that is away or slow holds no page up for longer than a moment; the saved messages are always there.
"""

import logging
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from partner_sdk.client.mailbox import MailboxAlarm
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
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

blueprint = Blueprint("collecting", __name__)
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
