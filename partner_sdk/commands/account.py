"""The commands `account template`, `account update` and `account show`."""

import json

import msgspec

from partner_sdk.client.account import send_registration
from partner_sdk.client.own_account import find_sent_registration
from partner_sdk.commands.delivery_words import say_fault
from partner_sdk.commands.frame import Call, CommandGroup, PartnerCall, read_input
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.errors import ReportError
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.registration import (
    MAX_REGISTRATION_BYTES,
    TEMPLATE,
    Registration,
    list_registration_gaps,
    parse_registration_file,
)
from partner_sdk.wire.strict_json import check_filled_in


def run_template(_: Call) -> int:
    """Write a registration of a made-up service, to be filled in."""
    # No mark in front: this becomes a file, and nothing of it is a report.
    Speaker(None).say(json.dumps(msgspec.to_builtins(TEMPLATE), indent=2, ensure_ascii=False))
    return EXIT_DONE


def run_update(call: PartnerCall) -> int:
    """Send a registration, sealed; a person at the agency accepts it or asks for more."""
    speaker, args = call.speaker, call.args
    try:
        registration = read_registration(args.file, environment=call.partner.profile.environment)
    except ReportError as error:
        say_fault(speaker, error)
        return EXIT_FAILED
    sent = send_registration(call.partner, registration, now=call.surroundings.clock())
    gaps = list_registration_gaps(registration)
    if args.json:
        speaker.say_json({"change_id": sent.change_id, "missing": list(gaps), "status": "waiting"})
        return EXIT_DONE
    speaker.say(f"Sent to the agency, change {sent.change_id}. A person there reads it.")
    say_gaps(speaker, gaps)
    return EXIT_DONE


def run_show(call: PartnerCall) -> int:
    """Show what was sent last, without any network."""
    speaker, sent = call.speaker, find_sent_registration(call.partner.state)
    if call.args.json:
        speaker.say_json({"account": None if sent is None else msgspec.to_builtins(sent)})
        return EXIT_DONE
    if sent is None:
        speaker.say("Nothing was registered from here: see account template and account update.")
        return EXIT_DONE
    arrived = f"sent {sent.sent_at}" if sent.sent_at else "NOT SENT YET: run account update again"
    speaker.say(f"change {sent.change_id}, made {sent.made_at}, {arrived}")
    speaker.say(json.dumps(msgspec.to_builtins(sent.registration), indent=2, ensure_ascii=False))
    say_gaps(speaker, list_registration_gaps(sent.registration))
    return EXIT_DONE


def read_registration(name: str, *, environment: Environment) -> Registration:
    """Return the registration of a file; raises `ReportError`, `LocalStateError`.

    A live agency is never sent the template as it was: `FormatError` (`unchanged-example`).
    """
    registration = parse_registration_file(read_input(name, max_bytes=MAX_REGISTRATION_BYTES))
    if environment == "live":
        check_filled_in(registration, examples=(TEMPLATE,))
    return registration


def say_gaps(speaker: Speaker, gaps: tuple[str, ...]) -> None:
    """Warn of what the law asks for and the registration lacks."""
    for gap in gaps:
        speaker.warn(f"Missing: {gap.replace('_', ' ')}. The agency will ask for it.")


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands."""
    account = top.add_group("account")
    account.add_alone("template", run=run_template, summary="write an example to fill in", example="> account.json")
    update = account.add("update", run=run_update, summary="send a registration to the agency", example="account.json")
    update.add_argument("file", metavar="FILE", help="the registration as JSON (- for standard input)")
    account.add("show", run=run_show, summary="show what was sent last", example="--json")
