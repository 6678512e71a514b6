"""The commands `inbox` and `requests`: the agency's messages and its questions."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, Call, PartnerCommand, pick, shared_options
from partner_sdk.client._earlier_reports import Question, list_requests
from partner_sdk.client.mailbox import MailboxAlarm, OpenedMessage, read_message
from partner_sdk.errors import FormatError, TransportError, UnavailableError
from partner_sdk.wire.canonical import parse_exact
from partner_sdk.wire.digest import DigestNotice
from partner_sdk.wire.mailbox_message import (
    MAX_BODY_BYTES,
    SET_ASIDE_REASONS,
    InformationRequest,
    OutcomeNote,
    SetAsideNotice,
    format_outcome,
    parse_information_request,
    parse_outcome_note,
    parse_set_aside_notice,
)
from partner_sdk.wire.overview import parse_overview, render_overview


def find_text(opened: OpenedMessage) -> str | None:
    """Return the text of a message, or None for a kind without text, or for a body that cannot be read."""
    try:
        match opened.message.kind:
            case "information-request":
                return "\n".join(format_request(parse_information_request(opened.body)))
            case "outcome":
                return "\n".join(format_note(parse_outcome_note(opened.body)))
            case "set-aside":
                return "\n".join(format_set_aside(parse_set_aside_notice(opened.body)))
            case "digest-not-published":
                notice = parse_exact(opened.body, kind=DigestNotice, max_bytes=MAX_BODY_BYTES)
                return f"The agency publishes no digest of {notice.period}. There will be none for that period."
            case "overview":
                return render_overview(parse_overview(opened.body)).rstrip("\n")
            case _:
                return None
    except FormatError:
        return None


def format_request(request: InformationRequest) -> Iterator[str]:
    """Yield the lines of one question, with the way to answer it."""
    yield f"The agency asks about your report {request.reference} ({request.report_id})."
    yield f"Question: {request.question}"
    yield f"What it is for: {request.purpose}"
    yield f"Legal basis: {request.legal_basis}"
    yield f"Due by {request.due_at}."
    yield "To answer, write a report and submit it; it is filed with this report only:"
    yield f"  report-abuse-partner report new --answers {request.request_id} --priority P3 --out answer.json"
    yield f"  report-abuse-partner report submit answer.json --answers {request.request_id} --priority P3"


def format_note(note: OutcomeNote) -> Iterator[str]:
    """Yield the lines of an outcome."""
    yield f"Your report {note.reference} ({note.report_id}), told {note.released_at}:"
    yield format_outcome(note.outcome)


def format_set_aside(notice: SetAsideNotice) -> Iterator[str]:
    """Yield the lines of a notice that reports were set aside."""
    yield f"The agency holds these reports of yours but could not take them as reports ({notice.reason}):"
    for report in notice.reports:
        yield f"  {report.reference} ({report.report_id})"
    yield SET_ASIDE_REASONS[notice.reason]


@click.command(cls=PartnerCommand, example="--all")
@click.option("--all", "is_all", is_flag=True, help="List the saved messages too.")
@click.option("--show", metavar="NUMBER", type=int, help="Show one saved message.")
@shared_options
def inbox(call: Call, *, is_all: bool, show: int | None) -> int:
    """Fetch, check, save and list the agency's messages."""
    partner = call.partner
    if show is not None:
        opened = read_message(partner.state, show)
        body = json.loads(opened.body)
        text = find_text(opened) or json.dumps(body, indent=2)
        return call.answer({**_fields(opened), "body": body}, [_line(opened), text])
    delivery = partner.collect_mailbox()
    listed = partner.messages() if is_all else list(delivery.messages)
    _warn(call, delivery.alarms)
    alarms = [pick(alarm, "message_id", "reason", "text") for alarm in delivery.alarms]
    fields = {"alarms": alarms, "messages": [_fields(opened) for opened in listed]}
    lines = [_line(opened) for opened in listed] or ["No new messages."]
    return call.answer(fields, lines, code=EXIT_ALARM if alarms else EXIT_DONE)


