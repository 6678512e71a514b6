"""The group `button`: adopt the Report Abuse button, put it on a service's own pages, and check it there."""

from pathlib import Path

import click

from partner_sdk._commands.runtime import (
    DISTRIBUTIONS,
    EXIT_DONE,
    FEW_EXIT_CODES,
    Call,
    PartnerCommand,
    Speaker,
    origin_option,
    out_option,
    read_input,
    say_example,
    shared_options,
)
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOURS, Flavour, make_flavour
from partner_sdk.button.snippet import (
    FORMS,
    LANGUAGES,
    SIZES,
    WAYS,
    By,
    Form,
    Language,
    Size,
    make_link,
    make_policy,
    make_style,
)
from partner_sdk.errors import LocalStateError
from partner_sdk.lazy_group import LazyGroup
from partner_sdk.wire.button import TEST_LINK_ID
from partner_sdk.wire.canonical import check_filled_in

BY_NOTHING = (
    "Trusted without any proof: no --root-fingerprint was given, and {origin} has no certificate. The agency's root "
    "there has the fingerprint {fingerprint}: compare it with the one from the agency."
)
THEME_COLOURS = (
    "Its words take your theme's link colour: check the page with `button check --browser`, in its light and dark "
    "colours, or use --form script, which has colours of its own."
)
MAY_GO = "Replace the values with your own. You may leave out {fields}."
BY_TLS_ALONE = (
    "Trusted by TLS alone: no --root-fingerprint was given, so only the certificate of {origin} shows that this is the "
    "agency. Its root has the fingerprint {fingerprint}: compare it with the one from the agency."
)
TEST_LINK = (
    "test is the link id for tests, which anyone may use. Put your own in its place before your page goes live: with "
    "this one the agency does not learn which service a report came from."
)


@click.command(
    cls=PartnerCommand,
    example="--placement example-chat-profile --for react --out ReportAbuseButton.js",
    exit_codes=FEW_EXIT_CODES,
)
@click.option("--placement", metavar="ID", required=True, help="The link id that the agency agreed for this place.")
@click.option(
    "--for",
    "flavour",
    type=click.Choice(FLAVOURS),
    default="html",
    show_default=True,
    help="The framework of your pages.",
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="script",
    show_default=True,
    help="With our script, or a plain link and an image.",
)
@click.option(
    "--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="The language of the page."
)
@click.option("--size", type=click.Choice(SIZES), default=44, show_default=True, help="The icon's size in pixels.")
@origin_option
@out_option
@shared_options
def snippet(
    call: Call,
    *,
    placement: str,
    flavour: Flavour,
    form: Form,
    language: Language,
    size: Size,
    origin: str | None,
    out: Path | None,
) -> int:
    """Write the button for one agreed place."""
    call.is_json = False  # an error writes nothing into the file that the shell made
    style = make_style(language=language, form=form, size=size)
    agency = call.get_origin(origin)
    text = make_flavour(flavour, origin=agency, placement=placement, style=style)
    if placement == TEST_LINK_ID:
        call.speaker.warn(TEST_LINK)
    if form == "link":
        call.speaker.warn(THEME_COLOURS)
    if out is None:
        Speaker(None).say(text.rstrip("\n"))
        return EXIT_DONE
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalStateError(f"Cannot write {out}: {error.strerror}.", reason="cannot-write") from None
    note = "" if out == Path(FILE_NAMES[flavour]) else f" In your tree it is {FILE_NAMES[flavour]}."
    call.speaker.say(f"Wrote {out}.{note}")
    return EXIT_DONE


@click.command(cls=PartnerCommand, example="--by hash", exit_codes=FEW_EXIT_CODES)
@click.option(
    "--by",
    type=click.Choice(WAYS),
    default="host",
    show_default=True,
    help="Allow the agency's folder, or exactly this script.",
)
@click.option(
    "--form", type=click.Choice(FORMS), default="script", show_default=True, help="As you chose it for the snippet."
)
@origin_option
@shared_options
def csp(call: Call, *, by: By, form: Form, origin: str | None) -> int:
    """Show the line that your Content-Security-Policy needs."""
    policy = make_policy(call.get_origin(origin), form=form, by=by)
    fields = {"directive": policy.directive, "line": policy.line, "never": list(policy.never)}
    return call.answer({**fields, "source": policy.source, "why": policy.why})


