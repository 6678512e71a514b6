"""The kinds of outgoing messages as a table in the order of sending, and the run that sends them all.

Never shows an address.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final, TextIO

from sqlalchemy import Connection, Row, select

from gateway.desk.cases.actions.sending import ActionSender, write_action_messages, write_reminders
from gateway.desk.cases.stages import StageSender, queue_due_stages, write_outcome_notes
from gateway.desk.office.terminal import say
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import AlertSender, AlertsSent, PasskeyMailSender, count_waiting_anew, describe_alerts
from gateway.desk.outbox.queue import (
    NO_PLACE,
    GiveUp,
    KindName,
    OutboxError,
    OutboxKind,
    OutboxRow,
    Outcome,
    Run,
    Sender,
    count_failing,
    send_kind,
    try_again,
)
from gateway.desk.outbox.replies import GIVE_UP_AFTER, LEASE, NoteSender, ReplySender, forget_old_notes
from gateway.desk.store.schema import DESTRUCTIONS
from gateway.web.logs import format_exception
from partner_sdk.wire.canonical import parse_time

# A refused entry waits an hour at most, so that it leaves soon after the fault is fixed; it is given up after 15 hours.
_FEED: Final[dict[str, Any]] = {
    "is_for_gateway": True,
    "lease": timedelta(minutes=2),
    "longest_wait": timedelta(hours=1),
    "most_tries": 20,
}


def _write_due_messages(desk: Desk) -> None:
    try:
        write_outcome_notes(desk)
    finally:
        try:
            write_action_messages(desk)
        finally:
            write_reminders(desk)


@dataclass(frozen=True, slots=True)
class ForgetSender(Sender):
    """Sends the signed lists of reports that the gateway is to forget. Its answer is the confirmation."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> bytes:
        """Return the list as it was signed."""
        mine = DESTRUCTIONS.c.destruction_id == row.subject
        return bytes(connection.execute(select(DESTRUCTIONS.c.forget).where(mine)).scalar_one())

    def send(self, items: Sequence[bytes]) -> list[GiveUp | None]:
        """Send each list."""
        for signed in items:
            self.run.feed.put_list("forget", signed)
        return [None] * len(items)


KINDS: Final = (
    # Open until a person has it. If no level takes it, each run reports it and tries again within a minute.
    OutboxKind(
        "alert",
        AlertSender,
        lease=timedelta(minutes=2),
        longest_wait=timedelta(seconds=45),
        before=count_waiting_anew,
    ),
    OutboxKind("stage", StageSender, most_at_once=200, before=queue_due_stages, **_FEED),
    # One at a time: a message may be a megabyte, and each keeps its place in its partner's mailbox.
    OutboxKind("message", ActionSender, before=_write_due_messages, **_FEED),
    OutboxKind("reply", ReplySender, most_at_once=50, **_FEED),
    OutboxKind("forget", ForgetSender, **_FEED),
    OutboxKind(
        "note",
        NoteSender,
        lease=LEASE,
        longest_wait=timedelta(hours=6),
        most_a_run=500,
        within=timedelta(minutes=1),
        too_late_after=GIVE_UP_AFTER,
        is_tried_after_slip=False,
        before=forget_old_notes,
    ),
    OutboxKind(
        "passkey",
        PasskeyMailSender,
        lease=timedelta(minutes=2),
        within=timedelta(minutes=1),
        longest_wait=timedelta(hours=1),
        too_late_after=timedelta(days=3),
    ),
)


_TO_GATEWAY: Final = tuple(kind.name for kind in KINDS if kind.is_for_gateway)
_COUNT_NAMES: Final[dict[KindName, str]] = {
    "message": "messages_sent",
    "forget": "forget_lists_sent",
    "reply": "replies_sent",
    "stage": "stages_sent",
}


