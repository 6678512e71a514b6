"""Commands of the outbox and of alerts: send, list, send again, acknowledge. Never show an address."""

from dataclasses import asdict
from typing import Any, Final, TextIO

import click

from gateway.desk.outbox.alerts import (
    AlertsSent,
    acknowledge_alert,
    describe_alerts,
    find_unacknowledged,
    list_alerts,
    list_calls,
)
from gateway.desk.outbox.notes import list_notes
from gateway.desk.outbox.queue import NO_PLACE, KindName, list_entries
from gateway.desk.outbox_run import KINDS, SentOut, send_again, send_due
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_json, print_result, say
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import format_exception

_MOST_LISTED: Final = 200
_MOST_ALERTS: Final = 50
_TO_GATEWAY: Final = tuple(kind.name for kind in KINDS if kind.is_for_gateway)
_COUNT_NAMES: Final[dict[KindName, str]] = {
    "message": "messages_sent",
    "forget": "forget_lists_sent",
    "reply": "replies_sent",
    "stage": "stages_sent",
}


@desk_command(Permission.RUN_DESK, example="--json")
def outbox_send(call: Call) -> int:
    """Send every due entry: alerts, stages, messages, replies and notes.

    `collect` does the same at its end. Exit code 1: an entry was given up or refused, a carrier failed, or an alert was
    not delivered or acknowledged.
    """
    sent = send_outbox(open_desk(call.state))
    if call.as_json:
        print_json(sent.as_json())
    else:
        sent.tell()
    if sent.error is not None:
        raise sent.error
    return DONE if sent.is_well else LOOK


@desk_command(Permission.SEE_OUTBOX, example="--all")
@click.option("--all", "with_done", is_flag=True, help="The sent entries too.")
def outbox_list(call: Call, *, with_done: bool) -> int:
    """List the newest 200 entries that wait or were given up, by kind and the id of their record."""
    with open_desk(call.state).store.read() as connection:
        entries = list_entries(connection, most=_MOST_LISTED, with_done=with_done)
        notes = list_notes(connection, with_done=with_done)
    channels = {note.id: f" by {note.channel}" for note in notes}
    lines = (
        f"{entry.id:5} {entry.state:8} {entry.kind}{channels.get(entry.id, '')} {entry.subject} tries {entry.tries} "
        f"{entry.done_at or f'next try {entry.next_try_at}'} {entry.last_error or ''}"
        for entry in entries
    )
    found = {"entries": [asdict(entry) for entry in entries], "notes": [asdict(note) for note in notes]}
    return print_result(call, found, *lines, empty="Nothing is waiting.")


@desk_command(Permission.SEND_AGAIN, example="12")
@click.argument("number", type=int, help="Its number in the list.")
def outbox_retry(call: Call, number: int) -> int:
    """Send an entry again that has failed or was given up."""
    entry = send_again(open_desk(call.state), number, actor=call.actor)
    return print_result(
        call,
        {"kind": entry.kind, "number": entry.id},
        f"The {entry.kind} {entry.subject} goes with the next `outbox send` or `collect`.",
    )


@desk_command(Permission.SEE_OUTBOX, example="--json")
def alert_list(call: Call) -> int:
    """List the alerts to the people on duty, the newest first, and each of their notices.

    Exit code 1 when one is not acknowledged.
    """
    with open_desk(call.state).store.read() as connection:
        rows = list_alerts(connection, most=_MOST_ALERTS)
        calls = list_calls(connection, [row.id for row in rows])
        waiting = find_unacknowledged(connection)
    called = {row.id: [one for one in calls if one.alert_id == row.id] for row in rows}
    if call.as_json:
        alerts = [
            asdict(row) | {"waits": row == waiting, "calls": [asdict(one) for one in called[row.id]]} for row in rows
        ]
        print_json({"alerts": alerts})
    for row in [] if call.as_json else rows:
        words = "" if row.told else ", NOT SENT"
        if row.acknowledged_at:
            words = f", acknowledged by {row.acknowledged_by} at {row.acknowledged_at}"
        elif row == waiting:
            words = ", NOT ACKNOWLEDGED"
        say(f"{row.id:5} {row.count} urgent since {row.first_at}{words}")
        for one in called[row.id]:
            result = "taken" if one.taken_at else f"not taken: {one.failed_because or 'cut off'}"
            say(f"      {one.called_at} {one.rung}, {result}")
    if not rows and not call.as_json:
        say("No alert has been raised yet.")
    return DONE if waiting is None else LOOK


@desk_command(Permission.TAKE_ALERTS, example="7")
@click.argument("number", type=int, help="Its number in the list.")
def alert_acknowledge(call: Call, number: int) -> int:
    """Acknowledge the open alert, by its number: it calls no further rung."""
    desk = open_desk(call.state)
    with desk.store.write() as connection:
        count = acknowledge_alert(connection, number, actor=call.actor, now=desk.clock())
    settle_alarms(desk)
    return print_result(
        call,
        {"acknowledged": count},
        f"You have {count} urgent {'case' if count == 1 else 'cases'} in hand.",
        f"Open the urgent cases now: {suggest('case list')}",
    )


class OutboxRun:
    """The results of a run that sends, as lines and as JSON."""

    def __init__(self, sent: SentOut, *, alerts: AlertsSent) -> None:
        self.error = sent.error
        self._sent, self._alerts, self._notes = sent, alerts, sent.of("note")

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        is_alerted = not (self._alerts.is_stuck or self._alerts.unacknowledged)
        return is_alerted and not (self._list_refused() or self._notes.problems or self._notes.error)

    def _list_refused(self) -> list[tuple[str, str, int]]:
        """Return the gateway's refusals as kind, code and count; a reply without a place has its own alarm."""
        return [
            (kind, code, count)
            for kind in _TO_GATEWAY
            for code, count in sorted((self._sent.of(kind).problems | self._sent.failing.get(kind, {})).items())
            if code != NO_PLACE
        ]

    def as_json(self) -> dict[str, Any]:
        """Return counts and codes."""
        counts = {_COUNT_NAMES[kind]: self._sent.of(kind).sent for kind in _TO_GATEWAY}
        return counts | {"notes": self._notes.as_json(), "alerts": asdict(self._alerts)}

    def tell(self, *, to: TextIO | None = None) -> None:
        """Print the counts and everything that waits for a person."""
        notes, alerts = self._notes, self._alerts
        say(f"{notes.sent} notes sent, {notes.held} held, {notes.given_up} given up, {notes.open} waiting.", to=to)
        for code, count in sorted(notes.problems.items()):
            say(f"NOTE NOT SENT: {count} because of {code}. See `outbox list` and `doctor`.", to=to)
        if notes.error is not None:
            say(f"NOTES NOT SENT: unexpected, {format_exception(notes.error)}.", to=to)
        for kind, code, count in self._list_refused():
            say(f"NOT SENT TO THE GATEWAY: {count} {kind} because of {code}. See `outbox list`.", to=to)
        if alerts.sent:
            say(f"{alerts.sent} alert(s) sent to the people on duty.", to=to)
        if alerts.unacknowledged:
            say(f"ALERT NOT ACKNOWLEDGED: {alerts.unacknowledged} urgent. See `alert list`.", to=to)
        for warning in alerts.warnings:
            say(warning, to=to)


def send_outbox(desk: Desk, *, is_silent: bool = False) -> OutboxRun:
    """Send every due entry, alerts first. A failure holds back nothing else and is reported at the end."""
    sent = send_due(desk, is_silent=is_silent)
    return OutboxRun(sent, alerts=describe_alerts(desk, sent.of("alert")))
