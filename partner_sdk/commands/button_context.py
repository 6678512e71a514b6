"""The command `button context`: seals what is known of one page, for the fragment of the button's link."""

from partner_sdk.button.page_facts import MAX_FACTS_BYTES, parse_page_facts
from partner_sdk.button.page_links import make_link
from partner_sdk.commands.delivery_words import say_fault
from partner_sdk.commands.frame import CommandGroup, PartnerCall, read_input
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED
from partner_sdk.errors import ReportAbuseError, ReportError


def run_context(call: PartnerCall) -> int:
    """Print the token, or the whole address; without any network."""
    # Imported here: with it comes all that sends, which the other commands of `button` do not need.
    from partner_sdk.button.page_contexts import DEFAULT_LIFETIME_SECONDS, PageContexts

    args, speaker, profile = call.args, call.speaker, call.partner.profile
    try:
        facts = parse_page_facts(read_input(args.file, max_bytes=MAX_FACTS_BYTES))
        lifetime = DEFAULT_LIFETIME_SECONDS if args.lifetime is None else args.lifetime
        contexts = PageContexts.open(call.partner.state.folder, clock=call.surroundings.clock)
        token = contexts.make_token(facts, lifetime_seconds=lifetime)
        href = make_link(profile.origin, placement=facts.placement, context=token)
    except ReportAbuseError as error:
        say_fault(speaker, error)
        if args.json:
            faults = error.faults if isinstance(error, ReportError) else ()
            speaker.say_json({"faults": {one.pointer: one.detail for one in faults}, "reason": error.reason})
        return EXIT_FAILED
    if args.json:
        speaker.say_json({"context": token, "href": href})
    else:
        # For another program: no mark of the environment, which is inside the seal.
        speaker.say_document(f"{href if args.href else token}\n")
    return EXIT_DONE


def add_commands(group: CommandGroup) -> None:
    """Add this file's commands."""
    context = group.add(
        "context",
        run=run_context,
        summary="seal what you know of one page, to go behind the link of its button",
        example="page.json --lifetime 3600 --href",
    )
    context.add_argument("file", metavar="FILE", help="what the page shows, as JSON (- for standard input)")
    context.add_argument(
        "--lifetime",
        metavar="SECONDS",
        type=int,
        help="for how long it counts: 1 to 86,400 (default: 43,200)",
    )
    context.add_argument("--href", action="store_true", help="print the whole address of the link")
