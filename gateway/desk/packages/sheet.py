"""The page of a package as blocks, in the order of an officer at night: what to do, then facts, then terms.

Written once and drawn twice: `page.html` with the reader's own fonts, and `page.pdf` to print. Neither adds a word.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final

from gateway.desk.hidden_text import format_code_point, replace_hidden
from gateway.desk.packages.content import (
    WITHHELD,
    Account,
    EvidenceItem,
    Line,
    PackageContent,
    Section,
    SourceReport,
    name_evidence,
    name_original,
    name_report,
)
from gateway.desk.uk_times import format_uk_day, format_uk_time
from partner_sdk.wire.canonical import parse_time

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


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph for each line of the text."""

    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The words of another person."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with their values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A paragraph that stands out."""

    title: str
    text: str


Block = Heading | Text | Quote | Items | Facts | Notice


def list_blocks(content: PackageContent) -> list[Block]:
    """Return the blocks of the page of a content that was redacted."""
    return [
        *_begin(content),
        *_name_people(content),
        *_assess(content),
        *_advise(content),
        *_set_terms(content),
        *(block for report in content.reports for block in _show_report(report)),
        *_list_evidence(content),
        *_end(content),
    ]


def render_html(content: PackageContent) -> bytes:
    """Return the page as one file that loads nothing and runs no script."""
    style = STYLE_FILE.read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    body = "\n".join(_draw(block) for block in list_blocks(content))
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
    from gateway.desk.paper import Paper  # imported here, as in service_requests/letters.py

    made_at = parse_time(content.issued_at)
    foot = f"{make_title(content)}, {format_uk_time(content.issued_at)}"
    paper = Paper(title=make_title(content), made_at=made_at, foot=foot, head=content.marking)
    for block in list_blocks(content):
        match block:
            case Heading():
                paper.write_heading(block.text, level=block.level)
            case Text():
                paper.write_text(block.text)
            case Quote():
                paper.write_quote(block.text)
            case Items():
                paper.write_items(block.items)
            case Facts():
                paper.write_facts(block.rows)
            case Notice():
                paper.write_notice(block.text, title=block.title)
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


def _begin(content: PackageContent) -> Iterator[Block]:
    yield Heading(make_title(content), level=1)
    yield Notice("Safe contact", content.safe_contact.say)
    yield from _lay_out(content.safe_contact.lines)
    if content.is_urgent or content.urgent:
        said = ["A child may be in danger now. Read this at once."] if content.is_urgent else []
        officer = content.officer
        call = f"Call {officer.name}, {officer.telephone or officer.email}."
        yield Notice("Urgent", "\n".join((*said, *content.urgent, call)))
    yield Facts(
        (("To", content.recipient), ("From", content.issuer), ("Written", format_uk_time(content.issued_at)))
        + ((("Test", "Sandbox: not a real case"),) if content.environment == "sandbox" else ())
    )
    yield Heading("Summary")
    yield Heading(content.title, level=3)
    yield Text(content.summary)


def _assess(content: PackageContent) -> Iterator[Block]:
    if content.assessment:
        yield Heading("Assessment by this desk")
        yield from _lay_out(content.assessment)


def _set_terms(content: PackageContent) -> Iterator[Block]:
    yield Heading("Handling conditions")
    hides = content.redaction.hides_reporter
    yield Notice(
        "The person who reported is not named here" if hides else "This package names the person who reported",
        content.redaction.reason,
    )
    if content.handling:
        yield Items(tuple(one.say for one in content.handling))
    yield Heading("Legal basis")
    for ground in content.legal:
        checked = f"Checked on {format_uk_day(ground.checked_on)}: {ground.source}"
        yield Facts(
            (("Law", ground.law), ("It allows", ground.say), ("In this case", ground.reason), ("Source", checked))
        )


def _name_people(content: PackageContent) -> Iterator[Block]:
    if content.people or content.accounts:
        yield Heading("People and accounts")
    for person in content.people:
        title = f"{person.title} (who reported)" if person.is_reporter else person.title
        yield Heading(title, level=3)
        rows = [("Name", person.name)] if person.name else []
        rows += [_show_account(one) for one in content.accounts if one.holder == person.key]
        yield from _lay_out(person.lines, rows=rows)
        if not rows and not person.lines:
            is_withheld = person.is_reporter and content.redaction.hides_reporter
            yield Text(WITHHELD if is_withheld else _NOTHING)
    nobodys = tuple(_show_account(one) for one in content.accounts if not one.holder)
    if nobodys:
        yield Heading("Accounts whose holder is not known", level=3)
        yield Facts(nobodys)


