"""`report-abuse-desk stale-data`: lists the dated facts of the desk that were checked too long ago. Needs no state."""

import argparse
from pathlib import Path
from typing import Final

from gateway.desk.terminal import COMMAND_TABLE, EXIT_CODES, Commands
from gateway.desk.wiring import utc_now
from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import add_stale_options, print_stale

_DESK: Final = Path(__file__).parents[1]
# One line a file; a test fails for a dated file that is in no list.
DATED_FILES: Final = (
    SIGNPOSTS_FILE,
    _DESK / "cases" / "reply_templates_en.toml",
    _DESK / "cases" / "reply_templates_cy.toml",
    _DESK / "outbox" / "notes.toml",
)


def run_stale_data(parsed: argparse.Namespace) -> int:
    """Run `stale-data`, and return its exit code."""
    return print_stale(DATED_FILES, today=utc_now().date(), parsed=parsed)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    summary = COMMAND_TABLE.list_summaries()["stale-data"]
    command = commands.add_parser(
        "stale-data",
        help=summary,
        description=summary,
        epilog=f"Example:\n  report-abuse-desk stale-data --days 90 --json\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_stale_options(command)
    command.set_defaults(command=run_stale_data)
