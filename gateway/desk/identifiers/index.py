"""The index of identifiers, as hashes of the vault, and the traces of the person behind a report in an outgoing text.

Never holds a value: an entry cannot be compared with a list of names or numbers without the vault's key. A text to a
service must not show the person reporting, or which report it was: a match is a reason to write it anew. No match is
no proof, so a second person reads each text as well.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sqlalchemy import Connection, delete

from gateway.databases.columns import insert_new
from gateway.desk.identifiers.extracting import (
    ACCOUNT,
    CHILD,
    EMAIL,
    INCIDENT,
    OTHER_PERSON,
    PHONE,
    REPORTER,
    STRONG,
    USERNAME,
    WEAK,
    Found,
    Identifier,
    fold,
    list_identifiers,
    list_own,
    normalise_username,
    scan_text,
)
from gateway.desk.store.schema import CASE_IDENTIFIERS, SERVICE_IDENTIFIERS
from gateway.desk.vault.doors import Signer
from gateway.exchange.public_report import PublicReport
from partner_sdk.errors import LocalStateError
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.wire.button import PageContext

# Cases that were indexed by an older version are indexed again by `case index`: raise it with the rules of extracting.
INDEX_VERSION: Final = 2

_ADD: Final = insert_new(CASE_IDENTIFIERS, "digest", "case_id", "kind", "place", "strength")
_ADD_OWN: Final = insert_new(SERVICE_IDENTIFIERS, "digest", "partner")


@dataclass(frozen=True, slots=True)
class IndexRows:
    """The rows of some reports, hashed. `version` is None where the vault has no key: `case index` adds them later."""

    found: list[dict[str, object]]
    own: list[dict[str, object]]
    version: int | None = INDEX_VERSION

    def keep(self, case_ids: Collection[str]) -> "IndexRows":
        """Return the rows of these cases alone."""
        return replace(self, found=[row for row in self.found if row["case_id"] in case_ids])


def make_rows(signer: Signer, reports: Mapping[str, PublicReport | SealedIndustryReport]) -> IndexRows:
    """Hash the identifiers of opened reports, by case id, in one call of the vault.

    Raises `VaultError` if the vault cannot answer: then nothing is filed.
    """
    found: list[tuple[str, Found]] = []
    own: dict[tuple[str, Identifier], None] = {}
    for case_id, report in reports.items():
        contacts = list_own(report)
        own |= {(report.clear.partner, one): None for one in contacts}
        found += [(case_id, one) for one in list_identifiers(report, own=contacts)]
    wanted = [*(one.identifier for _, one in found), *(identifier for _, identifier in own)]
    try:
        digests = signer.hash_identifiers(wanted)
    except LocalStateError:
        # A report is filed and its alert goes out all the same.
        return IndexRows([], [], version=None)
    rows: list[dict[str, object]] = [
        {
            "digest": digest,
            "case_id": case_id,
            "kind": one.identifier.kind,
            "place": one.place,
            "strength": one.strength,
        }
        for (case_id, one), digest in zip(found, digests[: len(found)], strict=True)
    ]
    own_rows: list[dict[str, object]] = [
        {"digest": digest, "partner": partner} for (partner, _), digest in zip(own, digests[len(found) :], strict=True)
    ]
    return IndexRows(rows, own_rows)


def hold_account(signer: Signer, connection: Connection, case_id: str, identifiers: Sequence[Identifier]) -> None:
    """Index a name in a report's words as an account of its case, in the caller's transaction."""
    digests = signer.hash_identifiers(identifiers)
    mine = (CASE_IDENTIFIERS.c.case_id == case_id) & CASE_IDENTIFIERS.c.digest.in_(digests)
    connection.execute(delete(CASE_IDENTIFIERS).where(mine))
    for one, digest in zip(identifiers, digests, strict=True):
        strength = WEAK if one.kind == USERNAME else STRONG
        row = {"digest": digest, "case_id": case_id, "kind": one.kind, "place": INCIDENT, "strength": strength}
        connection.execute(_ADD, row)


def add_rows(connection: Connection, rows: IndexRows) -> None:
    """Add the rows of cases that are in the table, in the caller's transaction."""
    if rows.found:
        connection.execute(_ADD, rows.found)
    if rows.own:
        connection.execute(_ADD_OWN, rows.own)


def remove_rows(connection: Connection, case_id: str) -> None:
    """Remove the rows of a case that is indexed again."""
    connection.execute(delete(CASE_IDENTIFIERS).where(CASE_IDENTIFIERS.c.case_id == case_id))


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
