"""The command `button check`: looks at one page and says whether its button is as agreed, why, and how to mend it."""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, Call, CommandGroup, find_origin, read_input
from partner_sdk.client.exchange import check_origin
from partner_sdk.errors import FormatError, LocalStateError, TransportError
from partner_sdk.wire.button_check import ButtonCheck

if TYPE_CHECKING:
    from partner_sdk.button.check import Expected, Known

EXIT_NO_PAGE: Final = 5
FORMATS: Final = ("text", "json", "junit")
DEFAULT_HEIGHT: Final = 640
DEFAULT_WIDTHS: Final = (320, 360, 1280)
_SIDES: Final = range(200, 4001)
_EXIT_CODES: Final = """exit codes:
  0  no fault was seen: the button is as agreed, or works and its placement was not compared
  1  it is not, and the faults are named; or the check itself failed
  2  wrong usage
  5  the page did not come, or never came to rest in the browser, so nothing is said of the button"""

# The room of the check is imported when the command runs: it loads an HTML parser, and a browser if one is asked for.


@dataclass(frozen=True, slots=True)
class Source:
    """A page that is to be judged. `headers` is None for a file; `read_copy` reads the files beside it."""

    raw: bytes
    address: str
    headers: Mapping[str, str] | None
    read_copy: Callable[[str], bytes | None]


def run_check(call: Call) -> int:
    """Check one page."""
    from partner_sdk.button.check import explain_no_page, make_unreachable

    args = call.args
    expected = _make_expected(call)
    try:
        source = _read_source(call)
        _check_is_page(source, expected=expected, now=call.runtime.clock())
        check = _judge(call, source, expected=expected)
    except TransportError as error:
        call.speaker.warn(f"{error} ({error.reason})")
        check = make_unreachable(
            args.page,
            placement=expected.placement,
            now=call.runtime.clock(),
            method="browser" if args.browser else "static",
            findings=(explain_no_page(error, expected=expected),),
        )
    _say(call, check)
    return {"passes": EXIT_DONE, "faults": EXIT_FAILED, "unreachable": EXIT_NO_PAGE}[check.result]


def _make_expected(call: Call) -> "Expected":
    from partner_sdk.button.check import MAX_KNOWN_BYTES, Expected, parse_known

    args = call.args
    known: Known | None = None
    if args.known is not None:
        known = parse_known(read_input(args.known, max_bytes=MAX_KNOWN_BYTES))
    placement = args.placement
    if placement is None and known is not None:
        placement = known.find_placement(args.page)
    told = None if known is None else known.origin
    origin = find_origin(args.origin or told, state=Path(args.state))
    if origin is None:
        parser: argparse.ArgumentParser = args.parser
        parser.error(
            f"{args.state} is no folder of an enrolled partner: "
            "name the agency's address with --origin, or an enrolled folder with --state"
        )
    check_origin(origin)
    return Expected(origin=origin, placement=placement, known=None if known is None else known.placements)


def _read_source(call: Call) -> Source:
    from partner_sdk.button.check.page import MAX_PAGE_BYTES
    from partner_sdk.button.check.page_fetch import fetch_page, read_own_copy

    args = call.args
    if not is_address(args.page):
        raw = _read_file(args.page, max_bytes=MAX_PAGE_BYTES)
        return Source(raw, address=args.page, headers=None, read_copy=partial(read_beside, page=args.page))
    session = call.runtime.open_session()
    ca_file = None if args.ca_file is None else str(args.ca_file)
    page = fetch_page(args.page, session=session, ca_file=ca_file)
    return Source(
        page.body,
        address=page.address,
        headers=page.headers,
        read_copy=partial(read_own_copy, page=page, session=session, ca_file=ca_file),
    )


def _read_file(page: str, *, max_bytes: int) -> bytes:
    try:
        return read_input(page, max_bytes=max_bytes)
    except LocalStateError as error:
        if page == "-" or Path(page).exists():
            raise
        raise LocalStateError(f"{error} An address begins with https://", reason=error.reason) from None


