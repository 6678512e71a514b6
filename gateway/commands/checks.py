"""`report-abuse-gateway doctor`, `counts`, `stale-data`: show the state of a gateway, its counts, and old facts.

Counts are of the form, by name and week, and of nobody. `stale-data` reads only the days of each file, which is strict
where it is loaded, so that command needs no state.
"""

import argparse
from typing import Final

from gateway.clock import utc_now
from gateway.commands.terminal import DONE, FAULT, Commands, add_command, add_json, add_state, print_json, say
from gateway.config import StateFolder, load_config
from gateway.doctor import examine
from gateway.guidance.countries import COUNTRIES_FILE
from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import add_stale_options, print_stale
from gateway.store import open_store
from gateway.store.counts import list_counts
from partner_sdk.finding import describe_findings, format_finding, is_well

# A test fails for a dated file that is in no list.
DATED_FILES: Final = (SIGNPOSTS_FILE, COUNTRIES_FILE)


def run_doctor(parsed: argparse.Namespace) -> int:
    """Run `doctor`, and return its exit code."""
    findings = examine(parsed.state, clock=utc_now)
    if parsed.json:
        print_json(describe_findings(findings))
    else:
        for line in (line for finding in findings for line in format_finding(finding)):
            say(line)
    return DONE if is_well(findings) else FAULT


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
        print_json({"counts": rows})
        return DONE
    for count in counts:
        say(f"{count.week}  {count.number:7}  {count.name}")
    if not counts:
        say("Nothing was counted yet.")
    return DONE


def run_stale_data(parsed: argparse.Namespace) -> int:
    """Run `stale-data`, and return its exit code."""
    return print_stale(DATED_FILES, today=utc_now().date(), parsed=parsed)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    for name, run in (("doctor", run_doctor), ("counts", run_counts)):
        command = add_command(commands, name, run=run, example="--state /var/lib/report-abuse --json")
        add_state(command)
        add_json(command)
    add_stale_options(add_command(commands, "stale-data", run=run_stale_data, example="--days 90 --json"))
