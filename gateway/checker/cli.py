"""`report-abuse-checker`: visits each page of the desk's list, once or again and again, and hands in its checks.

They go to the desk in posts with the runner's token, split to the desk's limits, or into files to carry.
"""

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
import requests

from partner_sdk import __version__
from partner_sdk.client.exchange import check_origin
from partner_sdk.client.http import read_clock
from partner_sdk.console.findings import (
    MAX_CHECKS,
    MAX_CHECKS_BODY_BYTES,
    ButtonCheck,
    CheckList,
    CheckPost,
    encode_checks,
)
from partner_sdk.durable_files import is_open_to_others, read_bounded, write_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError, TransportError
from partner_sdk.finding import make_printable
from partner_sdk.lazy_group import ExampleCommand, FiniteRange, LazyGroup, run_program
from partner_sdk.wire.canonical import parse_exact

if TYPE_CHECKING:
    from gateway.checker.visiting import Visit

DONE: Final = 0
FAULTS: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3
PATH: Final = "/placement-checks"
POST_SECONDS: Final = 30.0
MOST_WAIT_SECONDS: Final = 120
MAX_TRIES: Final = 3
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")


@dataclass(frozen=True, slots=True)
class DeskDoor:
    """The desk's endpoint for checks, and its token. `ca_file` is the only CA trusted for its certificate."""

    origin: str
    token: str
    ca_file: str | None = None


def read_token(file: Path) -> str:
    """Return the runner's token; raises `FormatError` for a file that other users can read, or without a token."""
    try:
        if is_open_to_others(file.stat()):
            raise FormatError("Other users can read the token file. Run `chmod 600` on it.", reason="bad-token")
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise FormatError("Cannot read the token file.", reason="bad-token") from None
    if not _TOKEN.fullmatch(token):
        raise FormatError(
            "The token file holds no token. Make one with `report-abuse-desk placement runner-token`.",
            reason="bad-token",
        )
    return token


def make_posts(checks: Sequence[ButtonCheck]) -> list[bytes]:
    """Return canonical bodies within the desk's limits: `MAX_CHECKS` checks and `MAX_CHECKS_BODY_BYTES` in each."""
    posts: list[bytes] = []
    waiting: list[ButtonCheck] = []
    for check in map(_fit, checks):
        if waiting and (len(waiting) == MAX_CHECKS or not _fits([*waiting, check])):
            posts.append(_encode(waiting))
            waiting = []
        waiting.append(check)
    if waiting:
        posts.append(_encode(waiting))
    return posts


def _encode(checks: Sequence[ButtonCheck]) -> bytes:
    return encode_checks(CheckPost(checks=tuple(checks)))


def _fits(checks: Sequence[ButtonCheck]) -> bool:
    return len(_encode(checks)) <= MAX_CHECKS_BODY_BYTES


def _fit(check: ButtonCheck) -> ButtonCheck:
    """Return a check that fits on its own; the most serious findings come first and stay."""
    while not _fits([check]):
        check = msgspec.structs.replace(check, findings=check.findings[: len(check.findings) // 2])
    return check


def write_posts(posts: Sequence[bytes], *, out: Path) -> list[Path]:
    """Write each body to its own file (`checks.json`, `checks-2.json`, ...) and return the files."""
    files = [out if number == 1 else out.with_stem(f"{out.stem}-{number}") for number in range(1, len(posts) + 1)]
    for file, raw in zip(files, posts, strict=True):
        write_durably(file, raw)
    return files


def post_checks(posts: Sequence[bytes], *, door: DeskDoor, sleep: Callable[[float], None] = time.sleep) -> None:
    """Post each body to the desk.

    Raises `FormatError` (`bad-token`, `refused`) for a permanent refusal, and `TransportError` if there was no answer.
    Then all of it can be posted again: the desk files each check once.
    """
    check_origin(door.origin)
    with requests.Session() as session:
        session.trust_env = False
        for raw in posts:
            _post(raw, session=session, door=door, sleep=sleep)


def _post(raw: bytes, *, session: requests.Session, door: DeskDoor, sleep: Callable[[float], None]) -> None:
    for _ in range(MAX_TRIES):
        answer = _ask(raw, session=session, door=door)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise FormatError(
                "The desk does not accept this token. Make a new one with `report-abuse-desk placement runner-token`.",
                reason="bad-token",
            )
        if answer.status_code not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise FormatError(f"The desk refused the checks with status {answer.status_code}.", reason="refused")
        wait = answer.headers.get("Retry-After", "")
        is_number = wait.isascii() and wait.isdigit() and len(wait) < 9
        sleep(min(int(wait), MOST_WAIT_SECONDS) if is_number else 10.0)
    raise TransportError("The desk keeps asking to wait.", reason="status")


def _ask(raw: bytes, *, session: requests.Session, door: DeskDoor) -> requests.Response:
    try:
        return session.post(
            door.origin + PATH,
            data=raw,
            headers={
                "Authorization": f"Bearer {door.token}",
                "Content-Type": "application/json",
                "User-Agent": f"report-abuse-checker/{__version__}",
            },
            allow_redirects=False,
            timeout=POST_SECONDS,
            verify=True if door.ca_file is None else door.ca_file,
        )
    except (OSError, ValueError):  # RequestException is an OSError
        raise TransportError("The desk did not answer.", reason="connection") from None


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
    from gateway.checker.visiting import Runtime, is_public, resolve_name, visit_pages

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


program: Final = LazyGroup(
    help="Check the buttons on services' registered pages and send the results to the desk.",
    table={"run": ("gateway.checker.cli:run", "Visit each page of the desk's list and check its button.")},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return run_program(program, arguments, name="report-abuse-checker")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("partner_sdk.console"):
            raise
        return complain("Install it with its extra: pip install 'report-abuse-gateway[checker]'", code=WRONG_USE)
    except TransportError as error:
        return complain(f"{error} Nothing is lost: run it again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


def complain(text: str, *, code: int) -> int:
    """Print an error and return the exit code."""
    sys.stderr.write(f"report-abuse-checker: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
