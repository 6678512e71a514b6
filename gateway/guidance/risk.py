"""Computes the urgency of answers by `risk.toml`: codes, points and the crisis lane, for form and desk.

Never decides anything: points order the queue and raise alerts, and a person judges. Never keeps text of a report:
answers are compared with the file's codes, a person's words with `phrases.toml`, and only codes are returned.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from gateway.exchange.form_rules import get_priority
from gateway.exchange.public_codes import NOT_SURE
from gateway.exchange.public_report import PublicReport, is_from_grown_up
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.wire.button import Language

Door = Literal["public", "partner"]
# The class of a report: the first two are in the crisis lane. `urgent` is a story of an untold kind, until it is known.
Urgency = Literal["crisis", "urgent", "other"]

_RISK_FILE: Final = Path(__file__).with_name("risk.toml")
# Derived from several answers, by `assess_public` or by the desk for a partner's report.
DERIVED: Final = frozenset(
    {
        *("age-13-to-15", "age-not-said", "age-under-13", "danger-not-said", "earlier-reports", "meets-some-time"),
        *("meets-soon", "meets-today", "off-platform", "payments", "position-of-trust", "priority-p1", "priority-p2"),
        *("priority-too-low", "several-children", "told-in-words", "told-no-adult"),
    }
)
_ADULTS: Final = frozenset({"parent", "school", "police"})
_ABOUT_THEMSELVES: Final = frozenset({"me", "", NOT_SURE})
SOMETHING_ELSE: Final = "something_else"
UNTOLD_KINDS: Final = frozenset({SOMETHING_ELSE, NOT_SURE})
# Before a code that only the words of a report indicate, e.g. `words:self_harm`: it weighs as the code itself does.
IN_WORDS: Final = "words:"
PHRASES_FILE: Final = Path(__file__).with_name("phrases.toml")
_GAP: Final = r"(?:[\w,\"][\w.,]* ){0,4}"  # the `...` of a phrase; a full stop ends it
_STEM: Final = 4  # letters of a first word that ends in *
_ANY_END: Final = r"\w*"
# Each mark, and in its place the one that it is read as.
MARKS: Final = ("!?;\n:()–—’`‘“”„«»", '....,,,,,\'\'\'"""""')
_WORD: Final = re.compile(r"""\d+[.,]\d+\w*|\w+|[.,"]""")  # 8.30 is one
# One step into a model: the field, the codes of its values, and the steps below it.
_Plan = Mapping[str, "tuple[Mapping[str, str], _Plan]"]


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A risk factor, and the answers that indicate it. `urgent`: in the crisis lane, behind those that are a crisis."""

    code: str
    points: int
    reason: str
    crisis: bool = False
    urgent: bool = False
    today: bool = False  # counted in the alert to staff, as danger today
    public: tuple[str, ...] = ()
    partner: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


class Combination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Factors that add up to more: one of each list of `all_of`."""

    code: str
    points: int
    reason: str
    crisis: bool = False
    urgent: bool = False
    all_of: tuple[tuple[str, ...], ...]


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of Annex A, and the factors that point to it in a person's own report."""

    code: str
    any_of: tuple[str, ...]


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers without meaning for risk, as `path=value`, or a path with everything below it."""

    public: tuple[str, ...]
    partner: tuple[str, ...]


class RiskRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`risk.toml`."""

    factor: tuple[Factor, ...]
    combination: tuple[Combination, ...]
    kind: tuple[Kind, ...]
    nothing: Nothing


