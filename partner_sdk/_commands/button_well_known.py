"""The commands `button well-known make` and `button well-known check`: a service's statement about its button."""

from pathlib import Path
from typing import Any, Final

import msgspec

from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    Call,
    CommandGroup,
    Speaker,
    find_origin,
    get_origin,
    read_input,
    write_out,
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
from partner_sdk.wire.registration import ContactPoint, Email, Line, Telephone

# A number with its country code that has fewer digits is a slip of the hand (ITU-T E.164 allows up to 15).
_LEAST_DIGITS: Final = 8


def run_make(call: Call) -> int:
    """Write the file; the contact is that of the registration, unless one is given."""
    args, state = call.args, Path(call.args.state)
    made = make_well_known(
        agency=get_origin(args.origin, state=state),
        placement=args.placement,
        placements=tuple(args.also),
        service=args.service,
        contact=_get_contact(call),
        hours=args.hours,
        languages=tuple(args.language or ("en",)),
        days=args.days,
        now=call.runtime.clock(),
    )
    text = encode_well_known(made).decode("utf-8")
    if args.out is not None:
        write_out(args.out, text)
    if args.json:
        file = None if args.out is None else str(args.out)
        call.speaker.say_json({"file": file, "path": PATH, "well_known": msgspec.to_builtins(made)})
    elif args.out is None:
        # No mark in front: this becomes a file, and nothing of it is a report.
        Speaker(None).say(text.rstrip("\n"))
    else:
        call.speaker.say(f"Wrote {args.out}. Serve it at {PATH}, as application/json, to everybody.")
    return EXIT_DONE


def run_check(call: Call) -> int:
    """Check a file, or the one that a service serves."""
    args, speaker = call.args, call.speaker
    try:
        found = parse_well_known(_read(call))
    except (FormatError, ProblemError, TransportError) as error:
        findings = [Finding("form", "fault", f"{error} ({error.reason})", _format_mend(error))]
    else:
        agency = find_origin(args.origin, state=Path(args.state))
        findings = list(list_findings(found, now=call.runtime.clock(), agency=agency))
    if args.json:
        speaker.say_json(describe_findings(findings))
    else:
        for finding in findings:
            for line in format_finding(finding):
                speaker.say(line)
    return EXIT_DONE if is_well(findings) else EXIT_FAILED


def _format_mend(error: ReportAbuseError) -> str:
    """Return what to do about a file that could not be had or read: nothing more where the error has said it."""
    if error.reason == "bad-address":
        return ""
    if error.reason == "no-well-known":
        return f"Make it with `button well-known make`, and serve it at {PATH}."
    if isinstance(error, TransportError):
        return "Look how the address is spelled and whether the service answers, then check again."
    return "Mend that, or make the file anew with `button well-known make`."


def _read(call: Call) -> bytes:
    """Return the bytes of a file, or of a service's address; follows no redirect."""
    place = call.args.place
    if not place.startswith(("https://", "http://")):
        try:
            return read_input(place, max_bytes=MAX_WELL_KNOWN_BYTES)
        except LocalStateError as error:
            raise LocalStateError(f"{error} An address begins with https://.", reason=error.reason) from None
    # Imported here: making the file sends nothing, and loads nothing that sends.
    from partner_sdk.client.transport import Transport

    origin = place.removesuffix(PATH).removesuffix("/")
    try:
        transport = Transport(origin, ca_file=call.args.ca_file, session=call.runtime.open_session())
    except FormatError:
        raise FormatError(
            "Give a file, or the service's address as https://chat.example: https, in lower case, without a path.",
            reason="bad-address",
        ) from None
    try:
        return transport.send("GET", PATH, is_signed=False, max_bytes=MAX_WELL_KNOWN_BYTES).body
    except ProblemError as error:
        raise FormatError(
            f"{origin}{PATH} answers {error.status}, where it has to answer 200.", reason="no-well-known"
        ) from None
    except TransportError as error:
        # The transport speaks of a gateway: here it is the service's own server.
        raise TransportError(f"{origin} cannot be reached.", reason=error.reason) from None
    finally:
        transport.close()


def _get_contact(call: Call) -> ContactPoint:
    args = call.args
    if args.email is not None:
        return _make_contact(args.email, name=args.contact, telephone=args.telephone)
    # Imported here: with it comes all that sends, which the other commands of the button do not need.
    from partner_sdk.client.account import find_sent_registration

    try:
        sent = find_sent_registration(PartnerState.open(Path(args.state)))
    except ReportAbuseError:
        sent = None
    if sent is None:
        raise LocalStateError(
            "Nothing is registered here to take the contact from: give --contact and --email.", reason="no-contact"
        )
    return sent.registration.operational_contact


def _make_contact(email: str, *, name: str | None, telephone: str | None) -> ContactPoint:
    """Return the contact of the options, or raise `FormatError` (`bad-contact`) that names the first one to mend."""
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
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


def add_commands(button: CommandGroup) -> None:
    """Add this file's commands."""
    group = button.add_group("well-known", summary=f"the file {PATH}: what you say of your button to everybody")
    make = group.add_alone(
        "make",
        run=run_make,
        summary="write the file",
        example='--placement example-chat-help --service "Example Chat" --hours "Every day, 08:00 to 22:00, London"',
    )
    make.add_argument("--placement", metavar="ID", required=True, help="the link id of the button that it names")
    make.add_argument(
        "--also", metavar="ID", action="append", default=[], help="another agreed placement (may be repeated)"
    )
    make.add_argument("--service", metavar="NAME", required=True, help="the name that people know")
    make.add_argument("--hours", metavar="WORDS", required=True, help="when the contact is read, with the place")
    make.add_argument(
        "--contact", metavar="TEAM", help="who is written to (default: your registration's operational contact)"
    )
    make.add_argument("--email", metavar="ADDRESS", help="of that team; it is public")
    make.add_argument("--telephone", metavar="NUMBER", help="of that team, or none; it is public")
    make.add_argument("--language", metavar="TAG", action="append", help="of your service, as en (may be repeated)")
    make.add_argument(
        "--days", metavar="N", type=int, default=MAX_DAYS - 1, help="for how long it holds (default: a year)"
    )
    make.add_argument("--origin", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    make.add_argument("--out", metavar="FILE", type=Path, help="write there, and not to standard output")
    check = group.add_alone(
        "check", run=run_check, summary="check that the file is valid", example="https://chat.example"
    )
    check.add_argument("place", metavar="URL|FILE", help="the service's address, or a file (- for standard input)")
    check.add_argument(
        "--origin", metavar="ADDRESS", help="the agency's (default: that of your folder, if there is one)"
    )
