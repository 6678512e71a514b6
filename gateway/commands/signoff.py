"""`report-abuse-gateway signoff`: list, give and withdraw the checks of the words that people read."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.clock import utc_now
from gateway.commands.terminal import DONE, FAULT, command, json_option, print_json, say, state_option
from gateway.config import load_config
from gateway.guidance.commands import BY, KEY, ON, ROLE, WHY, WORDS, describe_standing, format_standing
from gateway.guidance.signoffs import CODE_CHARACTERS, Act
from gateway.signoffs import list_standings, record

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
        print_json({"checks": [describe_standing(one) for one in standings]})
    else:
        for one in standings:
            say(format_standing(one))
    return DONE if all(one.state == "given" for one in standings) else FAULT


@command(
    example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --words 81d50c2f --on 2026-11-20'
)
@KEY
@state_option
@BY
@ROLE
@WORDS
@ON
@json_option
def give(key: str, state: Path, *, by: str, role: str, words: str, on: datetime | None, as_json: bool) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release
    changes them, the check is owed again.
    """
    day = None if on is None else on.date()
    return _record(state, key, act="give", by=by, role=role, words=words, checked_on=day, as_json=as_json)


@command(example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --why "Wrong sheet."')
@KEY
@state_option
@BY
@ROLE
@WHY
@json_option
def withdraw(key: str, state: Path, *, by: str, role: str, why: str, as_json: bool) -> int:
    """Withdraw a check that was given.

    The record keeps both.
    """
    return _record(state, key, act="withdraw", by=by, role=role, why=why, as_json=as_json)


def _record(state: Path, key: str, *, act: Act, as_json: bool, **fields: Any) -> int:
    load_config(state)
    entry = record(state, key, act=act, now=utc_now(), **fields)
    if as_json:
        print_json(msgspec.to_builtins(entry))
        return DONE
    done, code = ("given" if act == "give" else "withdrawn"), entry.words_sha256[:CODE_CHARACTERS]
    say(f"{entry.key} is {done} by {entry.by} ({entry.role}) for the words {code}, {entry.version}.")
    left = sum(one.state != "given" for one in list_standings(state))
    say("Every sign-off is given." if left == 0 else f"Sign-offs still owed: {left}.")
    return DONE
