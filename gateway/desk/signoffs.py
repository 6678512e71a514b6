"""Says whether words that the desk sends have been looked at by whom they were owed to, from signoffs.toml.

Never takes silence for a check: words without a line, or with another version, have not been looked at.
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.web.settings import read_settings

WELSH_READER: Final = "a first-language Welsh reader"
SIGNOFFS_FILE: Final = Path(__file__).with_name("signoffs.toml")

Words = Literal["replies", "notes"]


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check that is owed or was made. `by` and `done_on` are given once it was made."""

    words: Words
    version: str
    who: str
    state: Literal["owed", "done"]
    noted_on: date
    by: str = ""
    done_on: date | None = None

    @property
    def is_made(self) -> bool:
        """Whether a name and a day stand with it."""
        return self.state == "done" and bool(self.by.strip()) and self.done_on is not None


class Signoffs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`signoffs.toml`."""

    check: tuple[Check, ...]


@cache
def load_signoffs() -> Signoffs:
    """Return the checks of this release. Raises `SettingsError`."""
    return read_settings(SIGNOFFS_FILE, kind=Signoffs)


def is_checked(words: Words, *, version: str, who: str, signoffs: Signoffs | None = None) -> bool:
    """Return whether this version of the words was looked at by somebody of that kind."""
    checks = (signoffs or load_signoffs()).check
    return any(one.is_made for one in checks if (one.words, one.version, one.who) == (words, version, who))
