"""`case reply`: shows a reply and whom it goes to, asks, and seals it to the return code of a report.

Never sends words that nobody was shown: `--yes` leaves out the question, not the showing.
"""

import argparse
import sys
from pathlib import Path

from gateway.desk.cases.lines import FROM_HERE, read_text, say_contact
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import (
    CheckedReply,
    ReplyDraft,
    ReplyError,
    check_draft,
    clean_text,
    write_reply,
)
from gateway.desk.terminal import WRONG_USE, AddCommand, complain, get_actor, print_result, say, say_lines
from gateway.desk.wiring import open_desk


def run_reply(parsed: argparse.Namespace) -> int:
    """Show a reply and whom it goes to, ask, and seal it to the return code. Read the report first.

    That the report was opened for it is noted in the audit log. It goes out with the next `collect`.
    """
    desk, actor = open_desk(parsed.state), get_actor(parsed)
    if str(parsed.text_file) == FROM_HERE and not parsed.yes:
        raise ReplyError("With --text-file - nobody can be asked: add --yes.", reason="not-confirmed")
    draft = ReplyDraft(read_text(parsed.text_file), is_the_reply=parsed.is_the_reply, reason=parsed.reason or "")
    clean_text(draft.text)  # for words that cannot be sent nothing is opened
    with desk.store.read() as connection:
        found = get_case(connection, parsed.case)
    # As on the page: each step of a reply is a reading (decision 0016), and how to reach the person stands above it.
    opened = None if found.opened_at is None else open_case(desk, found.case_id, actor=actor)
    checked = check_draft(desk, found, draft)
    if opened is not None:
        say_contact(desk, opened, actor=actor, to=sys.stderr)
        say("", to=sys.stderr)
    _show(found, checked, is_counted=draft.is_the_reply and found.reply_owed and found.reply_code is None)
    if not parsed.yes and not _is_confirmed():
        return complain("Nothing was sent.", code=WRONG_USE)
    message_id = write_reply(desk, found.case_id, draft, actor=actor)
    return print_result(
        parsed, {"message_id": message_id}, f"The reply is sealed and waits: {message_id}. `collect` takes it along."
    )


def add_command_to(add: AddCommand) -> None:
    """Add this file's command to the group `case`."""
    reply = add("reply", run=run_reply, example="K7QF-2M9TX-D --text-file reply.txt")
    reply.add_argument("case", metavar="CASE", help="its reference or case id")
    reply.add_argument(
        "--text-file", required=True, type=Path, metavar="FILE", help="what to say, in plain text; - reads it from here"
    )
    reply.add_argument("--is-the-reply", action="store_true", help="this is the reply that is owed")
    reply.add_argument("--reason", metavar="TEXT", help="with --is-the-reply: why no other safe way is taken")
    reply.add_argument("--yes", action="store_true", help="send it without asking; needed with --text-file -")


def _show(found: CaseRow, checked: CheckedReply, *, is_counted: bool) -> None:
    # Beside the answer, so that `--json` still prints one object and nothing else.
    say(f"To the return code of {checked.recipient.reference}, for case {found.case_id}:", to=sys.stderr)
    say_lines("\n" + checked.text + "\n", to=sys.stderr)
    if is_counted:
        say(f"It counts as the reply that is owed. Because: {checked.reason}", to=sys.stderr)
    elif found.reply_owed and found.reply_code is None:
        say("It does not count as the reply that is owed.", to=sys.stderr)
    say("It cannot be taken back.", to=sys.stderr)


def _is_confirmed() -> bool:
    say("Send it? Type yes:", to=sys.stderr)
    return sys.stdin.readline().strip().casefold() == "yes"
