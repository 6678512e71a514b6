"""Commands of the vault: run it as a process of its own, unlock it, lock it."""

import threading
from typing import Final

import click

from gateway.desk.audit import append_entry
from gateway.desk.config import DeskPaths, load_config
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import DONE, Call, ask_passphrase, desk_command, print_result
from gateway.desk.vault import VaultError
from gateway.desk.vault.process import WatchedKeys, listen, serve_connections, unlock_with_credentials
from gateway.desk.wiring import Desk, make_holder, open_desk, utc_now
from gateway.web.logs import catch_stray_exceptions, configure_logging, log_event
from gateway.web.process_guard import die_with_parent, lock_memory
from gateway.web.stop_request import stop_on_signals

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
    keys = WatchedKeys(paths.keys, clock=utc_now, is_memory_locked=lock_memory())
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
