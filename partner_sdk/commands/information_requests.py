"""The command `requests`: what the agency asks, until when, and what is answered."""

from datetime import datetime
from typing import Any

from partner_sdk.client.information_requests import Question, list_requests
from partner_sdk.commands.frame import CommandGroup, PartnerCall
from partner_sdk.commands.mailbox import look_into_mailbox
from partner_sdk.commands.message_words import spell_request
from partner_sdk.commands.output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, EXIT_USAGE

_STATES = {"open": "OPEN", "waiting": "ANSWER WAITS", "answered": "answered"}


def run_requests(call: PartnerCall) -> int:
    """List what the agency asks, the soonest due first; or show one request whole."""
    partner, speaker, args = call.partner, call.speaker, call.args
    now = call.surroundings.clock()
    if (args.action is None) != (args.request_id is None):
        speaker.warn("requests show takes the id of a request; `requests` lists them.")
        return EXIT_USAGE
    alarms = () if args.offline else look_into_mailbox(call)
    kept = list_requests(partner.state, messages=partner.messages())
    for number in kept.unreadable:
        speaker.warn(f"Message {number} is a request that cannot be read: tell the agency, or renew this program.")
    code = EXIT_ALARM if alarms or kept.unreadable else EXIT_DONE
    if args.action is None:
        _say_all(call, kept.questions, now=now)
        return code
    found = [one for one in kept.questions if one.request.request_id == args.request_id]
    if not found:
        speaker.warn("There is no request with this id; `requests` lists them.")
        return EXIT_FAILED
    if args.json:
        speaker.say_json({"request": _list_fields(found[0], now=now)})
    else:
        speaker.say(_spell_state(found[0], now=now))
        for line in spell_request(found[0].request):
            speaker.say(line)
    return code


def add_commands(top: CommandGroup) -> None:
    """Add this file's command."""
    command = top.add(
        "requests",
        run=run_requests,
        example="show 019ab3c5-...",
    )
    command.add_argument("action", nargs="?", choices=["show"], help="show one request and how to answer it")
    command.add_argument("request_id", metavar="ID", nargs="?")
    command.add_argument("--offline", action="store_true", help="do not look into the mailbox first")


def _say_all(call: PartnerCall, requests: tuple[Question, ...], *, now: datetime) -> None:
    if call.args.json:
        call.speaker.say_json({"requests": [_list_fields(one, now=now) for one in requests]})
        return
    for one in requests:
        call.speaker.say(f"{_spell_state(one, now=now)}  {one.request.reference}  {one.request.request_id}")
        call.speaker.say(f"  {one.request.question.splitlines()[0]}")
        call.speaker.say(f"  Legal basis: {one.request.legal_basis}")
    if not requests:
        call.speaker.say("The agency has asked nothing.")


def _spell_state(one: Question, *, now: datetime) -> str:
    overdue = "OVERDUE  " if one.is_overdue(now) else ""
    return f"{overdue}{_STATES[one.state]}  due {one.request.due_at[:10]}"


def _list_fields(one: Question, *, now: datetime) -> dict[str, Any]:
    request = one.request
    return {
        "answers": list(one.answers),
        "due_at": request.due_at,
        "issued_at": one.issued_at,
        "legal_basis": request.legal_basis,
        "message_number": one.number,
        "overdue": one.is_overdue(now),
        "purpose": request.purpose,
        "question": request.question,
        "reference": request.reference,
        "report_id": request.report_id,
        "request_id": request.request_id,
        "state": one.state,
    }
