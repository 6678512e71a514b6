"""Lays out a partner's report for a package: its people, accounts and sections, every field of it as the desk shows it.

Lines about the partner's own submitter, and about complainants there, carry `of_reporter`.
"""

from collections.abc import Iterator
from typing import Final

from gateway.desk.cases.reading.industry_report import Block, Message, format_code, make_report_sections
from gateway.desk.cases.reading.labels import get_field_label
from gateway.desk.packages.content import Account, AccountKind, Line, Parts, Person, Section
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.report.outline import get_field
from partner_sdk.report.people import Child, Suspect

_SUBMITTER: Final = ("submitter_name", "submitter_email", "submitter_telephone", "submitter_role")
# Complainants and witnesses: people who reported to the service.
_OTHERS: Final = "others"
# The desk's own numbers.
_LEFT_OUT: Final = frozenset({"particulars"})


def make_industry_parts(content: SealedIndustryReport, *, number: int) -> Parts:
    """Return the parts of the report with this number in the package, from 1."""
    report = content.report
    people, accounts = list[Person](), list[Account]()
    for place, child in enumerate(list_given(report.children), start=1):
        key = f"p{number}child{place}"
        people.append(
            Person(
                key=key, role="child", title=f"Child {place}", name=_get(child.name), lines=tuple(_list_child(child))
            )
        )
        accounts += _list_accounts(child, key=f"c{number}x{place}", holder=key, service=report.reporter.service)
    for place, suspect in enumerate(list_given(report.suspects), start=1):
        key = f"p{number}suspect{place}"
        title = f"Suspect {place}"
        people.append(Person(key=key, role="suspected", title=title, name=_get(suspect.stated_name)))
        accounts += _list_accounts(suspect, key=f"s{number}x{place}", holder=key, service=report.reporter.service)
    return Parts(people=tuple(people), accounts=tuple(accounts), sections=tuple(_list_sections(content)))


def _list_child(child: Child) -> Iterator[Line]:
    yield Line(label="At risk now?", text=format_code(child.at_risk_now))
    if isinstance(child.age, int):
        yield Line(label="Age", text=str(child.age))
    elif isinstance(child.age_band, str):
        yield Line(label="Age", text=format_code(child.age_band))
    if isinstance(child.school, str):
        yield Line(label="School", text=child.school)
    for location in list_given(child.locations):
        if isinstance(location.place, str):
            yield Line(label="Place", text=location.place)


def _list_accounts(person: Child | Suspect, *, key: str, holder: str, service: str) -> Iterator[Account]:
    urls = list_given(person.profile_urls) if isinstance(person, Suspect) else ()
    found: list[tuple[AccountKind, str]] = [
        *(("account_id", one) for one in (person.service_user_id,) if isinstance(one, str)),
        *(("username", one) for one in (person.username,) if isinstance(one, str)),
        *(("profile_url", url) for url in urls),
        *(("email", one.address) for one in list_given(person.emails)),
        *(("phone", one.number) for one in list_given(person.phones)),
        *(("ip", one.ip) for one in list_given(person.logins)),
    ]
    for place, (kind, value) in enumerate(dict.fromkeys(found), start=1):
        at = service if kind in {"account_id", "username", "profile_url"} else ""
        yield Account(key=f"{key}n{place}", kind=kind, value=value, service=at, holder=holder)


def _list_sections(content: SealedIndustryReport) -> Iterator[Section]:
    hidden = {get_field_label(get_field(f"#/reporter/{name}")) for name in _SUBMITTER}
    for section in make_report_sections(content):
        if section.name in _LEFT_OUT:
            continue
        of_reporter = section.name == _OTHERS
        lines = tuple(
            Line(label=label, text=text, is_quoted=is_quoted, of_reporter=of_reporter or title in hidden)
            for label, title, text, is_quoted in _list_lines(section.blocks)
        )
        if lines:
            yield Section(title=section.title, lines=lines)


def _list_lines(blocks: tuple[Block, ...], *, under: str = "") -> Iterator[tuple[str, str, str, bool]]:
    """Yield each label, with its block and alone, its text, and whether a person typed it at length."""
    for block in blocks:
        head = block.title or under
        for fact in (*block.facts, *block.not_held):
            text = fact.value.full_text
            if text:
                yield _join(head, fact.title), fact.title, text, fact.value.is_typed and fact.value.is_long
        yield from (_make_message(one) for one in block.messages)
        for grid in block.grids:
            for place, row in enumerate(grid.rows, start=1):
                cells = (f"{name}: {cell.full_text}" for name, cell in zip(grid.columns, row, strict=True) if cell.text)
                yield _join(head, f"{grid.title} {place}"), grid.title, "; ".join(cells), False
        yield from _list_lines(block.blocks, under=head)


def _make_message(message: Message) -> tuple[str, str, str, bool]:
    notes = "".join(f"\n({note.title}: {note.value.full_text})" for note in message.notes)
    label = f"{message.speaker}, {message.time}"
    return label, label, f"{message.text.full_text}{notes}", True


def _join(head: str, title: str) -> str:
    return f"{head}: {title}" if head else title


def _get(value: object) -> str:
    return value if isinstance(value, str) else ""
