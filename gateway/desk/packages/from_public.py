"""Lays out a report of the public for a package: its people, accounts, safe contact and sections.

Lines about the person reporting carry `of_reporter`, so that a package that hides them withholds each one.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.desk.cases.reading.contact import make_contact_block
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, format_country
from gateway.desk.cases.reading.public_report import make_sections
from gateway.desk.cases.replying.replies import ContactWarning, get_line, list_open_ways, list_warnings
from gateway.desk.packages.content import Account, AccountKind, Line, Parts, Person, Section
from gateway.desk.uk_times import format_uk_time
from partner_sdk.errors import FormatError
from partner_sdk.wire.public_codes import (
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    DANGER_PREFIX,
    MEETS_SOON,
)
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

_BY_WAY: Final = {
    BY_CALL: "by a call",
    BY_TEXT: "by a text message",
    BY_EMAIL: "by e-mail",
    BY_ADULT: "through an adult they trust",
    BY_SCHOOL: "at school",
}
# For an officer outside: the desk's own words name its own ways, and "we".
_WARNINGS: Final = {
    ContactWarning.NEAR: (
        "The person reported lives there or sees the phone. Never text or e-mail. "
        "Reach the child through an adult they named or their school, away from home."
    ),
    ContactWarning.MAYBE_NEAR: (
        "The person reported may live there or see the phone. Do not text or e-mail until it is known to be safe."
    ),
    ContactWarning.YOUNG: "12 or under: speak to an adult they trust, their school or the child. Never write first.",
    ContactWarning.SEEN: "Another person may see their phone or e-mails: do not say or write why the police call.",
}
_FACTS: Final = {
    "May we say who we are?": (
        "May a caller say that the police or the agency calls?",
        "They did not say: treat it as no",
    ),
    "Safe word": ("Safe word", "None: a caller cannot prove to be from the police or the agency"),
    "May a short note be sent?": ("May a short note be left?", "Nobody asked them: leave no note"),
}
_MEETS: Final = dict(zip(MEETS_SOON, ("today", "in the next few days"), strict=True))
_CALLED: Final = {
    f"{DANGER_PREFIX}called": "They told the agency that they called 999.",
    f"{DANGER_PREFIX}cannot_call": "They told the agency that they cannot call 999.",
    f"{DANGER_PREFIX}carry_on": "The form told them to call 999. They then went on with the form.",
}


def make_public_parts(
    report: PublicReport, *, number: int, barred_by: Sequence[PublicReport] = (), is_proven: bool = True
) -> Parts:
    """Return the parts of the report with this number in the package, from 1.

    `barred_by` are the reports that may bar a way, by default this one. One that is not proven gives no safe way.
    """
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
        safe_contact=tuple(_list_contact(report, barred_by=barred_by or (report,), is_proven=is_proven)),
        safe_ways=tuple(_list_safe_ways(report, barred_by=barred_by or (report,))) if is_proven else (),
        urgent=tuple(_list_urgent(report)),
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
    shown = list[Line]()
    for section in make_sections(report):
        lines = list[Line]()
        for line in section.lines:
            if not line.text or line.title in left_out:
                continue
            text = _format_sent(line.text) if line.title == PUBLIC_WORDS["submitted_at"] else line.text
            made = Line(label=line.title, text=text, is_quoted=line.is_text, of_reporter=line.title in hidden)
            (shown if line.title == PUBLIC_WORDS["signposted"] else lines).append(made)
        if lines:
            yield Section(title=section.title, lines=tuple(lines))
    if shown:
        yield Section(title="Shown by the form", lines=tuple(shown))


def _list_safe_ways(report: PublicReport, *, barred_by: Sequence[PublicReport]) -> Iterator[Line]:
    whom = "The child" if report.who == _ME else "The person who reported"
    open_ways = list_open_ways(*barred_by)
    for way in report.contact.ways:
        if way in open_ways and (line := get_line(report.contact, way)):
            yield Line(label=f"{whom}, {_BY_WAY[way]}", text=line, of_reporter=True)


def _list_urgent(report: PublicReport) -> Iterator[str]:
    if report.meeting.when in _MEETS:
        said = f"(said on {_format_sent(report.submitted_at)})" if report.submitted_at else ""
        head = f"A meeting {_MEETS[report.meeting.when]} {said}".strip()
        yield f"{head}: {report.meeting.place or 'place not known'}"
    yield from (_CALLED[signal] for signal in report.signals if signal in _CALLED)


def _list_contact(report: PublicReport, *, barred_by: Sequence[PublicReport], is_proven: bool) -> Iterator[Line]:
    if not is_proven:
        yield Line(label="Warning", text="Do not use the contact details of this report: it may be another person's.")
    yield from (Line(label="Warning", text=_WARNINGS[one]) for one in list_warnings(report) if one in _WARNINGS)
    block = make_contact_block(report, is_flagged=False, barred_by=barred_by)
    if block.must_not_know:
        yield Line(label="Must not know", text=block.must_not_know, of_reporter=True)
    for way in block.ways:
        if way.is_barred or not way.is_picked or not is_proven:
            state = "do not use" if way.is_barred or not is_proven else "given, but not chosen: do not use"
            yield Line(label=f"{way.title} ({state})", text=way.line or "No details given", of_reporter=True)
    for fact in block.facts:
        title, unsaid = _FACTS.get(fact.title, (fact.title, fact.unsaid))
        yield Line(label=title, text=fact.text or unsaid, of_reporter=True)


def _format_sent(text: str) -> str:
    """Return when a report was sent as UK time, or as it stands: the form writes it, and nothing checks it."""
    try:
        return format_uk_time(text)
    except FormatError:
        return text
