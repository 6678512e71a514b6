"""The command `console`: pages in the browser of this machine, for a firm without a developer."""

import webbrowser
from datetime import timedelta
from typing import Final

import click

from partner_sdk._commands.runtime import EXIT_DONE, FEW_EXIT_CODES, Call, PartnerCommand, text_options
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import LocalStateError

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
    try:
        from partner_sdk.console.app import make_console_app
        from partner_sdk.console.page import Console
        from partner_sdk.console.people import read_name
        from partner_sdk.console.sent import EXTENSION
        from partner_sdk.console.server import ConsoleServer
        from partner_sdk.console.session import Door
    except ModuleNotFoundError as error:
        if error.name not in {"partner_sdk.console", "flask", "werkzeug"}:
            raise
        raise LocalStateError(
            "The pages are a package of their own: pip install report-abuse-partner-console", reason="no-extra"
        ) from None
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
    lines = [
        f"Open this link in your browser. It works once: {door.link}",
        f"Ctrl-C ends the console; so do {idle_minutes} minutes without a click. Nothing is lost.",
    ]
    call.answer({"link": door.link, "origin": door.origin}, lines)
    if not no_open:
        webbrowser.open(door.link)
    server.serve(app, idle=timedelta(minutes=idle_minutes), is_busy=lambda: app.extensions[EXTENSION].is_busy)
    if server.is_idle:
        call.speaker.warn(f"Ended after {idle_minutes} minutes without a click. Start it again at any time.")
    return EXIT_DONE
