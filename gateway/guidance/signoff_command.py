"""Shared by the `signoff` commands of gateway and desk: arguments, options and the line of a check."""

from typing import Final

import click
import msgspec

from gateway.guidance.signoffs import CODE_CHARACTERS, Standing

KEY: Final = click.argument("key", metavar="KEY")
BY: Final = click.option("--by", required=True, metavar="NAME", help="Who checked; for a panel, the adult who ran it.")
ROLE: Final = click.option("--role", required=True, metavar="ROLE", help='Their role, e.g. "Youth panel lead".')
WORDS: Final = click.option("--words", required=True, metavar="CODE", help="The code of the words that were read.")
ON: Final = click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="When it was checked.  [default: today]"
)
WHY: Final = click.option("--why", required=True, metavar="WORDS", help="The reason, for the record.")


def format_standing(one: Standing) -> str:
    """Return the line of a check in `signoff list`."""
    check = one.check
    return f"{one.state:6} {check.key:24} {check.row.version:9} words {check.code}  {_explain(one)}"


def describe_standing(one: Standing) -> dict[str, object]:
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


def _explain(one: Standing) -> str:
    row, entry = one.check.row, one.entry
    if entry is None:
        given = f"by {row.by} on {row.done_on}"
        needs = f"needs: {row.who}"
        return {"given": given, "stale": f"{given}, for other words; {needs}", "owed": needs}[one.state]
    if entry.act == "withdraw":
        return f"withdrawn by {entry.by}; needs: {row.who}"
    given = f"by {entry.by} ({entry.role}) on {entry.checked_on}"
    return given if one.state == "given" else f"{given}, for the words {entry.words_sha256[:CODE_CHARACTERS]}"
