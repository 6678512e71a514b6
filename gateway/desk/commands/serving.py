"""Commands about the desk's pages: serve them on this machine, and make a start link for a person."""

import argparse
from typing import Final

from gateway.desk.sessions import LIFETIME, get_link_folder, make_start_link
from gateway.desk.terminal import WRONG_USE, Commands, add_command, complain, get_actor, print_result
from gateway.desk.wiring import Desk, open_desk

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8702


def run_serve(parsed: argparse.Namespace) -> int:
    """Run `serve`, and return its exit code."""
    # The web stack is loaded by the command that serves, not by every command of the desk.
    from gateway.desk.app import ORIGIN_VARIABLE, STATE_VARIABLE
    from gateway.web.logs import configure_logging
    from gateway.web.serving import Listener, ServerGroup, ServingError

    open_desk(parsed.state)  # what is wrong is said here, and not by each worker's log
    configure_logging("desk-command")
    listener = Listener(
        name="desk",
        target="gateway.desk.app:make_served_app",
        host=HOST,
        port=parsed.port,
        environment={
            STATE_VARIABLE: str(parsed.state.resolve()),
            ORIGIN_VARIABLE: _make_origin(parsed.port),
        },
    )
    try:
        return ServerGroup([listener]).run(on_ready=lambda: _print_origin(parsed))
    except ServingError as error:
        return complain(str(error), code=WRONG_USE)


def run_start_link(parsed: argparse.Namespace) -> int:
    """Run `start-link`, and return its exit code."""
    name = str(parsed.name or get_actor(parsed))
    address = make_start_address(open_desk(parsed.state), name=name, port=parsed.port)
    minutes = int(LIFETIME.total_seconds() // 60)
    line = f"{address}  (signs in {name}, once, within {minutes} minutes)"
    return print_result(parsed, {"address": address, "name": name, "minutes": minutes}, line)


def make_start_address(desk: Desk, *, name: str, port: int) -> str:
    """Return a new one-time address for a person, where the pages are served on this port."""
    secret = make_start_link(get_link_folder(desk.paths.state), name=name, now=desk.clock(), random=desk.random)
    return f"{_make_origin(port)}/start/{secret}"


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    serve = add_command(commands, "serve", run=run_serve, example=f"--port {DEFAULT_PORT}")
    link = add_command(commands, "start-link", run=run_start_link, example=f'--port {DEFAULT_PORT} --name "A. Analyst"')
    for command in (serve, link):
        command.add_argument(
            "--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"on {HOST} (default: {DEFAULT_PORT})"
        )

    link.add_argument("--name", metavar="NAME", help="whom the link signs in (default: as --as)")


def _print_origin(parsed: argparse.Namespace) -> None:
    # No link: what a service manager keeps of this would sign in whoever reads the journal.
    print_result(
        parsed,
        {"address": _make_origin(parsed.port)},
        f"The desk's pages are at {_make_origin(parsed.port)}.",
        f"For a link that signs one person in: report-abuse-desk start-link --port {parsed.port} --name NAME",
    )


def _make_origin(port: int) -> str:
    return f"http://{HOST}:{port}"
