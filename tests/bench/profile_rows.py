"""Reads a few named rows of a door's profile."""

import pstats
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A row's name, and the functions whose time it sums, by file and name.
Rows = Mapping[str, tuple[tuple[str, str], ...]]


def read_rows(stats: pstats.Stats, rows: Rows, *, calls: int) -> dict[str, float]:
    """Return microseconds of each row for one of `calls`, called functions included.

    Raises `SystemExit` for a row that nothing fits: the code has moved, and the table would lie.
    """
    entries: dict[Any, Any] = stats.stats  # type: ignore[attr-defined] # the library's stubs leave it out
    found: dict[str, float] = {}
    for name, wanted in rows.items():
        fits = [entry[3] for key, entry in entries.items() if (Path(key[0]).name, key[2]) in wanted]
        if not fits:
            raise SystemExit(f"Nothing in the profile fits the row {name!r}.")
        found[name] = sum(fits) * 1e6 / calls
    return found
