"""`report-abuse-gateway restored`: begins a new epoch of receipts after the database was restored."""

import argparse
import uuid

from gateway.clock import utc_now
from gateway.commands.frame import DONE, FAULT, Commands, add_command, add_json, add_state, complain, print_json, say
from gateway.config import StateFolder, load_config
from gateway.store import StorageUnavailableError, open_store
from gateway.store.creation import begin_epoch


def run_restored(parsed: argparse.Namespace) -> int:
    """Run `restored`, and return its exit code."""
    folder, config = StateFolder(parsed.state), load_config(parsed.state)
    store = open_store(
        folder.database, lock_path=folder.lock, lock_timeout_seconds=config.lock_timeout_seconds, is_checked=False
    )
    epoch = str(uuid.uuid4())
    try:
        begin_epoch(store, epoch=epoch, now=utc_now())
    except StorageUnavailableError as error:
        return complain(f"The database can not be used ({error.reason}); `doctor` says more.", code=FAULT)
    finally:
        store.close()
    if parsed.json:
        print_json({"epoch": epoch})
    else:
        say(f"Epoch {epoch} begins. Run `report-abuse-desk collect` next: the desk says that the epoch is new.")
    return DONE


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    command = add_command(commands, "restored", run=run_restored, example="--state /var/lib/report-abuse")
    add_state(command)
    add_json(command)
