"""Dated facts (bodies, numbers, hours, laws) in TOML files, and the ones whose last check is too old.

A fact has `checked_on`, the day it was compared with its source, and `source`; a decision has `decided_by`. If the
source is neither the body's own nor public, `to_prove` describes what still needs a better one. Either every top-level
table of a file has both keys, or the file itself does.
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
# Files are named relative to this folder, so that no path of the machine is printed.
_ROOT: Final = Path(__file__).resolve().parents[2]

Source = Annotated[str, Meta(min_length=8)]


@dataclass(frozen=True, slots=True)
class DatedFact:
    """One dated entry of a file: its last check, its source, and what still needs proof."""

    file: str
    key: str
    checked_on: date
    source: str
    to_prove: str | None = None


def read_facts(path: Path) -> tuple[DatedFact, ...]:
    """Return every dated entry of a file.

    Raises `SettingsError` for an entry without a day or a source.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read {_name(path)}: {error}", reason="bad-settings") from None
    if "checked_on" in table:
        return (_make_fact(table, file=_name(path), key=WHOLE_FILE),)
    return tuple(_make_fact(entry, file=_name(path), key=key) for key, entry in table.items())


def list_stale(entries: Iterable[DatedFact], *, today: date, days: int = STALE_DAYS) -> tuple[DatedFact, ...]:
    """Return the entries to check again, oldest first.

    An entry is stale if it was checked more than `days` days ago or on a future day, or has something to prove.
    """
    stale = [
        entry
        for entry in entries
        if entry.checked_on > today or (today - entry.checked_on).days > days or entry.to_prove is not None
    ]
    return tuple(sorted(stale, key=lambda entry: (entry.checked_on, entry.file, entry.key)))


def make_row(entry: DatedFact) -> dict[str, str | None]:
    """Return an entry as a JSON object."""
    return {
        "checked_on": entry.checked_on.isoformat(),
        "file": entry.file,
        "key": entry.key,
        "source": entry.source,
        "to_prove": entry.to_prove,
    }


def make_line(entry: DatedFact) -> str:
    """Return an entry as a line of text."""
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
