"""The commands `button snippet`, `csp`, `adopt`, `context` and their like: the button on a service's own pages."""

import argparse
import json
from pathlib import Path

import msgspec

from partner_sdk._commands import button_check, button_well_known
from partner_sdk._commands.delivery import end_with_fault, say_fault
from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    Call,
    CommandGroup,
    PartnerCall,
    Speaker,
    get_origin,
    read_input,
    write_out,
)
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOURS, make_flavour
from partner_sdk.button.snippet import FORMS, LANGUAGES, SIZES, THEMES, WAYS, make_link, make_policy, make_style
from partner_sdk.errors import ReportAbuseError, ReportError
from partner_sdk.wire.canonical import check_filled_in

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
    from partner_sdk.button.adoption import (
        MAX_FILE_BYTES,
        ask_for_the_button,
        list_optional_fields,
        parse_asking_file,
    )
    from partner_sdk.wire.adoption import EXAMPLE

    args, runtime = call.args, call.runtime
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
        session=runtime.open_session(),
        clock=runtime.clock,
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


def _add_adopt(group: CommandGroup) -> None:
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


def run_context(call: PartnerCall) -> int:
    """Print the token, or the whole address; without any network."""
    # Imported here: with it comes all that sends, which the other commands of `button` do not need.
    from partner_sdk.button.page_contexts import (
        DEFAULT_LIFETIME_SECONDS,
        MAX_FACTS_BYTES,
        PageContexts,
        parse_page_facts,
    )

    args, speaker, profile = call.args, call.speaker, call.partner.profile
    try:
        facts = parse_page_facts(read_input(args.file, max_bytes=MAX_FACTS_BYTES))
        lifetime = DEFAULT_LIFETIME_SECONDS if args.lifetime is None else args.lifetime
        contexts = PageContexts.open(call.partner.state.folder, clock=call.runtime.clock)
        token = contexts.make_token(facts, lifetime_seconds=lifetime)
        href = make_link(profile.origin, placement=facts.placement, context=token)
    except ReportAbuseError as error:
        return end_with_fault(call, error)
    if args.json:
        speaker.say_json({"context": token, "href": href})
    else:
        # For another program: no mark of the environment, which is inside the seal.
        speaker.say_document(f"{href if args.href else token}\n")
    return EXIT_DONE


def _add_context(group: CommandGroup) -> None:
    """Add this file's commands."""
    context = group.add(
        "context",
        run=run_context,
        summary="seal the facts about one page, to go behind the link of its button",
        example="page.json --lifetime 3600 --href",
    )
    context.add_argument("file", metavar="FILE", help="the facts about the page, as JSON (- for standard input)")
    context.add_argument(
        "--lifetime",
        metavar="SECONDS",
        type=int,
        help="for how long it counts: 1 to 86,400 (default: 43,200)",
    )
    context.add_argument("--href", action="store_true", help="print the whole address of the link")


def run_snippet(call: Call) -> int:
    """Write the button for one place, in the words of the service's own framework."""
    args = call.args
    style = make_style(language=args.language, form=args.form, size=args.size, theme=args.theme)
    origin = get_origin(args.origin, state=Path(args.state))
    text = make_flavour(args.flavour, origin=origin, placement=args.placement, style=style)
    if args.out is not None:
        write_out(args.out, text)
    if args.json:
        file = None if args.out is None else str(args.out)
        call.speaker.say_json({"file": file, "flavour": args.flavour, "origin": origin, "text": text})
    elif args.out is None:
        # No mark in front: this becomes a part of a page, and nothing of it is a report.
        Speaker(None).say(text.rstrip("\n"))
    else:
        name = FILE_NAMES[args.flavour]
        call.speaker.say(f"Wrote {args.out}." + ("" if args.out == Path(name) else f" In your tree it is {name}."))
    return EXIT_DONE


def run_csp(call: Call) -> int:
    """Show the sources that a strict Content-Security-Policy needs for the button, and those that it does not."""
    args = call.args
    origin = get_origin(args.origin, state=Path(args.state))
    policy = make_policy(origin, form=args.form, by=args.by)
    if args.json:
        fields = {"directive": policy.directive, "line": policy.line, "never": list(policy.never)}
        call.speaker.say_json({**fields, "source": policy.source, "why": policy.why})
        return EXIT_DONE
    Speaker(None).say(policy.line)
    call.speaker.warn(f"Add this to your policy: it {policy.why}.")
    for never in policy.never:
        call.speaker.warn(f"Not needed: {never}.")
    return EXIT_DONE


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands, and those of the other files of the group."""
    button = top.add_group("button")
    snippet = button.add_alone(
        "snippet",
        run=run_snippet,
        summary="write the button for one agreed place",
        example="--placement example-chat-profile --for react --out ReportAbuseButton.js",
    )
    snippet.add_argument(
        "--placement", metavar="ID", required=True, help="the link id that the agency agreed for this place"
    )
    snippet.add_argument("--for", dest="flavour", choices=FLAVOURS, default="html", help="the framework of your pages")
    snippet.add_argument(
        "--form", choices=FORMS, default="script", help="with our script, or a plain link and an image"
    )
    snippet.add_argument("--language", choices=LANGUAGES, default="en", help="the language of the page")
    snippet.add_argument("--size", choices=SIZES, type=int, default=44, help="of the icon, in pixels")
    snippet.add_argument("--theme", choices=THEMES, help="without it, the reader's own setting counts")
    snippet.add_argument("--origin", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    snippet.add_argument("--out", metavar="FILE", type=Path, help="write there, and not to standard output")
    csp = button.add_alone(
        "csp", run=run_csp, summary="show the line that your Content-Security-Policy needs", example="--by hash"
    )
    csp.add_argument("--by", choices=WAYS, default="host", help="allow the agency's folder, or exactly this script")
    csp.add_argument("--form", choices=FORMS, default="script", help="as you chose it for the snippet")
    csp.add_argument("--origin", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    button_well_known.add_commands(button)
    button_check.add_commands(button)
    _add_context(button)
    _add_adopt(button)