def _show_account(account: Account) -> tuple[str, str]:
    kind = _ACCOUNTS[account.kind]
    return f"{kind} at {account.service}" if account.service else kind, account.value


def _show_report(report: SourceReport) -> Iterator[Block]:
    yield Heading(f"Report {report.reference}, as it was made")
    files = [name_report(report), *([name_original(report)] if report.original else [])]
    yield Facts(
        (
            ("Made by", report.sender),
            ("Received", format_uk_time(report.received_at)),
            ("In this archive", ", ".join(files)),
        )
    )
    for section in report.sections:
        yield from _show_section(section)


def _list_evidence(content: PackageContent) -> Iterator[Block]:
    if not content.evidence:
        return
    yield Heading("Evidence")
    for item in content.evidence:
        yield Heading(item.name, level=3)
        yield Facts(tuple(_describe(item)))


def _describe(item: EvidenceItem) -> Iterator[tuple[str, str]]:
    if item.description:
        yield "What it is", item.description
    yield "Where it is", name_evidence(item) if item.is_enclosed else f"Not in this archive. {item.held_by}".strip()
    yield "Size", format_size(item.size_bytes)
    if item.media_type:
        yield "Type", item.media_type
    yield "SHA-256", item.sha256


def _advise(content: PackageContent) -> Iterator[Block]:
    if content.guidance:
        yield Heading("Guidance")
        for section in content.guidance:
            yield from _show_section(section)
    officer = content.officer
    yield Heading("Supporting officer")
    rows = (
        ("Name", officer.name),
        ("Role", officer.role),
        ("Telephone", officer.telephone),
        ("E-mail", officer.email),
        ("Hours", officer.hours),
    )
    yield Facts(tuple(row for row in rows if row[1]))


def _end(content: PackageContent) -> Iterator[Block]:
    yield Heading("This archive")
    yield Facts(tuple((f"{one.reference}: SHA-256 when sealed", one.sealed_sha256) for one in content.reports))
    yield Text(
        "manifest.json lists every file with its SHA-256 and is signed by the agency's desk. "
        "case.jsonld holds the same facts for tools that read CASE/UCO. "
        f"Number of the package: {content.package_id}."
    )


def _show_section(section: Section) -> Iterator[Block]:
    yield Heading(section.title, level=3)
    yield from _lay_out(section.lines)


def _lay_out(lines: Iterable[Line], *, rows: list[tuple[str, str]] | None = None) -> Iterator[Block]:
    """Yield short facts as further rows, and quoted words on their own."""
    rows = rows or []
    for line in lines:
        if not line.is_quoted:
            rows.append((line.label, line.text))
            continue
        if rows:
            yield Facts(tuple(rows))
            rows = []
        yield Heading(line.label, level=3)
        yield Quote(line.text)
    if rows:
        yield Facts(tuple(rows))


def _draw(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_escape(block.text)}</h{block.level}>"
        case Text():
            return "\n".join(f"<p>{_escape(line)}</p>" for line in block.text.split("\n") if line)
        case Quote():
            # Each line has the direction of its own letters.
            lines = (f'<p dir="auto">{_escape(line)}</p>' for line in block.text.split("\n"))
            return f"<blockquote>{''.join(lines)}</blockquote>"
        case Items():
            return "<ul>" + "".join(f"<li>{_escape(one)}</li>" for one in block.items) + "</ul>"
        case Facts():
            rows = (
                f'<div><dt>{_escape(name)}</dt><dd dir="auto">{_escape(text)}</dd></div>' for name, text in block.rows
            )
            return f"<dl>{''.join(rows)}</dl>"
        case Notice():
            return (
                f'<div class="notice"><p><strong>{_escape(block.title)}</strong></p><p>{_escape(block.text)}</p></div>'
            )


def _escape(text: str) -> str:
    return escape(replace_hidden(text, format_code_point, but="\n\t"))
