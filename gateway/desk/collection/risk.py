"""Works out how urgent a report is, from the answers in it and `risk.toml`: codes, points and the crisis lane.

Never decides anything: points order the queue and alert, a person judges. Never keeps a word of a report: the answers
are compared with the codes of the file, and only the file's own codes come out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.web.settings import SettingsError, read_settings
from partner_sdk.errors import FormatError
from partner_sdk.report import IndustryReport, NotHeld, SealedIndustryReport, list_given
from partner_sdk.report.people import Child, Suspect
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.public_codes import is_from_grown_up
from partner_sdk.wire.public_report import PublicReport
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

_RISK_FILE: Final = Path(__file__).with_name("risk.toml")
# What no single answer says: `_derive_public` and `_derive_partner` work these out.
DERIVED: Final = frozenset(
    {
        *("age-13-to-15", "age-not-said", "age-under-13", "danger-not-said", "earlier-reports", "meets-some-time"),
        *("meets-soon", "meets-today", "off-platform", "payments", "position-of-trust", "priority-p1", "priority-p2"),
        *("several-children", "told-no-adult"),
    }
)
_ADULTS: Final = frozenset({"parent", "school", "police"})
_ABOUT_THEMSELVES: Final = frozenset({"me", "", "not_sure"})
_TODAY: Final = timedelta(days=1)
_NEXT_DAYS: Final = timedelta(days=7)


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that makes a report more urgent, and the answers that say so."""

    code: str
    points: int
    reason: str
    crisis: bool = False
    public: tuple[str, ...] = ()
    partner: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


class Combination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Factors that mean more together: one of each list of `all_of`."""

    code: str
    points: int
    reason: str
    crisis: bool = False
    all_of: tuple[tuple[str, ...], ...]


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that say nothing about risk, as `path=value`, or a path with all that is below it."""

    public: tuple[str, ...]
    partner: tuple[str, ...]


class RiskRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`risk.toml`."""

    factor: tuple[Factor, ...]
    combination: tuple[Combination, ...]
    nothing: Nothing


@dataclass(frozen=True, slots=True)
class Risk:
    """How urgent a report is. `factors` are codes of the file, the strongest first."""

    crisis: bool
    score: int
    factors: tuple[str, ...]

    @property
    def text(self) -> str:
        """The codes as a case stores them."""
        return " ".join(self.factors)


@cache
def load_rules() -> RiskRules:
    """Return the rules of this release. Raises `SettingsError` (`bad-settings`)."""
    return read_rules(_RISK_FILE)


def read_rules(path: Path) -> RiskRules:
    """Read and check a file of rules. Raises `SettingsError`."""
    rules = read_settings(path, kind=RiskRules)
    codes = {one.code for one in rules.factor}
    every: list[Factor | Combination] = [*rules.factor, *rules.combination]
    for wrong, message in (
        (len({one.code for one in every}) != len(every), "a code stands there twice"),
        (any(one.points < 0 for one in every), "points are never negative: nothing makes a report less urgent"),
        (any(not one.reason or " " in one.code for one in every), "a code is one word, and has a reason in words"),
        (any(not set(chain(*one.all_of)) <= codes for one in rules.combination), "a combination names no factor"),
        ({name for one in rules.factor for name in one.derived} != DERIVED, "what is derived is not what is used"),
        (any(map(_has_two, _list_answers(rules))), "an answer stands for two factors"),
    ):
        if wrong:
            raise SettingsError(f"{path}: {message}.", reason="bad-settings")
    return rules


def _list_answers(rules: RiskRules) -> Iterator[list[str]]:
    for door in ("public", "partner"):
        yield [*chain.from_iterable(getattr(one, door) for one in rules.factor), *getattr(rules.nothing, door)]
    yield [*chain.from_iterable(one.derived for one in rules.factor)]


def _has_two(names: list[str]) -> bool:
    return len(set(names)) != len(names)


def assess(content: PublicReport | SealedIndustryReport, *, received_at: datetime) -> Risk:
    """Return how urgent an opened report is; how soon a meeting is counts from when the report was received."""
    if isinstance(content, PublicReport):
        said = chain(_list_said(content, _plan("public")), _list_derived(_derive_public(content)))
    else:
        report = content.report
        said = chain(
            _list_said(report, _plan("partner")), _list_derived(_derive_partner(report, content.clear, received_at))
        )
    return _weigh(frozenset(said))


def combine(*stored: str) -> Risk:
    """Return how urgent reports are together, from the codes that their cases store; unknown codes count nothing."""
    return _weigh(frozenset(chain.from_iterable(one.split() for one in stored)))


def list_reasons(stored: str) -> list[Factor | Combination]:
    """Return what the codes of a case stand for, the strongest first; of a code from another release its bare code."""
    known = _by_code()
    return [known.get(code) or Factor(code=code, points=0, reason=code) for code in stored.split()]


def _weigh(codes: frozenset[str]) -> Risk:
    rules, known = load_rules(), _by_code()
    combined = [one.code for one in rules.combination if all(not codes.isdisjoint(any_of) for any_of in one.all_of)]
    found = sorted(
        (known[code] for code in codes.union(combined) & known.keys()), key=lambda one: _strength()[one.code]
    )
    return Risk(
        crisis=any(one.crisis for one in found),
        score=sum(one.points for one in found),
        factors=tuple(one.code for one in found),
    )


@cache
def _by_code() -> Mapping[str, Factor | Combination]:
    every: list[Factor | Combination] = [*load_rules().factor, *load_rules().combination]
    return {one.code: one for one in every}


@cache
def _strength() -> Mapping[str, int]:
    # Alone a reason for the crisis lane, then by points, then as the file has them.
    ordered = sorted(_by_code().values(), key=lambda one: (not one.crisis, -one.points))
    return {one.code: place for place, one in enumerate(ordered)}


# One step of the way into a model: the field, the codes of its values, and the steps below it.
_Plan = Mapping[str, "tuple[Mapping[str, str], _Plan]"]


@cache
def _plan(door: str) -> _Plan:
    tree: dict[str, Any] = {}
    for factor in load_rules().factor:
        for answer in getattr(factor, door):
            path, _, value = answer.partition("=")
            *above, last = path.split(".")
            below = tree
            for name in above:
                below = below.setdefault(name, ({}, {}))[1]
            below.setdefault(last, ({}, {}))[0][value] = factor.code
    return tree


def _list_said(value: Any, plan: _Plan) -> Iterator[str]:
    """Yield the factors that the answers of a report name; what is not held or left out names none."""
    for name, (codes, below) in plan.items():
        found = getattr(value, name)
        for one in found if isinstance(found, tuple) else (found,):
            if isinstance(one, str):
                if one in codes:
                    yield codes[one]
            elif below and one is not None and not isinstance(one, NotHeld):
                yield from _list_said(one, below)


@cache
def _derived_codes() -> Mapping[str, str]:
    return {name: factor.code for factor in load_rules().factor for name in factor.derived}


def _list_derived(names: Iterable[str]) -> Iterator[str]:
    codes = _derived_codes()
    return (codes[name] for name in names)


def _derive_public(report: PublicReport) -> Iterator[str]:
    if report.clear.priority == "P1":
        yield "priority-p1"
    if report.clear.kind != "initial":
        return  # what is added later leaves most questions blank: they were asked before
    if not report.danger:
        yield "danger-not-said"
    if not report.age_band:
        yield "age-not-said"
    is_alone = report.who in _ABOUT_THEMSELVES and _ADULTS.isdisjoint(report.told)
    if is_alone and not is_from_grown_up(report):
        yield "told-no-adult"


def _derive_partner(report: IndustryReport, clear: ClearFields, received_at: datetime) -> Iterator[str]:
    if clear.priority == "P1" or (clear.priority == "P2" and clear.partner != PUBLIC_SENDER):
        yield "priority-p1" if clear.priority == "P1" else "priority-p2"
    incident, suspects = report.incident, list_given(report.suspects)
    for meeting in list_given(incident.meetings):
        yield _judge_meeting(meeting.meets_at, received_at)
    if list_given(incident.payments):
        yield "payments"
    if isinstance(incident.off_platform_move, str):
        yield "off-platform"
    if any(isinstance(one.position_of_trust, str) for one in suspects):
        yield "position-of-trust"
    yield from _derive_children(list_given(report.children), received_at)
    reported: list[Suspect | Child] = [*suspects, *list_given(report.children)]
    if any(list_given(one.earlier_reports) for one in reported):
        yield "earlier-reports"


def _derive_children(children: Sequence[Child], received_at: datetime) -> Iterator[str]:
    if len(children) > 1:
        yield "several-children"
    ages = [age for child in children if (age := _find_age(child, received_at)) is not None]
    if any(age < 13 for age in ages):
        yield "age-under-13"
    if any(13 <= age <= 15 for age in ages):
        yield "age-13-to-15"
    if not ages and not any(isinstance(child.age_band, str) for child in children):
        yield "age-not-said"


def _judge_meeting(meets_at: object, received_at: datetime) -> str:
    """Return how soon a meeting is; one that is long past may have taken place, or come again."""
    try:
        wait = parse_time(meets_at) - received_at if isinstance(meets_at, str) else None
    except FormatError:
        wait = None
    if wait is None or not -_TODAY <= wait <= _NEXT_DAYS:
        return "meets-some-time"
    return "meets-today" if wait <= _TODAY else "meets-soon"


def _find_age(child: Child, received_at: datetime) -> int | None:
    """Return a child's age as stated, or the youngest that a date of birth allows; None where neither is held."""
    if isinstance(child.age, int):
        return child.age
    if not isinstance(child.born_on, str):
        return None
    # Of a year or a month alone, the child was born on its last day: "2013" is read as "2013-12-31".
    born_on = child.born_on + "-12-31"[len(child.born_on) - 4 :]
    birthday = born_on[4:]
    today = received_at.astimezone(UTC).date().isoformat()
    return max(0, int(today[:4]) - int(born_on[:4]) - (today[4:] < birthday))
