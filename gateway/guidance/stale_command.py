"""What the two `stale-data` commands share, of the gateway and of the desk: options, what is printed, the exit code."""

import argparse
import json
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from gateway.guidance.agency import AGENCY_EXAMPLE, AGENCY_FILE
from gateway.guidance.dated_data import STALE_DAYS, list_stale, make_line, make_row, read_facts

NONE_STALE: Final = 0
SOME_STALE: Final = 1


def add_stale_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument(
        "--state", type=Path, metavar="DIR", help="read the agency.toml of this state folder, not the example"
    )
    command.add_argument("--days", type=_days, default=STALE_DAYS, metavar="N", help="how old (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print one JSON object for machines")


def print_stale(files: Iterable[Path], *, today: date, parsed: argparse.Namespace) -> int:
    """Print the entries of these files, and of the agency's own, that `list_stale` names; return the exit code.

    Raises `SettingsError` for an entry without a day or a source.
    """
    agency = AGENCY_EXAMPLE if parsed.state is None else parsed.state / AGENCY_FILE
    days = parsed.days
    facts = [fact for path in (*files, agency) for fact in read_facts(path)]
    stale = list_stale(facts, today=today, days=days)
    if parsed.json:
        answer = {"days": days, "entries": len(facts), "stale": [make_row(fact) for fact in stale]}
        lines = [json.dumps(answer, sort_keys=True)]
    else:
        lines = [make_line(fact) for fact in stale]
        lines.append(
            f"{len(stale)} of {len(facts)} entries want a check: older than {days} days, or with something to prove."
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return SOME_STALE if stale else NONE_STALE


def _days(text: str) -> int:
    if not text.isdecimal() or len(text) > 5:
        raise argparse.ArgumentTypeError("give a number of days, such as 180")
    return int(text)
