"""Commands of the post room and of alerts: send what is due, list it, acknowledge an alert. Never shows an address."""

import argparse
from dataclasses import asdict
from typing import Any, Final, TextIO

from gateway.desk.commands.frame import DONE, LOOK, Commands, add_command, add_group, get_actor, print_json, say
from gateway.desk.outbox.queue import KindName
from gateway.desk.outbox_kinds import SentOut
from gateway.desk.outbox_kinds import send_due as send_outbox
from gateway.desk.paging.pages import Paged, acknowledge_alert, list_pages, list_unacknowledged, send_pages
from gateway.desk.post_room.queue import list_post
from gateway.desk.post_room.sending import Posted, send_due
from gateway.desk.return_post.messages import NO_PLACE
from gateway.desk.unexpected import describe_unexpected
from gateway.desk.watch import settle_alarms
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import LocalStateError, ReportAbuseError

_MOST_ALERTS: Final = 50
# The kinds that go to the gateway, and the names of their counts.
_TO_GATEWAY: Final[dict[KindName, str]] = {
    "message": "messages_sent",
    "reply": "replies_sent",
    "stage": "stages_sent",
}


def run_post_send(parsed: argparse.Namespace) -> int:
    """Send the short notes and the page that are due; `collect` does the same at its end.

    Exit code 1 says that a note was given up, a carrier failed, or an alert was not delivered or acknowledged.
    """
    sent = send_what_waits(open_desk(parsed.state))
    if parsed.json:
        print_json(sent.as_json())
    else:
        sent.tell()
    if sent.error is not None:
        raise sent.error
    return DONE if sent.is_well else LOOK


def run_post_list(parsed: argparse.Namespace) -> int:
    """List the short notes that are not sent yet, by case; with --all also those that are done."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_post(connection, with_done=parsed.all)
    if parsed.json:
        print_json({"notes": [asdict(row) for row in rows]})
        return DONE
    for row in rows:
        when = row.sent_at or f"next try {row.next_try_at}"
        say(f"{row.id:5} {row.state:8} {row.channel:5} {row.case_id} tries {row.tries} {when} {row.last_error or ''}")
    if not rows:
        say("No note waits.")
    return DONE


def run_alert_list(parsed: argparse.Namespace) -> int:
    """List the alerts to the people on duty, the newest first; exit code 1 when one waits to be acknowledged."""
    with open_desk(parsed.state).store.read() as connection:
        rows = list_pages(connection, most=_MOST_ALERTS)
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
    if parsed.json:
        print_json({"acknowledged": count})
    else:
        say(f"You have {count} {'alert' if count == 1 else 'alerts'} in hand. Open the urgent cases now: `case list`.")
    return DONE


class WentOut:
    """What went out at the end of a run."""

    def __init__(self, posted: Posted, *, paged: Paged, outbox: SentOut) -> None:
        self.posted, self.paged, self.outbox = posted, paged, outbox

    @property
    def error(self) -> Exception | None:
        """The first error of what goes to the gateway."""
        return self.outbox.error

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        return not (self.list_refused() or self.posted.problems or self.paged.is_stuck or self.paged.unacknowledged)

    def list_refused(self) -> list[tuple[str, str, int]]:
        """Return what the gateway has refused, as kind, code and count; a reply without a place has its own alarm."""
        return [
            (kind, code, count)
            for kind in _TO_GATEWAY
            for code, count in sorted((self.outbox.of(kind).problems | self.outbox.failing.get(kind, {})).items())
            if code != NO_PLACE
        ]

    def as_json(self) -> dict[str, Any]:
        """Return counts and codes."""
        counts = {name: self.outbox.of(kind).sent for kind, name in _TO_GATEWAY.items()}
        return counts | {"notes": asdict(self.posted), "pages": asdict(self.paged)}

    def tell(self, *, to: TextIO | None = None) -> None:
        """Print the counts, and what a person has to know."""
        posted, paged = self.posted, self.paged
        say(f"{posted.sent} notes sent, {posted.held} held, {posted.given_up} given up, {posted.open} wait.", to=to)
        for code, count in sorted(posted.problems.items()):
            say(f"NOTE NOT SENT: {count} because of {code}. See `post list` and `doctor`.", to=to)
        for kind, code, count in self.list_refused():
            say(f"NOT SENT TO THE GATEWAY: {count} {kind} because of {code}. See `post list`.", to=to)
        if paged.sent:
            say(f"{paged.sent} alert(s) sent to the people on duty.", to=to)
        if paged.unacknowledged:
            say(f"ALERT NOT ACKNOWLEDGED: {paged.unacknowledged} urgent. See `alert list`.", to=to)
        for warning in paged.warnings:
            say(warning, to=to)


def send_what_waits(desk: Desk, *, is_silent: bool = False) -> WentOut:
    """Page first, then send the notes. A key or secret file that cannot be read is a problem's code, not an end.

    Neither is what nobody expected: it is told by its type, and the other goes on.
    """
    try:
        paged = send_pages(desk)
    except ReportAbuseError:
        raise
    except Exception as error:  # noqa: BLE001 - its words may be a report's
        paged = Paged(is_stuck=True, warnings=[f"ALERT NOT DELIVERED: unexpected, {describe_unexpected(error)}."])
    outbox = send_outbox(desk, is_silent=is_silent)
    try:
        posted = send_due(desk)
    except LocalStateError as error:
        # `collect --every` must not end over a note: it pages.
        posted = Posted(problems={error.reason: 1})
    except ReportAbuseError:
        raise
    except Exception as error:  # noqa: BLE001 - its words may be a report's
        posted = Posted(problems={f"unexpected, {describe_unexpected(error)}": 1})
    return WentOut(posted, paged=paged, outbox=outbox)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    group = add_group(commands, "post")
    add_command(group, "send", run=run_post_send, example="--json", group="post")
    listed = add_command(group, "list", run=run_post_list, example="--all", group="post")
    listed.add_argument("--all", action="store_true", help="also what was sent or given up")
    alerts = add_group(commands, "alert")
    add_command(alerts, "list", run=run_alert_list, example="--json", group="alert")
    acknowledge = add_command(alerts, "acknowledge", run=run_alert_acknowledge, example="7", group="alert")
    acknowledge.add_argument("number", type=int, metavar="NUMBER", help="its number in the list")
