"""`report-abuse-partner`: the SDK for people and scripts. Reads arguments, calls client.py, maps errors to exits."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from partner_sdk import __version__
from partner_sdk.cli_advice import describe
from partner_sdk.cli_mailbox import run_digest, run_inbox
from partner_sdk.cli_output import EXIT_CODES, EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.cli_reports import EMERGENCY, run_discard, run_list, run_preview, run_status, run_submit, run_verify
from partner_sdk.cli_service import run_doctor, run_enrol
from partner_sdk.cli_surroundings import Surroundings
from partner_sdk.client import Partner
from partner_sdk.errors import ReportAbuseError
from partner_sdk.partner_state import PartnerState
from partner_sdk.submission import Priority, ReportKind

STATE_VARIABLE = "REPORT_ABUSE_PARTNER_STATE"
DEFAULT_STATE = "report-abuse-partner"
THIS_MACHINE = Surroundings()

Command = Callable[..., int]


def main(arguments: Sequence[str] | None = None, *, surroundings: Surroundings = THIS_MACHINE) -> int:
    """Run one command and return its exit code."""
    parser = make_parser(surroundings.environ)
    args = parser.parse_args(arguments)
    if args.command is run_submit and not args.resume and (args.file is None or args.priority is None):
        parser.error("report submit takes FILE and --priority, or --resume")
    code = EXIT_FAILED
    try:
        code = _run(args, surroundings=surroundings)
    except ReportAbuseError as error:
        _open_speaker(Path(args.state)).warn(describe(error))
    finally:
        # Whatever stopped it, Ctrl-C included.
        if code != EXIT_DONE and is_p1(args):
            _open_speaker(Path(args.state)).warn(EMERGENCY)
    return code


def _run(args: argparse.Namespace, *, surroundings: Surroundings) -> int:
    if args.command is run_enrol:
        code: int = run_enrol(args, surroundings=surroundings)
        return code
    if args.command is run_preview:
        shown: int = run_preview(_open_speaker(Path(args.state)), args)
        return shown
    return run_for_partner(args.command, args, surroundings=surroundings)


def run_for_partner(command: Command, args: argparse.Namespace, *, surroundings: Surroundings) -> int:
    """Run a command of an enrolled partner, in the environment that its folder belongs to."""
    speaker = Speaker(PartnerState.open(Path(args.state)).profile.environment)

    def notify(text: str) -> None:
        speaker.warn(f"{text}\n{EMERGENCY}" if is_p1(args) else text)

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
        if command is run_doctor:
            return run_doctor(partner, speaker, args, surroundings=surroundings)
        return command(partner, speaker, args)
    finally:
        partner.close()


def is_p1(args: argparse.Namespace) -> bool:
    """Return whether this command is to deliver a report about a child at risk now."""
    return getattr(args, "priority", None) == "P1"


def make_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state",
        metavar="DIR",
        default=environ.get(STATE_VARIABLE, DEFAULT_STATE),
        help=f"the partner's own folder (default: ${STATE_VARIABLE}, else ./{DEFAULT_STATE})",
    )
    shared.add_argument("--ca-file", metavar="FILE", type=Path, help="trust this certificate authority only")
    shared.add_argument("--json", action="store_true", help="write one JSON object for a machine")
    parser = argparse.ArgumentParser(
        prog="report-abuse-partner",
        description="Submit sealed reports to the agency, keep receipts, read your digests.",
        epilog=f"example:\n  report-abuse-partner report submit report.json --priority P2\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    enrol = _add(commands, "enrol", "answer the agency's invitation", "enrol invitation.json", shared)
    enrol.add_argument("invitation", metavar="INVITATION", help="the file that the agency handed over (- for input)")
    enrol.set_defaults(command=run_enrol)
    _add_report(commands, shared)
    _add_receipt(commands, shared)
    _add_mailbox(commands, shared)
    doctor = _add(commands, "doctor", "say what works and what does not", "doctor", shared)
    doctor.set_defaults(command=run_doctor)
    return parser


def _add_report(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    report = commands.add_parser("report", help="submit reports and follow them")
    actions = report.add_subparsers(title="actions", required=True, metavar="ACTION")
    submit = _add(actions, "submit", "seal and send one report", "report submit report.json --priority P2", shared)
    submit.add_argument("file", metavar="FILE", nargs="?", help="the report as JSON (- for standard input)")
    submit.add_argument("--priority", choices=get_args(Priority), help="P1: a child is at risk now")
    submit.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    submit.add_argument("--earlier-reference", metavar="REFERENCE", help="your own report that this one belongs to")
    submit.add_argument("--resume", action="store_true", help="send again everything that has no receipt yet")
    submit.set_defaults(command=run_submit)
    preview = _add(
        actions,
        "preview",
        "show what would be sealed, and what is missing",
        "report preview report.json --priority P2",
        shared,
    )
    preview.add_argument("file", metavar="FILE", help="the report as JSON (- for standard input)")
    preview.add_argument("--priority", choices=get_args(Priority), required=True, help="P1: a child is at risk now")
    preview.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    preview.add_argument("--earlier-reference", metavar="REFERENCE", help="your own report that this one belongs to")
    preview.set_defaults(command=run_preview)
    listed = _add(actions, "list", "list receipts and what waits for one", "report list", shared)
    listed.set_defaults(command=run_list)
    for name, text, command in (
        ("status", "ask how far a report is", run_status),
        ("discard", "drop a sealed report that was never delivered", run_discard),
    ):
        action = _add(actions, name, text, f"report {name} 019ab3c5-...", shared)
        action.add_argument("report_id", metavar="REPORT_ID")
        action.set_defaults(command=command)


def _add_receipt(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    receipt = commands.add_parser("receipt", help="check receipts")
    actions = receipt.add_subparsers(title="actions", required=True, metavar="ACTION")
    verify = _add(actions, "verify", "verify a receipt, offline", "receipt verify receipts/019ab3c5-....json", shared)
    verify.add_argument("file", metavar="FILE", help="the receipt file (- for standard input)")
    verify.set_defaults(command=run_verify)


def _add_mailbox(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    inbox = _add(commands, "inbox", "fetch, check, save and list the agency's messages", "inbox --all", shared)
    inbox.add_argument("--all", action="store_true", help="list the saved messages too")
    inbox.add_argument("--show", metavar="NUMBER", type=int, help="show one saved message")
    inbox.set_defaults(command=run_inbox)
    digest = _add(commands, "digest", "show your newest digest", "digest --quarter 2026-Q3 --csv", shared)
    digest.add_argument("--quarter", type=_quarter, help="the digest of this quarter instead of the newest")
    digest.add_argument("--csv", action="store_true", help="one line per number")
    digest.add_argument("--offline", action="store_true", help="do not look into the mailbox first")
    digest.set_defaults(command=run_digest)


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    shared: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  report-abuse-partner {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )


def _quarter(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-Q[1-4]", text):
        raise argparse.ArgumentTypeError("A quarter looks like 2026-Q3.")
    return text


def _open_speaker(folder: Path) -> Speaker:
    try:
        return Speaker(PartnerState.open(folder).profile.environment)
    except ReportAbuseError:
        return Speaker(None)


if __name__ == "__main__":
    sys.exit(main())
