"""Commands of the post room: send the short notes that are due, and list them. Never shows an address."""

import argparse
from dataclasses import asdict
from typing import Any, TextIO

from gateway.desk.commands.frame import DONE, LOOK, Commands, add_command, add_group, print_json, say
from gateway.desk.paging.pages import Paged, send_pages
from gateway.desk.post_room.queue import list_post
from gateway.desk.post_room.sending import Posted, send_due
from gateway.desk.unexpected import describe_unexpected
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.errors import LocalStateError, ReportAbuseError


def run_post_send(parsed: argparse.Namespace) -> int:
    """Send the short notes and the page that are due; `collect` does the same at its end.

    Exit code 1 says that a note was given up, a carrier failed, or an urgent page was not delivered.
    """
    sent = send_what_waits(open_desk(parsed.state))
    if parsed.json:
        print_json(sent.as_json())
    else:
        sent.tell()
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


class SentOut:
    """What went out at the end of a run: notes and pages."""

    def __init__(self, posted: Posted, *, paged: Paged) -> None:
        self.posted, self.paged = posted, paged

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person."""
        return not (self.posted.problems or self.paged.is_stuck)

    def as_json(self) -> dict[str, Any]:
        """Return counts and codes."""
        return {"notes": asdict(self.posted), "pages": asdict(self.paged)}

    def tell(self, *, to: TextIO | None = None) -> None:
        """Print the counts, and what a person has to know."""
        posted, paged = self.posted, self.paged
        say(f"{posted.sent} notes sent, {posted.held} held, {posted.given_up} given up, {posted.open} wait.", to=to)
        for code, count in sorted(posted.problems.items()):
            say(f"NOTE NOT SENT: {count} because of {code}. See `post list` and `doctor`.", to=to)
        if paged.sent:
            say(f"{paged.sent} page sent to whoever is on duty.", to=to)
        for warning in paged.warnings:
            say(warning, to=to)


def send_what_waits(desk: Desk) -> SentOut:
    """Page first, then send the notes. A key or secret file that can not be read is a problem's code, not an end.

    Neither is what nobody expected: it is told by its type, and the other goes on.
    """
    try:
        paged = send_pages(desk)
    except ReportAbuseError:
        raise
    except Exception as error:  # noqa: BLE001 - its words may be a report's
        paged = Paged(is_stuck=True, warnings=[f"PAGE NOT DELIVERED: unexpected, {describe_unexpected(error)}."])
    try:
        posted = send_due(desk)
    except LocalStateError as error:
        # `collect --every` must not end over a note: it pages.
        posted = Posted(problems={error.reason: 1})
    except ReportAbuseError:
        raise
    except Exception as error:  # noqa: BLE001 - its words may be a report's
        posted = Posted(problems={f"unexpected, {describe_unexpected(error)}": 1})
    return SentOut(posted, paged=paged)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    group = add_group(commands, "post")
    add_command(group, "send", run=run_post_send, example="--json", group="post")
    listed = add_command(group, "list", run=run_post_list, example="--all", group="post")
    listed.add_argument("--all", action="store_true", help="also what was sent or given up")
