"""Reads helplines and services, and the places to report and talk outside the UK, from dated files, strictly (R24).

The public form and the desk share this one dated file.

Never lists the Virtual Global Taskforce as a place to report, which according to the NCA it is not.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from gateway.exchange.public_codes import WELSH
from gateway.guidance.dated_data import Source
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.wire.canonical import convert

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


COUNTRIES_FILE: Final = Path(__file__).with_name("countries.toml")
# The entry for countries without their own.
OTHER: Final = "other"
_MARKS: Final = {ord(mark): None for mark in " .-"}  # separators between digits

PostKind = Literal["emergency", "report", "talk"]
Code = Annotated[str, Meta(pattern=rf"^([a-z]{{2}}|{OTHER})\Z")]
Name = Annotated[str, Meta(min_length=2)]
Number = Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 .-]*\Z")]
Address = Annotated[str, Meta(pattern=r"^https://[!-~]+\Z")]


class TalkTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The helpline for children in that country."""

    name: Name
    source: Source
    phone: Number | None = None
    url: Address | None = None


class Country(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One country. `source` is for the place to report, `emergency_source` for the emergency number.

    `code` is ISO 3166-1 alpha-2 in lower case, or `OTHER`; `languages` (ISO 639-1) are the languages of the place to
    report.
    """

    code: Code
    name_en: Name
    name_cy: Name
    emergency: Number
    emergency_source: Source
    agency: Name
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    vgt_member: bool
    checked_on: date
    source: Source
    url: Address | None = None
    phone: Number | None = None
    talk: TalkTo | None = None
    to_prove: str | None = None

    def get_name(self, language: str) -> str:
        """Return the country's name in Welsh, or else in English."""
        return self.name_cy if language == WELSH else self.name_en

    def list_posts(self) -> tuple[tuple[PostKind, Mapping[str, str | None]], ...]:
        """List the country's helpers in the order of need, each in the form of a signpost.

        The emergency number has no name of its own; the page's text explains it.
        """
        posts: list[tuple[PostKind, Mapping[str, str | None]]] = [
            ("emergency", _make_post("", phone=self.emergency, url=None)),
            ("report", _make_post(self.agency, phone=self.phone, url=self.url)),
        ]
        if self.talk is not None:
            posts.append(("talk", _make_post(self.talk.name, phone=self.talk.phone, url=self.talk.url)))
        return tuple(posts)


def load_countries(path: Path = COUNTRIES_FILE) -> Mapping[str, Country]:
    """Load all countries by code, sorted by English name with `OTHER` last.

    Raises `SettingsError` for an unknown key, for an entry without a date or a source, and if `OTHER` is missing.
    """
    tables = read_settings(path, kind=dict[str, dict[str, Any]])
    if OTHER not in tables:
        raise SettingsError(f"{path}: the entry {OTHER} is missing.", reason="bad-settings")
    countries = [_make_country(code, values, path=path) for code, values in tables.items()]
    countries.sort(key=lambda country: (country.code == OTHER, country.name_en))
    return {country.code: country for country in countries}


def get_country_or_other(countries: Mapping[str, Country], code: str) -> Country:
    """Return a country, or the entry for all others if the code is blank or unknown."""
    return countries.get(code, countries[OTHER])


def get_talk(countries: Mapping[str, Country], code: str) -> TalkTo:
    """Return the helpline for children in a country, or the list of those of all countries."""
    talk = get_country_or_other(countries, code).talk or countries[OTHER].talk
    if talk is None:
        raise SettingsError(f"{COUNTRIES_FILE}: the entry {OTHER} needs a helpline.", reason="bad-settings")
    return talk


def _make_country(code: str, values: Mapping[str, Any], *, path: Path) -> Country:
    try:
        country = convert({"code": code, **values}, kind=Country)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {code}: {error}", reason="bad-settings") from None
    if country.url is None and country.phone is None:
        raise SettingsError(f"{path}: {code} needs a url or a phone.", reason="bad-settings")
    return country


def _make_post(name: str, *, phone: str | None, url: str | None) -> Mapping[str, str | None]:
    link = None if phone is None else f"tel:{phone.translate(_MARKS)}"
    return {"name": name, "phone": phone, "phone_link": link, "url": url}