class Phrases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`phrases.toml`, which explains each list."""

    checked_on: date
    decided_by: str
    reviewer: str
    to_prove: str = ""
    denied_by: frozenset[str]
    between: frozenset[str]
    told_in: frozenset[str]
    sayings: tuple[str, ...]
    found: Mapping[str, Mapping[Language, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Risk:
    """The urgency of a report. `factors` are codes of the file, strongest first; `crisis` puts it into the lane."""

    crisis: bool
    score: int
    factors: tuple[str, ...]

    @property
    def text(self) -> str:
        """The codes as stored with a case."""
        return " ".join(self.factors)

    @property
    def urgency(self) -> Urgency:
        """The class by these factors, whatever a person decided since."""
        found = list_reasons(self.text)
        if any(one.crisis for one in found):
            return "crisis"
        return "urgent" if any(one.urgent for one in found) else "other"


@cache
def load_rules() -> RiskRules:
    """Return the rules of this release. Raises `SettingsError` (`bad-settings`)."""
    return read_rules(_RISK_FILE)


def read_rules(path: Path) -> RiskRules:
    """Read and check a rules file. Raises `SettingsError`."""
    rules = read_settings(path, kind=RiskRules)
    codes = {one.code for one in rules.factor}
    every: list[Factor | Combination] = [*rules.factor, *rules.combination]
    for wrong, message in (
        (len({one.code for one in every}) != len(every), "a code is used twice"),
        (
            any(one.points < 0 for one in every),
            "points must not be negative, because nothing makes a report less urgent",
        ),
        (any(not one.reason or " " in one.code for one in every), "a code must be one word, and needs a reason"),
        (
            any(not set(chain(*one.all_of)) <= codes for one in rules.combination),
            "a combination names an unknown factor",
        ),
        (any(not set(one.any_of) <= codes for one in rules.kind), "a kind names an unknown factor"),
        (
            {name for one in rules.factor for name in one.derived} != DERIVED,
            "the derived factors differ from those the code derives",
        ),
        (any(len(set(names)) != len(names) for names in _list_answers(rules)), "an answer belongs to two factors"),
    ):
        if wrong:
            raise SettingsError(f"{path}: {message}.", reason="bad-settings")
    return rules


def _list_answers(rules: RiskRules) -> Iterator[list[str]]:
    for door in ("public", "partner"):
        yield [*chain.from_iterable(getattr(one, door) for one in rules.factor), *getattr(rules.nothing, door)]
    yield [*chain.from_iterable(one.derived for one in rules.factor)]


def assess_public(report: PublicReport, *, in_words: Iterable[str] = ()) -> Risk:
    """Return the urgency of a public report; the desk adds the factors that it found in the words."""
    derived = list_derived(_derive_public(report))
    return weigh(frozenset(chain(list_answered(report, "public"), derived, (IN_WORDS + code for code in in_words))))


def combine(*stored: str) -> Risk:
    """Return the urgency of several reports together, from their cases' stored codes; unknown codes count nothing."""
    return weigh(frozenset(chain.from_iterable(one.split() for one in stored)))


def find_kind(factors: Iterable[str]) -> str | None:
    """Return the gravest kind that factors point to, also those found in the words; None if they point to none."""
    found = {code.removeprefix(IN_WORDS) for code in factors}
    return next((one.code for one in load_rules().kind if not found.isdisjoint(one.any_of)), None)


def list_reasons(stored: str, *, is_read: bool = True) -> list[Factor | Combination]:
    """Return the factors behind a case's codes, strongest first; the bare code for one of another release."""
    known = _by_code()
    found = []
    for code in stored.split():
        one = known.get(code.removeprefix(IN_WORDS)) or Factor(code=code, points=0, reason=code)
        note = " (found in the words)" if one.code != code else ", not read yet" if one.urgent and not is_read else ""
        found.append(msgspec.structs.replace(one, code=code, reason=one.reason + note) if note else one)
    return found


def is_danger_today(stored: str) -> bool:
    """Return whether a case's codes name danger today, e.g. a meeting."""
    return any(isinstance(one, Factor) and one.today for one in list_reasons(stored))


def list_codes() -> frozenset[str]:
    """Return the code of every factor and combination of this release."""
    return frozenset(_by_code())


def weigh(codes: frozenset[str]) -> Risk:
    """Return the urgency of factors together: their points, plus those of their combinations.

    A factor that is both answered and found in the words counts once, as answered.
    """
    rules, known = load_rules(), _by_code()
    bare = {code.removeprefix(IN_WORDS) for code in codes}
    combined = [one.code for one in rules.combination if all(not bare.isdisjoint(any_of) for any_of in one.all_of)]
    found = sorted((known[code] for code in bare.union(combined) & known.keys()), key=lambda one: _strength()[one.code])
    return Risk(
        crisis=any(one.crisis or one.urgent for one in found),
        score=sum(one.points for one in found),
        factors=tuple(
            IN_WORDS + one.code if IN_WORDS + one.code in codes and one.code not in codes else one.code for one in found
        ),
    )


@cache
def _by_code() -> Mapping[str, Factor | Combination]:
    every: list[Factor | Combination] = [*load_rules().factor, *load_rules().combination]
    return {one.code: one for one in every}


@cache
def _strength() -> Mapping[str, int]:
    # Crisis factors first, then an untold kind, then by points, then in the order of the file.
    ordered = sorted(_by_code().values(), key=lambda one: (not one.crisis, not one.urgent, -one.points))
    return {one.code: place for place, one in enumerate(ordered)}


@cache
def _plan(door: Door) -> _Plan:
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


def list_answered(report: object, door: Door) -> Iterator[str]:
    """Yield the factors that a report's answers name; blank and withheld answers name none."""
    return _list_below(report, _plan(door))


def _list_below(value: Any, plan: _Plan) -> Iterator[str]:
    for name, (codes, below) in plan.items():
        found = getattr(value, name)
        for one in found if isinstance(found, tuple) else (found,):
            if isinstance(one, str):
                if one in codes:
                    yield codes[one]
            elif below and one is not None and not hasattr(one, "not_held"):  # e.g. NotHeld(not_held="unknown")
                yield from _list_below(one, below)


