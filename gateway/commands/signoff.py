"""`report-abuse-gateway signoff`: list, give and withdraw the checks of the words that people read."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.clock import utc_now
from gateway.commands.terminal import DONE, FAULT, command, json_option, print_json, say, state_option
from gateway.config import load_config
from gateway.signoffs import Act, SignoffError, Standing, get_check, list_standings, record

_KEY = click.argument("key", metavar="KEY")
_BY = click.option("--by", required=True, metavar="NAME", help="Who checked; for a panel, the adult who ran it.")
_ROLE = click.option("--role", required=True, metavar="ROLE", help='Their role, e.g. "Youth panel lead".')
_STATE = "--state /var/lib/report-abuse-gateway"


@command(example=f"{_STATE} --json")
@state_option
@json_option
def list_all(state: Path, *, as_json: bool) -> int:
    """List every check: given, owed or stale.

    A check is stale once the words that were read have changed. Exit code 1 when any is owed or stale.
    """
    load_config(state)
    standings = list_standings(state)
    if as_json:
        print_json({"checks": [_describe(one) for one in standings]})
    else:
        for one in standings:
            say(f"{one.state:6} {one.check.key:24} {one.check.version:9} words {one.check.code}  {_explain(one)}")
    return DONE if all(one.state == "given" for one in standings) else FAULT


@command(
    example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --words 81d50c2f --on 2026-11-20'
)
@_KEY
@state_option
@_BY
@_ROLE
@click.option("--words", required=True, metavar="CODE", help="The code of the words on the sign-off sheet.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="When it was checked.  [default: today]")
@json_option
def give(key: str, state: Path, *, by: str, role: str, words: str, on: datetime | None, as_json: bool) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release
    changes them, the check is owed again.
    """
    load_config(state)
    check = get_check(key)
    if words.strip().lower() != check.code:
        raise SignoffError(
            f"The words have changed since the sheet was printed: their code is now {check.code}. "
            "Have them read again.",
            reason="other-words",
        )
    day = None if on is None else on.date()
    return _record(state, key, act="give", by=by, role=role, checked_on=day, as_json=as_json)


@command(example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --why "Wrong sheet."')
@_KEY
@state_option
@_BY
@_ROLE
@click.option("--why", required=True, metavar="WORDS", help="The reason, for the record.")
@json_option
def withdraw(key: str, state: Path, *, by: str, role: str, why: str, as_json: bool) -> int:
    """Withdraw a check that was given.

    The record keeps both.
    """
    load_config(state)
    if next(one for one in list_standings(state) if one.check == get_check(key)).state != "given":
        raise SignoffError("This check is not given: there is nothing to withdraw.", reason="not-given")
    return _record(state, key, act="withdraw", by=by, role=role, why=why, as_json=as_json)


def _record(state: Path, key: str, *, act: Act, as_json: bool, **fields: Any) -> int:
    entry = record(state, get_check(key), act=act, now=utc_now(), **fields)
    if as_json:
        print_json(msgspec.to_builtins(entry))
        return DONE
    done = "is given" if act == "give" else "is withdrawn"
    say(f"{entry.key} {done} by {entry.by} ({entry.role}) for the words {entry.words_sha256[:8]}, {entry.version}.")
    left = sum(one.state != "given" for one in list_standings(state))
    say("Every sign-off is given." if left == 0 else f"Sign-offs still owed: {left}.")
    return DONE


def _explain(one: Standing) -> str:
    entry = one.entry
    if entry is None and one.state == "given":
        return f"by {one.check.release_by}"
    if entry is None:
        given = f"by {one.check.release_by}, for other words; " if one.state == "stale" else ""
        return f"{given}needs: {one.check.who}"
    if entry.act == "withdraw":
        return f"withdrawn by {entry.by}; needs: {one.check.who}"
    given = f"by {entry.by} ({entry.role}) on {entry.checked_on}"
    return given if one.state == "given" else f"{given}, for the words {entry.words_sha256[:8]}"


def _describe(one: Standing) -> dict[str, object]:
    return {
        "entry": None if one.entry is None else msgspec.to_builtins(one.entry),
        "key": one.check.key,
        "needs": one.check.who,
        "pages": list(one.check.pages),
        "state": one.state,
        "version": one.check.version,
        "words": one.check.code,
        "words_sha256": one.check.digest,
    }
