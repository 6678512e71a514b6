"""`report-abuse-desk signoff`: list, give and withdraw the checks of the words that the desk sends."""

from datetime import datetime
from typing import Any

import msgspec

from gateway.desk.cases.replying.templates import ACTS, list_standings, record_signoff
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_result
from gateway.desk.wiring import open_desk
from gateway.guidance.commands import BY, KEY, ON, ROLE, WHY, WORDS, describe_standing, format_standing
from gateway.guidance.signoffs import CODE_CHARACTERS

_WHO = '--by "A. Reader" --role "First-language Welsh reader"'


@desk_command(Permission.SIGN_OFF, example="--json")
def signoff_list(call: Call) -> int:
    """List every check: given, owed or stale.

    A check is stale once the words that were read have changed. Exit code 1 when any is owed or stale.
    """
    with open_desk(call.state).store.read() as connection:
        found = list_standings(connection)
    is_done = all(one.state == "given" for one in found)
    checks = {"checks": [describe_standing(one) for one in found]}
    return print_result(call, checks, *map(format_standing, found), code=DONE if is_done else LOOK)


@desk_command(Permission.SIGN_OFF, example=f"replies-cy-welsh-reader {_WHO} --words 81d50c2f --on 2026-11-20")
@KEY
@BY
@ROLE
@WORDS
@ON
def signoff_give(call: Call, key: str, by: str, role: str, words: str, on: datetime | None) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release changes them, the check
    is owed again.
    """
    day = None if on is None else on.date()
    return _record(call, key, action="give-signoff", words=words, by=by, role=role, checked_on=day)


@desk_command(Permission.SIGN_OFF, example=f'replies-cy-welsh-reader {_WHO} --why "Read another version."')
@KEY
@BY
@ROLE
@WHY
def signoff_withdraw(call: Call, key: str, by: str, role: str, why: str) -> int:
    """Withdraw a check that was given.

    The audit log keeps both.
    """
    return _record(call, key, action="withdraw-signoff", by=by, role=role, why=why)


def _record(call: Call, key: str, *, action: str, **fields: Any) -> int:
    entry = record_signoff(open_desk(call.state), key, action=action, actor=call.actor, **fields)
    done, code = ("given" if ACTS[action] == "give" else "withdrawn"), entry.words_sha256[:CODE_CHARACTERS]
    line = f"{key} is {done} by {entry.by} ({entry.role}) for the words {code}, {entry.version}."
    return print_result(call, msgspec.to_builtins(entry), line)