@cache
def _derived_codes() -> Mapping[str, str]:
    return {name: factor.code for factor in load_rules().factor for name in factor.derived}


def list_derived(names: Iterable[str]) -> Iterator[str]:
    """Yield the factors for derived facts."""
    codes = _derived_codes()
    return (codes[name] for name in names)


def is_untold(report: PublicReport) -> bool:
    """Return whether a person named no kind: it may be any, told in words."""
    return UNTOLD_KINDS.issuperset(report.kinds)


def _derive_public(report: PublicReport) -> Iterator[str]:
    if report.clear.priority == "P1":
        yield "priority-p1"
    if get_priority(report) < report.clear.priority:
        yield "priority-too-low"
    if report.clear.kind != "initial":
        return  # an addition leaves most questions blank: they were asked before
    if not report.danger:
        yield "danger-not-said"
    if not report.age_band:
        yield "age-not-said"
    is_alone = report.who in _ABOUT_THEMSELVES and _ADULTS.isdisjoint(report.told)
    if is_alone and not is_from_grown_up(report):
        yield "told-no-adult"
    # An untold kind is unknown, never harmless: only that there are words, not which, counts here.
    if is_untold(report) and report.story.strip():
        yield "told-in-words"


def list_phrases_of_today() -> Mapping[str, tuple[str, ...]]:
    """Return, in every language, the phrases whose factor names danger today: those of the child's phone (0024)."""
    found, known = load_phrases().found, _by_code()
    return {code: (*chain(*some.values()),) for code, some in found.items() if getattr(known[code], "today", False)}


def list_found_in_words(text: str) -> set[str]:
    """Return the codes of the factors whose phrases stand in a person's own words."""
    phrases, starts = load_phrases(), _list_starts()
    plain, found, start = _compile(phrases.sayings).sub(", ", _normalise(text)), set[str](), 1
    for word in plain.split():
        for code, some in (*starts.get(word, ()), *starts.get(f"{word[:_STEM]}*", ())):
            if code not in found and (match := _compile(some).match(plain, start)) and _is_meant(match, plain, phrases):
                found.add(code)
        start += len(word) + 1
    return found


def _is_meant(match: re.Match[str], plain: str, phrases: Phrases) -> bool:
    """Return whether a phrase is neither denied nor quoted from a song or film."""
    begins, ends = plain.rfind(" . ", 0, match.start()) + 1, plain.find(" . ", match.end() - 1)
    before, sentence = plain[begins : match.start()].split(), plain[begins : ends if ends >= 0 else None].split()
    is_fiction = before.count('"') % 2 == 1 and not phrases.told_in.isdisjoint(sentence)
    while before and before[-1] in phrases.between:
        before.pop()
    return not is_fiction and phrases.denied_by.isdisjoint((*before[-1:], " ".join(before[-2:])))


def _normalise(text: str) -> str:
    """Return lower-case words without accents and apostrophes, one space around each and around each mark."""
    if not text.isascii():
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) != "Mn")
    marked = re.sub(r"(?<=\w)'(?=\w)", "", text.lower().translate(str.maketrans(*MARKS))).replace("'", '"')
    return f" {' '.join(_WORD.findall(marked))} "


@cache
def load_phrases() -> Phrases:
    """Return the phrases of this release. Raises `SettingsError` (`bad-settings`)."""
    phrases = read_settings(PHRASES_FILE, kind=Phrases)
    if unknown := sorted(phrases.found.keys() - list_codes()):
        raise SettingsError(f"{PHRASES_FILE}: risk.toml has no factor {unknown[0]}.", reason="bad-settings")
    return phrases


@cache
def _list_starts() -> Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]:
    """Return by first word the codes with their phrases: a story has few of these words."""
    starts: dict[str, dict[str, list[str]]] = {}
    for code, languages in load_phrases().found.items():
        for phrase in chain(*languages.values()):
            for word in phrase.split()[0].split("/"):
                key = f"{word[:_STEM]}*" if word.endswith("*") else word
                starts.setdefault(key, {}).setdefault(code, []).append(phrase)
    return {key: [(code, tuple(some)) for code, some in codes.items()] for key, codes in starts.items()}


@cache
def _compile(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Compile phrases: `a/b` and `a*` stand for one word each, `...` for a few of the same sentence.

    As they are met: all of them take 0.12 s, which a command that files a few reports would pay each time.
    """
    spelled = (
        "".join(
            _GAP if one == "..." else f"(?:{one.replace('/', '|').replace('*', _ANY_END)}) " for one in phrase.split()
        )
        for phrase in phrases
    )
    return re.compile(f"(?<= )(?:{'|'.join(spelled)})")
