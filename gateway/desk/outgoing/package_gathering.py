"""Opens a case for a package, lays out its reports, and makes the file of a released one.

Each opening is recorded. Never opens an unread report: a person reads it first, on the page of its case. Lines about
the person reporting, or a partner's submitter and complainants, carry `of_reporter`, so that a package that hides them
withholds each one. The passphrase of a file goes by another way and is kept nowhere: a lost one means a new file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Connection

from gateway.desk.cases.actions.ledger import open_body
from gateway.desk.cases.actions.model import OUT_STATES, Action, ActionError, get_action
from gateway.desk.cases.assessing import CurrentAssessment, count_read, get_assessment
from gateway.desk.cases.case_files import ComparedReports, FileOfReport, make_whole_case, open_new_file
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    StepText,
    check_open,
    check_read,
    get_case,
    open_texts,
)
from gateway.desk.cases.opening import (
    OpenedReport,
    find_earlier,
    is_proven,
    list_additions,
    list_reports,
    list_sources,
    open_report,
)
from gateway.desk.cases.reading.contact import make_contact_block
from gateway.desk.cases.reading.industry_report import Block, Message, format_code, make_report_sections
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, format_country, get_field_label
from gateway.desk.cases.reading.public_report import make_sections
from gateway.desk.cases.replies import ContactWarning, get_line, list_open_ways, list_warnings
from gateway.desk.collection.evidence_holdings import get_parts, open_file
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.keyring.case_boxes import find_sealed_report
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.terminal import FILE, Call, desk_command, print_result
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outgoing.package_archive import (
    PASSPHRASE_RANDOM_BYTES,
    Open,
    count_sealed_file_bytes,
    make_passphrase,
    pack_again,
    seal_file,
    unpack,
)
from gateway.desk.outgoing.package_content import (
    Account,
    AccountKind,
    EvidenceItem,
    Line,
    Parts,
    Person,
    Section,
    render_pdf,
)
from gateway.desk.store import audit
from gateway.exchange.public_codes import BY_ADULT, BY_CALL, BY_EMAIL, BY_SCHOOL, BY_TEXT, DANGER_PREFIX, MEETS_SOON
from gateway.exchange.public_report import PublicReport, SafeContact
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.reader.package_reader import SALT_BYTES, normalise_passphrase
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.report.model import Child, Suspect
from partner_sdk.report.outline import get_field
from partner_sdk.wire.submission import PUBLIC_SENDER

# The act of the audit log.
GATHER: Final = "gather-case"
# As on the page of a case: sealed bytes of the reports that are opened only to compare their files.
_MOST_COMPARED_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GatheredReport:
    """One read report. `sealed_sha256` is the digest of its envelope, `sender` its partner by name, or blank.

    `is_proven` is False for an addition that may be from another person.
    """

    case: CaseRow
    content: SealedContent
    sealed_sha256: str
    sender: str
    is_proven: bool


@dataclass(frozen=True, slots=True)
class GatheredCase:
    """An open case with everything that a package of it may hold. `covers` counts its reports that were read.

    `closed` are the references of reports that cannot go: unread, or opening no more.
    """

    case: CaseRow
    assessment: CurrentAssessment
    reasons: StepText
    reports: Sequence[GatheredReport]
    closed: Sequence[str]
    files: Sequence[FileOfReport]
    covers: int


def get_ready(connection: Connection, wanted: str) -> tuple[CaseRow, CurrentAssessment]:
    """Return the case in which a report is worked on, once it may leave. Raises `CaseError`."""
    found = get_lead(connection, wanted)
    if found.synthetic:
        raise CaseError("This is a synthetic case: it has no report to pass on.", reason="synthetic")
    check_open(found)
    check_read(found)
    current = get_assessment(connection, found)
    if current.is_stale:
        raise CaseError(
            "Assess the case again: more was read, or it was reopened, after its assessment.", reason="assessment-stale"
        )
    return found, current


def gather_case(desk: Desk, wanted: str, *, actor: str) -> GatheredCase:
    """Open everything that a package of a case may hold, which is recorded. Raises `VaultError`."""
    with desk.store.read() as connection:
        lead, current = get_ready(connection, wanted)
        read = count_read(connection, lead)
    reports, closed = _open_reports(desk, lead, actor=actor)
    texts = open_texts(desk, lead, [current.step], actor=actor)
    return GatheredCase(
        case=lead,
        assessment=current,
        reasons=texts.get(current.step.step_id, StepText()),
        reports=reports,
        closed=closed,
        files=_list_files(desk, reports, actor=actor),
        covers=read,
    )


def open_files(desk: Desk, case: CaseRow, *, actor: str) -> Sequence[FileOfReport]:
    """Open the reports of a case for the keys of its files, which is recorded, in any state of the case."""
    return _list_files(desk, _open_reports(desk, case, actor=actor)[0], actor=actor)


def _open_reports(desk: Desk, lead: CaseRow, *, actor: str) -> tuple[list[GatheredReport], list[str]]:
    """Return the opened reports of a case, and the references of those that stay closed."""
    with desk.store.read() as connection:
        # Of a person the first report and its additions, of a partner those that were joined.
        if lead.partner == PUBLIC_SENDER:
            first = find_earlier(connection, lead) or lead
            found = [first, *list_additions(connection, first)]
        else:
            joined = list_reports(connection, lead.first_id)
            found = [one for one in joined if lead.case_id in {one.case_id, one.joined_to}]
        sources = list_sources(connection, found)
    reports, closed = list[GatheredReport](), list[str]()
    for case in found:
        source = sources.get(case.partner)
        sender = "" if case.partner == PUBLIC_SENDER else case.partner if source is None else source.name
        made = None if case.opened_at is None else _open(desk, case, sender=sender, actor=actor)
        if made is None:
            closed.append(case.reference)
        else:
            reports.append(made)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, GATHER, lead.case_id, at=desk.clock(), actor=actor, reports=len(reports), closed=len(closed)
        )
    return reports, closed


def _open(desk: Desk, case: CaseRow, *, sender: str, actor: str) -> GatheredReport | None:
    """Return an opened report, or None if its key was destroyed at the end of its time."""
    with desk.store.read() as connection:
        sealed, earlier = find_sealed_report(connection, case.case_id), find_earlier(connection, case)
    try:
        content = open_report(desk, case, actor=actor, reason="send")
    except (OpeningError, FormatError):
        return None
    digest = "" if sealed is None else sealed.sha256
    return GatheredReport(case, content, digest, sender, is_proven(case, earlier=earlier))


def _list_files(desk: Desk, reports: Sequence[GatheredReport], *, actor: str) -> Sequence[FileOfReport]:
    opened = [OpenedReport(one.case, one.content) for one in reports if isinstance(one.content, SealedIndustryReport)]
    compared = ComparedReports(bytes_left=_MOST_COMPARED_BYTES)
    return make_whole_case(desk, opened, actor=actor, compared=compared).files if opened else ()


def has_changed(connection: Connection, case_id: str, *, covers: int | None, assessed: int) -> bool:
    """Return whether a case was closed or assessed again since a draft, or more was read than a package `covers`."""
    found = get_case(connection, case_id)
    if found.closed_at is not None:
        return True
    is_read = covers is not None and covers != count_read(connection, found)
    return is_read or get_assessment(connection, found).step.number != assessed


def make_openers(
    desk: Desk, items: Sequence[EvidenceItem], files: Sequence[FileOfReport], *, case_id: str, actor: str
) -> dict[str, Open]:
    """Return the enclosed items by their keys; a file that is not at the desk is left out. Each opening is recorded."""
    here = {row.file.reference.sha256: row for row in files if row.file.reference and row.file.held is not None}
    openers = dict[str, Open]()
    with desk.store.write() as connection:
        for item in items:
            row = here.get(item.sha256)
            if row is None or row.file.held is None or row.file.reference is None or not item.is_enclosed:
                continue
            held = row.file.held
            codes = {"evidence_id": held.evidence_id, "way": "package"}
            audit.append_entry(connection, "open-evidence", case_id, at=desk.clock(), actor=actor, **codes)
            parts = get_parts(desk.paths.evidence, partner=held.partner, evidence_id=held.evidence_id)
            openers[item.key] = partial(open_file, parts, held, reference=row.file.reference)
    return openers


# The answer to "Who is this about?" of a child who reports for themselves.
_ME: Final = "me"
_CHILD: Final = ("age_band", "child.birth", "region", "country", "child.place", "child.school", "feels")
_SUSPECT: Final = ("person.age", "person.how_met", "person.in_real_life", "person.near", "person.knows")
# Who reported, and every way to reach or recognise them.
OF_REPORTER: Final = (
    "name",
    *(f"contact.{name}" for name in SafeContact.__struct_fields__),
    *("child.relationship", "child.role", "child.organisation", "child.other_reference"),
)
# The desk's own marks, which help nobody outside.
PUBLIC_LEFT_OUT: Final = (
    *("reply_key", "context", "signals", "copy_version", "schema_version", "reply_by", "placement"),
    *("clear.schema_version", "clear.environment", "clear.partner", "clear.evidence_ids", "clear.way"),
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
        lines=tuple(_list_public_lines(report, _CHILD)),
    )
    reporter = Person(
        key=f"p{number}reporter", role="other", title="The person reporting", name=report.name, is_reporter=True
    )
    suspect = Person(
        key=f"p{number}suspect",
        role="suspected",
        title="The person reported",
        name=report.person.names,
        lines=tuple(_list_public_lines(report, _SUSPECT)),
    )
    people = [child, *([] if is_own else [reporter]), suspect]
    return Parts(
        people=tuple(one for one in people if one.name or one.lines or one.is_reporter),
        accounts=tuple(_list_public_accounts(report, number, reporter=people[0 if is_own else 1], suspect=suspect)),
        sections=tuple(_list_public_sections(report)),
        safe_contact=tuple(_list_contact(report, barred_by=barred_by or (report,), is_proven=is_proven)),
        safe_ways=tuple(_list_safe_ways(report, barred_by=barred_by or (report,))) if is_proven else (),
        urgent=tuple(_list_urgent(report)),
    )


def _list_public_lines(report: PublicReport, paths: tuple[str, ...]) -> Iterator[Line]:
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


def _list_public_accounts(report: PublicReport, number: int, *, reporter: Person, suspect: Person) -> Iterator[Account]:
    person, contact = report.person, report.contact
    found: list[tuple[AccountKind, str, str, Person]] = []
    if person.handle:
        kind: AccountKind = "profile_url" if "://" in person.handle else "username"
        found.append((kind, person.handle, person.app, suspect))
    found += [("phone", contact.phone, "", reporter)] if contact.phone else []
    found += [("email", contact.email, "", reporter)] if contact.email else []
    for place, (kind, value, service, holder) in enumerate(found, start=1):
        yield Account(key=f"a{number}x{place}", kind=kind, value=value, service=service, holder=holder.key)


def _list_public_sections(report: PublicReport) -> Iterator[Section]:
    hidden = {PUBLIC_WORDS[path] for path in OF_REPORTER}
    left_out = {PUBLIC_WORDS[path] for path in PUBLIC_LEFT_OUT}
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


_STATES: Final = ("released", *OUT_STATES)


@dataclass(frozen=True, slots=True)
class PackageFile:
    """The file of a package, to be written as it comes."""

    name: str
    size_bytes: int
    pieces: Iterator[bytes]


def draw_passphrase(desk: Desk) -> str:
    """Return a new passphrase."""
    return make_passphrase(random=desk.random(PASSPHRASE_RANDOM_BYTES))


def make_file(desk: Desk, action: Action, *, passphrase: str, actor: str) -> PackageFile:
    """Return the sealed file of a released package, or the letter; it is recorded."""
    if action.way == "mailbox" or action.state not in _STATES:
        raise ActionError("Only a released sealed file or letter is made into a file.", reason="not-released")
    if action.way == "sealed-file":
        normalise_passphrase(passphrase)
    unpacked = unpack(action.way, open_body(desk, action, actor=actor))
    with desk.store.write() as connection:
        case = get_case(connection, action.case_id or "")
        audit.append_entry(
            connection, "save-package", case.case_id, at=desk.clock(), actor=actor, action_id=action.action_id
        )
    if action.way == "letter" and unpacked.content is not None:
        pdf = render_pdf(unpacked.content)
        return PackageFile(f"{case.reference}.pdf", len(pdf), iter([pdf]))
    items = () if unpacked.content is None else unpacked.content.evidence
    files = open_files(desk, case, actor=actor) if any(one.is_enclosed for one in items) else ()
    openers = make_openers(desk, items, files, case_id=case.case_id, actor=actor)
    archive = pack_again(unpacked, openers=openers)
    size = archive.size_bytes
    sealed = seal_file(archive.stream(), size_bytes=size, passphrase=passphrase, salt=desk.random(SALT_BYTES))
    return PackageFile(f"{case.reference}.sealed", count_sealed_file_bytes(size), sealed)


@desk_command(Permission.MAKE_PACKAGES, example="01a2120a-61c0-7b97-90fc-485c48b60934 --out package.sealed")
@click.argument("package", metavar="PACKAGE", help="Its number, from the address of its page.")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="A file that does not exist yet.")
def package_save(call: Call, package: str, out: Path) -> int:
    """Save the sealed file of a released package, and print its passphrase.

    Enclosed evidence has any size. The passphrase is kept nowhere: read it to the officer by telephone. A letter is
    saved as a PDF and has none.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        action = get_action(connection, package)
    passphrase = draw_passphrase(desk)
    made = make_file(desk, action, passphrase=passphrase, actor=call.actor)
    with open_new_file(out) as handle:
        for piece in made.pieces:
            handle.write(piece)
    lines = [f"{out}: {made.size_bytes:,} bytes."]
    if action.way == "sealed-file":
        lines.append(f"Passphrase: {passphrase}")
    told = passphrase if action.way == "sealed-file" else None
    return print_result(call, {"out": str(out), "passphrase": told, "size_bytes": made.size_bytes}, *lines)
