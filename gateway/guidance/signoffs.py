"""Checks of the words that people read, for form and desk: which are owed, and which count for the words of today.

A release lists its checks in the `signoffs.toml` of each room. A check is given by an entry of that room's own record,
so it needs no release. Each has the digest of the words that were read, and ends when they change. After a withdrawal
only a later entry counts.

Never names a child: a panel is named by the adult who ran it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, TypeVar

import click
import msgspec

from gateway.exchange.public_codes import WELSH
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import convert
from partner_sdk.wire.enrolment import Line

CODE_CHARACTERS: Final = 8
WELSH_READER: Final = "a first-language Welsh reader"
# The last part of a key, by the reviewer that a check needs.
REVIEWERS: Final = {
    "youth advisory panel": "youth-panel",
    "safeguarding staff": "safeguarding",
    WELSH_READER: "welsh-reader",
}
Act = Literal["give", "withdraw"]
State = Literal["given", "owed", "stale"]


class SignoffError(LocalStateError):
    """A sign-off cannot be recorded or read; the message gives the remedy."""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check of a `signoffs.toml`."""

    words: Literal["form", "advice", "button", "replies", "notes"]
    version: str
    who: Literal["youth advisory panel", "safeguarding staff", "a first-language Welsh reader"]
    noted_on: date
    pages: tuple[str, ...] = ()
    # The words themselves where they are short, as the button's are; a test compares them.
    sentence: str = ""
    text: str = ""
    label: str = ""

    @property
    def language(self) -> str:
        """The language that is read: the notes have one version for both."""
        return WELSH if self.who == WELSH_READER else self.version.partition("-")[0]


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `signoffs.toml`."""

    check: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the release, with the digest of the words of today."""

    row: Row
    digest: str

    @property
    def key(self) -> str:
        """Return its name in commands, e.g. `form-en-youth-panel`."""
        return f"{self.row.words}-{self.row.language}-{REVIEWERS[self.row.who]}"

    @property
    def code(self) -> str:
        """Return the start of the digest, which stands on the sign-off sheet, e.g. `81d50c2f`."""
        return self.digest[:CODE_CHARACTERS]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act on a check, with the words that it was about."""

    act: Act
    by: Line
    key: str
    role: Line
    version: str
    words_sha256: str
    checked_on: date | None = None
    why: Line | None = None


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """A check with its state now, and the entry that counts for it or has ended."""

    check: Check
    state: State
    entry: Entry | None


E = TypeVar("E", bound=Entry)


def make_check(row: Row, words: Any) -> Check:
    """Return a check of `words`: a table, a list or text, without its version, because a new number ends no check."""
    raw = json.dumps(words, sort_keys=True, ensure_ascii=False, default=str).encode()
    return Check(row=row, digest=hashlib.sha256(raw).hexdigest())


def make_entry(kind: type[E], check: Check, **fields: Any) -> E:
    """Return an entry about the words of today. Raises `SignoffError` (`bad-name`)."""
    about = {"key": check.key, "version": check.row.version, "words_sha256": check.digest}
    try:
        return convert({**fields, **about}, kind=kind)
    except msgspec.ValidationError:
        raise SignoffError(
            "A name, a role and a reason are one line of 1 to 100 characters, without a space at an end.",
            reason="bad-name",
        ) from None


def judge(check: Check, entries: Iterable[Entry]) -> CheckStatus:
    """Return the state of a check. `entries` are those of the whole record, the oldest first."""
    given: list[Entry] = []
    withdrawn = None
    for entry in entries:
        if entry.key == check.key and entry.act == "withdraw":
            given, withdrawn = [], entry
        elif entry.key == check.key:
            given.append(entry)
    read = next((entry for entry in reversed(given) if entry.words_sha256 == check.digest), None)
    if read is not None:
        return CheckStatus(check, "given", read)
    return CheckStatus(check, "stale", given[-1]) if given else CheckStatus(check, "owed", withdrawn)


def get_status(statuses: Iterable[CheckStatus], key: str) -> CheckStatus:
    """Return the status of a check. Raises `SignoffError` (`unknown-check`)."""
    found = next((one for one in statuses if one.check.key == key), None)
    if found is None:
        raise SignoffError("No check has that key. `signoff list` shows every key.", reason="unknown-check")
    return found


def check_act(status: CheckStatus, *, act: Act, words: str | None, checked_on: date | None, today: date) -> None:
    """Refuse to give other words than those of today, or for a day ahead, and to withdraw what is not given.

    `words` is the code on the sheet that was read. Raises `SignoffError`: `other-words`, `bad-day`, `not-given`.
    """
    if act == "withdraw" and status.state != "given":
        raise SignoffError("This check is not given: there is nothing to withdraw.", reason="not-given")
    if act == "give" and (words or "").strip().lower() != status.check.code:
        raise SignoffError(
            f"The words have changed since they were read: their code is now {status.check.code}. "
            "Have them read again.",
            reason="other-words",
        )
    if checked_on is not None and checked_on > today:
        raise SignoffError("The day of the check lies ahead: give the day on which it was made.", reason="bad-day")


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
