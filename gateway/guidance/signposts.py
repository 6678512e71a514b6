"""Reads the helplines and services for pages and replies from `data/signposts.toml`, strictly.

The public form and the desk share this one dated file.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings
from partner_sdk.wire.public_codes import WELSH

SIGNPOSTS_FILE: Final = Path(__file__).parent / "data" / "signposts.toml"


class Signpost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One helpline or service, with the date and the source of its last check.

    `text_number` takes text messages only, so that no page offers to call it; `text_word` is the word that it takes
    first from a phone that it does not know. `abroad` is set for a body that serves people in the UK alone: in another
    country that country's helpline takes its place, or nothing does.
    """

    name: str
    checked_on: date
    source: Source
    phone: str | None = None
    phone_link: str | None = None
    text_number: str | None = None
    text_link: str | None = None
    text_word: str | None = None
    url: str | None = None
    name_cy: str | None = None
    to_prove: str | None = None
    abroad: Literal["helpline", "left out"] | None = None

    def get_name(self, language: str) -> str:
        """Return the name in a language; most bodies have the same name in both."""
        return self.name_cy if language == WELSH and self.name_cy else self.name


def load_signposts(path: Path = SIGNPOSTS_FILE) -> Mapping[str, Signpost]:
    """Load every signpost. Raises `SettingsError` at startup, not on a child's page: unknown key, missing date."""
    return read_settings(path, kind=dict[str, Signpost])


def list_names_abroad(
    names: Mapping[str, str], *, signposts: Mapping[str, Signpost], helpline: str | None = None
) -> dict[str, str | None]:
    """Return the names of the bodies for a report from another country, None for a body that is no help there.

    `helpline` stands for Childline where the reader is in that country, and leaves out all bodies of the UK. Without
    it the reader is in the UK and can call helplines, and only the child is there.
    """
    unusable = {"left out"} if helpline is None else {"left out", "helpline"}
    found = {key: None if signposts[key].abroad in unusable else name for key, name in names.items()}
    return found if helpline is None else found | {"childline": helpline}
