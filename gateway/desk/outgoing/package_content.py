"""The content of one package, the terms on which it leaves, and its page: drawn as `page.html` and as `page.pdf`.

The canonical JSON of it is the body of its action (`actions/`): the same content always gives the same archive.
A line `of_reporter` identifies the person who reported: `redact` removes it where the package hides them. The page has
the order of an officer at night: what to do, then facts, then terms.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Union

import msgspec
from msgspec import Meta

from gateway.desk.cases.actions.destinations import Group
from gateway.desk.office.hidden_text import format_code_point, replace_hidden
from gateway.desk.office.uk_times import format_uk_day, format_uk_time
from gateway.guidance.signposts import Source
from gateway.web.settings import read_settings
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import Sha256Hex, parse_time
from partner_sdk.wire.evidence import PlainSize
from partner_sdk.wire.signing import Environment

if TYPE_CHECKING:
    from gateway.desk.outbox.paper import Paper

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


STYLE_FILE: Final = Path(__file__).with_name("page.css")
_ACCOUNTS: Final = {
    "account_id": "Account id",
    "username": "User name",
    "profile_url": "Address of a profile",
    "email": "E-mail address",
    "phone": "Telephone number",
    "ip": "IP address",
}
_NOTHING: Final = "Nothing else is known."
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB")
_STEP: Final = 1024


class HtmlSheet:
    """The page in HTML, written as a `Paper` is (desk/outbox/paper.py)."""

    def __init__(self) -> None:
        self.body: list[str] = []

    def write_heading(self, text: str, *, level: int = 2) -> None:
        """Write a heading of level 1 to 3."""
        self.body.append(f"<h{level}>{_escape(text)}</h{level}>")

    def write_text(self, text: str) -> None:
        """Write a paragraph for each line of the text."""
        self.body += [f"<p>{_escape(line)}</p>" for line in text.split("\n") if line]

    def write_quote(self, text: str) -> None:
        """Write the words of another person; each line has the direction of its own letters."""
        lines = (f'<p dir="auto">{_escape(line)}</p>' for line in text.split("\n"))
        self.body.append(f"<blockquote>{''.join(lines)}</blockquote>")

    def write_items(self, items: Iterable[str]) -> None:
        """Write a list."""
        self.body.append("<ul>" + "".join(f"<li>{_escape(one)}</li>" for one in items) + "</ul>")

    def write_facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write labels with their values."""
        cells = (f'<div><dt>{_escape(name)}</dt><dd dir="auto">{_escape(text)}</dd></div>' for name, text in rows)
        self.body.append(f"<dl>{''.join(cells)}</dl>")

    def write_notice(self, text: str, *, title: str = "") -> None:
        """Write a paragraph that stands out."""
        words = f"<p><strong>{_escape(title)}</strong></p><p>{_escape(text)}</p>"
        self.body.append(f'<div class="notice">{words}</div>')


Sheet = Union[HtmlSheet, "Paper"]


def write_page(sheet: Sheet, content: PackageContent) -> None:
    """Write the page of a content that was redacted."""
    _begin(sheet, content)
    _name_people(sheet, content)
    if content.assessment:
        sheet.write_heading("Assessment by this desk")
        _lay_out(sheet, content.assessment)
    _advise(sheet, content)
    _set_terms(sheet, content)
    for report in content.reports:
        _show_report(sheet, report)
    _show_evidence(sheet, content)
    sheet.write_heading("This archive")
    sheet.write_facts((f"{one.reference}: SHA-256 when sealed", one.sealed_sha256) for one in content.reports)
    sheet.write_text(
        "manifest.json lists every file with its SHA-256 and is signed by the agency's desk. "
        "case.jsonld holds the same facts for tools that read CASE/UCO. "
        f"Number of the package: {content.package_id}."
    )


def render_html(content: PackageContent) -> bytes:
    """Return the page as one file that loads nothing and runs no script."""
    style = STYLE_FILE.read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    sheet = HtmlSheet()
    write_page(sheet, content)
    body = "\n".join(sheet.body)
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escape(make_title(content))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<p class="marking">{_escape(content.marking)}</p>\n<main>\n{body}\n</main>\n'
        f'<p class="marking">{_escape(content.marking)}</p>\n</body>\n</html>\n'
    ).encode()


def render_pdf(content: PackageContent) -> bytes:
    """Return the page on sheets of A4."""
    from gateway.desk.outbox.paper import Paper  # imported here, as in outgoing/service_requests.py

    made_at = parse_time(content.issued_at)
    foot = f"{make_title(content)}, {format_uk_time(content.issued_at)}"
    paper = Paper(title=make_title(content), made_at=made_at, foot=foot, head=content.marking)
    write_page(paper, content)
    return paper.render()


def cut_page(page: bytes) -> str:
    """Return the body of a page of `render_html`, every text of it escaped, for the desk's own page around it."""
    return page.decode().partition("<main>\n")[2].partition("\n</main>")[0]


def make_title(content: PackageContent) -> str:
    """Return the title, e.g. `Intelligence package K7QF-2M9TX-D`."""
    return f"Intelligence package {content.reference}"


