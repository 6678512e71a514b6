"""The laws under which this desk asks a service, as dated data; the agency's lawyer checks every entry."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings

LAWS_FILE: Final = Path(__file__).with_name("laws.toml")
RequestKind = Literal["information-request", "preservation-request"]


class Law(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One law. Without `kinds`, it goes through a court or another state, and this desk only explains it."""

    title: str
    kinds: tuple[RequestKind, ...]
    law: str
    who: str
    covers: str
    not_for: str
    compels: str
    checked_on: date
    source: Source
    needs_number: bool = False
    own_report_only: bool = False
    due_days: int | None = None
    to_prove: str | None = None


@cache
def load_laws() -> Mapping[str, Law]:
    """Return every law by its code. Raises `SettingsError`."""
    return read_settings(LAWS_FILE, kind=dict[str, Law])


def list_laws(kind: RequestKind, *, is_own_report: bool) -> list[tuple[str, Law]]:
    """Return the laws for a kind of request, by code; some hold only for a report that the service itself sent."""
    found = load_laws().items()
    return [(code, one) for code, one in found if kind in one.kinds and (is_own_report or not one.own_report_only)]


def list_other_ways() -> list[Law]:
    """Return the ways through a court or another state."""
    return [one for one in load_laws().values() if not one.kinds]
