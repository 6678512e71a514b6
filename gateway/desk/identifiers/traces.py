"""Finds the person behind a report in a text that is to leave the house: a name, a contact, a reference, their words.

For texts to services and partners, e.g. an alert: they must not show the person reporting, or which report it was. A
match is a reason to write the text anew. No match is no proof, so a second person reads each text as well.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from gateway.desk.identifiers.extracting import CHILD, OTHER_PERSON, REPORTER, list_identifiers, list_own, scan_text
from gateway.desk.identifiers.normalising import (
    ACCOUNT,
    EMAIL,
    PHONE,
    USERNAME,
    Identifier,
    fold,
    normalise_username,
)
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.wire.page_context import PageContext
from partner_sdk.wire.public_report import PublicReport

TraceKind = Literal["name", "contact", "reference", "words"]
TRACE_TITLES: Final[dict[TraceKind, str]] = {
    "name": "a name from the report",
    "contact": "a contact or an account of the child or the person who reported",
    "reference": "the reference of a report",
    "words": "a run of words from the report",
}
# Six words in the same order are hardly ever chance; a shorter text of a report counts whole, from three words on.
RUN: Final = 6
LEAST_RUN: Final = 3
MOST_TEXT_CHARACTERS: Final = 100_000  # of one report, as in extracting.py
_LEAST_NAME: Final = 2
_LEAST_REFERENCE: Final = 6
_LEAST_DIGITS: Final = 9  # of a telephone number without its country code
_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")
_HANDLE: Final = re.compile(r"[\w@.+\-]+")
_NOT_OF_REFERENCE: Final = re.compile(r"[^0-9A-Za-z]")
_NOT_DIGIT: Final = re.compile(r"\D")
# First and last names that are common words too.
_WORDS_TOO: Final = frozenset(
    _WORD.findall(
        "amber an april art august autumn bill black brown case chance chase church crystal dawn day de do "
        "faith field frank grace grant green grey guy he hope house hunter in joy june king la law le long "
        "love mark may me miles my no of page park pat price read rob rose ruby sample short sky so stone sue "
        "summer the to van white will wood young "
    )
)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One match: its kind, and the words of the checked text."""

    kind: TraceKind
    words: str


@dataclass(frozen=True, slots=True)
class Traces:
    """Everything in some reports that identifies the people behind them. In memory alone: never store or log it."""

    names: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()
    phrases: frozenset[Words] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    references: frozenset[str] = frozenset()
    runs: frozenset[Words] = frozenset()

    def __or__(self, other: "Traces") -> "Traces":
        return Traces(
            self.names | other.names,
            self.persons | other.persons,
            self.phrases | other.phrases,
            self.identifiers | other.identifiers,
            self.references | other.references,
            self.runs | other.runs,
        )


def make_traces(content: PublicReport | SealedIndustryReport, *, references: Collection[str] = ()) -> Traces:
    """Return the traces of one report; `references` are those of its case."""
    read = _read_public(content) if isinstance(content, PublicReport) else _read_industry(content)
    names, phrases, texts = read
    persons = {CHILD, OTHER_PERSON, REPORTER}
    found = {one.identifier for one in list_identifiers(content, own=()) if one.place in persons}
    return Traces(
        names=_list_parts(names),
        persons=_list_parts(_list_persons(content)) - _WORDS_TOO,
        phrases=frozenset(words for one in phrases if len(words := _split(one)) > 1),
        identifiers=frozenset(found.union(list_own(content))),
        references=frozenset(one for text in references if len(one := _squeeze(text)) >= _LEAST_REFERENCE),
        runs=frozenset(run for text in texts for run in _list_runs(_split(text[:MOST_TEXT_CHARACTERS]))),
    )


def make_context_traces(claim: PageContext | None) -> Traces:
    """Return the account that had the page with the button before it: it belongs to the person reporting."""
    if claim is None or claim.viewer is None:
        return Traces()
    names, shown = (claim.viewer.account_id, claim.viewer.display_name), _split(claim.viewer.display_name)
    return Traces(
        identifiers=frozenset(found for name in names if (found := normalise_username(name)) is not None),
        phrases=frozenset({shown} if len(shown) > 1 else ()),
    )


def list_matches(text: str, traces: Traces) -> list[Trace]:
    """Return the traces in a text, each kind once, with the words that matched."""
    return list({one.kind: one for one in _list_all(text, traces)}.values())


def find_shared_run(text: str, other: str) -> str | None:
    """Return a run of words of a text that stands in another one too, or None."""
    runs = frozenset(_list_runs(_split(other)))
    return next((match.words for match in _list_all(text, Traces(runs=runs))), None)