def format_size(size_bytes: int) -> str:
    """Return a size for a person, e.g. `2.4 MiB`."""
    size, unit = float(size_bytes), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{size_bytes} {_UNITS[0]}" if not unit else f"{size:.1f} {_UNITS[unit]}"


def _begin(sheet: Sheet, content: PackageContent) -> None:
    sheet.write_heading(make_title(content), level=1)
    sheet.write_notice(content.safe_contact.say, title="Safe contact")
    _lay_out(sheet, content.safe_contact.lines)
    if content.is_urgent or content.urgent:
        said = ["A child may be in danger now. Read this at once."] if content.is_urgent else []
        officer = content.officer
        call = f"Call {officer.name}, {officer.telephone or officer.email}."
        sheet.write_notice("\n".join((*said, *content.urgent, call)), title="Urgent")
    facts = [("To", content.recipient), ("From", content.issuer), ("Written", format_uk_time(content.issued_at))]
    facts += [("Test", "Sandbox: not a real case")] if content.environment == "sandbox" else []
    sheet.write_facts(facts)
    sheet.write_heading("Summary")
    sheet.write_heading(content.title, level=3)
    sheet.write_text(content.summary)


def _set_terms(sheet: Sheet, content: PackageContent) -> None:
    sheet.write_heading("Handling conditions")
    hides = content.redaction.hides_reporter
    title = "The person who reported is not named here" if hides else "This package names the person who reported"
    sheet.write_notice(content.redaction.reason, title=title)
    if content.handling:
        sheet.write_items(one.say for one in content.handling)
    sheet.write_heading("Legal basis")
    for ground in content.legal:
        checked = f"Checked on {format_uk_day(ground.checked_on)}: {ground.source}"
        rows = (("Law", ground.law), ("It allows", ground.say), ("In this case", ground.reason), ("Source", checked))
        sheet.write_facts(rows)


def _name_people(sheet: Sheet, content: PackageContent) -> None:
    if content.people or content.accounts:
        sheet.write_heading("People and accounts")
    for person in content.people:
        title = f"{person.title} (who reported)" if person.is_reporter else person.title
        sheet.write_heading(title, level=3)
        rows = [("Name", person.name)] if person.name else []
        rows += [_show_account(one) for one in content.accounts if one.holder == person.key]
        _lay_out(sheet, person.lines, rows=rows)
        if not rows and not person.lines:
            is_withheld = person.is_reporter and content.redaction.hides_reporter
            sheet.write_text(WITHHELD if is_withheld else _NOTHING)
    if nobodys := [_show_account(one) for one in content.accounts if not one.holder]:
        sheet.write_heading("Accounts whose holder is not known", level=3)
        sheet.write_facts(nobodys)


def _show_account(account: Account) -> tuple[str, str]:
    kind = _ACCOUNTS[account.kind]
    return f"{kind} at {account.service}" if account.service else kind, account.value


def _show_report(sheet: Sheet, report: SourceReport) -> None:
    sheet.write_heading(f"Report {report.reference}, as it was made")
    files = [name_report(report), *([name_original(report)] if report.original else [])]
    sheet.write_facts(
        (
            ("Made by", report.sender),
            ("Received", format_uk_time(report.received_at)),
            ("In this archive", ", ".join(files)),
        )
    )
    for section in report.sections:
        _show_section(sheet, section)


def _show_evidence(sheet: Sheet, content: PackageContent) -> None:
    if content.evidence:
        sheet.write_heading("Evidence")
    for item in content.evidence:
        where = name_evidence(item) if item.is_enclosed else f"Not in this archive. {item.held_by}".strip()
        rows = (
            ("What it is", item.description),
            ("Where it is", where),
            ("Size", format_size(item.size_bytes)),
            ("Type", item.media_type),
            ("SHA-256", item.sha256),
        )
        sheet.write_heading(item.name, level=3)
        sheet.write_facts(row for row in rows if row[1])


def _advise(sheet: Sheet, content: PackageContent) -> None:
    if content.guidance:
        sheet.write_heading("Guidance")
        for section in content.guidance:
            _show_section(sheet, section)
    officer = content.officer
    sheet.write_heading("Supporting officer")
    rows = (
        ("Name", officer.name),
        ("Role", officer.role),
        ("Telephone", officer.telephone),
        ("E-mail", officer.email),
        ("Hours", officer.hours),
    )
    sheet.write_facts(row for row in rows if row[1])


def _show_section(sheet: Sheet, section: Section) -> None:
    sheet.write_heading(section.title, level=3)
    _lay_out(sheet, section.lines)


def _lay_out(sheet: Sheet, lines: Iterable[Line], *, rows: Sequence[tuple[str, str]] = ()) -> None:
    """Write short facts as further rows, and quoted words on their own."""
    waiting = list(rows)
    for line in lines:
        if not line.is_quoted:
            waiting.append((line.label, line.text))
            continue
        if waiting:
            sheet.write_facts(waiting)
            waiting = []
        sheet.write_heading(line.label, level=3)
        sheet.write_quote(line.text)
    if waiting:
        sheet.write_facts(waiting)


def _escape(text: str) -> str:
    return escape(replace_hidden(text, format_code_point, but="\n\t"))
