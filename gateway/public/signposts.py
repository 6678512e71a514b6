"""Reads the bodies, numbers and addresses that pages may name from `signposts.toml`, strictly."""

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

SIGNPOSTS_FILE = Path(__file__).with_name("signposts.toml")


class Signpost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One body that can help; every entry says when and against what it was checked."""

    name: str
    checked_on: date
    source: str
    phone: str | None = None
    phone_link: str | None = None
    url: str | None = None


def load_signposts(path: Path = SIGNPOSTS_FILE) -> Mapping[str, Signpost]:
    """Load every signpost; an unknown key or a missing date is an error at the start, not on a child's page."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Signpost])
