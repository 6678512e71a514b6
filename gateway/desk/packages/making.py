"""Makes the content of a package from an open case and a person's choices: the words of its page."""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.desk.cases.assessing import YES
from gateway.desk.cases.case_files import FileOfReport
from gateway.desk.cases.reading.labels import ASSESSMENT, PUBLIC_ANSWERS, title_of
from gateway.desk.packages.choices import (
    ENCLOSED,
    LEFT_OUT,
    NAMED,
    PackageForm,
    get_destination,
    get_evidence_id,
    suggest_title,
)
from gateway.desk.packages.content import (
    MOST_ITEMS,
    Account,
    Condition,
    EvidenceItem,
    LegalGround,
    Line,
    Officer,
    PackageContent,
    Parts,
    Person,
    Redaction,
    SafeContact,
    Section,
    SourceReport,
    list_hidden_texts,
)
from gateway.desk.packages.from_industry import make_industry_parts
from gateway.desk.packages.from_public import make_public_parts
from gateway.desk.packages.gathering import GatheredCase, GatheredReport
from gateway.desk.packages.terms import load_handling, load_legal_bases
from gateway.desk.people.permissions import ROLE_TITLES, Role
from gateway.desk.people.register import find_person, list_roles
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.public_report import PublicReport

_PLAIN_MARKING: Final = "OFFICIAL"
_MARKED_BY: Final = "official_sensitive"
_LEAST_LEAK: Final = 3  # letters: a shorter name is in too many words
# A factor of risk.toml, and the code of the assessment that leaves it standing.
_AGE_UNSAID: Final = "age_unsaid"
_UNKNOWN_AGE: Final = "unknown"
_FLAGGED: Final = (
    "The form was filled in unusually fast, or in another way that is unusual for a person. It may still be a child."
)
# Answers that a person chose and did not type: they name nobody.
_ANSWERS: Final = frozenset(text for titles in PUBLIC_ANSWERS.values() for text in titles.values())


def make_content(
    desk: Desk, connection: Connection, gathered: GatheredCase, form: PackageForm, *, package_id: str
) -> PackageContent:
    """Return the content of a form without faults, whole: `redact` takes away the parts that it withholds."""
    body = get_destination(desk, form.kind, form.destination)
    now, chosen = desk.clock(), [one for one in gathered.reports if one.case.case_id in form.reports]
    # A report that stays at home may still bar a way.
    told = tuple(one.content for one in gathered.reports if isinstance(one.content, PublicReport))
    parts = [_make_parts(one, number, told=told) for number, one in enumerate(chosen, start=1)]
    hides = form.reporter == LEFT_OUT
    officer = _make_officer(connection, form)
    return PackageContent(
        package_id=package_id,
        environment=desk.config.environment,
        reference=gathered.case.reference,
        title=form.title or suggest_title(gathered),
        issued_at=format_time(now),
        issuer=desk.config.agency_name,
        recipient=body.name,
        marking=load_handling()[_MARKED_BY].title if _MARKED_BY in form.handling else _PLAIN_MARKING,
        is_urgent=YES in (gathered.standing.immediate_risk, gathered.standing.urgent_dissemination),
        safe_contact=_make_safe_contact(parts, officer, hides=hides),
        summary=form.summary,
        redaction=Redaction(hides_reporter=hides, reason=form.reporter_reason or _REASONS[form.reporter]),
        assessment=tuple(_list_assessment(gathered, chosen)),
        legal=tuple(_list_legal(form)),
        handling=tuple(_list_handling(form)),
        officer=officer,
        reports=tuple(_make_report(one, part, n) for n, (one, part) in enumerate(zip(chosen, parts, strict=True), 1)),
        people=_cut_people(parts),
        accounts=_cut_accounts(parts),
        evidence=tuple(_list_evidence(desk, gathered, chosen, form)),
        guidance=_make_guidance(form),
        urgent=tuple(dict.fromkeys(said for part in parts for said in part.urgent)),
    )


_REASONS: Final = {
    NAMED: "Their name and how to reach them are needed to act on this report.",
    LEFT_OUT: "Nothing about them is needed to act on this report.",
}


def _make_parts(one: GatheredReport, number: int, *, told: tuple[PublicReport, ...]) -> Parts:
    if isinstance(one.content, PublicReport):
        return make_public_parts(one.content, number=number, barred_by=told, is_proven=one.is_proven)
    return make_industry_parts(one.content, number=number)


def _make_safe_contact(parts: Sequence[Parts], officer: Officer, *, hides: bool) -> SafeContact:
    """Return the box, e.g. "Reach them only in this way: ..."; the rows below hold the ways only to withhold them."""
    ways = tuple(line for part in parts for line in part.safe_ways)
    lines = tuple(line for part in parts for line in part.safe_contact)
    whom = ", ".join(one for one in (officer.name, officer.telephone or officer.email) if one)
    never = "Do not phone, write or leave a note unless this page says so."
    if hides and lines:
        head = f"How to reach them safely is withheld. Call {whom} before you contact the child or the family."
        return SafeContact(say=f"{head}\n{never}", lines=(*ways, *lines))
    if not ways:
        head = f"No safe way to reach the child is known. Call {whom} before you contact anyone."
        return SafeContact(say=f"{head}\n{never}", lines=lines)
    head = "Reach them only in this way:" if len(ways) == 1 else "Reach them only in these ways:"
    named = "\n".join(f"{line.label}: {line.text}" for line in ways)
    return SafeContact(say=f"{head}\n{named}\n{never}\nIf this cannot be done, call {whom}.", lines=lines)


