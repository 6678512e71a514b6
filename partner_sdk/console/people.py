"""The people at a firm's console, and the file of their acts.

Names, not accounts: a person who can open the folder holds the firm's keys anyway. The file of acts is appended to and
never rewritten. An act names its person, its time and one id; never a word of a report.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from partner_sdk.durable_files import find_bytes, locked, make_private_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.wire.canonical import decode, encode, format_time

CONSOLE: Final = "console"
MAX_PEOPLE: Final = 200
MAX_NAME_CHARACTERS: Final = 80
_ABOUT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

# The acts and their words on the page of people.
ACTS: Final[Mapping[str, str]] = {
    "person-added": "added a person",
    "person-removed": "removed a person",
    "draft-begun": "began a report",
    "draft-deleted": "deleted a draft",
    "file-added": "copied a file into a report",
    "files-delivered": "handed over the files of a report",
    "files-given-up": "gave up the files of a report",
    "report-sealed": "sealed a report",
    "report-delivered": "got the receipt of a report",
    "report-written": "saved a sealed report as a file",
    "report-discarded": "dropped a sealed report that was never delivered",
    "receipt-verified": "verified a receipt",
    "receipt-saved": "saved a receipt as a file",
    "spool-sent": "sent the waiting reports",
    "mailbox-collected": "collected the agency's messages",
    "entry-acknowledge": "acknowledged a message",
    "entry-answer": "answered a message",
    "entry-decline": "declined a message",
    "entry-note": "wrote about a message",
    "entry-outcome": "told the outcome of a package",
    "entry-question": "asked about a message",
    "words-sent": "sent waiting words",
    "package-opened": "opened a package",
    "package-read": "read the page of a package",
    "package-file-saved": "saved a file of a package",
    "digest-saved": "saved a digest as a file",
    "keys-renewed": "asked the agency for new keys",
}


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person of the firm. A name that was used stays taken: the acts name it."""

    added_at: str
    name: str
    number: int
    removed_at: str | None = None


class Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One act of a person; `about` is an id, e.g. that of a report."""

    about: str
    act: str
    at: str
    by: str


class _PeopleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    people: tuple[Person, ...] = ()


def make_console_folder(state: Path) -> Path:
    """Return the console's own folder inside a partner's, made if it is not there."""
    folder = state / CONSOLE
    make_private_folder(folder)
    return folder


class People:
    """The people and their acts in the console's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._people = folder / "people.json"
        self._acts = folder / "acts.jsonl"

    def list_all(self) -> tuple[Person, ...]:
        """Return every person ever added, the first one first; raises `LocalStateError`."""
        raw = find_bytes(self._people)
        if raw is None:
            return ()
        try:
            return decode(raw, kind=_PeopleFile).people
        except msgspec.DecodeError:
            raise LocalStateError(f"{self._people} is damaged.", reason="damaged-state") from None

    def list_present(self) -> tuple[Person, ...]:
        """Return the people to choose from."""
        return tuple(one for one in self.list_all() if one.removed_at is None)

    def add(self, name: str, *, now: datetime) -> Person:
        """Add a person, or return the one of this name; raises `FormatError` for a name that cannot be one."""
        plain = read_name(name)
        with locked(self._folder):
            people = self.list_all()
            known = next((one for one in people if one.name.casefold() == plain.casefold()), None)
            if known is not None and known.removed_at is None:
                return known
            if known is not None:
                raise FormatError("This name was removed. Give another one, e.g. with a number.", reason="name-taken")
            if len(people) >= MAX_PEOPLE:
                raise FormatError(f"There are already {MAX_PEOPLE} people.", reason="too-many")
            person = Person(added_at=format_time(now), name=plain, number=len(people) + 1)
            self._save((*people, person))
        return person

    def remove(self, number: int, *, now: datetime) -> Person:
        """Remove a person from the choice; the acts keep the name. Raises `FormatError` (`no-such-person`)."""
        with locked(self._folder):
            people = self.list_all()
            found = next((one for one in people if one.number == number and one.removed_at is None), None)
            if found is None:
                raise FormatError("There is no such person.", reason="no-such-person")
            gone = msgspec.structs.replace(found, removed_at=format_time(now))
            self._save(tuple(gone if one.number == number else one for one in people))
        return gone

    def note(self, act: str, *, about: str, by: str, now: datetime) -> None:
        """Append one act; on return it is on disk. Raises `LocalStateError` (`not-saved`)."""
        if act not in ACTS or _ABOUT.fullmatch(about) is None:
            raise ValueError("An act has a name of the table, and an id.")
        line = encode(Act(about=about, act=act, at=format_time(now), by=by)) + b"\n"
        try:
            descriptor = os.open(self._acts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.write(descriptor, line) != len(line):
                    raise OSError(None, "the disk is full")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LocalStateError(f"Could not save {self._acts}: {error.strerror}.", reason="not-saved") from None

    def list_acts(self, *, most: int) -> list[Act]:
        """Return the newest acts first, at most so many; a line that was cut off by a crash is passed over."""
        lines = (find_bytes(self._acts) or b"").splitlines()
        found: list[Act] = []
        for line in reversed(lines):
            if len(found) == most:
                break
            try:
                found.append(decode(line, kind=Act))
            except msgspec.DecodeError:
                continue
        return found

    def _save(self, people: tuple[Person, ...]) -> None:
        write_durably(self._people, msgspec.json.encode(_PeopleFile(people=people)))


def read_name(name: str) -> str:
    """Return a typed name without its odd spaces; raises `FormatError` (`bad-name`)."""
    plain = " ".join(name.split())
    if not plain or len(plain) > MAX_NAME_CHARACTERS or not plain.isprintable():
        raise FormatError(f"Give a name of 1 to {MAX_NAME_CHARACTERS} characters.", reason="bad-name")
    return plain