offline_option = click.option("--offline", "is_offline", is_flag=True, help="Do not fetch the mailbox first.")


def fetch_mailbox(call: Call) -> tuple[MailboxAlarm, ...]:
    """Fetch and save waiting messages, and show alarms; while the gateway is down, the saved ones have to do."""
    alarms: tuple[MailboxAlarm, ...] = ()
    try:
        alarms = call.partner.collect_mailbox().alarms
    except (TransportError, UnavailableError) as error:
        call.speaker.warn(f"Only messages fetched earlier are shown. {error}")
    _warn(call, alarms)
    return alarms


def _warn(call: Call, alarms: tuple[MailboxAlarm, ...]) -> None:
    for alarm in alarms:
        where = f" Message {alarm.message_id}." if alarm.message_id else ""
        call.speaker.warn(f"ALARM ({alarm.reason}): {alarm.text}{where}")
    if alarms:
        call.speaker.warn("Tell the agency, but not through this service.")


def _line(opened: OpenedMessage) -> str:
    message = opened.message
    return f"{message.number:>4}  {message.issued_at}  {message.kind}  {message.message_id}"


def _fields(opened: OpenedMessage) -> dict[str, object]:
    return pick(opened.message, "issued_at", "kind", "message_id", "number")


_STATES = {"open": "OPEN", "waiting": "ANSWER WAITS", "answered": "answered"}


@click.command(cls=PartnerCommand, example="show 019ab3c5-...")
@click.argument("words", metavar="[show REQUEST_ID]", nargs=-1)
@offline_option
@shared_options
def requests(call: Call, *, words: tuple[str, ...], is_offline: bool) -> int:
    """List the agency's questions and their deadlines, or show one."""
    if words and (len(words) != 2 or words[0] != "show"):
        raise click.UsageError("requests show takes the id of a request; `requests` alone lists them.")
    now = call.runtime.clock()
    alarms = () if is_offline else fetch_mailbox(call)
    kept = list_requests(call.partner.state, messages=call.partner.messages())
    for number in kept.unreadable:
        call.speaker.warn(f"The request in message {number} cannot be read: tell the agency, or update this program.")
    code = EXIT_ALARM if alarms or kept.unreadable else EXIT_DONE
    if not words:
        fields = {"requests": [_list_fields(one, now=now) for one in kept.questions]}
        return call.answer(fields, _format_all(kept.questions, now=now), code=code)
    found = [one for one in kept.questions if one.request.request_id == words[1]]
    if not found:
        call.speaker.warn("There is no request with this id; `requests` lists them.")
        return EXIT_FAILED
    lines = [_format_state(found[0], now=now), *format_request(found[0].request)]
    return call.answer({"request": _list_fields(found[0], now=now)}, lines, code=code)


def _format_all(requests: tuple[Question, ...], *, now: datetime) -> Iterator[str]:
    for one in requests:
        yield f"{_format_state(one, now=now)}  {one.request.reference}  {one.request.request_id}"
        yield f"  {one.request.question.splitlines()[0]}"
        yield f"  Legal basis: {one.request.legal_basis}"
    if not requests:
        yield "The agency has asked no questions."


def _format_state(one: Question, *, now: datetime) -> str:
    overdue = "OVERDUE  " if one.is_overdue(now) else ""
    return f"{overdue}{_STATES[one.state]}  due {one.request.due_at[:10]}"


def _list_fields(one: Question, *, now: datetime) -> dict[str, Any]:
    names = ("due_at", "legal_basis", "purpose", "question", "reference", "report_id", "request_id")
    own = {"answers": list(one.answers), "message_number": one.number, "overdue": one.is_overdue(now)}
    return {**pick(one.request, *names), **pick(one, "issued_at", "state"), **own}
