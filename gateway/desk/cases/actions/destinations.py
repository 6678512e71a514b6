"""The register of destinations, the public way to each, and the rules that suggest some of them for a case.

`police.toml` and `bodies.toml` name the places of each body. The desk's state folder may hold `destinations.toml`: a
table there overrides single values of the body of its name, e.g. a contact, or adds a body of its own. Where no number
was agreed, a body's own site, a public line or the police's numbers stand, all from dated data; none is made up.

`suggestions.toml` suggests by kind, place, risk and hours. A suggestion decides nothing and is not stored: words about
a place come from an opened report and stay in memory.
"""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from gateway.exchange.public_codes import NOT_SURE
from gateway.guidance.signposts import Signpost, Source, load_signposts
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import convert

Group = Literal[
    "police",
    "special_police",
    "childrens_services",
    "national",
    "international",
    "overseas",
    "images",
    "out_of_hours",
    "support",
]
GROUP_TITLES: Final[Mapping[Group, str]] = MappingProxyType(
    {
        "police": "Local police forces",
        "special_police": "Special police forces",
        "childrens_services": "Children's services",
        "national": "National desks",
        "international": "Routes to other countries",
        "overseas": "Police and national centres abroad",
        "images": "Hotlines for images",
        "out_of_hours": "On duty while this desk is closed",
        "support": "Advice and support",
    }
)
# Police and child protection: the bodies that an assessment means by "urgently needed by". The others advise, take
# pictures down, or pass a case on themselves.
PROTECTING: Final[frozenset[Group]] = frozenset(
    {"police", "special_police", "childrens_services", "national", "international", "overseas"}
)
TAKES_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "package": "packages",
        "crisis": "crisis cases",
        "referral": "referrals of a child",
        "redirect": "redirected reports",
        "advice": "cases that need advice",
    }
)
CHANNEL_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "No channel agreed",
        "mailbox": "By its mailbox at the gateway",
        "sealed-file": "By sealed file",
        "letter": "By letter",
    }
)
FACT_FILES: Final = tuple(Path(__file__).with_name(name) for name in ("police.toml", "bodies.toml"))
# The register of a large agency with all 200 councils would have some 150 KB.
MOST_BYTES: Final = 1_048_576
_Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}\Z")]
_Country = Annotated[str, Meta(pattern=r"^[a-z]{2}\Z")]
_Text = Annotated[str, Meta(min_length=1, max_length=300)]


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agreed protocol with a body (R54): its version, what may be passed, and when it is to be looked at again."""

    version: _Text
    agreed_on: date
    review_on: date
    may_pass: tuple[_Text, ...]

    def is_expired(self, today: date) -> bool:
        """Return whether its day of review is past."""
        return today > self.review_on


class Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One body. It serves `nations` and `countries` (lower-case ISO 3166-1); `areas` are names of places.

    `contact` and `partner` (its id at this desk, where it has keys) are an agency's own; empty if none was agreed.
    `is_source_own_site`: its source is a page of the body itself, so a person may be sent there.
    """

    name: _Text
    group: Group
    takes: tuple[Literal["package", "crisis", "referral", "redirect", "advice"], ...]
    checked_on: date
    source: Source
    nations: tuple[Literal["england", "wales", "scotland", "northern_ireland"], ...] = ()
    countries: tuple[_Country, ...] = ()
    areas: tuple[_Text, ...] = ()
    languages: tuple[_Country, ...] = ("en",)
    always_open: bool = False
    lookup: _Text | None = None
    is_source_own_site: bool = False
    to_prove: str | None = None
    channel: Literal["none", "mailbox", "sealed-file", "letter"] = "none"
    contact: _Text | None = None
    partner: _Text | None = None
    protocol: Protocol | None = None
    retired_on: date | None = None

    def is_agreed(self, today: date) -> bool:
        """Return whether cases may be passed to it today: by a channel and a protocol that is not past its review."""
        is_current = self.protocol is not None and not self.protocol.is_expired(today)
        return is_current and self.channel != "none" and not self.is_retired(today)

    def is_retired(self, today: date) -> bool:
        """Return whether it takes nothing more."""
        return self.retired_on is not None and self.retired_on <= today

    def serves(self, place: str) -> bool:
        """Return whether typed words name one of its areas, e.g. `near Leeds` for the police of West Yorkshire."""
        words = _make_words(place)
        return any(_make_area(area) in words for area in self.areas)


Register = Mapping[str, Destination]


@cache
def load_register(own: Path | None = None) -> Register:
    """Return every destination by its key, read once in a process; `own` is the agency's file, which may not exist."""
    tables: dict[str, dict[str, Any]] = {}
    for path in FACT_FILES:
        tables |= _read_tables(path)
    own_tables = _read_tables(own) if own is not None and own.exists() else {}
    for key, values in own_tables.items():
        if not {"checked_on", "source"} <= values.keys():
            raise SettingsError(f"{own}: {key} needs checked_on (a day) and source.", reason="bad-settings")
        tables[key] = tables.get(key, {}) | values
    try:
        return MappingProxyType(convert(tables, kind=dict[_Code, Destination]))
    except msgspec.ValidationError as error:
        raise SettingsError(f"The register of destinations: {error}", reason="bad-settings") from None


def list_serving(
    register: Register, groups: Collection[str], *, region: str, country: str, place: str, today: date
) -> tuple[str, ...]:
    """Return the keys of the bodies of some groups that serve a child's place.

    Words of a place that name an area leave only the bodies of that area. With none, every body of the region stays; a
    region that is not known stays open. Retired bodies are left out.
    """
    found = [
        (key, one)
        for key, one in register.items()
        if one.group in groups
        and not one.is_retired(today)
        and (region in one.nations or (bool(one.nations) if region == NOT_SURE else country in one.countries))
    ]
    named = [key for key, one in found if one.serves(place)]
    # A group whose bodies have no areas, e.g. county councils, cannot be narrowed by a name.
    without_areas = [key for key, one in found if not one.areas]
    return tuple(key for key, _ in found if not named or key in named or key in without_areas)


