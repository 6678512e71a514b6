"""The terms on which a package leaves: legal bases and handling conditions, both dated data of this release."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.desk.destinations.register import Group
from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings

LEGAL_BASES_FILE: Final = Path(__file__).with_name("legal_bases.toml")
HANDLING_FILE: Final = Path(__file__).with_name("handling.toml")


class LegalBasis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One law that lets a package go to these groups of bodies. `asks` is the point to write down about the case.

    `agreed`: it holds only with the agreement of the person reporting.
    """

    title: str
    law: str
    groups: tuple[Group, ...]
    say: str
    asks: str
    checked_on: date
    source: Source
    agreed: bool = False
    to_prove: str = ""


class Handling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition, as the package's page prints it; `usual` ones are ticked at first."""

    title: str
    say: str
    usual: bool
    checked_on: date
    decided_by: Source
    to_prove: str = ""


@cache
def load_legal_bases() -> Mapping[str, LegalBasis]:
    """Return the legal bases by code. Raises `SettingsError`."""
    return read_settings(LEGAL_BASES_FILE, kind=dict[str, LegalBasis])


@cache
def load_handling() -> Mapping[str, Handling]:
    """Return the handling conditions by code, in the order of the page. Raises `SettingsError`."""
    return read_settings(HANDLING_FILE, kind=dict[str, Handling])
