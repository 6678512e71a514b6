"""The desk's record of the checks of the words that it sends: entries of the audit log.

The rules are those of `guidance/signoffs.py`, and the checks those of `signoffs.toml`.
"""

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk import audit
from gateway.desk.cases.replying.templates import TEMPLATES_FOLDER, load_signoffs
from gateway.desk.store.schema import AUDIT
from gateway.desk.wiring import Desk
from gateway.guidance.advice import ADVICE_FOLDER
from gateway.guidance.signoffs import Act, Entry, Row, Standing, check_act, get_standing, judge, make_check, make_entry
from partner_sdk.wire.canonical import convert

ACTS: Final[dict[str, Act]] = {"give-signoff": "give", "withdraw-signoff": "withdraw"}
"""The acts, by the actions of the audit log."""
WELSH_REPLIES: Final = "replies-cy-welsh-reader"
_NOTES_FILE: Final = TEMPLATES_FOLDER.parents[1] / "outbox" / "notes.toml"


def list_standings(connection: Connection) -> list[Standing]:
    """Return every check with its state at this desk."""
    query = select(AUDIT.c.action, AUDIT.c.subject, AUDIT.c.detail).where(AUDIT.c.action.in_(ACTS))
    entries = [
        convert({**json.loads(row.detail), "act": ACTS[row.action], "key": row.subject}, kind=Entry)
        for row in connection.execute(query.order_by(AUDIT.c.id))
    ]
    return [judge(make_check(row, _list_words(row)), entries) for row in load_signoffs()]


def is_given(connection: Connection, key: str) -> bool:
    """Return whether a check was given for the words of today."""
    return get_standing(list_standings(connection), key).state == "given"


def record_signoff(
    desk: Desk,
    key: str,
    *,
    action: str,
    actor: str,
    by: str,
    role: str,
    words: str | None = None,
    checked_on: date | None = None,
    why: str | None = None,
) -> Entry:
    """Record an act on a check, and return its entry.

    Raises `SignoffError` for an unknown check or an act that `check_act` or `make_entry` refuses.
    """
    act, today = ACTS[action], desk.clock().date()
    with desk.store.write() as connection:
        standing = get_standing(list_standings(connection), key)
        check_act(standing, act=act, words=words, checked_on=checked_on, today=today)
        day = None if act == "withdraw" else checked_on or today
        entry = make_entry(Entry, standing.check, act=act, by=by, role=role, checked_on=day, why=why)
        detail = {name: value for name, value in msgspec.to_builtins(entry).items() if value is not None}
        del detail["act"], detail["key"]
        audit.append_entry(connection, action, key, at=desk.clock(), actor=actor, **detail)
    return entry


def _list_words(row: Row) -> list[Any]:
    if row.words == "notes":
        return [_read_words(_NOTES_FILE)]
    return [
        _read_words(path)
        for path in (
            TEMPLATES_FOLDER / f"reply_templates_{row.language}.toml",
            ADVICE_FOLDER / f"{row.language}.toml",
        )
    ]


def _read_words(path: Path) -> dict[str, Any]:
    return {name: value for name, value in tomllib.loads(path.read_text("utf-8")).items() if name != "version"}
