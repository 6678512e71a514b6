"""Shared by the `stale-data` commands of gateway and desk: options, output and exit code."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

from gateway.guidance.agency import AGENCY_EXAMPLE, AGENCY_FILE
from gateway.guidance.dated_data import STALE_DAYS, list_stale, make_line, make_row, read_facts

NONE_STALE: Final = 0
SOME_STALE: Final = 1


def stale_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--state`, `--days` and `--json`."""
    agency = "Read the agency.toml of this state folder, not the example."
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines."),
        click.option(
            "--days",
            type=click.IntRange(0, 99_999),
            default=STALE_DAYS,
            show_default=True,
            metavar="N",
            help="Age of a check that is too old.",
        ),
        click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help=agency),
    ):
        function = option(function)
    return function


def print_stale(files: Iterable[Path], *, today: date, state: Path | None, days: int, as_json: bool) -> int:
    """Print the stale entries of these files and of the agency's own, and return the exit code.

    Raises `SettingsError` for an entry without a day or a source.
    """
    agency = AGENCY_EXAMPLE if state is None else state / AGENCY_FILE
    facts = [fact for path in (*files, agency) for fact in read_facts(path)]
    stale = list_stale(facts, today=today, days=days)
    if as_json:
        answer = {"days": days, "entries": len(facts), "stale": [make_row(fact) for fact in stale]}
        lines = [json.dumps(answer, sort_keys=True)]
    else:
        lines = [make_line(fact) for fact in stale]
        lines.append(f"{len(stale)} of {len(facts)} entries need a check: older than {days} days, or unproven.")
    sys.stdout.write("\n".join(lines) + "\n")
    return SOME_STALE if stale else NONE_STALE
