"""The command that serves the desk's pages on this machine."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import click

from gateway.desk import DEFAULT_PORT
from gateway.desk.config import ORIGIN_VARIABLE, STATE_VARIABLE, DeskPaths, make_origin
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import (
    HOST,
    WRONG_USE,
    Call,
    complain,
    desk_command,
    port_option,
    print_result,
)
from gateway.desk.vault.client import VaultClient
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import configure_logging
from gateway.web.serving import Listener, ServerGroup, ServingError, make_child_environment

# A vault that cannot start must not be started five times a second.
VAULT_RESTART_SECONDS: Final = 2.0
VAULT_STOP_SECONDS: Final = 5.0
VAULT_START_SECONDS: Final = 30.0
VAULT_POLL_SECONDS: Final = 0.05


@desk_command(Permission.RUN_DESK, example=f"--port {DEFAULT_PORT}")
@port_option
@click.option("--without-vault", "is_without_vault", is_flag=True, help="Start no vault: another service runs one.")
def serve(call: Call, port: int, *, is_without_vault: bool) -> int:
    """Serve the desk's pages on this machine until Ctrl-C.

    The pages hold no private key. They ask the vault, a process of its own, which this command starts unless one runs.
    """
    desk = open_desk(call.state)  # report a fault here, not in each worker's log
    configure_logging("desk-command")
    listener = Listener(
        name="desk",
        target="gateway.desk.app:make_served_app",
        host=HOST,
        port=port,
        environment={
            STATE_VARIABLE: str(call.state.resolve()),
            ORIGIN_VARIABLE: make_origin(desk.config, port=port),
        },
    )
    has_vault = is_without_vault or VaultClient(DeskPaths(call.state).vault).is_there()
    try:
        with nullcontext() if has_vault else OwnVault(call.state) as own:
            check = (lambda: None) if own is None else own.check
            return ServerGroup([listener]).run(on_ready=lambda: _print_origin(call, desk, port), on_check=check)
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
        self._started_at = time.monotonic()
        words = ["vault", "--state", str(self._state), "--parent", str(os.getpid())]
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.desk.cli", *words],
            env=make_child_environment(),
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches `serve` alone, which then stops the vault last
        )


def _print_origin(call: Call, desk: Desk, port: int) -> None:
    # No link: a journal that kept one would sign in its readers.
    origin = make_origin(desk.config, port=port)
    print_result(
        call,
        {"address": origin},
        f"The desk's pages are at {origin}.",
        f"For a link that signs one person in: {suggest(f'people link PERSON --port {port}')}",
    )
