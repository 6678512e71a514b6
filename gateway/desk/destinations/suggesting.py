"""Suggests destinations for a case by `suggestions.toml`: by kind, place, risk and hours.

Decides nothing, and stores nothing: words about a place come from an opened report and stay in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.desk.destinations.register import Group, Register, list_serving
from gateway.guidance.dated_data import Source
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.wire.public_codes import NOT_SURE

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

    `is_as_assessed`: the standing assessment names this kind of body as best placed.
    """

    keys: tuple[str, ...]
    reason: str
    is_as_assessed: bool


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return the rules of this release. Raises `SettingsError` (`bad-settings`)."""
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
