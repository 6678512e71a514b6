"""`report-abuse-desk stale-data`: lists the desk's facts whose last check is too old. Needs no state folder."""

from pathlib import Path
from typing import Final

import click

from gateway.desk.terminal import EXIT_CODES
from gateway.desk.wiring import utc_now
from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import print_stale, stale_options
from partner_sdk.lazy_group import ExampleCommand

_DESK: Final = Path(__file__).parents[1]
# One line a file; a test fails for a dated file that is in no list.
DATED_FILES: Final = (
    SIGNPOSTS_FILE,
    _DESK / "cases" / "reply_templates_en.toml",
    _DESK / "cases" / "reply_templates_cy.toml",
    _DESK / "outbox" / "notes.toml",
)


@click.command(cls=ExampleCommand, example="--days 90 --json", epilog=EXIT_CODES)
@stale_options
def stale_data(state: Path | None, days: int, *, as_json: bool) -> int:
    """List facts whose last check is too old.

    The facts are bodies, numbers, hours and texts to send. Exit code 1 when the list has any.
    """
    return print_stale(DATED_FILES, today=utc_now().date(), state=state, days=days, as_json=as_json)
