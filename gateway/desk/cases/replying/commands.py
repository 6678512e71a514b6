"""`case reply`: shows a reply and its recipient, asks, and seals it to the return code of a report.

Never sends a text before it is shown: `--yes` skips the question only.
"""

import sys
from pathlib import Path

import click

from gateway.desk.cases.lines import FROM_HERE, print_contact, read_text
from gateway.desk.cases.model import CaseRow, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replying.replies import (
    CheckedReply,
    ReplyDraft,
    ReplyError,
    check_draft,
    clean_text,
    write_reply,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import FILE, WRONG_USE, Call, complain, desk_command, print_result, say, say_lines
from gateway.desk.wiring import open_desk


@desk_command(Permission.REPLY, example="K7QF-2M9TX-D --text-file reply.txt")
@click.argument("case", help="Its reference or case id.")
@click.option("--text-file", required=True, type=FILE, metavar="FILE", help="The plain text; - reads standard input.")
@click.option("--is-the-reply", is_flag=True, help="This is the reply that is owed.")
@click.option("--reason", default="", metavar="TEXT", help="With --is-the-reply: why there is no other safe way.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Send without confirmation; required with --text-file -.")
def case_reply(call: Call, case: str, text_file: Path, reason: str, *, is_the_reply: bool, is_confirmed: bool) -> int:
    """Show a reply and its recipient, ask for confirmation, and seal it to the return code. Read the report first.

    The audit log records that the report was opened for it. The reply goes out with the next `collect`.
    """
    desk, actor = open_desk(call.state), call.actor
    if str(text_file) == FROM_HERE and not is_confirmed:
        raise ReplyError(
            "With --text-file - this command cannot ask for confirmation: add --yes.", reason="not-confirmed"
        )
    draft = ReplyDraft(read_text(text_file), is_the_reply=is_the_reply, reason=reason)
    clean_text(draft.text)  # nothing is opened for a text that cannot be sent
    with desk.store.read() as connection:
        found = get_case(connection, case)
    # As on the page: each step of a reply is a reading (decision 0016), with how to reach the person above it.
    opened = None if found.opened_at is None else open_case(desk, found.case_id, actor=actor)
    checked = check_draft(desk, found, draft, actor=call.actor)
    if opened is not None:
        print_contact(desk, opened, actor=actor, to=sys.stderr)
        say("", to=sys.stderr)
    _show(found, checked, is_counted=draft.is_the_reply and found.reply_owed and found.reply_code is None)
    if not is_confirmed and not _ask():
        return complain("Nothing was sent.", code=WRONG_USE)
    message_id = write_reply(desk, found.case_id, draft, actor=actor)
    line = f"The reply {message_id} is sealed. The next `collect` sends it."
    return print_result(call, {"message_id": message_id}, line)


def _show(found: CaseRow, checked: CheckedReply, *, is_counted: bool) -> None:
    # Beside the answer, so that `--json` still prints one object and nothing else.
    say(f"To the return code of {checked.recipient.reference}, for case {found.case_id}:", to=sys.stderr)
    say_lines("\n" + checked.text + "\n", to=sys.stderr)
    if is_counted:
        say(f"It counts as the reply that is owed. Reason: {checked.reason}", to=sys.stderr)
    elif found.reply_owed and found.reply_code is None:
        say("It does not count as the reply that is owed.", to=sys.stderr)
    say("It cannot be taken back.", to=sys.stderr)


def _ask() -> bool:
    say("Send it? Type yes:", to=sys.stderr)
    return sys.stdin.readline().strip().casefold() == "yes"
