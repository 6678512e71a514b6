"""`report-abuse-gateway doctor`, `counts`, `stale-data`: show the state of a gateway, its counts, and old facts.

Counts are kept by name and week, never by person. `stale-data` reads only the days of each file, so it needs no state
folder.
"""

from pathlib import Path
from typing import Final

from gateway.clock import utc_now
from gateway.commands.terminal import DONE, FAULT, command, json_option, print_json, say, state_option
from gateway.config import StateFolder, load_config
from gateway.doctor import examine
from gateway.guidance.commands import print_stale, stale_options
from gateway.guidance.signposts import COUNTRIES_FILE, SIGNPOSTS_FILE
from gateway.store import open_store
from gateway.store.store import list_counts
from partner_sdk.finding import describe_findings, format_finding, is_well

# A test fails for a dated file that is in no list.
DATED_FILES: Final = (SIGNPOSTS_FILE, COUNTRIES_FILE)


@command(example="--state /var/lib/report-abuse --json")
@state_option
@json_option
def doctor(state: Path, *, as_json: bool) -> int:
    """Check a gateway and list its faults."""
    findings = examine(state, clock=utc_now)
    if as_json:
        print_json(describe_findings(findings))
    else:
        for line in (line for finding in findings for line in format_finding(finding)):
            say(line)
    return DONE if is_well(findings) else FAULT


@command(example="--state /var/lib/report-abuse --json")
@state_option
@json_option
def counts(state: Path, *, as_json: bool) -> int:
    """List the weekly counts of the form and of each campaign's link."""
    folder, config = StateFolder(state), load_config(state)
    store = open_store(
        folder.database,
        lock_path=folder.lock,
        uri=config.database_uri,
        lock_timeout_seconds=config.lock_timeout_seconds,
    )
    try:
        with store.read() as connection:
            weekly = list_counts(connection)
    finally:
        store.close()
    if as_json:
        rows = [{"name": count.name, "number": count.number, "week": count.week} for count in weekly]
        print_json({"counts": rows})
        return DONE
    for count in weekly:
        say(f"{count.week}  {count.number:7}  {count.name}")
    if not weekly:
        say("Nothing has been counted yet.")
    return DONE


@command(example="--days 90 --json")
@stale_options
def stale_data(state: Path | None, days: int, *, as_json: bool) -> int:
    """List facts whose last check is too old.

    The facts are bodies, numbers, countries and promises. Exit code 1 when the list has any.
    """
    return print_stale(DATED_FILES, today=utc_now().date(), state=state, days=days, as_json=as_json)
