"""The checks of the words that people read: which are owed, and who gave which, for exactly which words.

The release lists the checks (`public/wording/signoffs.toml`). One that is given while the gateway runs is a line of
`signoffs.jsonl` in the state folder, so it needs no release. Each check holds the digest of the words that were read:
as soon as they change, the check is owed again. After a withdrawal only a later line counts.

Each line holds the digest of the one before it, and `signoffs.last` that of the last one: a line that was changed or
removed is noticed, with a mistake in mind. Nothing is signed: a person who may write in the state folder can make both
files anew.

Never names a child: a panel is named by the adult who ran it.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from gateway.guidance.advice import ADVICE_FOLDER
from gateway.public.wording import WORDING_FOLDER, load_wording
from partner_sdk.button.release import ICON_INTEGRITY, SCRIPT_INTEGRITY
from partner_sdk.button.snippet import WORDS
from partner_sdk.durable_files import find_bytes, held, sync_folder, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.public_codes import Language
from partner_sdk.wire.registration import Line

SIGNOFFS_FILE: Final = "signoffs.jsonl"
LAST_FILE: Final = "signoffs.last"
CODE_CHARACTERS: Final = 8
ALL_PAGES: Final = "all"
# The last part of a key, by the reviewer that a check needs.
REVIEWERS: Final = {
    "youth advisory panel": "youth-panel",
    "safeguarding staff": "safeguarding",
    "a first-language Welsh reader": "welsh-reader",
}
Act = Literal["give", "withdraw"]
State = Literal["given", "owed", "stale"]


class SignoffError(LocalStateError):
    """A sign-off cannot be recorded or read; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the release. `code` is the start of the digest of its words: it stands on the sign-off sheet."""

    key: str
    who: str
    version: str
    pages: tuple[str, ...]
    digest: str
    release_by: str = ""
    release_digest: str = ""

    @property
    def code(self) -> str:
        """Return the short form of the digest, e.g. `81d50c2f`."""
        return self.digest[:CODE_CHARACTERS]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file: an act on a check, with the words that it was about."""

    act: Act
    at: str
    by: Line
    checked_on: date
    key: str
    previous: str
    role: Line
    version: str
    words_sha256: str
    why: Line | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A check with its state now, and the entry that counts for it or has ended."""

    check: Check
    state: State
    entry: Entry | None


def list_checks() -> tuple[Check, ...]:
    """Return the checks of this release, with the digests of the words of today."""
    rows = tomllib.loads((WORDING_FOLDER / "signoffs.toml").read_text("utf-8"))["check"]
    return tuple(_make_check(row) for row in rows)


def list_standings(state: Path) -> tuple[Standing, ...]:
    """Return every check with its state in this gateway. Raises `SignoffError` for a damaged file."""
    entries = read_entries(state)
    return tuple(_judge(check, entries) for check in list_checks())


def get_check(key: str) -> Check:
    """Return a check by its key, or raise `SignoffError` (`unknown-check`)."""
    found = next((check for check in list_checks() if check.key == key), None)
    if found is None:
        raise SignoffError(
            "No check has that key. `report-abuse-gateway signoff list` shows every key.", reason="unknown-check"
        )
    return found


def record(
    state: Path,
    check: Check,
    *,
    act: Act,
    by: str,
    role: str,
    now: datetime,
    checked_on: date | None = None,
    why: str | None = None,
) -> Entry:
    """Add one line, durably, and return it. Raises `SignoffError` for a name or day that cannot be."""
    if checked_on is not None and checked_on > now.date():
        raise SignoffError("The day of the check lies ahead: give the day on which it was made.", reason="bad-day")
    path = state / SIGNOFFS_FILE
    with held(path):
        raw = _read(state)
        entry = _make_entry(
            act=act,
            at=format_time(now),
            by=by,
            checked_on=(checked_on or now.date()).isoformat(),
            key=check.key,
            previous=_digest_last(raw),
            role=role,
            version=check.version,
            words_sha256=check.digest,
            why=why,
        )
        line = msgspec.json.encode(entry, order="sorted")
        _append(path, line + b"\n")
        write_durably(state / LAST_FILE, f"{hashlib.sha256(line).hexdigest()}\n".encode())
    return entry


def read_entries(state: Path) -> tuple[Entry, ...]:
    """Return all lines, the oldest first. Raises `SignoffError` (`damaged`) for a line that was changed or removed."""
    return _parse(_read(state))


def examine_signoffs(state: Path) -> Finding:
    """Return the finding of `doctor`: how many checks are owed or have ended."""
    try:
        standings = list_standings(state)
    except LocalStateError as error:
        return Finding("words", "fault", str(error))
    counts = {wanted: sum(one.state == wanted for one in standings) for wanted in ("given", "owed", "stale")}
    detail = f"{counts['given']} of {len(standings)} sign-offs are given"
    if counts["given"] == len(standings):
        return Finding("words", "ok", f"{detail}.")
    ended = f", {counts['stale']} ended because the words changed" if counts["stale"] else ""
    fix = "`report-abuse-gateway signoff list` shows which; docs/panel/ has the sheets."
    return Finding("words", "warning", f"{detail}, {counts['owed']} are owed{ended}.", fix=fix)


def _make_check(row: Mapping[str, Any]) -> Check:
    words, version, pages = row["words"], row["version"], tuple(row["pages"])
    language: Language = version.partition("-")[0]
    said = _read_words(words, language, pages=pages)
    raw = json.dumps(said, sort_keys=True, ensure_ascii=False, default=str).encode()
    return Check(
        key=f"{words}-{language}-{REVIEWERS[row['who']]}",
        who=row["who"],
        version=version,
        pages=pages,
        digest=hashlib.sha256(raw).hexdigest(),
        release_by=f"{row['by']} on {row['done_on']}" if row["state"] == "done" else "",
        release_digest=row["words_sha256"] if row["state"] == "done" else "",
    )


def _read_words(words: str, language: Language, *, pages: tuple[str, ...]) -> Any:
    """Return the text that a check is about, without its version: a new number for the same words ends no check."""
    if words == "button":
        said = WORDS[language]
        looks = [ICON_INTEGRITY, SCRIPT_INTEGRITY] if "icon" in pages else []
        return [said.sentence, said.text, said.label, *looks]
    if words == "advice":
        table = tomllib.loads((ADVICE_FOLDER / f"{language}.toml").read_text("utf-8"))
    else:
        table = dict(load_wording(language).table)
        if ALL_PAGES not in pages:
            return {page: table["screen"][page] for page in pages}
    return {name: value for name, value in table.items() if name != "version"}


def _judge(check: Check, entries: tuple[Entry, ...]) -> Standing:
    given: list[Entry] = []
    withdrawn = None
    for entry in entries:
        if entry.key == check.key and entry.act == "withdraw":
            given, withdrawn = [], entry
        elif entry.key == check.key:
            given.append(entry)
    read = next((entry for entry in reversed(given) if entry.words_sha256 == check.digest), None)
    if read is not None:
        return Standing(check, "given", read)
    if withdrawn is None and check.release_digest == check.digest:
        return Standing(check, "given", None)
    if given:
        return Standing(check, "stale", given[-1])
    return Standing(check, "stale" if withdrawn is None and check.release_by else "owed", withdrawn)


def _make_entry(**fields: str | None) -> Entry:
    try:
        return msgspec.convert(fields, Entry)
    except msgspec.ValidationError:
        raise SignoffError(
            "A name, a role and a reason are one line of 1 to 100 characters, without a space at an end.",
            reason="bad-name",
        ) from None


def _read(state: Path) -> bytes:
    """Return the whole lines of the file, compared with the digest of the last one."""
    # In this order, so that a line of another process between the two is the one case below.
    kept, raw = find_bytes(state / LAST_FILE) or b"", find_bytes(state / SIGNOFFS_FILE) or b""
    lines = _parse(raw)
    # A stop between the two writes leaves the digest of the line before.
    if kept.decode("ascii", "replace").strip() not in {_digest_last(raw), lines[-1].previous if lines else ""}:
        raise SignoffError(
            f"The last line of {SIGNOFFS_FILE} is not the one that {LAST_FILE} names: restore both from a backup.",
            reason="damaged",
        )
    return raw


def _parse(raw: bytes) -> tuple[Entry, ...]:
    if raw and not raw.endswith(b"\n"):
        raise SignoffError(
            f"The last line of {SIGNOFFS_FILE} was not finished: delete that line, then give the check again.",
            reason="damaged",
        )
    entries, previous = [], ""
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError:
            entry = None
        if entry is None or entry.previous != previous:
            raise SignoffError(
                f"Line {number} of {SIGNOFFS_FILE}, or the one before it, was changed: restore the file from a backup.",
                reason="damaged",
            )
        entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return tuple(entries)


def _digest_last(raw: bytes) -> str:
    lines = raw.splitlines()
    return hashlib.sha256(lines[-1]).hexdigest() if lines else ""


def _append(path: Path, line: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        raise SignoffError(f"Could not save {path}: {error.strerror}.", reason="not-saved") from None