def _list_assessment(gathered: GatheredCase, chosen: Sequence[GatheredReport]) -> Iterator[Line]:
    standing = gathered.standing
    yield from (Line(label=title, text=title_of(getattr(standing, name))) for name, title in ASSESSMENT)
    yield Line(label="Priority", text=standing.priority)
    yield Line(label="Kind", text=title_of(standing.kind))
    yield Line(label="Age of the child", text=title_of(standing.age_band))
    if any(one.case.flagged for one in chosen):
        yield Line(label="How it was sent", text=_FLAGGED)
    # A person has answered it since: the factor would contradict the line above.
    answered = {_AGE_UNSAID} if standing.age_band not in {"", _UNKNOWN_AGE} else set()
    left_out = {*standing.struck, *answered}
    factors = [one.reason for one in gathered.case.reasons if one.code not in left_out]
    if factors:
        yield Line(label="Risk factors", text="; ".join(factors))
    if gathered.reasons.note:
        yield Line(label="Reasons", text=gathered.reasons.note, is_quoted=True)


def _list_legal(form: PackageForm) -> Iterator[LegalGround]:
    for code, one in load_legal_bases().items():
        if code in form.legal:
            yield LegalGround(
                title=one.title,
                law=one.law,
                say=one.say,
                reason=form.necessity,
                source=one.source,
                checked_on=one.checked_on.isoformat(),
            )


def _list_handling(form: PackageForm) -> Iterator[Condition]:
    for code, one in load_handling().items():
        if code in form.handling:
            yield Condition(title=one.title, say=one.say)
    if form.handling_note:
        yield Condition(title="For this package", say=form.handling_note)


def _make_officer(connection: Connection, form: PackageForm) -> Officer:
    person, roles = find_person(connection, form.officer), list_roles(connection, form.officer)
    titles = [ROLE_TITLES[role] for role in Role if role in roles]
    return Officer(
        name=form.officer if person is None else person.name,
        role=titles[0].capitalize() if titles else "Officer of this desk",
        telephone=form.officer_telephone,
        email=form.officer_email,
    )


def _make_report(one: GatheredReport, parts: Parts, number: int) -> SourceReport:
    return SourceReport(
        key=f"r{number}",
        reference=one.case.reference,
        sender=one.sender or "A person, through the form" if one.is_proven else "Not proven to be the same person",
        received_at=one.case.received_at,
        sealed_sha256=one.sealed_sha256,
        sections=parts.sections,
        original=_get_original(one),
    )


def _get_original(one: GatheredReport) -> str:
    """Return the report letter for letter; of a partner's without the secrets that open its sealed files."""
    return encode(one.content if isinstance(one.content, PublicReport) else one.content.report).decode()


def _cut_people(parts: Sequence[Parts]) -> tuple[Person, ...]:
    return tuple(person for part in parts for person in part.people)[:MOST_ITEMS]


def _cut_accounts(parts: Sequence[Parts]) -> tuple[Account, ...]:
    # A service may know a thousand logins: the sections of the report have every one of them.
    holders = {one.key for one in _cut_people(parts)}
    return tuple(one for part in parts for one in part.accounts if one.holder in holders)[:MOST_ITEMS]


def _list_evidence(
    desk: Desk, gathered: GatheredCase, chosen: Sequence[GatheredReport], form: PackageForm
) -> Iterator[EvidenceItem]:
    keys = {one.case.case_id: f"r{number}" for number, one in enumerate(chosen, start=1)}
    wanted = [row for row in gathered.files if get_evidence_id(row) in form.evidence]
    for number, row in enumerate(wanted, start=1):
        item = _describe_file(desk, row)
        if item is not None:
            is_enclosed = form.evidence_as == ENCLOSED and row.file.held is not None
            held_by = "" if is_enclosed else item.held_by
            report = keys.get(row.case.case_id, "")
            yield msgspec.structs.replace(
                item, key=f"e{number}", is_enclosed=is_enclosed, held_by=held_by, report=report
            )


def _describe_file(desk: Desk, row: FileOfReport) -> EvidenceItem | None:
    """Return a file with its hash; None for one of which the sender gave neither hash nor bytes."""
    file, described = row.file, row.file.described
    if file.reference is None:
        return None
    here = f"{desk.config.agency_name} holds it: ask the supporting officer, with its SHA-256."
    return EvidenceItem(
        key="e",
        name=file.name or file.file_id,
        sha256=file.reference.sha256,
        size_bytes=file.reference.size_bytes,
        media_type=file.media_type or "",
        description="" if described is None else title_of(described.relevance),
        held_by=here if file.held is not None else "It has not reached the desk yet.",
    )


def _make_guidance(form: PackageForm) -> tuple[Section, ...]:
    if not form.guidance:
        return ()
    return (
        Section(title="From the supporting officer", lines=(Line(label="Notes", text=form.guidance, is_quoted=True),)),
    )


def list_leaks(content: PackageContent, page: bytes) -> list[str]:
    """Return the withheld words of a content that its page still has, e.g. a name in the story; blank without any."""
    if not content.redaction.hides_reporter:
        return []
    text = unescape(page.decode())
    hidden = {one.strip() for one in list_hidden_texts(content)} - _ANSWERS
    found = (one for one in sorted(hidden) if len(one) >= _LEAST_LEAK)
    return [one for one in found if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text, re.IGNORECASE)]
