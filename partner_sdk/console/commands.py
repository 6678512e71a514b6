"""The commands of this distribution: `console` serves pages, `button check` compares a button with the agreed one."""

import json
import os
import re
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    FEW_EXIT_CODES,
    Call,
    PartnerCommand,
    Run,
    origin_option,
    read_input,
    shared_options,
)
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.exchange import check_origin
from partner_sdk.console.findings import ButtonCheck
from partner_sdk.errors import FormatError, LocalStateError, TransportError

if TYPE_CHECKING:
    from partner_sdk.console.check import Expected, Known
    from partner_sdk.console.check.page_fetch import SignedIn


def text_options(function: Run) -> Run:
    """Add the options of a command that writes text for a person, unless `--json` is given."""
    option = click.option("--json", "is_json", is_flag=True, help="Print one JSON object for machines.")
    return option(shared_options(function))


IDLE_MINUTES: Final = 60
MOST_IDLE_MINUTES: Final = 24 * 60
MOST_PORT: Final = 65_535


@click.command(cls=PartnerCommand, example='--as "Sam Example"', exit_codes=FEW_EXIT_CODES)
@click.option("--as", "person", metavar="NAME", help="The person who acts; the first page asks if you leave this out.")
@click.option("--no-open", is_flag=True, help="Print the link only; start no browser.")
@click.option(
    "--port", type=click.IntRange(0, MOST_PORT), default=0, help="Port on 127.0.0.1 (default: any that is free)."
)
@click.option(
    "--idle-minutes",
    type=click.IntRange(1, MOST_IDLE_MINUTES),
    default=IDLE_MINUTES,
    show_default=True,
    help="End after so long without a click.",
)
@text_options
def console(call: Call, *, person: str | None, no_open: bool, port: int, idle_minutes: int) -> int:
    """Serve pages in your browser, for people without a developer."""
    # Imported here: `check` needs no Flask.
    from partner_sdk.console.app import make_console_app
    from partner_sdk.console.page import Console
    from partner_sdk.console.people import read_name
    from partner_sdk.console.sent import EXTENSION
    from partner_sdk.console.server import ConsoleServer
    from partner_sdk.console.session import Door

    is_enrolled = PartnerState.is_in(call.state)
    if is_enrolled:
        PartnerState.open(call.state)
    runtime = call.runtime
    served = Console(
        state=call.state.absolute(),
        ca_file=call.ca_file,
        clock=runtime.clock,
        open_session=runtime.open_session,
        sleep=runtime.sleep,
    )
    name = None if person is None else read_name(person)
    if name is not None and is_enrolled:
        name = served.people.add(name, now=runtime.clock()).name
    try:
        server = ConsoleServer(port=port, clock=runtime.clock)
    except OSError as error:
        raise LocalStateError(f"Cannot listen on 127.0.0.1:{port}: {error.strerror}.", reason="port-taken") from None
    door = Door(host=server.host, person=name)
    app = make_console_app(served, door)
    if call.is_json:
        call.answer({"link": door.link, "origin": door.origin})
    else:
        call.speaker.say(f"Open this link in your browser. It works once: {door.link}")
        call.speaker.say(f"Ctrl-C ends the console; so do {idle_minutes} minutes without a click. Nothing is lost.")
    if not no_open:
        webbrowser.open(door.link)
    server.serve(app, idle=timedelta(minutes=idle_minutes), is_busy=lambda: app.extensions[EXTENSION].is_busy)
    if server.is_idle:
        call.speaker.warn(f"Ended after {idle_minutes} minutes without a click. Start it again at any time.")
    return EXIT_DONE


EXIT_NO_PAGE: Final = 5
DEFAULT_HEIGHT: Final = 640
DEFAULT_WIDTHS: Final = (320, 360, 1280)
_SIDE: Final = click.IntRange(200, 4000)
_EXIT_CODES: Final = """Exit codes:
  0  no fault found; without --browser that means the link alone
  1  faults found and listed, or the check itself failed
  2  wrong usage
  5  the page did not load, or never settled in the browser, so its button was not checked"""

# A beginning or an end of an element, a comment or a doctype; `<https://chat.example>` of Markdown is none.
_TAG: Final = re.compile(rb"</?[a-z][a-z0-9-]*(?:\s|/?>)|<!--|<!doctype", re.IGNORECASE)
# `console.check` is imported when the command runs: it may load a browser.


@dataclass(frozen=True, slots=True)
class Source:
    """A page to check. `headers` is None for a file."""

    raw: bytes
    address: str
    headers: Mapping[str, str] | None


def _read_placement(text: str) -> str:
    from partner_sdk.button.snippet import check_placement

    try:
        check_placement(text)
    except FormatError as error:
        raise click.BadParameter(str(error)) from None
    return text


