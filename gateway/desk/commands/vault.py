"""Commands of the vault: run it as a process of its own."""

import threading
from typing import Final

import click

from gateway.desk.config import DeskPaths, load_config
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import DONE, Call, desk_command
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.vault.process import WatchedKeys
from gateway.desk.vault.record import OPENINGS_FILE, OpeningRecord
from gateway.desk.vault.server import listen, serve_connections
from gateway.desk.wiring import make_holder, utc_now
from gateway.web.logs import catch_stray_exceptions, configure_logging, log_event
from gateway.web.process_guard import die_with_parent, lock_memory
from gateway.web.stop_request import stop_on_signals
from partner_sdk.wire.canonical import prepare_types

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
    keys = WatchedKeys(KeyFolder(paths.keys), clock=utc_now, is_memory_locked=lock_memory())
    holder = make_holder(keys, record=OpeningRecord(paths.vault / OPENINGS_FILE), config=config)
    prepare_types()
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
