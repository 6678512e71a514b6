"""`report-abuse-gateway stale-data`: lists the dated facts of the public form that were checked too long ago.

Each file is strict where it is loaded; here only its days are read, so the command needs no state.
"""

import argparse
from pathlib import Path
from typing import Final

from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import print_stale
from gateway.wiring import utc_now

_FACTS: Final = Path(__file__).parent / "public" / "facts"
# One line a file; a test fails for a dated file that is in no list.
DATED_FILES: Final = (
    SIGNPOSTS_FILE,
    _FACTS / "countries.toml",
    _FACTS / "promises.toml",
)


def run_stale_data(parsed: argparse.Namespace) -> int:
    """List facts that were checked too long ago (bodies, numbers, countries, promises); gives 1 when there are any."""
    return print_stale(DATED_FILES, today=utc_now().date(), days=parsed.days, as_json=parsed.json)
