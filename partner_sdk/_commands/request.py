"""The group `request`: questions, requests to keep data, and referrals; each is answered or declined here."""

from datetime import datetime
from pathlib import Path
from typing import Final, cast

import click

from partner_sdk._commands.delivery import SentAs, priority_option
from partner_sdk._commands.evidence import PAIR, parse_pair
from partner_sdk._commands.mailbox import fetch_mailbox
from partner_sdk._commands.report import submit_report
from partner_sdk._commands.runtime import Call, PartnerGroup, read_input, shared_options
from partner_sdk._commands.threads import (
    NAME_ASKED,
    Group,
    add_reading,
    again_option,
    by_option,
    get_thread,
    id_argument,
    text_options,
    write_entry,
)
from partner_sdk.client.threads import REQUESTS, STATE_LABELS, Thread, check_may_write
from partner_sdk.report import MAX_REPORT_BYTES, parse_report
from partner_sdk.wire.mailbox import InformationRequest, PreservationRequest, TermsReferral
from partner_sdk.wire.submission import Priority


@click.group("request", cls=PartnerGroup)
def request() -> None:
    """Answer the agency's questions and requests about accounts."""


def _format_row(thread: Thread, now: datetime) -> str:
    overdue = "OVERDUE  " if thread.is_overdue(now) else ""
    state, body = STATE_LABELS[thread.state], thread.body
    if isinstance(body, InformationRequest):
        about = body.reference or "accounts"
        return f"{overdue}{state}  due {body.due_at[:10]}  question about {about}: {body.question.splitlines()[0]}"
    if isinstance(body, PreservationRequest):
        count = len(body.accounts)
        return f"{overdue}{state}  due {body.due_at[:10]}  keep the data of {count} account{'s' if count > 1 else ''}"
    return f"{state}  an account that may break your rules: {cast('TermsReferral', body).rule}"


def _order(thread: Thread) -> tuple[bool, str, int]:
    due = getattr(thread.body, "due_at", "")
    return not due, due, thread.number


_GROUP: Final = Group("request", REQUESTS, "The agency has asked nothing.", _order, _format_row)
add_reading(
    request,
    _GROUP,
    list_help="List questions and requests, the soonest due first.",
    show_help="Show a request whole, and everything written about it.",
)


@request.command(example='019ab3c5-... --by "Anna Example" --text-file answer.txt')
@id_argument
@click.argument("file", metavar="[REPORT]", required=False)
@click.option("--by", metavar="NAME", help="Your name, as the agency will read it; needed with words.")
@priority_option(more=" Needed with a report.")
@click.option(
    "--evidence", "pairs", metavar=PAIR, multiple=True, type=parse_pair, help="Hand over a file that the report lists."
)
@again_option
@shared_options
@text_options
def answer(
    call: Call,
    *,
    wanted: str,
    file: str | None,
    by: str | None,
    text: str,
    priority: Priority | None,
    pairs: tuple[tuple[str, Path], ...],
    is_again: bool,
) -> int:
    """Answer a request in words, or a question with a report.

    REPORT is a report as JSON; - reads standard input.
    """
    if (file is None) == (not text):
        raise click.UsageError("Answer in words (--text or --text-file), or with a REPORT: one of both.")
    if file is None:
        if priority is not None or pairs:
            raise click.UsageError("An answer in words takes --by, and neither --priority nor --evidence.")
        if by is None or not by.strip():
            raise click.UsageError(NAME_ASKED)
        return write_entry(call, _GROUP, wanted, kind="answer", by=by, text=text, is_again=is_again)
    if is_again:
        raise click.UsageError("--again is for words; send more data as a supplement: `report submit`.")
    if priority is None or by is not None:
        raise click.UsageError("An answer with a REPORT takes --priority and not --by: the report names its sender.")
    fetch_mailbox(call)
    thread = get_thread(call, _GROUP, wanted)
    if not isinstance(thread.body, InformationRequest):
        raise click.UsageError("Only a question is answered with a REPORT: answer this one in words.")
    check_may_write(thread, kind="answer")
    raw = read_input(file, max_bytes=MAX_REPORT_BYTES)
    report = parse_report(raw, priority=priority, kind="response", answers=thread.body.request_id)
    sent_as: SentAs = {"priority": priority, "kind": "response", "earlier_reference": None}
    return submit_report(call, report, pairs=pairs, sent_as=sent_as)


@request.command(example='019ab3c5-... --by "Anna Example" --text "We hold no such account."')
@id_argument
@by_option
@again_option
@shared_options
@text_options
def decline(call: Call, *, wanted: str, by: str, text: str, is_again: bool) -> int:
    """Decline a request, with the reason."""
    return write_entry(call, _GROUP, wanted, kind="decline", by=by, text=text, is_again=is_again)
