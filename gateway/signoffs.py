"""The gateway's record of the checks of the form's words, of the advice and of the button.

A sign-off is a line of `signoffs.jsonl` in the state folder (`guidance/signoffs.py` has the rules). Nothing is signed:
a person who may write in the state folder can change the file.
"""

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
    CheckStatus,
    Entry,
    Row,
    Rows,
    SignoffError,
    check_act,
    get_status,
    judge,
    make_check,
    make_entry,
)
from gateway.public.wording import WORDING_FOLDER, Wording, load_wordings
from gateway.web.settings import read_settings
from partner_sdk.button.snippet import ICON_INTEGRITY, SCRIPT_INTEGRITY, WORDS
from partner_sdk.durable_files import find_bytes, held, sync_folder
from partner_sdk.errors import LocalStateError
from partner_sdk.finding import Finding
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import decode, format_time

SIGNOFFS_FILE: Final = "signoffs.jsonl"
ALL_PAGES: Final = "all"


class KeptEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file, with its time."""

    at: str


def list_checks() -> tuple[Check, ...]:
    """Return the checks of this release, with the digests of the words of today."""
    rows = read_settings(WORDING_FOLDER / "signoffs.toml", kind=Rows).check
    wordings = load_wordings()
    return tuple(make_check(row, _read_words(row, wordings)) for row in rows)


def list_signoffs(state: Path) -> tuple[CheckStatus, ...]:
    """Return every check with its state in this gateway. Raises `SignoffError` for a damaged file."""
    entries = _read(state)
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
        status = get_status(list_signoffs(state), key)
        check_act(status, act=act, words=words, checked_on=checked_on, today=now.date())
        entry = make_entry(
            KeptEntry,
            status.check,
            act=act,
            at=format_time(now),
            by=by,
            checked_on=checked_on or now.date(),
            role=role,
            why=why,
        )
        _append(path, msgspec.json.encode(entry, order="sorted") + b"\n")
    return entry


def examine_signoffs(state: Path) -> Finding:
    """Return the finding of `doctor`: how many checks are owed or have ended."""
    try:
        found = list_signoffs(state)
    except LocalStateError as error:
        return Finding("words", "fault", str(error))
    counts = {wanted: sum(one.state == wanted for one in found) for wanted in ("given", "owed", "stale")}
    detail = f"{counts['given']} of {len(found)} sign-offs are given"
    if counts["given"] == len(found):
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


def _read(state: Path) -> list[KeptEntry]:
    raw = find_bytes(state / SIGNOFFS_FILE) or b""
    if raw and not raw.endswith(b"\n"):
        raise SignoffError(
            f"The last line of {SIGNOFFS_FILE} was not finished: delete that line, then give the check again.",
            reason="damaged",
        )
    entries = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            entries.append(decode(line, kind=KeptEntry))
        except msgspec.MsgspecError:
            raise SignoffError(
                f"Line {number} of {SIGNOFFS_FILE} is damaged: restore the file from a backup.", reason="damaged"
            ) from None
    return entries


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