@click.command(
    cls=PartnerCommand, example="https://chat.example/profile --placement example-chat-profile", exit_codes=_EXIT_CODES
)
@click.argument("page")
@click.option("--placement", metavar="ID", type=_read_placement, help="The placement agreed for this page.")
@click.option("--known", metavar="FILE", help="All agreed placements: a JSON list, or a runner's list.")
@origin_option
@click.option("--browser", "in_browser", is_flag=True, help="Judge it as Chromium shows it, after its scripts ran.")
@click.option(
    "--storage-state",
    "state_file",
    metavar="FILE",
    help="See the page signed in: cookies and local storage as Playwright saves them.",
)
@click.option(
    "--height",
    metavar="PX",
    type=_SIDE,
    default=DEFAULT_HEIGHT,
    show_default=True,
    help="The screen's height, with --browser.",
)
@click.option(
    "--width",
    "widths",
    metavar="PX",
    type=_SIDE,
    multiple=True,
    default=DEFAULT_WIDTHS,
    show_default=True,
    help="A screen width, with --browser; may be repeated.",
)
@text_options
def check(
    call: Call,
    *,
    page: str,
    placement: str | None,
    known: str | None,
    origin: str | None,
    in_browser: bool,
    state_file: str | None,
    height: int,
    widths: tuple[int, ...],
) -> int:
    """Check that the button of a page is as agreed.

    Without --browser it looks for the link alone.

    PAGE is an address, a file of HTML, or - for standard input.
    """
    from partner_sdk.console.check import check_link, explain_no_page, make_unreachable
    from partner_sdk.console.findings import format_check

    expected = _make_expected(call, page, placement=placement, known_file=known, origin=origin)
    signed_in = _read_signed_in(page, state_file=state_file)
    now = call.runtime.clock()
    try:
        if in_browser:
            checked = _check_in_browser(
                call, page, expected=expected, signed_in=signed_in, height=height, widths=widths
            )
        else:
            source = _read_source(call, page, signed_in=signed_in)
            checked = check_link(source.raw, address=source.address, expected=expected, now=now, headers=source.headers)
    except TransportError as error:
        call.speaker.warn(f"{error} ({error.reason})")
        checked = make_unreachable(
            page,
            placement=expected.placement,
            now=now,
            method="browser" if in_browser else "static",
            findings=(explain_no_page(error, expected=expected),),
        )
    if call.is_json:
        text = json.dumps(msgspec.to_builtins(checked), indent=2, ensure_ascii=True, sort_keys=True)
        call.speaker.say_document(f"{text}\n")
    else:
        call.speaker.say("\n".join(format_check(checked)))
    return {"passes": EXIT_DONE, "faults": EXIT_FAILED, "unreachable": EXIT_NO_PAGE}[checked.result]


def _make_expected(
    call: Call, page: str, *, placement: str | None, known_file: str | None, origin: str | None
) -> "Expected":
    from partner_sdk.console.check import MAX_KNOWN_BYTES, Expected, parse_known

    known: Known | None = None
    if known_file is not None:
        known = parse_known(read_input(known_file, max_bytes=MAX_KNOWN_BYTES))
        placement = placement or known.find_placement(page)
        origin = origin or known.origin
    agency = call.find_origin(origin)
    if agency is None:
        raise click.UsageError(
            f"{call.state} is not the folder of an enrolled partner: "
            "name the agency's address with --origin, or an enrolled folder with --state."
        )
    check_origin(agency)
    return Expected(origin=agency, placement=placement, known=None if known is None else known.placements)


def _read_signed_in(page: str, *, state_file: str | None) -> "SignedIn | None":
    from partner_sdk.console.check.page_fetch import MAX_STATE_BYTES, parse_storage_state

    if state_file is None:
        return None
    if "://" not in page:
        raise click.UsageError("A page that comes from a file has no site to sign in to: give its address.")
    signed_in = parse_storage_state(read_input(state_file, max_bytes=MAX_STATE_BYTES))
    if not signed_in.has_any_for(page):
        raise FormatError(
            f"{state_file} holds nothing for the site of this page, or it expired: sign in there and save it again.",
            reason="other-site",
        )
    return signed_in


def _read_source(call: Call, page: str, *, signed_in: "SignedIn | None", agent: str | None = None) -> Source:
    from partner_sdk.console.check.page_fetch import MAX_PAGE_BYTES, USER_AGENT, fetch_page

    if "://" not in page:
        try:
            raw = read_input(page, max_bytes=MAX_PAGE_BYTES)
        except LocalStateError as error:
            if page == "-" or Path(page).exists():
                raise
            raise LocalStateError(f"{error} An address begins with https://.", reason=error.reason) from None
        if _TAG.search(raw.replace(b"\0", b"")) is None:
            name = "Standard input" if page == "-" else page
            raise FormatError(
                f"{name} is not HTML: it holds no element. Give the page as your server sends it.", reason="no-html"
            )
        return Source(raw, address=page, headers=None)
    ca_file = None if call.ca_file is None else str(call.ca_file)
    fetched = fetch_page(
        page, session=call.runtime.open_session(), ca_file=ca_file, signed_in=signed_in, agent=agent or USER_AGENT
    )
    return Source(fetched.body, address=fetched.address, headers=fetched.headers)


def _check_in_browser(
    call: Call,
    page: str,
    *,
    expected: "Expected",
    signed_in: "SignedIn | None",
    height: int,
    widths: tuple[int, ...],
) -> ButtonCheck:
    from partner_sdk.console.check.browser import make_user_agent, open_chromium
    from partner_sdk.console.check.browser_check import Screen, check_in_browser

    is_root = os.geteuid() == 0
    if is_root:
        call.speaker.warn("You are root: Chromium runs without its sandbox. Check only your own pages this way.")
    with open_chromium(is_root=is_root) as browser:
        agent = make_user_agent(browser)
        source = _read_source(call, page, signed_in=signed_in, agent=agent)
        return check_in_browser(
            source.raw,
            browser=browser,
            address=source.address,
            expected=expected,
            now=call.runtime.clock(),
            headers=source.headers,
            screens=tuple(Screen(width=one, height=height) for one in widths),
            signed_in=signed_in,
        )
