"""The gateway's record of the checks of the form's words, of the advice and of the button.

A sign-off is a line of `signoffs.jsonl` in the state folder (`guidance/signoffs.py` has the rules). Each line holds the
digest of the one before it, and `signoffs.last` that of the last one: a line that was changed or removed is noticed,
with a mistake in mind. Nothing is signed: a person who may write in the state folder can make both files anew.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.exchange.public_codes import ENGLISH, WELSH
from gateway.guidance.advice import ADVICE_FOLDER
from gateway.guidance.signoffs import (
    Act,
    Check,
    Entry,
    Row,
    Rows,
    SignoffError,
    Standing,
    check_act,
    get_standing,
    judge,
    make_check,
    make_entry,
)
from gateway.public.wording import WORDING_FOLDER, Wording, load_wordings
from gateway.web.settings import read_settings
from partner_sdk.button.snippet import ICON_INTEGRITY, SCRIPT_INTEGRITY, WORDS
from partner_sdk.durable_files import find_bytes, held, sync_folder, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.finding import Finding
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import decode, format_time

SIGNOFFS_FILE: Final = "signoffs.jsonl"
LAST_FILE: Final = "signoffs.last"
ALL_PAGES: Final = "all"


class KeptEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file, with its time and the digest of the line before."""

    at: str
    previous: str


def list_checks() -> tuple[Check, ...]:
    """Return the checks of this release, with the digests of the words of today."""
    rows = read_settings(WORDING_FOLDER / "signoffs.toml", kind=Rows).check
    wordings = load_wordings()
    return tuple(make_check(row, _read_words(row, wordings)) for row in rows)


def list_standings(state: Path) -> tuple[Standing, ...]:
    """Return every check with its state in this gateway. Raises `SignoffError` for a damaged file."""
    entries = _parse(_read(state))
    return tuple(judge(check, entries) for check in list_checks())


def record(
    state: Path,
    key: str,
    *,
    act: Act,
    by: str,
    role: str,
    now: datetime,
    words: str | None = None,
    checked_on: date | None = None,
    why: str | None = None,
) -> KeptEntry:
    """Add one line, durably, and return it.

    Raises `SignoffError` for an unknown check, a damaged file, or an act that `check_act` or `make_entry` refuses.
    """
    path = state / SIGNOFFS_FILE
    with held(path):
        raw = _read(state)
        entries = _parse(raw)
        standing = get_standing((judge(check, entries) for check in list_checks()), key)
        check_act(standing, act=act, words=words, checked_on=checked_on, today=now.date())
        entry = make_entry(
            KeptEntry,
            standing.check,
            act=act,
            at=format_time(now),
            by=by,
            checked_on=checked_on or now.date(),
            previous=_digest_last(raw),
            role=role,
            why=why,
        )
        line = msgspec.json.encode(entry, order="sorted")
        _append(path, line + b"\n")
        write_durably(state / LAST_FILE, f"{hashlib.sha256(line).hexdigest()}\n".encode())
    return entry


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


def _read_words(row: Row, wordings: Mapping[Language, Wording]) -> Any:
    language = WELSH if row.language == WELSH else ENGLISH
    if row.words == "button":
        said = WORDS[language]
        looks = [ICON_INTEGRITY, SCRIPT_INTEGRITY] if "icon" in row.pages else []
        return [said.sentence, said.text, said.label, *looks]
    if row.words == "advice":
        table = tomllib.loads((ADVICE_FOLDER / f"{language}.toml").read_text("utf-8"))
    else:
        table = dict(wordings[language].table)
        if ALL_PAGES not in row.pages:
            return {page: table["screen"][page] for page in row.pages}
    return {name: value for name, value in table.items() if name != "version"}


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


def _parse(raw: bytes) -> tuple[KeptEntry, ...]:
    if raw and not raw.endswith(b"\n"):
        raise SignoffError(
            f"The last line of {SIGNOFFS_FILE} was not finished: delete that line, then give the check again.",
            reason="damaged",
        )
    entries, previous = [], ""
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            entry = decode(line, kind=KeptEntry)
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
