"""The weaknesses of services as data: the choices of the closing form, the cells of a digest, and its advice.

All of it stands in `weaknesses.toml`, so that a new weakness or a better recommendation is a change of text alone.
"""

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.web.settings import read_settings

WEAKNESS_FILE: Final = Path(__file__).with_name("weaknesses.toml")


class Weakness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One weakness with its advice. `feature` is a part of a service, e.g. `direct_messages`."""

    title: str
    text: str
    feature: str
    change: str
    solved: str


class WeaknessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weaknesses.toml`: the titles of the features, and the weaknesses by code in the order of the form."""

    features: dict[str, str]
    weaknesses: dict[str, Weakness]


@cache
def load_weaknesses() -> WeaknessFile:
    """Return all weaknesses by their codes, e.g. `weak_age_check`; raises `SettingsError` for a broken file."""
    return read_settings(WEAKNESS_FILE, kind=WeaknessFile)
