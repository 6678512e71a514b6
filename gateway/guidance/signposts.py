"""Reads the bodies, numbers and addresses that pages and replies may name from `data/signposts.toml`, strictly.

Shared: the public form names them on its pages, the desk in its replies, from one dated file.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings
from partner_sdk.wire.public_codes import WELSH

SIGNPOSTS_FILE: Final = Path(__file__).parent / "data" / "signposts.toml"


class Signpost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One body that can help; every entry says when and against what it was checked.

    `text_number` is a number that takes text messages only, so that no page offers to call it.
    """

    name: str
    checked_on: date
    source: Source
    phone: str | None = None
    phone_link: str | None = None
    text_number: str | None = None
    text_link: str | None = None
    url: str | None = None
    name_cy: str | None = None
    to_prove: str | None = None

    def say_name(self, language: str) -> str:
        """Return the name as it is said in a language; most bodies have one name in both."""
        return self.name_cy if language == WELSH and self.name_cy else self.name


def load_signposts(path: Path = SIGNPOSTS_FILE) -> Mapping[str, Signpost]:
    """Load every signpost. Raises `SettingsError` at the start, not on a child's page: an unknown key, no date."""
    return read_settings(path, kind=dict[str, Signpost])
