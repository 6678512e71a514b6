"""The content of one package in reading order, and the legal bases and handling conditions on which it leaves.

The canonical JSON of it is the body of its action (`actions/`): the same content always gives the same archive.
A line `of_reporter` identifies the person who reported: `redact` removes it where the package hides them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.desk.destinations.register import Group
from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import Sha256Hex
from partner_sdk.wire.evidence import PlainSize
from partner_sdk.wire.signing import Environment

MAX_CONTENT_BYTES: Final = 4 * 1024 * 1024
MOST_ITEMS: Final = 400
_ENDING: Final = re.compile(r"\.([A-Za-z0-9]{1,8})\Z")
WITHHELD: Final = "Withheld: about the person who reported. Ask this desk if it is needed."
# Labels that one withheld line names in full.
_MOST_LABELS: Final = 4

Key = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]{0,15}\Z")]
Role = Literal["child", "suspected", "other"]
AccountKind = Literal["account_id", "username", "profile_url", "email", "phone", "ip"]


class PackageError(ReportAbuseError):
    """A package cannot be built; the message gives the reason."""


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fact. `is_quoted` marks the words of another person, which keep their line breaks."""

    label: str
    text: str
    is_quoted: bool = False
    of_reporter: bool = False


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Facts that belong together."""

    title: str
    lines: tuple[Line, ...]


class SafeContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach the child without harm; it stands first. `say` is the box, e.g. "Ask this desk first."."""

    say: str
    lines: tuple[Line, ...] = ()


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person of the case. `title` is their part in it, e.g. "The child". A child may also be the reporter."""

    key: Key
    role: Role
    title: str
    name: str = ""
    is_reporter: bool = False
    lines: tuple[Line, ...] = ()


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account or address. `holder` is the key of a person, or blank if unknown."""

    key: Key
    kind: AccountKind
    value: str
    service: str = ""
    holder: str = ""


class SourceReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A report as it was asserted. `sealed_sha256` is the digest of its envelope, as the gateway received it.

    `original` is the opened report letter for letter, or blank where it is not passed on.
    """

    key: Key
    reference: str
    sender: str
    received_at: str
    sealed_sha256: Sha256Hex
    sections: tuple[Section, ...]
    original: str = ""


class EvidenceItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file. It is enclosed in the archive, or `held_by` names its holder."""

    key: Key
    name: str
    sha256: Sha256Hex
    size_bytes: PlainSize
    is_enclosed: bool = False
    media_type: str = ""
    description: str = ""
    held_by: str = ""
    report: str = ""


