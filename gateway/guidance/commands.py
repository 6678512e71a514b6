"""Commands that gateway and desk share: `stale-data` and `signoff`, with their options, output and exit codes."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.guidance.agency import AGENCY_EXAMPLE, AGENCY_FILE
from gateway.guidance.signoffs import CODE_CHARACTERS, CheckStatus
from gateway.guidance.signposts import STALE_DAYS, list_stale, make_line, make_row, read_facts

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


KEY: Final = click.argument("key", metavar="KEY")
BY: Final = click.option("--by", required=True, metavar="NAME", help="Who checked; for a panel, the adult who ran it.")
ROLE: Final = click.option("--role", required=True, metavar="ROLE", help='Their role, e.g. "Youth panel lead".')
WORDS: Final = click.option("--words", required=True, metavar="CODE", help="The code of the words that were read.")
ON: Final = click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="When it was checked.  [default: today]"
)
WHY: Final = click.option("--why", required=True, metavar="WORDS", help="The reason, for the record.")


def format_status(one: CheckStatus) -> str:
    """Return the line of a check in `signoff list`."""
    check = one.check
    return f"{one.state:6} {check.key:24} {check.row.version:9} words {check.code}  {_explain(one)}"


def describe_status(one: CheckStatus) -> dict[str, object]:
    """Return a check for `signoff list --json`."""
    return {
        "entry": None if one.entry is None else msgspec.to_builtins(one.entry),
        "key": one.check.key,
        "needs": one.check.row.who,
        "pages": list(one.check.row.pages),
        "state": one.state,
        "version": one.check.row.version,
        "words": one.check.code,
        "words_sha256": one.check.digest,
    }


def _explain(one: CheckStatus) -> str:
    entry, needs = one.entry, f"needs: {one.check.row.who}"
    if entry is None:
        return needs
    if entry.act == "withdraw":
        return f"withdrawn by {entry.by}; {needs}"
    given = f"by {entry.by} ({entry.role}) on {entry.checked_on}"
    return given if one.state == "given" else f"{given}, for the words {entry.words_sha256[:CODE_CHARACTERS]}"
