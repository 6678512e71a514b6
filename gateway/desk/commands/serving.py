"""Commands about the desk's pages: serve them on this machine, and make a start link for a person."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import click

from gateway.desk.config import DeskPaths
from gateway.desk.people.permissions import Permission
from gateway.desk.people.sessions import LIFETIME, get_link_folder, make_start_link
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import WRONG_USE, Call, complain, desk_command, print_result
from gateway.desk.vault.client import VaultClient
from gateway.desk.wiring import Desk, open_desk

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8702
# A vault that cannot start must not be started five times a second.
VAULT_RESTART_SECONDS: Final = 2.0
VAULT_STOP_SECONDS: Final = 5.0
VAULT_START_SECONDS: Final = 30.0
VAULT_POLL_SECONDS: Final = 0.05


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
@click.option("--without-vault", "is_without_vault", is_flag=True, help="Start no vault: another service runs one.")
def serve(call: Call, port: int, *, is_without_vault: bool) -> int:
    """Serve the desk's pages on this machine until Ctrl-C.

    The pages hold no private key. They ask the vault, a process of its own, which this command starts unless one runs.
    """
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
    has_vault = is_without_vault or VaultClient(DeskPaths(call.state).vault).is_there()
    try:
        with nullcontext() if has_vault else OwnVault(call.state) as own:
            check = (lambda: None) if own is None else own.check
            return ServerGroup([listener]).run(on_ready=lambda: _print_origin(call, port), on_check=check)
    except ServingError as error:
        return complain(str(error), code=WRONG_USE)


class OwnVault:
    """The vault that `serve` starts: it dies with its parent, and is started again when it has died."""

    def __init__(self, state: Path) -> None:
        self._state = state.resolve()
        self._process = self._start()

    def check(self) -> None:
        """Start it again if it has died. Keys with a passphrase are locked then."""
        if self._process.poll() is not None and time.monotonic() - self._started_at > VAULT_RESTART_SECONDS:
            self._process = self._start()

    def __enter__(self) -> "OwnVault":
        from gateway.web.serving import ServingError

        client, deadline = VaultClient(DeskPaths(self._state).vault), time.monotonic() + VAULT_START_SECONDS
        while not client.is_there():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise ServingError("The vault did not start. The lines above name the cause.")
            time.sleep(VAULT_POLL_SECONDS)
        client.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(VAULT_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        from gateway.web.serving import make_child_environment

        self._started_at = time.monotonic()
        words = ["vault", "--state", str(self._state), "--parent", str(os.getpid())]
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.desk.cli", *words],
            env=make_child_environment(),
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches `serve` alone, which then stops the vault last
        )


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
