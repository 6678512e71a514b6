"""`report-abuse-partner`: the SDK for people and scripts. Reads arguments, runs a command, maps errors to exits."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from partner_sdk import __version__
from partner_sdk._commands.runtime import (
    COMMANDS,
    EMERGENCY,
    EXIT_CODES,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_USAGE,
    Call,
    CommandGroup,
    PartnerCall,
    Runtime,
    Speaker,
    Urgency,
)
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import describe
from partner_sdk.command_table import Commands, end_by_overview
from partner_sdk.errors import ReportAbuseError

STATE_VARIABLE = "REPORT_ABUSE_PARTNER_STATE"
DEFAULT_STATE = "report-abuse-partner"


def main(arguments: Sequence[str] | None = None, *, runtime: Runtime | None = None) -> int:
    """Run one command and return its exit code, e.g. 0 when it is done. `runtime` defaults to this machine's own."""
    words = sys.argv[1:] if arguments is None else arguments
    word = COMMANDS.find_word(words)
    if word is None:
        with _saying_emergency(words):
            end_by_overview(make_overview(), words)
    runtime = Runtime() if runtime is None else runtime
    with _saying_emergency(words):
        args = _parse(make_parser(runtime.environ, word=word), words)
    urgency = Urgency(is_p1_waiting=getattr(args, "priority", None) == "P1")
    code = EXIT_FAILED
    try:
        code = _run(args, runtime=runtime, urgency=urgency)
    except ReportAbuseError as error:
        _open_speaker(Path(args.state)).warn(describe(error))
    finally:
        # Whatever stopped it, Ctrl-C included.
        if code != EXIT_DONE and urgency.is_p1_waiting:
            _open_speaker(Path(args.state)).warn(EMERGENCY)
    return code


@contextmanager
def _saying_emergency(arguments: Sequence[str]) -> Iterator[None]:
    """Say where to call when wrong words end the process: no slip must end in a usage line while a child is at risk."""
    try:
        yield
    except SystemExit as error:
        words = [word.upper().removeprefix("--PRIORITY=") for word in arguments]
        if error.code == EXIT_USAGE and "P1" in words and "SUBMIT" in words:
            Speaker(None).warn(EMERGENCY)
        raise


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments, or exit with the usage of the very command that was meant."""
    args, unknown = parser.parse_known_args(arguments)
    misuse = f"unrecognized arguments: {' '.join(unknown)}" if unknown else args.find_misuse(args)
    if misuse is not None:
        args.parser.error(misuse)
    return args


def _run(args: argparse.Namespace, *, runtime: Runtime, urgency: Urgency) -> int:
    if args.needs_partner:
        return _run_for_partner(args, runtime=runtime, urgency=urgency)
    speaker = _open_speaker(Path(args.state))
    call = Call(args=args, speaker=speaker, runtime=runtime, urgency=urgency)
    code: int = args.command(call)
    return code


def _run_for_partner(args: argparse.Namespace, *, runtime: Runtime, urgency: Urgency) -> int:
    # Imported here: with it comes all that sends, which a command that runs alone may not need.
    from partner_sdk.client.partner import Partner

    speaker = Speaker(PartnerState.open(Path(args.state)).profile.environment)

    def notify(text: str) -> None:
        speaker.warn(f"{text}\n{EMERGENCY}" if urgency.is_p1_waiting else text)

    partner = Partner.open(
        Path(args.state),
        ca_file=args.ca_file,
        session=runtime.open_session(),
        clock=runtime.clock,
        policy=runtime.policy,
        sleep=runtime.sleep,
        notify=notify,
    )
    try:
        call = PartnerCall(args=args, speaker=speaker, runtime=runtime, urgency=urgency, partner=partner)
        code: int = args.command(call)
        return code
    finally:
        partner.close()


def make_parser(environ: Mapping[str, str], *, word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the files that add `word`; with every command for any other word."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state",
        metavar="DIR",
        default=environ.get(STATE_VARIABLE, DEFAULT_STATE),
        help=f"the partner's own folder (default: ${STATE_VARIABLE}, else ./{DEFAULT_STATE})",
    )
    shared.add_argument("--ca-file", metavar="FILE", type=Path, help="trust this certificate authority only")
    shared.add_argument("--json", action="store_true", help="write one JSON object for a machine")
    parser, commands = _make_bare_parser()
    COMMANDS.add_commands(CommandGroup(commands=commands, shared=shared), word=word)
    return parser


def make_overview() -> argparse.ArgumentParser:
    """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
    parser, commands = _make_bare_parser()
    COMMANDS.add_overview(commands)
    return parser


def _make_bare_parser() -> "tuple[argparse.ArgumentParser, Commands[argparse.ArgumentParser]]":
    parser = argparse.ArgumentParser(
        prog="report-abuse-partner",
        description="Submit sealed reports to the agency, keep receipts, read your digests.",
        epilog=f"example:\n  report-abuse-partner report submit report.json --priority P2\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser, parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


def _open_speaker(folder: Path) -> Speaker:
    try:
        return Speaker(PartnerState.open(folder).profile.environment)
    except ReportAbuseError:
        return Speaker(None)


if __name__ == "__main__":
    sys.exit(main())