@cache
def _make_area(area: str) -> str:
    return _make_words(area)


def _make_words(text: str) -> str:
    """Return text as words between blanks, without case, accents and signs, e.g. ` st helens ` for `St. Helens`."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(char for char in plain if not unicodedata.combining(char)).replace("'", "")
    return f" {' '.join(re.findall(r'[a-z0-9]+', kept))} "


def _read_tables(path: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(read_bounded(path, max_bytes=MOST_BYTES).decode("utf-8"))
    except (LocalStateError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read {path}: {error}", reason="bad-settings") from None
    if not all(isinstance(values, dict) for values in tables.values()):
        raise SettingsError(f"{path}: every entry is a table, e.g. [kent].", reason="bad-settings")
    return tables


def list_gaps(register: Register, *, today: date) -> Iterable[tuple[str, str]]:
    """Yield the key of each body that nothing can be sent to today, and why, e.g. no agreed channel."""
    for key, one in register.items():
        if one.is_retired(today):
            continue
        if one.channel == "none":
            yield key, "no channel was agreed"
        elif one.protocol is None:
            yield key, "no protocol was agreed"
        elif one.protocol.is_expired(today):
            yield key, f"its protocol was to be reviewed by {one.protocol.review_on}"


# 101 reaches the force of a place. A force by subject, e.g. of the railways, has a number of its own.
_LOCAL: Final = "police"
_COUNCILS: Final = "childrens_services"


@dataclass(frozen=True, slots=True)
class PublicWay:
    """How a body without an agreed number is reached.

    `contact` is the agency's own, written without a channel; `finder` finds the council of a place. A body abroad has
    no `emergency` number here.
    """

    contact: str | None = None
    site: str | None = None
    finder: str | None = None
    line: Signpost | None = None
    not_urgent: Signpost | None = None
    emergency: Signpost | None = None


def make_public_ways(bodies: Mapping[str, Destination]) -> dict[str, PublicWay]:
    """Return the public way to each of these bodies of the register."""
    signposts = load_signposts()
    return {key: _make_public_way(key, one, signposts=signposts) for key, one in bodies.items()}


def _make_public_way(key: str, body: Destination, *, signposts: Mapping[str, Signpost]) -> PublicWay:
    line = signposts.get(key)  # a body may have one, e.g. `crimestoppers`
    is_council = body.group == _COUNCILS
    return PublicWay(
        contact=body.contact,
        site=(line.url if line else None)
        or (body.source if body.is_source_own_site else None if is_council else body.lookup),
        finder=body.lookup if is_council else None,
        line=line if line is not None and line.phone else None,
        not_urgent=signposts["police_not_urgent"] if body.group == _LOCAL else None,
        emergency=signposts["emergency"] if body.nations else None,
    )


RULES_FILE: Final = Path(__file__).with_name("suggestions.toml")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule; `code` is the answer to "Who is best placed?" that it stands for, or another word."""

    code: str
    reason: str
    regions: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    hours: tuple[Literal["open", "closed"], ...] = ()
    urgent: Literal["yes", "no"] | None = None
    groups: tuple[Group, ...] = ()
    bodies: tuple[str, ...] = ()


class _Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checked_on: date
    decided_by: Source
    rule: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """The parts of a case that choose its bodies. `country` is a lower-case ISO 3166-1 code or empty.

    `place` has the report's words about the child's place, e.g. `Leeds, near the station`.
    """

    kind: str
    region: str
    country: str
    place: str
    is_urgent: bool
    is_desk_open: bool
    best_placed: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Bodies that may help, for one reason. Several stand for one choice, e.g. every force of England.

    `is_as_assessed`: the current assessment names this kind of body as best placed.
    """

    keys: tuple[str, ...]
    reason: str
    is_as_assessed: bool


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return the rules of this release. Raises `SettingsError`."""
    rules = read_settings(RULES_FILE, kind=_Rules).rule
    if any(not one.reason or not (one.groups or one.bodies) for one in rules):
        raise SettingsError(f"{RULES_FILE}: a rule needs a reason, and groups or bodies.", reason="bad-settings")
    return rules


def suggest_destinations(register: Register, case: Circumstances, *, today: date) -> tuple[Suggestion, ...]:
    """Return the suggestions for a case; those that fit the assessment come first. Each body appears once."""
    given: set[str] = set()
    found = []
    for rule in load_rules():
        if not _fits(rule, case):
            continue
        keys = tuple(key for key in _list_keys(rule, register, case, today=today) if key not in given)
        if keys:
            given.update(keys)
            found.append(Suggestion(keys, rule.reason, rule.code == case.best_placed))
    return tuple(sorted(found, key=lambda one: not one.is_as_assessed))


def _fits(rule: Rule, case: Circumstances) -> bool:
    answers = (
        (rule.regions, case.region or NOT_SURE),
        (rule.kinds, case.kind),
        (rule.hours, "open" if case.is_desk_open else "closed"),
        (() if rule.urgent is None else (rule.urgent,), "yes" if case.is_urgent else "no"),
    )
    return all(not wanted or answer in wanted for wanted, answer in answers)


def _list_keys(rule: Rule, register: Register, case: Circumstances, *, today: date) -> Iterator[str]:
    yield from (key for key in rule.bodies if key in register and not register[key].is_retired(today))
    if rule.groups:
        region = case.region or NOT_SURE
        yield from list_serving(
            register, rule.groups, region=region, country=case.country, place=case.place, today=today
        )
