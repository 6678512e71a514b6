"""Commands about the desk's pages: serve them on this machine, and make a start link for a person."""

from collections.abc import Callable
from typing import Any, Final

import click

from gateway.desk.people.permissions import Permission
from gateway.desk.people.sessions import LIFETIME, get_link_folder, make_start_link
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import WRONG_USE, Call, complain, desk_command, print_result
from gateway.desk.wiring import Desk, open_desk

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8702


def _port_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--port",
        type=click.IntRange(1, 65_535),
        default=DEFAULT_PORT,
        show_default=True,
        metavar="N",
        help=f"On {HOST}.",
    )(function)


@desk_command(Permission.RUN_DESK, example=f"--port {DEFAULT_PORT}")
@_port_option
def serve(call: Call, port: int) -> int:
    """Serve the desk's pages on this machine until Ctrl-C."""
    # The web stack is loaded by the command that serves, not by every command of the desk.
    from gateway.desk.app import ORIGIN_VARIABLE, STATE_VARIABLE
    from gateway.web.logs import configure_logging
    from gateway.web.serving import Listener, ServerGroup, ServingError

    open_desk(call.state)  # report a fault here, not in each worker's log
    configure_logging("desk-command")
    listener = Listener(
        name="desk",
        target="gateway.desk.app:make_served_app",
        host=HOST,
        port=port,
        environment={
            STATE_VARIABLE: str(call.state.resolve()),
            ORIGIN_VARIABLE: _make_origin(port),
        },
    )
    try:
        return ServerGroup([listener]).run(on_ready=lambda: _print_origin(call, port))
    except ServingError as error:
        return complain(str(error), code=WRONG_USE)


@desk_command(Permission.MANAGE_PEOPLE, example=f'--port {DEFAULT_PORT} --name "A. Analyst"')
@_port_option
@click.option("--name", metavar="NAME", help="The person to sign in.  [default: as --as]")
def start_link(call: Call, port: int, name: str | None) -> int:
    """Print a one-time address that signs a person in to the desk's pages.

    It works once, within ten minutes.
    """
    name = name or call.actor
    address = make_start_address(open_desk(call.state), name=name, port=port)
    minutes = int(LIFETIME.total_seconds() // 60)
    line = f"{address}  (signs in {name}, once, within {minutes} minutes)"
    return print_result(call, {"address": address, "name": name, "minutes": minutes}, line)


def make_start_address(desk: Desk, *, name: str, port: int) -> str:
    """Return a new one-time address for a person, where the pages are served on this port."""
    secret = make_start_link(get_link_folder(desk.paths.state), name=name, now=desk.clock(), random=desk.random)
    return f"{_make_origin(port)}/start/{secret}"


def _print_origin(call: Call, port: int) -> None:
    # No link: a journal that kept one would sign in its readers.
    print_result(
        call,
        {"address": _make_origin(port)},
        f"The desk's pages are at {_make_origin(port)}.",
        f"For a link that signs one person in: {suggest(f'start-link --port {port} --name NAME')}",
    )


def _make_origin(port: int) -> str:
    return f"http://{HOST}:{port}"
