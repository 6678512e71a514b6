"""Weighs an opened report from either door: its answers, its words, and the risks between a partner's answers.

The rules and their weights are in `gateway.guidance.risk`: the form's promises use the same rules. A person's words are
compared with `phrases.toml` here alone, in memory: only codes leave this file.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from gateway.exchange.public_report import PublicReport
from gateway.guidance.risk import (
    SOMETHING_ELSE,
    Risk,
    assess_public,
    find_kind,
    is_untold,
    list_answered,
    list_codes,
    list_derived,
    weigh,
)
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.errors import FormatError
from partner_sdk.report import IndustryReport, SealedIndustryReport, list_given
from partner_sdk.report.model import Child, Suspect
from partner_sdk.wire.button import Language
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields

# The kind of a report whose sender named none until a person assesses it: it may be any, told in words.
UNTOLD: Final = "untold"
PHRASES_FILE: Final = Path(__file__).with_name("phrases.toml")
_GAP: Final = r"(?:[\w,\"][\w.,]* ){0,4}"  # the `...` of a phrase; a full stop ends it
_STEM: Final = 4  # letters of a first word that ends in *
_ANY_END: Final = r"\w*"
_MARKS: Final = str.maketrans("!?;\n:()–—’`‘“”„«»", '....,,,,,\'\'\'"""""')
_WORD: Final = re.compile(r"""\d+[.,]\d+\w*|\w+|[.,"]""")  # 8.30 is one
_TODAY: Final = timedelta(days=1)
_NEXT_DAYS: Final = timedelta(days=7)


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


def assess(content: PublicReport | SealedIndustryReport, *, received_at: datetime) -> Risk:
    """Return an opened report's urgency; the time until a meeting counts from the receipt of the report."""
    if isinstance(content, PublicReport):
        return assess_public(content, in_words=list_found_in_words(content.story))
    report = content.report
    derived = _derive_partner(report, content.clear, received_at)
    return weigh(frozenset(chain(list_answered(report, "partner"), list_derived(derived))))


def get_filed_kind(content: PublicReport | SealedIndustryReport, risk: Risk) -> str:
    """Return the kind under which a report is filed: a partner's own answer, or the gravest that a person named."""
    if not isinstance(content, PublicReport):
        return content.report.category
    return find_kind(risk.factors) or (UNTOLD if is_untold(content) else SOMETHING_ELSE)


def list_found_in_words(text: str) -> set[str]:
    """Return the codes of the factors whose phrases stand in a person's own words."""
    phrases, starts = _load_phrases()
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
    bare = text.casefold()
    if not bare.isascii():
        bare = "".join(one for one in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(one))
    marked = re.sub(r"(?<=\w)'(?=\w)", "", bare.translate(_MARKS)).replace("'", '"')
    return f" {' '.join(_WORD.findall(marked))} "


@cache
def _load_phrases() -> tuple[Phrases, Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]]:
    """Return the file, and by first word the codes with their phrases: a story has few of these words."""
    phrases = read_settings(PHRASES_FILE, kind=Phrases)
    if unknown := sorted(phrases.found.keys() - list_codes()):
        raise SettingsError(f"{PHRASES_FILE}: risk.toml has no factor {unknown[0]}.", reason="bad-settings")
    starts: dict[str, dict[str, list[str]]] = {}
    for code, languages in phrases.found.items():
        for phrase in chain(*languages.values()):
            for word in phrase.split()[0].split("/"):
                key = f"{word[:_STEM]}*" if word.endswith("*") else word
                starts.setdefault(key, {}).setdefault(code, []).append(phrase)
    return phrases, {key: [(code, tuple(some)) for code, some in codes.items()] for key, codes in starts.items()}


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
    """Return the urgency of a meeting; one long past may have taken place, or be repeated."""
    try:
        wait = parse_time(meets_at) - received_at if isinstance(meets_at, str) else None
    except FormatError:
        wait = None
    if wait is None or not -_TODAY <= wait <= _NEXT_DAYS:
        return "meets-some-time"
    return "meets-today" if wait <= _TODAY else "meets-soon"


def _find_age(child: Child, received_at: datetime) -> int | None:
    """Return a child's age as stated, or the youngest that a date of birth allows; None if neither is given."""
    if isinstance(child.age, int):
        return child.age
    if not isinstance(child.born_on, str):
        return None
    # If only a year or a month is given, assume its last day: "2013" is read as "2013-12-31".
    born_on = child.born_on + "-12-31"[len(child.born_on) - 4 :]
    birthday = born_on[4:]
    today = received_at.astimezone(UTC).date().isoformat()
    return max(0, int(today[:4]) - int(born_on[:4]) - (today[4:] < birthday))