@click.command(cls=PartnerCommand, example="page.json --lifetime 3600")
@click.argument("file")
@click.option("--lifetime", metavar="SECONDS", type=int, help="How long it is valid: 1 to 86,400 (default: 43,200).")
@shared_options
def context(call: Call, *, file: str, lifetime: int | None) -> int:
    """Seal the facts about one page, for its button's link.

    FILE holds the facts as JSON; - reads standard input.
    """
    # Imported here: it loads the HTTP client, which the other commands of `button` do not need.
    from partner_sdk.button.page_contexts import (
        DEFAULT_LIFETIME_SECONDS,
        MAX_FACTS_BYTES,
        PageContexts,
        parse_page_facts,
    )

    partner = call.partner
    facts = parse_page_facts(read_input(file, max_bytes=MAX_FACTS_BYTES))
    contexts = PageContexts.open(call.state, clock=call.runtime.clock)
    token = contexts.make_token(facts, lifetime_seconds=DEFAULT_LIFETIME_SECONDS if lifetime is None else lifetime)
    href = make_link(partner.profile.origin, placement=facts.placement, context=token)
    return call.answer({"context": token, "href": href})


@click.command(
    cls=PartnerCommand,
    example="request.json --origin https://report.example "
    "--root-fingerprint 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    exit_codes=FEW_EXIT_CODES,
)
@click.argument("file", required=False)
@click.option("--example", "is_example", is_flag=True, help="Write an example to fill in.")
@click.option(
    "--origin", "--gateway", metavar="ADDRESS", help="The agency's address (default: the one in your folder)."
)
@click.option(
    "--root-fingerprint",
    metavar="HEX",
    help="The fingerprint of the agency's root, 64 digits; without it TLS alone is trusted.",
)
@shared_options
def adopt(call: Call, *, file: str | None, is_example: bool, origin: str | None, root_fingerprint: str | None) -> int:
    """Ask the agency for the button; no invitation is needed.

    FILE is the request as JSON; - reads standard input.
    """
    from partner_sdk.button.adoption import MAX_FILE_BYTES, ask_for_the_button, list_optional_fields, parse_asking_file
    from partner_sdk.wire.button import EXAMPLE, format_request_number

    if is_example == (file is not None):
        raise click.UsageError("Give a FILE, or --example to write one.")
    if file is None:
        call.speaker.warn(MAY_GO.format(fields=", ".join(list_optional_fields())))
        return say_example(EXAMPLE)
    service = parse_asking_file(read_input(file, max_bytes=MAX_FILE_BYTES))
    check_filled_in(service, examples=(EXAMPLE,))
    agency = call.get_origin(origin)
    sent = ask_for_the_button(
        service,
        origin=agency,
        root_fingerprint=root_fingerprint,
        ca_file=call.ca_file,
        session=call.runtime.open_session(),
        clock=call.runtime.clock,
    )
    call.speaker = Speaker(sent.environment)
    has_tls = agency.startswith("https://")
    if not sent.is_pinned:
        warning = BY_TLS_ALONE if has_tls else BY_NOTHING
        call.speaker.warn(warning.format(origin=agency, fingerprint=sent.root_fingerprint))
    # A person there reads it and writes to the service: nothing is agreed yet, and nothing is published.
    fields = {
        "request_id": sent.request_id,
        "request_number": format_request_number(sent.request_id),
        "root_fingerprint": sent.root_fingerprint,
        "status": "waiting",
        "trusted_by": "root" if sent.is_pinned else "tls" if has_tls else "nothing",
    }
    return call.answer(fields)


button = LazyGroup(
    "button",
    help="Put the Report Abuse button on your pages, and check it.",
    distributions=DISTRIBUTIONS,
    table={
        "snippet": (snippet, "Write the button for one agreed place."),
        "csp": (csp, "Show the line that your Content-Security-Policy needs."),
        "check": ("partner_sdk.console.commands:check", "Check that the button of a page is as agreed."),
        "context": (context, "Seal the facts about one page, for its button's link."),
        "adopt": (adopt, "Ask the agency for the button; no invitation is needed."),
    },
)
