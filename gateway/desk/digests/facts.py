"""The facts of an incident as data: choices of the closing form, columns of a case, and tables of a yearly digest.

All of it stands in `facts.toml`. A fact that is not known has no code: the column of the case is empty.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.web.settings import read_settings

FACT_FILE: Final = Path(__file__).with_name("facts.toml")
NOT_KNOWN: Final = "Not known"


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact; `answers` are the words of each code, in the order of the form."""

    title: str
    question: str
    answers: dict[str, str]


@cache
def load_facts() -> Mapping[str, Fact]:
    """Return all facts by the column of a case that holds each, e.g. `moved_to`. Raises `SettingsError`."""
    return read_settings(FACT_FILE, kind=dict[str, Fact])


def choose_facts(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return a value for the column of each fact; an empty or missing answer is one that is not known."""
    return {name: given.get(name) or None for name in load_facts()}
