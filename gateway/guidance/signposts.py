"""Dated facts (bodies, numbers, hours, laws) in TOML files, above all the helplines and services (R24), read strictly.

A fact has `checked_on`, the day it was compared with its source, and `source`; a decision has `decided_by`. If the
source is neither the body's own nor public, `to_prove` describes what still needs a better one. Either every top-level
table of a file has both keys, or the file itself does.

Never lists the Virtual Global Taskforce as a place to report, which according to the NCA it is not.
"""

import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import click
import msgspec
from msgspec import Meta

from gateway.exchange.public_codes import WELSH
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.wire.canonical import convert

STALE_DAYS: Final = 180
WHOLE_FILE: Final = "(whole file)"
# Files are named relative to this folder, so that no path of the machine is printed.
_ROOT: Final = Path(__file__).resolve().parents[2]

Source = Annotated[str, Meta(min_length=8)]


@dataclass(frozen=True, slots=True)
class DatedFact:
    """One dated entry of a file: its last check, its source, and what still needs proof."""

    file: str
    key: str
    checked_on: date
    source: str
    to_prove: str | None = None


def read_facts(path: Path) -> tuple[DatedFact, ...]:
    """Return every dated entry of a file.

    Raises `SettingsError` for an entry without a day or a source.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read {_name(path)}: {error}", reason="bad-settings") from None
    if "checked_on" in table:
        return (_make_fact(table, file=_name(path), key=WHOLE_FILE),)
    return tuple(_make_fact(entry, file=_name(path), key=key) for key, entry in table.items())


def list_stale(entries: Iterable[DatedFact], *, today: date, days: int = STALE_DAYS) -> tuple[DatedFact, ...]:
    """Return the entries to check again, oldest first.

    An entry is stale if it was checked more than `days` days ago or on a future day, or has something to prove.
    """
    stale = [
        entry
        for entry in entries
        if entry.checked_on > today or (today - entry.checked_on).days > days or entry.to_prove is not None
    ]
    return tuple(sorted(stale, key=lambda entry: (entry.checked_on, entry.file, entry.key)))


def make_row(entry: DatedFact) -> dict[str, str | None]:
    """Return an entry as a JSON object."""
    return {
        "checked_on": entry.checked_on.isoformat(),
        "file": entry.file,
        "key": entry.key,
        "source": entry.source,
        "to_prove": entry.to_prove,
    }


def make_line(entry: DatedFact) -> str:
    """Return an entry as a line of text."""
    line = f"{entry.checked_on}  {entry.file}  {entry.key}  {entry.source}"
    return line if entry.to_prove is None else f"{line}  to prove: {entry.to_prove}"


NONE_STALE: Final = 0
SOME_STALE: Final = 1


def stale_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--state`, `--days` and `--json`."""
    agency = "Read the agency.toml of this state folder, not the example."
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines."),
        click.option(
            "--days",
            type=click.IntRange(0, 99_999),
            default=STALE_DAYS,
            show_default=True,
            metavar="N",
            help="Age of a check that is too old.",
        ),
        click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help=agency),
    ):
        function = option(function)
    return function


def print_stale(files: Iterable[Path], *, today: date, days: int, as_json: bool) -> int:
    """Print the stale entries of these files, and return the exit code.

    Raises `SettingsError` for an entry without a day or a source.
    """
    facts = [fact for path in files for fact in read_facts(path)]
    stale = list_stale(facts, today=today, days=days)
    if as_json:
        answer = {"days": days, "entries": len(facts), "stale": [make_row(fact) for fact in stale]}
        lines = [json.dumps(answer, sort_keys=True)]
    else:
        lines = [make_line(fact) for fact in stale]
        lines.append(f"{len(stale)} of {len(facts)} entries need a check: older than {days} days, or unproven.")
    sys.stdout.write("\n".join(lines) + "\n")
    return SOME_STALE if stale else NONE_STALE


def _make_fact(entry: Any, *, file: str, key: str) -> DatedFact:
    values = entry if isinstance(entry, dict) else {}
    day = values.get("checked_on")
    source = values.get("source") or values.get("decided_by")
    if type(day) is not date or not isinstance(source, str) or not source.strip():
        raise SettingsError(f"{file}: {key} needs checked_on (a day) and source.", reason="undated-entry")
    return DatedFact(file=file, key=key, checked_on=day, source=source, to_prove=values.get("to_prove"))


def _name(path: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(_ROOT)) if whole.is_relative_to(_ROOT) else path.name


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
