"""The commands `button well-known make` and `check`: a service's public statement about its button."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    FEW_EXIT_CODES,
    Call,
    PartnerGroup,
    is_address,
    origin_option,
    out_option,
    read_page_file,
    shared_options,
)
from partner_sdk.button.well_known import (
    MAX_DAYS,
    MAX_WELL_KNOWN_BYTES,
    PATH,
    encode_well_known,
    list_findings,
    make_well_known,
    parse_well_known,
)
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import FormatError, LocalStateError, ProblemError, ReportAbuseError, TransportError
from partner_sdk.finding import Finding, describe_findings, format_finding, is_well
from partner_sdk.wire.canonical import convert
from partner_sdk.wire.registration import ContactPoint, Email, Line, Telephone

# A number with its country code that has fewer digits is a slip of the hand (ITU-T E.164 allows up to 15).
_LEAST_DIGITS: Final = 8


@click.group("well-known", cls=PartnerGroup)
def well_known() -> None:
    """Your public statement about your button."""


@well_known.command(
    example='--placement example-chat-help --service "Example Chat" --hours "Every day, 08:00 to 22:00, London"',
    exit_codes=FEW_EXIT_CODES,
)
@click.option("--placement", metavar="ID", required=True, help="The link id of the button that it names.")
@click.option("--also", metavar="ID", multiple=True, help="Another agreed placement (may be repeated).")
@click.option("--service", metavar="NAME", required=True, help="The name that people know.")
@click.option("--hours", metavar="WORDS", required=True, help="When the team reads its messages, with the place.")
@click.option("--contact", metavar="TEAM", help="The team to write to (default: your registration's contact).")
@click.option("--email", metavar="ADDRESS", help="That team's address; it is public.")
@click.option("--telephone", metavar="NUMBER", help="That team's number, if any; it is public.")
@click.option(
    "--language",
    "languages",
    metavar="TAG",
    multiple=True,
    default=("en",),
    help="Your service's language, e.g. en (may be repeated).",
)
@click.option("--days", metavar="N", type=int, default=MAX_DAYS - 1, help="Days until it expires (default: a year).")
@origin_option
@out_option
@shared_options
def make(
    call: Call,
    *,
    placement: str,
    also: tuple[str, ...],
    service: str,
    hours: str,
    contact: str | None,
    email: str | None,
    telephone: str | None,
    languages: tuple[str, ...],
    days: int,
    origin: str | None,
    out: Path | None,
) -> int:
    """Write the file, with your registration's contact by default."""
    made = make_well_known(
        agency=call.get_origin(origin),
        placement=placement,
        placements=also,
        service=service,
        contact=_get_contact(call) if email is None else _make_contact(email, name=contact, telephone=telephone),
        hours=hours,
        languages=languages,
        days=days,
        now=call.runtime.clock(),
    )
    return call.answer_file(
        {"path": PATH, "well_known": msgspec.to_builtins(made)},
        encode_well_known(made).decode("utf-8"),
        out=out,
        note=f" Serve it at {PATH}, as application/json, to everyone.",
    )


@well_known.command(example="https://chat.example", exit_codes=FEW_EXIT_CODES)
@click.argument("place", metavar="URL|FILE")
@origin_option
@shared_options
def check(call: Call, *, place: str, origin: str | None) -> int:
    """Check a file, or the one that your service serves."""
    try:
        found = parse_well_known(_read(call, place))
    except (FormatError, ProblemError, TransportError) as error:
        findings = [Finding("form", "fault", f"{error} ({error.reason})", _format_fix(error))]
    else:
        findings = list(list_findings(found, now=call.runtime.clock(), agency=call.find_origin(origin)))
    lines = [line for finding in findings for line in format_finding(finding)]
    return call.answer(describe_findings(findings), lines, code=EXIT_DONE if is_well(findings) else EXIT_FAILED)


def _format_fix(error: ReportAbuseError) -> str:
    """Return the way to fix a file that could not be fetched or read; empty if the error itself has it."""
    if error.reason == "bad-address":
        return ""
    if error.reason == "no-well-known":
        return f"Make it with `button well-known make`, and serve it at {PATH}."
    if isinstance(error, TransportError):
        return "Check the spelling of the address and that the service answers, then try again."
    return "Fix that, or make a new file with `button well-known make`."


def _read(call: Call, place: str) -> bytes:
    """Return the bytes of a file, or of a service's address; follows no redirect."""
    if not is_address(place):
        return read_page_file(place, max_bytes=MAX_WELL_KNOWN_BYTES)
    # Imported here: making the file sends nothing, and loads nothing that sends.
    from partner_sdk.client.transport import Transport

    origin = place.removesuffix(PATH).removesuffix("/")
    try:
        transport = Transport(origin, ca_file=call.ca_file, session=call.runtime.open_session())
    except FormatError:
        raise FormatError(
            "Give a file, or the service's address as https://chat.example: https, in lower case, without a path.",
            reason="bad-address",
        ) from None
    try:
        return transport.send("GET", PATH, is_signed=False, max_bytes=MAX_WELL_KNOWN_BYTES).body
    except ProblemError as error:
        raise FormatError(f"{origin}{PATH} answers {error.status} instead of 200.", reason="no-well-known") from None
    except TransportError as error:
        # The transport speaks of a gateway: here it is the service's own server.
        raise TransportError(f"{origin} cannot be reached.", reason=error.reason) from None
    finally:
        transport.close()


def _get_contact(call: Call) -> ContactPoint:
    # Imported here: it loads the HTTP client, which the other commands of the button do not need.
    from partner_sdk.client.account import find_sent_registration

    try:
        sent = find_sent_registration(PartnerState.open(call.state))
    except ReportAbuseError:
        sent = None
    if sent is None:
        raise LocalStateError(
            "This folder has no registration to take the contact from: give --contact and --email.", reason="no-contact"
        )
    return sent.registration.operational_contact


def _make_contact(email: str, *, name: str | None, telephone: str | None) -> ContactPoint:
    """Return the contact of the options, or raise `FormatError` (`bad-contact`) that names the first one to fix."""
    if name is None or not _fits(name, Line):
        raise FormatError("Give --contact, the name of a team: one line of 1 to 100 characters.", reason="bad-contact")
    if not _fits(email, Email):
        raise FormatError("Give --email an e-mail address, like safety@chat.example.", reason="bad-contact")
    if telephone is not None and not (
        _fits(telephone, Telephone) and telephone.startswith("+") and sum(map(str.isdigit, telephone)) >= _LEAST_DIGITS
    ):
        raise FormatError(
            "Give --telephone a number with its country code, like +44 20 7946 0000, or leave it out.",
            reason="bad-contact",
        )
    return ContactPoint(email=email, name=name, telephone=telephone)


def _fits(text: str, kind: Any) -> bool:
    try:
        convert(text, kind=kind)
    except msgspec.ValidationError:
        return False
    return True
