"""Dated facts (bodies, numbers, hours, laws) in TOML files: how each is dated, and which were checked too long ago.

A fact carries `checked_on`, the day it was compared with its source, and `source`; a decision carries `decided_by`.
Where the source is neither the body's own nor a public one, `to_prove` says what rests on it: a better one is owed.
Either every table at the top of a file carries both, or the file itself does.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from gateway.web.settings import SettingsError

STALE_DAYS: Final = 180
WHOLE_FILE: Final = "(whole file)"
# The folder that holds the package: files are named from there, and no path of this machine is printed.
_ROOT: Final = Path(__file__).resolve().parents[2]

Source = Annotated[str, Meta(min_length=8)]


@dataclass(frozen=True, slots=True)
class DatedFact:
    """One entry of one file: when and against what it was checked, and what of it still wants a better source."""

    file: str
    key: str
    checked_on: date
    source: str
    to_prove: str | None = None


def read_facts(path: Path) -> tuple[DatedFact, ...]:
    """Return every dated entry of a file, whatever else is in it.

    Raises `SettingsError` where an entry has no day or no source.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{_name(path)} cannot be read: {error}", reason="bad-settings") from None
    if "checked_on" in table:
        return (_make_fact(table, file=_name(path), key=WHOLE_FILE),)
    return tuple(_make_fact(entry, file=_name(path), key=key) for key, entry in table.items())


def list_stale(entries: Iterable[DatedFact], *, today: date, days: int = STALE_DAYS) -> tuple[DatedFact, ...]:
    """Return what to check again, the oldest first: checked more than `days` days ago, or on a day that is yet to come,
    or with something still to prove."""
    stale = [
        entry
        for entry in entries
        if entry.checked_on > today or (today - entry.checked_on).days > days or entry.to_prove is not None
    ]
    return tuple(sorted(stale, key=lambda entry: (entry.checked_on, entry.file, entry.key)))


def make_row(entry: DatedFact) -> dict[str, str | None]:
    """Return an entry as one JSON object for machines."""
    return {
        "checked_on": entry.checked_on.isoformat(),
        "file": entry.file,
        "key": entry.key,
        "source": entry.source,
        "to_prove": entry.to_prove,
    }


def make_line(entry: DatedFact) -> str:
    """Return an entry as one line for people."""
    line = f"{entry.checked_on}  {entry.file}  {entry.key}  {entry.source}"
    return line if entry.to_prove is None else f"{line}  to prove: {entry.to_prove}"


def _make_fact(entry: Any, *, file: str, key: str) -> DatedFact:
    values = entry if isinstance(entry, dict) else {}
    day = values.get("checked_on")
    source = values.get("source") or values.get("decided_by")
    if type(day) is not date or not isinstance(source, str) or not source.strip():
        raise SettingsError(f"{file}: {key} needs checked_on (a day) and source.", reason="undated-entry")
    return DatedFact(file=file, key=key, checked_on=day, source=source, to_prove=values.get("to_prove"))


def _name(path: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(_ROOT)) if whole.is_relative_to(_ROOT) else path.name
