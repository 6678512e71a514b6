"""`report-abuse-checker run`: visits each page of the desk's list, once or again and again."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from gateway.checker.cli import DONE, FAULTS, TRY_AGAIN, complain
from gateway.checker.handing_over import DeskDoor, make_posts, post_checks, read_token, write_posts
from gateway.checker.network_addresses import is_public, resolve_name
from partner_sdk.client.http import read_clock
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import FormatError, LocalStateError, TransportError
from partner_sdk.finding import make_printable
from partner_sdk.lazy_group import ExampleCommand, FiniteRange
from partner_sdk.wire.button import MAX_CHECKS, ButtonCheck, CheckList
from partner_sdk.wire.canonical import parse_exact

if TYPE_CHECKING:
    from gateway.checker.visiting import Visit

MAX_LIST_BYTES: Final = 64 * 1024 * 1024
_SECONDS_AN_HOUR: Final = 3600
_FILE: Final = click.Path(path_type=Path)
_MADE_BY: Final = (
    "The runner's token, a file of mode 600. Make it with: "
    "(umask 077; report-abuse-desk placement runner-token --state desk > runner.token)"
)
_LIST_MADE_BY: Final = "Make it with: report-abuse-desk placement targets --out pages.json"


@click.command(
    cls=ExampleCommand,
    example="--list pages.json --post http://127.0.0.1:8702 --token-file runner.token --every 24",
    epilog="Exit codes: 0 every page loaded with its button as agreed; 1 a button differs or a page did not load; "
    "2 wrong usage, or the desk refused the checks; 3 the desk did not answer: try again.",
)
@click.option("--list", "list_file", type=_FILE, required=True, metavar="FILE", help="The desk's list of pages.")
@click.option("--post", metavar="ORIGIN", help="The desk's listener: https, or http on this machine.")
@click.option("--token-file", type=_FILE, metavar="FILE", help=_MADE_BY)
@click.option("--ca-file", metavar="FILE", help="The only certificate authority to trust for the desk.")
@click.option("--out", type=_FILE, metavar="FILE", help="Write a file for `placement import-checks` instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each page.")
@click.option("--every", type=FiniteRange(0.1, 24 * 31), metavar="HOURS", help="Repeat with this period.")
def run(
    list_file: Path,
    post: str | None,
    token_file: Path | None,
    ca_file: str | None,
    out: Path | None,
    every: float | None,
    *,
    as_json: bool,
) -> int:
    """Visit each page of the desk's list and check its button.

    It visits no page that is not on the list and no address that is not public. It sends no cookie and runs no script.
    Give --post and --token-file, or --out. With --every it runs until it is stopped.

    The desk makes the list: report-abuse-desk placement targets --state desk --out pages.json
    """
    if (post is None) == (out is None) or (post is None) != (token_file is None):
        raise click.UsageError("Give --post and --token-file, or --out.")

    def run_once() -> int:
        check_list = read_check_list(list_file)
        if post is None or token_file is None:
            door = None
        else:
            door = DeskDoor(origin=post.rstrip("/"), token=read_token(token_file), ca_file=ca_file)
        return run_checks(check_list, door=door, out=out, as_json=as_json)

    if every is None:
        return run_once()
    # A service manager may send SIGTERM at any moment: posted checks are complete, and the next run does the rest.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            started = time.monotonic()
            try:
                run_once()
            except (TransportError, FormatError) as error:
                complain(f"{error} The next run tries again.", code=TRY_AGAIN)
            time.sleep(max(0.0, started + every * _SECONDS_AN_HOUR - time.monotonic()))
    except KeyboardInterrupt:
        return DONE


def run_checks(check_list: CheckList, *, door: DeskDoor | None, out: Path | None, as_json: bool) -> int:
    """Visit every page of the list and hand over the checks: to the desk's door, or as files at `out`."""
    from gateway.checker.visiting import Runtime, visit_pages

    runtime = Runtime(resolve=resolve_name, is_allowed=is_public, now=read_clock)
    waiting: list[ButtonCheck] = []
    is_well = True
    for visit in visit_pages(check_list, runtime=runtime):
        sys.stdout.write((format_visit_as_json(visit) if as_json else format_visit(visit)) + "\n")
        sys.stdout.flush()
        is_well = is_well and visit.check.result == "passes"
        waiting.append(visit.check)
        if door is not None and len(waiting) == MAX_CHECKS:
            post_checks(make_posts(waiting), door=door)
            waiting = []
    if door is not None:
        post_checks(make_posts(waiting), door=door)
    elif out is not None:
        for file in write_posts(make_posts(waiting), out=out):
            sys.stdout.write((json.dumps({"written": str(file)}) if as_json else f"written: {file}") + "\n")
    return DONE if is_well else FAULTS


def read_check_list(file: Path) -> CheckList:
    """Return the desk's list; raises `FormatError`."""
    try:
        raw = read_bounded(file, max_bytes=MAX_LIST_BYTES + 1)  # and the end of the last line
    except LocalStateError:
        raise FormatError(f"Cannot read {file}. {_LIST_MADE_BY}", reason="no-list") from None
    try:
        return parse_exact(raw.removesuffix(b"\n"), kind=CheckList, max_bytes=MAX_LIST_BYTES)
    except FormatError as error:
        raise FormatError(f"{file} is not the desk's list of pages. {_LIST_MADE_BY}", reason=error.reason) from None


def format_visit(visit: "Visit") -> str:
    """Return one line: result, placement, address, and the failure or the faults; no content of the page."""
    faults = [one.code for one in visit.check.findings if one.severity == "fault"]
    # The desk's address may contain mistyped control characters, which would affect a terminal.
    address = make_printable(visit.target.address)
    return "  ".join(
        (f"{visit.check.result:<11}", visit.target.placement, address, visit.trouble or ", ".join(faults))
    ).rstrip()


def format_visit_as_json(visit: "Visit") -> str:
    """Return one line of ASCII JSON: the check in the desk's format (WIRE.md §10.2), and the failure if any."""
    row = {"check": msgspec.to_builtins(visit.check), "trouble": visit.trouble}
    return json.dumps(row, ensure_ascii=True, sort_keys=True)
