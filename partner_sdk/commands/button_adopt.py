"""The command `button adopt`."""

import argparse
import json

import msgspec

from partner_sdk.commands.button_files import get_origin
from partner_sdk.commands.delivery_words import say_fault
from partner_sdk.commands.frame import Call, CommandGroup, read_input
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.errors import ReportError
from partner_sdk.wire.strict_json import check_filled_in

BY_NOTHING = (
    "Trusted without any proof: no --root-fingerprint was given, and {origin} has no certificate. The agency's root "
    "there has the fingerprint {fingerprint}: compare it with the one that the agency tells you."
)
MAY_GO = "Fill in what is yours. You may leave out {fields}."
BY_TLS_ALONE = (
    "Trusted by TLS alone: no --root-fingerprint was given, so only the certificate of {origin} says that this is the "
    "agency. Its root has the fingerprint {fingerprint}: compare it with the one that the agency tells you."
)


def run_adopt(call: Call) -> int:
    """Ask the agency for the button: sealed, without any key of your own. A person there writes back."""
    from pathlib import Path

    from partner_sdk.button.adoption import (
        MAX_FILE_BYTES,
        ask_for_the_button,
        list_optional_fields,
        parse_asking_file,
    )
    from partner_sdk.wire.adoption import EXAMPLE

    args, surroundings = call.args, call.surroundings
    if args.example:
        # No mark in front: this becomes a file, and nothing of it is a report.
        Speaker(None).say(json.dumps(msgspec.to_builtins(EXAMPLE), indent=2, ensure_ascii=False))
        call.speaker.warn(MAY_GO.format(fields=", ".join(list_optional_fields())))
        return EXIT_DONE
    try:
        service = parse_asking_file(read_input(args.file, max_bytes=MAX_FILE_BYTES))
    except ReportError as error:
        say_fault(Speaker(None), error)
        return EXIT_FAILED
    check_filled_in(service, examples=(EXAMPLE,))
    origin = get_origin(args.origin, state=Path(args.state))
    sent = ask_for_the_button(
        service,
        origin=origin,
        root_fingerprint=args.root_fingerprint,
        ca_file=args.ca_file,
        session=surroundings.open_session(),
        clock=surroundings.clock,
    )
    speaker = Speaker(sent.environment)
    has_tls = origin.startswith("https://")
    if not sent.is_pinned:
        speaker.warn((BY_TLS_ALONE if has_tls else BY_NOTHING).format(origin=origin, fingerprint=sent.root_fingerprint))
    if args.json:
        fields = {"request_id": sent.request_id, "root_fingerprint": sent.root_fingerprint, "status": "waiting"}
        trusted_by = "root" if sent.is_pinned else "tls" if has_tls else "nothing"
        speaker.say_json({**fields, "trusted_by": trusted_by})
        return EXIT_DONE
    speaker.say(f"Sent to the agency, request {sent.request_id}. A person there reads it and writes to you.")
    speaker.say("Nothing is agreed yet, and nothing is published. They may call you first.")
    return EXIT_DONE


def add_commands(group: CommandGroup) -> None:
    """Add this file's commands."""
    adopt = group.add_alone(
        "adopt",
        run=run_adopt,
        summary="ask the agency for the button; no invitation is needed",
        example="request.json --origin https://report.example "
        "--root-fingerprint 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
    adopt.add_argument("file", metavar="FILE", nargs="?", help="the request as JSON (- for standard input)")
    adopt.add_argument("--example", action="store_true", help="write an example to fill in")
    adopt.add_argument("--origin", "--gateway", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    adopt.add_argument(
        "--root-fingerprint", metavar="HEX", help="of the agency's root, 64 digits; without it TLS alone is trusted"
    )
    adopt.set_defaults(find_misuse=_find_misuse)


def _find_misuse(args: argparse.Namespace) -> str | None:
    if args.example == (args.file is not None):
        return "give a FILE, or --example to write one"
    return None
