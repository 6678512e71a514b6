"""Lays out a report of the public for a package: its people, accounts, safe contact and sections.

Lines about the person reporting carry `of_reporter`, so that a package that hides them withholds each one.
"""

from collections.abc import Iterator
from typing import Final

from gateway.desk.cases.reading.contact import make_contact_block
from gateway.desk.cases.reading.content import make_sections
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, format_country
from gateway.desk.packages.content import Account, AccountKind, Line, Parts, Person, Section
from partner_sdk.wire.public_report import PublicReport, SafeContact

# The answer to "Who is this about?" of a child who reports for themselves.
_ME: Final = "me"
_CHILD: Final = ("age_band", "child.birth", "region", "country", "child.place", "child.school", "feels")
_SUSPECT: Final = ("person.age", "person.how_met", "person.in_real_life", "person.near", "person.knows")
# Who reported, and every way to reach or recognise them.
_OF_REPORTER: Final = (
    "name",
    *(f"contact.{name}" for name in SafeContact.__struct_fields__),
    *("child.relationship", "child.role", "child.organisation", "child.other_reference"),
)
# The desk's own marks, which help nobody outside.
_LEFT_OUT: Final = (
    *("reply_key", "context", "signals", "copy_version", "schema_version", "reply_by", "placement"),
    *("clear.schema_version", "clear.environment", "clear.partner", "clear.evidence_ids"),
)


def make_public_parts(report: PublicReport, *, number: int, is_flagged: bool) -> Parts:
    """Return the parts of the report with this number in the package, from 1."""
    is_own = report.who == _ME
    child = Person(
        key=f"p{number}child",
        role="child",
        title="The child",
        name=report.name if is_own else report.child.name,
        is_reporter=is_own,
        lines=tuple(_list_lines(report, _CHILD)),
    )
    reporter = Person(
        key=f"p{number}reporter", role="other", title="The person reporting", name=report.name, is_reporter=True
    )
    suspect = Person(
        key=f"p{number}suspect",
        role="suspected",
        title="The person reported",
        name=report.person.names,
        lines=tuple(_list_lines(report, _SUSPECT)),
    )
    people = [child, *([] if is_own else [reporter]), suspect]
    return Parts(
        people=tuple(one for one in people if one.name or one.lines or one.is_reporter),
        accounts=tuple(_list_accounts(report, number, reporter=people[0 if is_own else 1], suspect=suspect)),
        sections=tuple(_list_sections(report)),
        safe_contact=tuple(_list_contact(report, is_flagged=is_flagged)),
    )


def _list_lines(report: PublicReport, paths: tuple[str, ...]) -> Iterator[Line]:
    for path in paths:
        value: object = report
        for name in path.split("."):
            value = getattr(value, name)
        codes = value if isinstance(value, tuple) else (value,)
        titles = PUBLIC_ANSWERS.get(path, {})
        text = "; ".join(
            format_country(code) if path == "country" else titles.get(code, code) for code in codes if code
        )
        if text:
            yield Line(label=PUBLIC_WORDS[path], text=text)


def _list_accounts(report: PublicReport, number: int, *, reporter: Person, suspect: Person) -> Iterator[Account]:
    person, contact = report.person, report.contact
    found: list[tuple[AccountKind, str, str, Person]] = []
    if person.handle:
        kind: AccountKind = "profile_url" if "://" in person.handle else "username"
        found.append((kind, person.handle, person.app, suspect))
    found += [("phone", contact.phone, "", reporter)] if contact.phone else []
    found += [("email", contact.email, "", reporter)] if contact.email else []
    for place, (kind, value, service, holder) in enumerate(found, start=1):
        yield Account(key=f"a{number}x{place}", kind=kind, value=value, service=service, holder=holder.key)


def _list_sections(report: PublicReport) -> Iterator[Section]:
    hidden = {PUBLIC_WORDS[path] for path in _OF_REPORTER}
    left_out = {PUBLIC_WORDS[path] for path in _LEFT_OUT}
    for section in make_sections(report):
        lines = tuple(
            Line(label=line.title, text=line.text, is_quoted=line.is_text, of_reporter=line.title in hidden)
            for line in section.lines
            if line.text and line.title not in left_out
        )
        if lines:
            yield Section(title=section.title, lines=lines)


def _list_contact(report: PublicReport, *, is_flagged: bool) -> Iterator[Line]:
    block = make_contact_block(report, is_flagged=is_flagged)
    yield from (Line(label="Danger", text=text) for text in block.danger)
    yield from (Line(label="Warning", text=f"{head} {rest}") for head, rest in block.warnings)
    if block.must_not_know:
        yield Line(label="Must not know", text=block.must_not_know, of_reporter=True)
    for way in block.ways:
        state = "Do not use" if way.is_barred else "Safe, as they said" if way.is_picked else "Given, but not chosen"
        yield Line(label=f"{way.title} ({state.lower()})", text=way.line or "No details given", of_reporter=True)
    for fact in block.facts:
        yield Line(label=fact.title, text=fact.text or fact.unsaid, of_reporter=True)