@dataclass(slots=True)
class SentOut:
    """The results of one run, by kind, as lines and as JSON."""

    by_kind: dict[KindName, Outcome] = field(default_factory=dict)
    # For messages to the gateway: the first failure, and entries waiting for another try, by kind and code.
    error: Exception | None = None
    failing: dict[KindName, dict[str, int]] = field(default_factory=dict)
    alerts: AlertsSent = field(default_factory=AlertsSent)

    def of(self, kind: KindName) -> Outcome:
        """Return the result for one kind."""
        return self.by_kind.get(kind) or Outcome()

    def raise_first(self) -> None:
        """Raise the first error of the messages to the gateway."""
        if self.error is not None:
            raise self.error

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        notes, is_alerted = self.of("note"), not (self.alerts.is_stuck or self.alerts.unacknowledged)
        return is_alerted and not (self._list_refused() or notes.problems or notes.error)

    def _list_refused(self) -> list[tuple[str, str, int]]:
        """Return the gateway's refusals as kind, code and count; a reply without a place has its own alarm."""
        return [
            (kind, code, count)
            for kind in _TO_GATEWAY
            for code, count in sorted((self.of(kind).problems | self.failing.get(kind, {})).items())
            if code != NO_PLACE
        ]

    def as_json(self) -> dict[str, Any]:
        """Return counts and codes."""
        counts = {_COUNT_NAMES[kind]: self.of(kind).sent for kind in _TO_GATEWAY}
        return counts | {"notes": self.of("note").as_json(), "alerts": asdict(self.alerts)}

    def tell(self, *, to: TextIO | None = None) -> None:
        """Print the counts and everything that waits for a person."""
        notes, alerts = self.of("note"), self.alerts
        say(f"{notes.sent} notes sent, {notes.held} held, {notes.given_up} given up, {notes.open} waiting.", to=to)
        for code, count in sorted(notes.problems.items()):
            say(f"NOTE NOT SENT: {count} because of {code}. See `doctor`.", to=to)
        if notes.error is not None:
            say(f"NOTES NOT SENT: unexpected, {format_exception(notes.error)}.", to=to)
        for kind, code, count in self._list_refused():
            say(f"NOT SENT TO THE GATEWAY: {count} {kind} because of {code}. See the page Outbox.", to=to)
        if alerts.sent:
            say(f"{alerts.sent} alert(s) sent to the people on duty.", to=to)
        if alerts.unacknowledged:
            say(f"ALERT NOT ACKNOWLEDGED: {alerts.unacknowledged} urgent. See the page Outbox.", to=to)
        for warning in alerts.warnings:
            say(warning, to=to)


def send_due(desk: Desk, *, only: Collection[KindName] | None = None, is_silent: bool = False) -> SentOut:
    """Send every due entry. A failure is kept in the outcome of its kind; only the desk's database raises.

    `is_silent`: the gateway did not answer a moment ago, so nothing is sent to it.
    """
    run, sent = Run(desk, is_silent=is_silent), SentOut()
    for kind in KINDS:
        if only is None or kind.name in only:
            outcome = sent.by_kind[kind.name] = send_kind(run, kind)
            if kind.is_for_gateway:
                sent.error = sent.error or outcome.error
                with desk.store.read() as connection:
                    sent.failing[kind.name] = count_failing(connection, kind.name)
    return sent


def send_again(desk: Desk, number: int, *, actor: str) -> OutboxRow:
    """Release an entry that failed or was given up to the next run, and return it as it was. Raises `OutboxError`."""
    now = desk.clock()
    with desk.store.write() as connection:
        row = try_again(connection, number, actor=actor, now=now)
        too_late_after = next(kind.too_late_after for kind in KINDS if kind.name == row.kind)
        if too_late_after is not None and now - parse_time(row.queued_at) >= too_late_after:
            raise OutboxError(
                "This note is too old to send: its text would be wrong. Answer the person in a way they picked.",
                reason="too-late",
            )
    return row


def send_outbox(desk: Desk, *, is_silent: bool = False) -> SentOut:
    """Send every due entry, alerts first. A failure holds back nothing else and is reported at the end."""
    sent = send_due(desk, is_silent=is_silent)
    sent.alerts = describe_alerts(desk, sent.of("alert"))
    return sent