class LegalGround(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A law of `legal_bases.toml` as it was on the day of the draft, and a person's reason in this case."""

    title: str
    law: str
    say: str
    reason: str
    source: str
    checked_on: str


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition of `handling.toml` as it was on the day of the draft."""

    title: str
    say: str


class Officer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The officer of this desk who supports the body with the package (R19)."""

    name: str
    role: str
    telephone: str = ""
    email: str = ""
    hours: str = ""


class Redaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether the reporter is left out, with the reason; the page shows both."""

    hides_reporter: bool
    reason: str


class PackageContent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One package. Times are wire times; `issued_at` is the time of the draft, which the archive carries.

    `urgent` are the facts to act on at once, e.g. "A meeting today: By the cinema.".
    """

    package_id: str
    environment: Environment
    reference: str
    title: str
    issued_at: str
    issuer: str
    recipient: str
    marking: str
    is_urgent: bool
    safe_contact: SafeContact
    summary: str
    redaction: Redaction
    assessment: tuple[Line, ...]
    legal: Annotated[tuple[LegalGround, ...], Meta(min_length=1, max_length=MOST_ITEMS)]
    handling: tuple[Condition, ...]
    officer: Officer
    reports: Annotated[tuple[SourceReport, ...], Meta(min_length=1, max_length=MOST_ITEMS)]
    people: Annotated[tuple[Person, ...], Meta(max_length=MOST_ITEMS)] = ()
    accounts: Annotated[tuple[Account, ...], Meta(max_length=MOST_ITEMS)] = ()
    evidence: Annotated[tuple[EvidenceItem, ...], Meta(max_length=MOST_ITEMS)] = ()
    guidance: tuple[Section, ...] = ()
    urgent: tuple[str, ...] = ()
    schema_version: Literal["1"] = "1"


@dataclass(frozen=True, slots=True)
class Parts:
    """People, accounts, sections and lines on safe contact from one report; keys are unique in the package."""

    people: tuple[Person, ...]
    accounts: tuple[Account, ...]
    sections: tuple[Section, ...]
    safe_contact: tuple[Line, ...] = ()
    safe_ways: tuple[Line, ...] = ()
    urgent: tuple[str, ...] = ()


def check_content(content: PackageContent) -> None:
    """Raise `PackageError`: `twice` for a key of two parts, `unknown-holder` for an account whose holder is missing."""
    keys = [one.key for one in content.people] + [one.key for one in content.accounts]
    keys += [one.key for one in content.reports] + [one.key for one in content.evidence]
    if len(set(keys)) < len(keys):
        raise PackageError("Two parts of the package have the same key.", reason="twice")
    holders = {one.key for one in content.people} | {""}
    if any(account.holder not in holders for account in content.accounts):
        raise PackageError("An account names a holder who is not in the package.", reason="unknown-holder")


def redact(content: PackageContent) -> PackageContent:
    """Return the content as it leaves: without the reporter where the package hides them.

    Lines about them keep their labels, in one line, so that a reader sees the gap. Their name in typed text stays:
    the preview searches for it before the release.
    """
    if not content.redaction.hides_reporter:
        return content
    reporters = {one.key for one in content.people if one.is_reporter}
    return msgspec.structs.replace(
        content,
        safe_contact=msgspec.structs.replace(content.safe_contact, lines=_withhold(content.safe_contact.lines)),
        assessment=_withhold(content.assessment),
        people=tuple(
            msgspec.structs.replace(one, name="" if one.is_reporter else one.name, lines=_withhold(one.lines))
            for one in content.people
            if not one.is_reporter or one.role == "child"
        ),
        accounts=tuple(one for one in content.accounts if one.holder not in reporters),
        reports=tuple(
            msgspec.structs.replace(report, sections=_withhold_sections(report.sections), original="")
            for report in content.reports
        ),
        guidance=_withhold_sections(content.guidance),
    )


def list_hidden_texts(content: PackageContent) -> Iterator[str]:
    """Yield the texts that `redact` removes; the preview searches the rest for them."""
    reporters = [one for one in content.people if one.is_reporter]
    yield from (one.name for one in reporters)
    yield from (one.value for one in content.accounts if one.holder in {person.key for person in reporters})
    sections = (*content.guidance, *(section for report in content.reports for section in report.sections))
    lines = [*content.safe_contact.lines, *content.assessment]
    lines += [line for person in content.people for line in person.lines]
    lines += [line for section in sections for line in section.lines]
    yield from (line.text for line in lines if line.of_reporter)


def name_report(report: SourceReport) -> str:
    """Return the name of a report's file, e.g. `reports/r1.json`."""
    return f"reports/{report.key}.json"


def name_original(report: SourceReport) -> str:
    """Return the name of the file with a report letter for letter, e.g. `reports/r1-original.json`."""
    return f"reports/{report.key}-original.json"


def name_evidence(item: EvidenceItem) -> str:
    """Return the name of an enclosed file, e.g. `evidence/e1.png`: no name of a report can lead out of its folder."""
    found = _ENDING.search(item.name)
    return f"evidence/{item.key}.{found[1].lower() if found else 'bin'}"


def _withhold(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return the lines with one in place of each run of withheld ones, e.g. `Name; Telephone`."""
    kept = list[Line]()
    for is_withheld, run in groupby(lines, key=lambda line: line.of_reporter):
        if is_withheld:
            labels = list(dict.fromkeys(line.label for line in run))
            more = len(labels) - _MOST_LABELS
            named = "; ".join(labels[:_MOST_LABELS]) + (f" and {more} more" if more > 0 else "")
            kept.append(Line(label=named, text=WITHHELD))
        else:
            kept += run
    return tuple(kept)


def _withhold_sections(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    return tuple(Section(title=section.title, lines=_withhold(section.lines)) for section in sections)


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
