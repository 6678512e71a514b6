"""Checks of the words that the desk sends: which are owed, and who gave which, for exactly which words.

The release lists the checks (`signoffs.toml`). One that is given later is an entry of the audit log, so it needs no
release. Each has the digest of the words that were read, and ends when they change. After a withdrawal only a later
entry counts.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.desk import audit
from gateway.desk.cases.reply_templates import TEMPLATES_FOLDER, WELSH_READER, Check, load_signoffs
from gateway.desk.store.schema import AUDIT
from gateway.desk.wiring import Desk
from gateway.guidance.advice import ADVICE_FOLDER
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.public_codes import WELSH

GIVE: Final = "give-signoff"
WITHDRAW: Final = "withdraw-signoff"
WELSH_REPLIES: Final = "replies-cy-welsh-reader"
_READERS: Final = {WELSH_READER: "welsh-reader", "safeguarding staff": "safeguarding"}
CODE_CHARACTERS: Final = 8
MOST_CHARACTERS: Final = 200
_NOTES_FILE: Final = TEMPLATES_FOLDER.parent / "outbox" / "notes.toml"


class SignoffError(LocalStateError):
    """A check is unknown, or its words have changed; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A check now: `given`, `owed`, or `stale` if it was given for other words. `detail` is that of its last entry."""

    key: str
    needs: str
    state: str
    version: str
    words: str
    words_sha256: str
    detail: dict[str, Any] | None


def list_standings(connection: Connection) -> list[Standing]:
    """Return every check with its state at this desk."""
    query = select(AUDIT.c.action, AUDIT.c.subject, AUDIT.c.detail).where(AUDIT.c.action.in_((GIVE, WITHDRAW)))
    rows = connection.execute(query.order_by(AUDIT.c.id))
    entries = [(row.action, row.subject, json.loads(row.detail)) for row in rows]
    return [_judge(check, entries) for check in load_signoffs().check]


def is_given(connection: Connection, key: str) -> bool:
    """Return whether a check was given for the words of today."""
    return any(one.state == "given" for one in list_standings(connection) if one.key == key)


def record_signoff(desk: Desk, key: str, *, action: str, actor: str, words: str | None = None, **said: str) -> Standing:
    """Record an act on a check, and return the check as it was. Raises `SignoffError`.

    To give one needs `words`, the code that the reader saw: if the words are others now, it is refused.
    """
    for text in said.values():
        if not text.strip() or not text.isprintable() or len(text) > MOST_CHARACTERS:
            raise SignoffError("A name, a role and a reason are one line of 1 to 200 characters.", reason="bad-name")
    with desk.store.write() as connection:
        found = {one.key: one for one in list_standings(connection)}.get(key)
        if found is None:
            raise SignoffError("No check has that key. `signoff list` shows every key.", reason="unknown-check")
        if action == GIVE and (words or "").strip().lower() != found.words:
            raise SignoffError(
                f"The words have changed since they were read: their code is {found.words} now.", reason="other-words"
            )
        if action == WITHDRAW and found.state != "given":
            raise SignoffError("This check is not given: there is nothing to withdraw.", reason="not-given")
        detail = {**said, "version": found.version, "words_sha256": found.words_sha256}
        audit.append_entry(connection, action, key, at=desk.clock(), actor=actor, **detail)
    return found


def _judge(check: Check, entries: Sequence[tuple[str, str, dict[str, Any]]]) -> Standing:
    key, digest = _make_key(check), _digest_words(check)
    given: list[dict[str, Any]] = []
    withdrawn = None
    for action, subject, detail in entries:
        if subject == key and action == WITHDRAW:
            given, withdrawn = [], detail
        elif subject == key:
            given.append(detail)
    found = next((detail for detail in reversed(given) if detail["words_sha256"] == digest), None)
    is_of_release = withdrawn is None and check.is_made
    if found is not None or (is_of_release and check.words_sha256 == digest):
        state = "given"
    else:
        state = "stale" if given or is_of_release else "owed"
        found = given[-1] if given else withdrawn
    return Standing(key, check.who, state, check.version, digest[:CODE_CHARACTERS], digest, found)


def _make_key(check: Check) -> str:
    language = WELSH if check.who == WELSH_READER else check.version.partition("-")[0]
    return f"{check.words}-{language}-{_READERS[check.who]}"


def _digest_words(check: Check) -> str:
    """Return the digest of the words that a check is about, without their version."""
    if check.words == "notes":
        files = [_NOTES_FILE]
    else:
        name = f"{check.version.partition('-')[0]}.toml"
        files = [TEMPLATES_FOLDER / f"reply_templates_{name}", ADVICE_FOLDER / name]
    raw = json.dumps([_read_words(path) for path in files], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(raw.encode()).hexdigest()


def _read_words(path: Path) -> dict[str, Any]:
    return {name: value for name, value in tomllib.loads(path.read_text("utf-8")).items() if name != "version"}
