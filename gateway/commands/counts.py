"""`report-abuse-gateway counts`: what is counted of the public form, by name and week. Nothing of anybody."""

import argparse
import json
import sys

from gateway.commands.frame import Commands, add_command, add_json, add_state
from gateway.config import StateFolder, load_config
from gateway.store import open_store
from gateway.store.counts import list_counts


def run_counts(parsed: argparse.Namespace) -> int:
    """Run `counts`, and return its exit code."""
    folder, config = StateFolder(parsed.state), load_config(parsed.state)
    store = open_store(folder.database, lock_path=folder.lock, lock_timeout_seconds=config.lock_timeout_seconds)
    try:
        with store.read() as connection:
            counts = list_counts(connection)
    finally:
        store.close()
    if parsed.json:
        rows = [{"name": count.name, "number": count.number, "week": count.week} for count in counts]
        sys.stdout.write(json.dumps({"counts": rows}, sort_keys=True) + "\n")
        return 0
    for count in counts:
        sys.stdout.write(f"{count.week}  {count.number:7}  {count.name}\n")
    if not counts:
        sys.stdout.write("Nothing was counted yet.\n")
    return 0


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    command = add_command(commands, "counts", run=run_counts, example="--state /var/lib/report-abuse --json")
    add_state(command)
    add_json(command)
