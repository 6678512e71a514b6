"""`report-abuse-desk stale-data`: lists the dated facts of the desk that were checked too long ago. Needs no state."""

import argparse
from pathlib import Path
from typing import Final

from gateway.desk.terminal import COMMAND_TABLE, EXIT_CODES, Commands
from gateway.desk.wiring import utc_now
from gateway.guidance.dated_data import STALE_DAYS
from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import print_stale

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
    return print_stale(DATED_FILES, today=utc_now().date(), state=parsed.state, days=parsed.days, as_json=parsed.json)


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
    command.add_argument("--state", type=Path, metavar="DIR", help="read the agency.toml of this state folder")
    command.add_argument("--days", type=int, default=STALE_DAYS, metavar="N", help="how old (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print one JSON object for machines")
    command.set_defaults(command=run_stale_data)
