"""`report-abuse-partner`: the SDK for people and scripts. Reads arguments, runs a command, maps errors to exits."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from partner_sdk import __version__
from partner_sdk.client.advice import describe
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.commands.frame import EMERGENCY, Call, CommandGroup, Commands, PartnerCall, Urgency
from partner_sdk.commands.output import EXIT_CODES, EXIT_DONE, EXIT_FAILED, EXIT_USAGE, Speaker
from partner_sdk.errors import ReportAbuseError

if TYPE_CHECKING:
    from partner_sdk.commands.surroundings import Surroundings

STATE_VARIABLE = "REPORT_ABUSE_PARTNER_STATE"
DEFAULT_STATE = "report-abuse-partner"

# Each file of `commands`, and the words that it adds with what the help says of each, in the order of the help: a new
# group is one line. A command loads the files of its own word alone, and the help none, because all of them together
# cost every run a tenth of a second. A test holds that each summary is the command's own.
_REPORT_FILES: Final = ("new_report", "submit", "reports", "export")
_REPORT: Final = {"report": "submit reports and follow them"}
_FILES: Final = {
    "spool": {"spool": "what is sealed and waits for its receipt"},
    "evidence": {"evidence": "hand over files that belong to reports"},
    "receipts": {"receipt": "check and keep receipts"},
    "mailbox": {"inbox": "fetch, check, save and list the agency's messages", "digest": "show your newest digest"},
    "information_requests": {"requests": "list what the agency asks and by when; `requests show ID` shows one whole"},
    "keys": {"keys": "the keys of this partner"},
    "account": {"account": "what this partner registers of itself"},
    "button": {"button": "the Report Abuse button on your own pages"},
    "service": {"enrol": "answer the agency's invitation", "doctor": "say what is wrong and how to mend it"},
}
_SUMMARIES: Final = {word: said for words in (_REPORT, *_FILES.values()) for word, said in words.items()}


def main(arguments: Sequence[str] | None = None, *, surroundings: "Surroundings | None" = None) -> int:
    """Run one command and return its exit code; without `surroundings`, with what this machine has."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] not in _SUMMARIES:
        # The overview ends the process: with the help, or because the words are wrong.
        _parse(make_overview(), words)
    if surroundings is None:
        surroundings = _make_surroundings()
    args = _parse(make_parser(surroundings.environ, word=words[0]), words)
    urgency = Urgency(is_p1_waiting=getattr(args, "priority", None) == "P1")
    code = EXIT_FAILED
    try:
        code = _run(args, surroundings=surroundings, urgency=urgency)
    except ReportAbuseError as error:
        _open_speaker(Path(args.state)).warn(describe(error))
    finally:
        # Whatever stopped it, Ctrl-C included.
        if code != EXIT_DONE and urgency.is_p1_waiting:
            _open_speaker(Path(args.state)).warn(EMERGENCY)
    return code


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments, or exit with the usage of the very command that was meant."""
    try:
        args, unknown = parser.parse_known_args(arguments)
        misuse = f"unrecognized arguments: {' '.join(unknown)}" if unknown else args.find_misuse(args)
        if misuse is not None:
            args.parser.error(misuse)
    except SystemExit as error:
        # A slip in an option must not end in a usage line while a child is at risk.
        words = [word.upper().removeprefix("--PRIORITY=") for word in arguments]
        if error.code == EXIT_USAGE and "P1" in words and "SUBMIT" in words:
            Speaker(None).warn(EMERGENCY)
        raise
    return args


def _run(args: argparse.Namespace, *, surroundings: "Surroundings", urgency: Urgency) -> int:
    if args.needs_partner:
        return _run_for_partner(args, surroundings=surroundings, urgency=urgency)
    speaker = _open_speaker(Path(args.state))
    call = Call(args=args, speaker=speaker, surroundings=surroundings, urgency=urgency)
    code: int = args.command(call)
    return code


def _run_for_partner(args: argparse.Namespace, *, surroundings: "Surroundings", urgency: Urgency) -> int:
    # Imported here: with it comes all that sends, which what runs alone may not need.
    from partner_sdk.client.partner import Partner

    speaker = Speaker(PartnerState.open(Path(args.state)).profile.environment)

    def notify(text: str) -> None:
        speaker.warn(f"{text}\n{EMERGENCY}" if urgency.is_p1_waiting else text)

    partner = Partner.open(
        Path(args.state),
        ca_file=args.ca_file,
        session=surroundings.open_session(),
        clock=surroundings.clock,
        policy=surroundings.policy,
        sleep=surroundings.sleep,
        notify=notify,
    )
    try:
        call = PartnerCall(args=args, speaker=speaker, surroundings=surroundings, urgency=urgency, partner=partner)
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
    top = CommandGroup(commands=commands, shared=shared)
    named = [name for name, words in _FILES.items() if word in words]
    if word in _REPORT or not named:
        report = top.add_group("report", summary=_REPORT["report"])
        for name in _REPORT_FILES:
            import_module(f"partner_sdk.commands.{name}").add_commands(report)
    if word not in _REPORT:
        for name in named or _FILES:
            import_module(f"partner_sdk.commands.{name}").add_commands(top)
    return parser


def make_overview() -> argparse.ArgumentParser:
    """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
    parser, commands = _make_bare_parser()
    for word, summary in _SUMMARIES.items():
        commands.add_parser(word, help=summary)
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


def _make_surroundings() -> "Surroundings":
    # Imported here: with it comes all that sends, which the overview does not need.
    from partner_sdk.commands.surroundings import Surroundings

    return Surroundings()


def _open_speaker(folder: Path) -> Speaker:
    try:
        return Speaker(PartnerState.open(folder).profile.environment)
    except ReportAbuseError:
        return Speaker(None)


if __name__ == "__main__":
    sys.exit(main())