def _check_is_page(source: Source, *, expected: "Expected", now: datetime) -> None:
    """Raise `FormatError` (`no-html`) for a file that is no page: to put the snippet into it would mend nothing."""
    from partner_sdk.button.check.static_check import check_page, describe_no_html

    what = None if source.headers is not None else describe_no_html(source.raw, name=source.address)
    if what is None:
        return
    found = check_page(source.raw, address=source.address, expected=expected, now=now)
    if [one.code for one in found.findings] == ["no-button"]:
        name = "Standard input" if source.address == "-" else source.address
        raise FormatError(f"{name} {what}. Give the page as your server sends it.", reason="no-html")


def _judge(call: Call, source: Source, *, expected: "Expected") -> ButtonCheck:
    from partner_sdk.button.check import check_page

    args, now = call.args, call.runtime.clock()
    if not args.browser:
        return check_page(
            source.raw,
            address=source.address,
            expected=expected,
            now=now,
            headers=source.headers,
            read_resource=source.read_copy,
        )
    from partner_sdk.button.check._browser import open_chromium
    from partner_sdk.button.check.browser_check import Screen, check_in_browser

    is_root = os.geteuid() == 0
    if is_root:
        call.speaker.warn("You are root: Chromium runs without its sandbox. Check only pages of your own in this way.")
    with open_chromium(is_root=is_root) as browser:
        return check_in_browser(
            source.raw,
            browser=browser,
            address=source.address,
            expected=expected,
            now=now,
            headers=source.headers,
            read_resource=source.read_copy,
            screens=tuple(Screen(width=one, height=args.height) for one in args.width or DEFAULT_WIDTHS),
        )


def _say(call: Call, check: ButtonCheck) -> None:
    from partner_sdk.button.check.findings import format_check, format_junit

    if call.args.format == "json" or call.args.json:
        text = json.dumps(msgspec.to_builtins(check), indent=2, ensure_ascii=True, sort_keys=True)
        call.speaker.say_document(f"{text}\n")
    elif call.args.format == "junit":
        call.speaker.say_document(format_junit(check))
    else:
        call.speaker.say("\n".join(format_check(check)))


def is_address(page: str) -> bool:
    """Return whether a page is named by its address on the web, and not as a file."""
    return "://" in page


def read_beside(address: str, *, page: str) -> bytes | None:
    """Return a file that a page names and that lies below the page's own folder, or None."""
    from partner_sdk.button.check.page_fetch import MAX_RESOURCE_BYTES

    path = PurePosixPath(address.partition("?")[0].partition("#")[0])
    if page == "-" or is_address(address) or path.is_absolute() or ".." in path.parts:
        return None
    try:
        return read_input(str(path), max_bytes=MAX_RESOURCE_BYTES)
    except (LocalStateError, ValueError):
        return None


def _read_side(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) not in _SIDES:
        raise argparse.ArgumentTypeError(f"a whole number of pixels from {_SIDES.start} to {_SIDES.stop - 1}")
    return int(text)


def _read_placement(text: str) -> str:
    from partner_sdk.button.snippet import check_placement

    try:
        check_placement(text)
    except FormatError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_commands(group: CommandGroup) -> None:
    """Add this file's commands."""
    command = group.add_alone(
        "check",
        run=run_check,
        summary="check that the button of a page is as agreed, and show how to fix it",
        example="https://chat.example/profile --placement example-chat-profile",
    )
    command.add_argument("page", metavar="PAGE", help="the page's address, a file of HTML, or - for standard input")
    command.add_argument("--placement", metavar="ID", type=_read_placement, help="the placement agreed for this page")
    command.add_argument("--known", metavar="FILE", help="all agreed placements: a JSON list, or a runner's list")
    command.add_argument("--origin", metavar="URL", help="the agency's address (default: that of the enrolled folder)")
    command.add_argument("--format", choices=FORMATS, default="text", help="how to write it (default: text)")
    command.add_argument("--browser", action="store_true", help="measure it in Chromium too")
    command.add_argument(
        "--height",
        metavar="PX",
        type=_read_side,
        default=DEFAULT_HEIGHT,
        help=f"of the screen, with --browser (default: {DEFAULT_HEIGHT})",
    )
    command.add_argument(
        "--width",
        metavar="PX",
        type=_read_side,
        action="append",
        help=f"of a screen, with --browser; more than once for more (default: {', '.join(map(str, DEFAULT_WIDTHS))})",
    )
    line = "report-abuse-partner button check https://chat.example/profile --placement example-chat-profile"
    command.epilog = f"example:\n  {line}\n\n{_EXIT_CODES}"
