"""`report-abuse-checker`: visits the registered pages of services and hands the desk what it found of their buttons."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.checker.handing_over import DeskDoor, make_posts, post_checks, read_token, write_posts
from gateway.checker.network_addresses import is_public, resolve_name
from partner_sdk.client.http import read_clock
from partner_sdk.errors import FormatError, ReportAbuseError, TransportError
from partner_sdk.wire.button_check import MAX_CHECKS, ButtonCheck, CheckList
from partner_sdk.wire.canonical import parse_exact

if TYPE_CHECKING:
    from gateway.checker.visiting import Visit

DONE: Final = 0
FAULTS: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3

MAX_LIST_BYTES: Final = 64 * 1024 * 1024
_SECONDS_AN_HOUR: Final = 3600
_LEAST_HOURS: Final = 0.1
_MOST_HOURS: Final = 24 * 31
_MADE_BY: Final = (
    "a file of mode 600 with what `placement runner-token` prints once: "
    "(umask 077; report-abuse-desk placement runner-token --state desk > runner.token)"
)
_LIST_MADE_BY: Final = "The desk makes it: report-abuse-desk placement targets --out pages.json"
_HELP: Final = """Example:
  report-abuse-desk placement targets --state desk --out pages.json
  report-abuse-checker run --list pages.json --post http://127.0.0.1:8702 --token-file runner.token --every 24

Exit codes: 0 every page came and its button is as agreed; 1 some button is not, or some page did not come; 2 wrong use,
or the desk refuses what it is given; 3 the desk did not answer, run it again. With --every it runs until it is ended.

It visits no page that is not on the list, and no address that is not public. It sends no cookie and runs no script."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parsed = make_parser().parse_args(arguments)
    try:
        return run(parsed)
    except KeyboardInterrupt:
        return DONE
    except TransportError as error:
        return _complain(f"{error} Nothing is lost: run it again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        return _complain(str(error), code=WRONG_USE)
    except ModuleNotFoundError as error:
        return _complain(f"{error}: install report-abuse-gateway[checker].", code=WRONG_USE)


def run(parsed: argparse.Namespace) -> int:
    """Visit every page of the list once, or again and again."""
    if (parsed.post is None) == (parsed.out is None) or (parsed.post is None) != (parsed.token_file is None):
        raise FormatError("Give --post and --token-file, or --out.", reason="bad-use")
    if parsed.every is None:
        return run_once(parsed)
    # A service manager ends it with SIGTERM, at any moment: what the desk has is whole, and the rest is only late.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    while True:
        started = time.monotonic()
        try:
            run_once(parsed)
        except (TransportError, FormatError) as error:
            _complain(f"{error} It is tried again at the next run.", code=TRY_AGAIN)
        time.sleep(max(0.0, started + parsed.every * _SECONDS_AN_HOUR - time.monotonic()))


def run_once(parsed: argparse.Namespace) -> int:
    """Visit every page of the list, and hand over what was found."""
    # It loads an HTML parser, which a mistyped command needs not.
    from gateway.checker.visiting import Outside, visit_pages

    check_list = read_check_list(parsed.list)
    door = make_door(parsed)
    outside = Outside(resolve=resolve_name, is_allowed=is_public, now=read_clock)
    waiting: list[ButtonCheck] = []
    is_well = True
    for visit in visit_pages(check_list, outside=outside):
        sys.stdout.write((format_visit_as_json(visit) if parsed.json else format_visit(visit)) + "\n")
        sys.stdout.flush()
        is_well = is_well and visit.check.result == "passes"
        waiting.append(visit.check)
        if door is not None and len(waiting) == MAX_CHECKS:
            post_checks(make_posts(waiting), door=door)
            waiting = []
    if door is not None:
        post_checks(make_posts(waiting), door=door)
    else:
        for file in write_posts(make_posts(waiting), out=parsed.out):
            sys.stdout.write((json.dumps({"written": str(file)}) if parsed.json else f"written: {file}") + "\n")
    return DONE if is_well else FAULTS


def read_check_list(file: Path) -> CheckList:
    """Return the desk's list; raises `FormatError`."""
    try:
        raw = file.read_bytes()
    except OSError:
        raise FormatError(f"{file} cannot be read. {_LIST_MADE_BY}", reason="no-list") from None
    try:
        return parse_exact(raw.removesuffix(b"\n"), kind=CheckList, max_bytes=MAX_LIST_BYTES)
    except FormatError as error:
        raise FormatError(f"{file} is no list of the desk's. {_LIST_MADE_BY}", reason=error.reason) from None


def make_door(parsed: argparse.Namespace) -> DeskDoor | None:
    """Return where to post, or None where files are written; raises `FormatError`."""
    if parsed.post is None:
        return None
    return DeskDoor(origin=parsed.post.rstrip("/"), token=read_token(parsed.token_file), ca_file=parsed.ca_file)


def format_visit(visit: "Visit") -> str:
    """Return one line: the result, the placement, the address, and why or which faults; nothing of the page itself."""
    faults = [one.code for one in visit.check.findings if one.severity == "fault"]
    # The address is the desk's own, but a terminal takes orders from characters that a mistyped one may hold.
    address = "".join(one if one.isprintable() else "?" for one in visit.target.address)
    return "  ".join(
        (f"{visit.check.result:<11}", visit.target.placement, address, visit.trouble or ", ".join(faults))
    ).rstrip()


def format_visit_as_json(visit: "Visit") -> str:
    """Return one line of JSON in ASCII: the check as the desk takes it (WIRE.md §10.2), and why a page did not come."""
    told = {"check": msgspec.to_builtins(visit.check), "trouble": visit.trouble}
    return json.dumps(told, ensure_ascii=True, sort_keys=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of its one command."""
    parser = argparse.ArgumentParser(prog="report-abuse-checker", description=(__doc__ or "").partition(": ")[2])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    summary = "visit the pages of the desk's list and judge the button of each"
    command = commands.add_parser(
        "run",
        help=summary,
        description=summary,
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--list", type=Path, required=True, metavar="FILE", help="what `placement targets` wrote")
    command.add_argument("--post", metavar="ORIGIN", help="the desk's listener; https, or http on this very machine")
    command.add_argument("--token-file", type=Path, metavar="FILE", help=_MADE_BY)
    command.add_argument("--ca-file", metavar="FILE", help="trust this certificate authority only for the desk")
    command.add_argument("--out", type=Path, metavar="FILE", help="write a file for `placement import-checks`")
    command.add_argument("--json", action="store_true", help="write a line of JSON for each page, for a program")
    command.add_argument("--every", type=_parse_hours, metavar="HOURS", help="begin again after so many hours")
    return parser


def _parse_hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not _LEAST_HOURS <= hours <= _MOST_HOURS:
        raise argparse.ArgumentTypeError(f"a number of hours from {_LEAST_HOURS} to {_MOST_HOURS}")
    return hours


def _complain(text: str, *, code: int) -> int:
    sys.stderr.write(f"report-abuse-checker: {text}\n")
    return code
