"""The commands that run the desk: its pages, and the vault, a process of its own that is unlocked and locked."""

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import click

from gateway.desk.office.config import ORIGIN_VARIABLE, STATE_VARIABLE, DeskPaths, load_config, make_origin
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.suggestions import DEFAULT_PORT, suggest
from gateway.desk.office.terminal import (
    DONE,
    HOST,
    WRONG_USE,
    Call,
    ask_passphrase,
    complain,
    desk_command,
    port_option,
    print_result,
)
from gateway.desk.office.wiring import Desk, make_holder, open_desk
from gateway.desk.store.audit import append_entry
from gateway.desk.vault import VaultError
from gateway.desk.vault.holder import WatchedKeys, unlock_with_credentials
from gateway.desk.vault.process import VaultClient, listen, serve_connections
from gateway.web.logs import catch_stray_exceptions, configure_logging, log_event
from gateway.web.process_guard import die_with_parent, lock_memory
from gateway.web.serving import Listener, ServerGroup, ServingError, make_child_environment, stop_on_signals

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
        target="gateway.desk.running.app:make_served_app",
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
            [sys.executable, "-m", "gateway.desk.running.cli", *words],
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


# Each connection has a thread that reads one message and opens one box: it needs no more.
THREAD_STACK_BYTES: Final = 512 * 1024
# How often the main thread wakes to look at nothing: a stop comes as a signal.
_WAIT_SECONDS: Final = 3600.0


@desk_command(Permission.RUN_DESK)
@click.option("--parent", type=int, hidden=True)
def vault(call: Call, parent: int | None) -> int:
    """Hold the private keys for the desk's other processes, until stopped.

    `serve` starts one unless one runs. As a service of its own it keeps the keys when the pages restart.
    """
    if parent is not None:
        die_with_parent(parent)
    configure_logging("desk-vault")
    catch_stray_exceptions()
    paths = DeskPaths(call.state)
    config = load_config(paths)
    keys = WatchedKeys(paths.keys, is_memory_locked=lock_memory())
    holder = make_holder(keys, folder=paths.vault, config=config)
    unlock_with_credentials(keys)
    threading.stack_size(THREAD_STACK_BYTES)
    with stop_on_signals() as stop, listen(paths.vault) as listener:
        threading.Thread(
            target=serve_connections, args=(listener,), kwargs={"answer": holder.answer}, daemon=True
        ).start()
        log_event("vault-started")
        while not stop.wait(_WAIT_SECONDS):
            pass
    log_event("vault-stopped")
    return DONE


@desk_command(Permission.RUN_DESK)
def unlock(call: Call) -> int:
    """Give the vault the passphrases of the private keys.

    It asks each custodian on the terminal; without one, standard input has a line for each, in the order of `keys
    protect`. The keys stay open until the vault ends, or `lock`. The audit log records who unlocked it.
    """
    desk = open_desk(call.state, may_hold_keys=False)
    signer = desk.load_signer()
    status = signer.get_status()
    if not status.is_locked:
        text = "The vault is open." if status.custodians else "The keys have no passphrase: see `keys protect`."
        return print_result(call, {"locked": False}, text)
    passphrases = tuple(ask_passphrase(f"Passphrase of {name}: ") for name in status.custodians)
    try:
        signer.unlock(passphrases)
    except VaultError as error:
        _record(desk, "unlock-refused", actor=call.actor, reason=error.reason)
        raise
    _record(desk, "unlock-vault", actor=call.actor)
    return print_result(call, {"locked": False}, "The vault is open.")


@desk_command(Permission.RUN_DESK)
def lock(call: Call) -> int:
    """Make the vault forget the private keys until `unlock`.

    No report is collected and no page opens one meanwhile: for a fault or a suspicion, not for the night.
    """
    desk = open_desk(call.state, may_hold_keys=False)
    desk.load_signer().lock()
    _record(desk, "lock-vault", actor=call.actor)
    return print_result(call, {"locked": True}, f"The vault is locked. To open it: {suggest('unlock')}")


def _record(desk: Desk, action: str, *, actor: str, **detail: str) -> None:
    with desk.store.write() as connection:
        append_entry(connection, action, "vault", at=desk.clock(), actor=actor, **detail)
