"""`report-abuse-desk signoff`: list, give and withdraw the checks of the words that the desk sends."""

from dataclasses import asdict
from datetime import datetime

import click

from gateway.desk.cases.signoffs import (
    CODE_CHARACTERS,
    GIVE,
    WITHDRAW,
    SignoffError,
    Standing,
    list_standings,
    record_signoff,
)
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_result
from gateway.desk.wiring import Desk, open_desk

_KEY = click.argument("key", metavar="KEY")
_BY = click.option("--by", required=True, metavar="NAME", help="Who checked the words.")
_ROLE = click.option("--role", required=True, metavar="ROLE", help='Their role, e.g. "First-language Welsh reader".')
_WHO = '--by "A. Reader" --role "First-language Welsh reader"'


@desk_command(example="--json")
def signoff_list(call: Call) -> int:
    """List every check: given, owed or stale.

    A check is stale once the words that were read have changed. Exit code 1 when any is owed or stale.
    """
    with open_desk(call.state).store.read() as connection:
        found = list_standings(connection)
    lines = [f"{one.state:6} {one.key:24} {one.version:9} words {one.words}  {_explain(one)}" for one in found]
    is_done = all(one.state == "given" for one in found)
    return print_result(call, {"checks": [asdict(one) for one in found]}, *lines, code=DONE if is_done else LOOK)


@desk_command(example=f"replies-cy-welsh-reader {_WHO} --words 81d50c2f --on 2026-11-20")
@_KEY
@_BY
@_ROLE
@click.option("--words", required=True, metavar="CODE", help="The code of the words that were read.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="When it was checked.  [default: today]")
def signoff_give(call: Call, key: str, by: str, role: str, words: str, on: datetime | None) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release changes them, the check
    is owed again.
    """
    desk = open_desk(call.state)
    day = desk.clock().date() if on is None else on.date()
    if day > desk.clock().date():
        raise SignoffError("The day of the check lies ahead: give the day on which it was made.", reason="bad-day")
    return _record(desk, call, key, action=GIVE, words=words, by=by, role=role, checked_on=day.isoformat())


@desk_command(example=f'replies-cy-welsh-reader {_WHO} --why "Read another version."')
@_KEY
@_BY
@_ROLE
@click.option("--why", required=True, metavar="WORDS", help="The reason, for the record.")
def signoff_withdraw(call: Call, key: str, by: str, role: str, why: str) -> int:
    """Withdraw a check that was given.

    The audit log keeps both.
    """
    return _record(open_desk(call.state), call, key, action=WITHDRAW, by=by, role=role, why=why)


def _explain(one: Standing) -> str:
    if one.detail is None or "why" in one.detail:
        if one.state == "given":
            return "given with the release"
        return f"{'given with the release, for other words; ' if one.state == 'stale' else ''}needs: {one.needs}"
    given = f"by {one.detail['by']} ({one.detail['role']}) on {one.detail['checked_on']}"
    return given if one.state == "given" else f"{given}, for the words {one.detail['words_sha256'][:CODE_CHARACTERS]}"


def _record(desk: Desk, call: Call, key: str, *, action: str, words: str | None = None, **said: str) -> int:
    found = record_signoff(desk, key, action=action, words=words, actor=call.actor, **said)
    done = "given" if action == GIVE else "withdrawn"
    line = f"{key} is {done} by {said['by']} ({said['role']}) for the words {found.words}, {found.version}."
    return print_result(call, {"key": key, "state": done, "words_sha256": found.words_sha256, **said}, line)