def is_of_reporter(account: Iterable[Identifier], traces: Traces) -> bool:
    """Return whether an account is one of the child, the person reporting or another person beside the suspect."""
    return not traces.identifiers.isdisjoint(account)


def _list_all(text: str, traces: Traces) -> Iterator[Trace]:
    text = unicodedata.normalize("NFC", text)
    words = [(match[0], fold(match[0]) or "") for match in _WORD.finditer(text)]
    folded = tuple(word for _, word in words)
    # A school's "primary" is a word too: it counts with a capital, or in letters that have none. A person's name counts
    # in any spelling, and "will" or "may" as the others do.
    for typed, word in words:
        is_written_as_name = typed[0] != typed[0].lower() or typed.upper() == typed.lower()
        if word in traces.persons or (word in traces.names and is_written_as_name):
            yield Trace("name", typed)
    for phrase in traces.phrases:
        if (place := _find_run(folded, phrase)) is not None:
            yield Trace("name", " ".join(typed for typed, _ in words[place : place + len(phrase)]))
    yield from _list_contacts(text, traces)
    squeezed = _squeeze(text)
    for reference in traces.references:
        if reference in squeezed:
            yield Trace("reference", reference)
    for length in {len(run) for run in traces.runs}:
        for place in range(len(folded) - length + 1):
            if folded[place : place + length] in traces.runs:
                yield Trace("words", " ".join(typed for typed, _ in words[place : place + length]))


def _list_contacts(text: str, traces: Traces) -> Iterator[Trace]:
    for found in scan_text([text]):
        if found.identifier in traces.identifiers:
            yield Trace("contact", found.identifier.value)
    names = {one.value.rpartition("\n")[2] for one in traces.identifiers if one.kind in {ACCOUNT, USERNAME}}
    for match in _HANDLE.finditer(text):
        name = normalise_username(match[0].strip(".+-"))
        if name is not None and name.value in names:
            yield Trace("contact", match[0])
    digits, plain = _NOT_DIGIT.sub("", text), (fold(text, most=MOST_TEXT_CHARACTERS) or "")
    for one in traces.identifiers:
        # Also in a spelling that no pattern takes for a number, e.g. with a dot after each digit.
        if one.kind == PHONE and one.value[-_LEAST_DIGITS:] in digits:
            yield Trace("contact", one.value)
        if one.kind == EMAIL and one.value in plain:
            yield Trace("contact", one.value)


def _read_public(report: PublicReport) -> tuple[list[str], list[str], list[str]]:
    """Return the names, phrases and texts of a person's own report."""
    contact, child = report.contact, report.child
    names = [report.name, child.name, contact.safe_word, contact.school, child.school, child.organisation]
    phrases = [contact.adult, child.place, report.meeting.place]
    texts = [report.story, contact.who_must_not_know, contact.adult, contact.times, report.person.how_met]
    return names, phrases, texts


def _read_industry(content: SealedIndustryReport) -> tuple[list[str], list[str], list[str]]:
    """Return the names, phrases and texts of a service's report; its own names too, for no other service hears them."""
    report = content.report
    senders = [report.reporter.organisation, report.reporter.service, content.clear.partner]
    names, phrases, texts = [report.reporter.submitter_name], senders, [report.incident.narrative]
    names += [one for one in senders if len(_split(one)) == 1]
    for child in list_given(report.children):
        names += [*_given(child.name), *list_given(child.display_names), *_given(child.school)]
    for other in list_given(report.other_people):
        names += _given(other.name)
    for conversation in list_given(report.conversations):
        texts += [*_given(conversation.context_before), *_given(conversation.context_after)]
        texts += [text for message in conversation.messages for text in _given(message.text)]
    texts += _given(report.priority_reason)
    return names, phrases, texts


def _list_persons(content: PublicReport | SealedIndustryReport) -> list[str]:
    if isinstance(content, PublicReport):
        return [content.name, content.child.name]
    return [name for other in list_given(content.report.other_people) for name in _given(other.name)]


def _list_parts(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in _split(name) if len(word) >= _LEAST_NAME)


def _list_runs(words: Words) -> Iterator[Words]:
    if LEAST_RUN <= len(words) < RUN:
        yield words
    for place in range(len(words) - RUN + 1):
        yield words[place : place + RUN]


def _find_run(words: Words, run: Words) -> int | None:
    places = range(len(words) - len(run) + 1)
    return next((place for place in places if words[place : place + len(run)] == run), None)


def _split(text: str) -> Words:
    return tuple(fold(match[0]) or "" for match in _WORD.finditer(unicodedata.normalize("NFC", text)))


def _squeeze(text: str) -> str:
    return _NOT_OF_REFERENCE.sub("", text).upper()


def _given(value: object) -> list[str]:
    return [value] if isinstance(value, str) and value else []
