"""Commands of the outbox and of alerts: send, list, send again, acknowledge. Never show an address."""

import argparse
from dataclasses import asdict
from typing import Any, Final, TextIO

from gateway.desk.outbox.alert_sending import AlertsSent, describe_alerts
from gateway.desk.outbox.alerts import acknowledge_alert, list_alerts, list_unacknowledged
from gateway.desk.outbox.notes import list_notes
from gateway.desk.outbox.queue import NO_PLACE, KindName, list_entries
from gateway.desk.outbox_run import KINDS, SentOut, send_again, send_due
from gateway.desk.terminal import DONE, LOOK, Commands, add_group, get_actor, print_json, print_result, say
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import format_exception

_MOST_LISTED: Final = 200
_MOST_ALERTS: Final = 50
_TO_GATEWAY: Final = tuple(kind.name for kind in KINDS if kind.is_for_gateway)
_COUNT_NAMES: Final[dict[KindName, str]] = {
    "message": "messages_sent",
    "reply": "replies_sent",
    "stage": "stages_sent",
}


def run_outbox_send(parsed: argparse.Namespace) -> int:
    """Send all that waits: alerts, stages, messages, replies and notes; `collect` does the same at its end.

    Exit code 1 says that something was given up or refused, a carrier failed, or an alert was not delivered or
    acknowledged.
    """
    sent = send_what_waits(open_desk(parsed.state))
    if parsed.json:
        print_json(sent.as_json())
    else:
        sent.tell()
    if sent.error is not None:
        raise sent.error
    return DONE if sent.is_well else LOOK


def run_outbox_list(parsed: argparse.Namespace) -> int:
    """List what waits or was given up, by kind and the id of its record; with --all also what was sent.

    The newest 200; notes that wait are listed by case as well.
    """
    with open_desk(parsed.state).store.read() as connection:
        entries = list_entries(connection, most=_MOST_LISTED, with_done=parsed.all)
        notes = list_notes(connection, with_done=parsed.all)
    channels = {note.id: f" by {note.channel}" for note in notes}
    lines = (
        f"{entry.id:5} {entry.state:8} {entry.kind}{channels.get(entry.id, '')} {entry.subject} tries {entry.tries} "
        f"{entry.done_at or f'next try {entry.next_try_at}'} {entry.last_error or ''}"
        for entry in entries
    )
    found = {"entries": [asdict(entry) for entry in entries], "notes": [asdict(note) for note in notes]}
    return print_result(parsed, found, *lines, empty="Nothing waits.")


def run_outbox_retry(parsed: argparse.Namespace) -> int:
    """Let the next run send an entry again that was given up or has failed, by its number in the list."""
    entry = send_again(open_desk(parsed.state), parsed.number, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"kind": entry.kind, "number": entry.id},
        f"The {entry.kind} {entry.subject} goes with the next `outbox send` or `collect`.",
    )


def run_alert_list(parsed: argparse.Namespace) -> int:
    """List the alerts to the people on duty, the newest first; exit code 1 when one waits to be acknowledged."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_alerts(connection, most=_MOST_ALERTS)
        waiting = {row.id for row in list_unacknowledged(connection)}
    if parsed.json:
        print_json({"alerts": [asdict(row) | {"waits": row.id in waiting} for row in rows]})
    for row in [] if parsed.json else rows:
        words = f"sent {row.sent_at}" if row.sent_at else "NOT SENT"
        if row.acknowledged_at:
            words = f"{words}, {row.acknowledged_by} has it since {row.acknowledged_at}"
        elif row.id in waiting:
            words = f"{words}, NOBODY HAS IT YET" + (f", repeated {row.repeats} times" if row.repeats else "")
        say(f"{row.id:5} {row.target:12} {row.count} urgent since {row.first_at}, {words}")
    if not rows and not parsed.json:
        say("No alert was raised yet.")
    return LOOK if waiting else DONE


def run_alert_acknowledge(parsed: argparse.Namespace) -> int:
    """Say that you have an alert, and every earlier one, in hand: it is not sent again."""
    desk = open_desk(parsed.state)
    with desk.store.write() as connection:
        count = acknowledge_alert(connection, parsed.number, actor=get_actor(parsed), now=desk.clock())
    settle_alarms(desk)
    return print_result(
        parsed,
        {"acknowledged": count},
        f"You have {count} {'alert' if count == 1 else 'alerts'} in hand. Open the urgent cases now: `case list`.",
    )


class WentOut:
    """What went out at the end of a run, in words and as an exit code."""

    def __init__(self, sent: SentOut, *, alerts: AlertsSent) -> None:
        self.error = sent.error
        self._sent, self._alerts, self._notes = sent, alerts, sent.of("note")

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        is_alerted = not (self._alerts.is_stuck or self._alerts.unacknowledged)
        return is_alerted and not (self._list_refused() or self._notes.problems or self._notes.error)

    def _list_refused(self) -> list[tuple[str, str, int]]:
        """Return what the gateway has refused, as kind, code and count; a reply without a place has its own alarm."""
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
        """Print the counts, and what a person has to know."""
        notes, alerts = self._notes, self._alerts
        say(f"{notes.sent} notes sent, {notes.held} held, {notes.given_up} given up, {notes.open} wait.", to=to)
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


def send_what_waits(desk: Desk, *, is_silent: bool = False) -> WentOut:
    """Send all that is due, alerts first. What fails is told at the end, and keeps back nothing else."""
    sent = send_due(desk, is_silent=is_silent)
    return WentOut(sent, alerts=describe_alerts(desk, sent.of("alert")))


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "outbox")
    add("send", run=run_outbox_send, example="--json")
    listed = add("list", run=run_outbox_list, example="--all")
    listed.add_argument("--all", action="store_true", help="also what was sent")
    retry = add("retry", run=run_outbox_retry, example="12")
    retry.add_argument("number", type=int, metavar="NUMBER", help="its number in the list")
    add_alert = add_group(commands, "alert")
    add_alert("list", run=run_alert_list, example="--json")
    acknowledge = add_alert("acknowledge", run=run_alert_acknowledge, example="7")
    acknowledge.add_argument("number", type=int, metavar="NUMBER", help="its number in the list")
