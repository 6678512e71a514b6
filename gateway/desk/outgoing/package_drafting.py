"""Drafts packages and redirected reports from a person's choices, has a second person sign each, and follows it.

The desk chooses nothing: a suggested body stands beside the field, and each text is typed or left as it was prepared.
The bytes are fixed at the draft: the second person reads and signs exactly those, and a case that changed since needs a
new draft. Every choice of a body is on record with its case, and its reason is sealed (R18).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any, Final

import msgspec
from flask import Response
from markupsafe import Markup
from sqlalchemy import Connection

from gateway.desk.cases.actions.destinations import Destination, load_register
from gateway.desk.cases.actions.ledger import ActionSigning, draft_action, draft_signature, open_body
from gateway.desk.cases.actions.model import OUT_STATES, Action, ActionError, ActionKind, ActionWay
from gateway.desk.cases.assessing import YES, count_read
from gateway.desk.cases.case_files import MOST_PAGE_BYTES, FileOfReport
from gateway.desk.cases.holding import hold
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    CaseStep,
    StepKind,
    StepText,
    add_step,
    get_case,
    list_steps,
    open_texts,
)
from gateway.desk.cases.opening import list_reports
from gateway.desk.cases.reading.labels import AGE_BANDS, ASSESSMENT, KINDS, PUBLIC_ANSWERS, title_of
from gateway.desk.collection.evidence_holdings import count_arrived
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import find_person, list_roles
from gateway.desk.office.views.page import SANDBOX, Fault, get_desk, get_name
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_archive import Packed, unpack
from gateway.desk.outgoing.package_content import (
    MOST_ITEMS,
    Condition,
    EvidenceItem,
    LegalGround,
    Line,
    Officer,
    PackageContent,
    Parts,
    Redaction,
    SafeContact,
    Section,
    SourceReport,
    cut_page,
    list_hidden_texts,
    load_handling,
    load_legal_bases,
)
from gateway.desk.outgoing.package_gathering import (
    GatheredCase,
    GatheredReport,
    draw_passphrase,
    get_ready,
    has_changed,
    make_file,
    make_industry_parts,
    make_public_parts,
)
from gateway.desk.store import audit
from gateway.exchange.public_report import PublicReport
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.reader.package_reader import ReadError
from partner_sdk.wire.canonical import encode, format_time, parse_exact

PACKAGE: Final[ActionKind] = "package"
REDIRECT: Final[ActionKind] = "redirect"
NAMED, LEFT_OUT = "named", "left_out"
BY_REFERENCE, ENCLOSED = "by_reference", "enclosed"
# The parts of a form, each with the most characters that it takes.
MOST_CHARACTERS: Final = {
    "why": 300,
    "title": 200,
    "summary": 4_000,
    "necessity": 1_000,
    "handling_note": 300,
    "guidance": 4_000,
    "officer_telephone": 80,
    "officer_email": 200,
    "reporter_reason": 300,
}
# The takers of each kind, by the codes of the register.
TAKEN_AS: Final[dict[ActionKind, frozenset[str]]] = {
    PACKAGE: frozenset({"package", "crisis", "referral"}),
    REDIRECT: frozenset({"redirect"}),
}
# Where it is to go, for the words of the page.
WAY_TITLES: Final = {
    "mailbox": "into its mailbox at the gateway, sealed to its key",
    "sealed-file": "as a sealed file; you give the passphrase by another way",
    "letter": "as a letter, printed from the PDF",
}


class PackageForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a person chose and wrote for a package; texts are clean, codes are those of the data."""

    kind: ActionKind
    destination: str
    why: str
    title: str
    summary: str
    legal: tuple[str, ...]
    necessity: str
    handling: tuple[str, ...]
    handling_note: str
    guidance: str
    officer: str
    officer_telephone: str
    officer_email: str
    reports: tuple[str, ...]
    evidence: tuple[str, ...]
    evidence_as: str
    reporter: str
    reporter_reason: str
    adds_to: str = ""


def suggest_title(gathered: GatheredCase) -> str:
    """Return a title without names, from the assessment, e.g. `Grooming, child of 13 to 15`."""
    current = gathered.assessment
    kind, age = dict(KINDS).get(current.kind, "Report"), dict(AGE_BANDS).get(current.age_band, "")
    return f"{kind}, child of {age.lower()}" if current.age_band[:1].isdigit() else kind


def choose_way(body: Destination, form: PackageForm) -> ActionWay:
    """Return how it goes: by mailbox where the body has keys and no file is enclosed, else as agreed, else sealed."""
    if form.evidence_as == ENCLOSED and form.evidence:
        return "sealed-file"
    if body.channel == "mailbox" and body.partner is not None:
        return "mailbox"
    return "letter" if body.channel == "letter" else "sealed-file"


def get_destination(desk: Desk, kind: ActionKind, key: str) -> Destination:
    """Return the body that this kind may go to today. Raises `CaseError`."""
    body = load_register(desk.paths.destinations).get(key)
    if body is None:
        raise CaseError("Choose the body that it goes to.", reason="unknown-destination")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise CaseError(f"{body.name} takes nothing more. Choose another body.", reason="retired-destination")
    if not TAKEN_AS[kind] & set(body.takes):
        taken = "packages" if kind == PACKAGE else "redirected reports"
        raise CaseError(f"{body.name} takes no {taken}. Choose another body.", reason="takes-none")
    return body


def list_form_faults(desk: Desk, connection: Connection, gathered: GatheredCase, form: PackageForm) -> list[Fault]:
    """Return everything that keeps this form from becoming a draft, in the order of the page."""
    return [*_list_body_faults(desk, form), *_list_text_faults(form), *_list_choice_faults(connection, gathered, form)]


def _list_body_faults(desk: Desk, form: PackageForm) -> Iterator[Fault]:
    try:
        body = get_destination(desk, form.kind, form.destination)
    except CaseError as error:
        yield Fault("destination", str(error))
        body = None
    bases = load_legal_bases()
    chosen = [bases[code] for code in form.legal if code in bases]
    if not chosen or len(chosen) != len(form.legal):
        yield Fault("legal", "Choose the law that allows it.")
    elif body is not None and not all(body.group in one.groups for one in chosen):
        yield Fault("legal", f"One of these laws is not for {body.name}. Choose those that are.")
    elif form.kind == REDIRECT and not any(one.agreed for one in chosen):
        yield Fault("legal", "A report is redirected only if the person who reported agreed: choose that law.")


def _list_text_faults(form: PackageForm) -> Iterator[Fault]:
    needed = {
        "why": "Write why this body.",
        "summary": "Write what happened and what you ask for, in a few sentences.",
        "necessity": "Write why this law holds in this case.",
        "officer_telephone": "Give a telephone number or an e-mail address that the officer can use.",
    }
    for name, most in MOST_CHARACTERS.items():
        text = getattr(form, name)
        if len(text) > most:
            yield Fault(name, f"Make this shorter: {most:,} characters at most, and there are {len(text):,}.")
        elif any(not char.isprintable() and char not in "\n\t" for char in text):
            yield Fault(name, "This contains characters that a page cannot show. Remove them.")
        elif not text and name in needed and not (name == "officer_telephone" and form.officer_email):
            yield Fault(name, needed[name])


def _list_choice_faults(connection: Connection, gathered: GatheredCase, form: PackageForm) -> Iterator[Fault]:
    handling = load_handling()
    if not set(form.handling) <= handling.keys():
        yield Fault("handling", "One of these conditions is not on the list. Choose again.")
    person = find_person(connection, form.officer)
    if person is None or person.ended_at is not None:
        yield Fault("officer", "Choose the officer of this desk who supports the package.")
    known = {one.case.case_id for one in gathered.reports}
    if not form.reports or not set(form.reports) <= known:
        yield Fault("reports", "Choose at least one report of this case.")
    files = {get_evidence_id(one): one for one in gathered.files}
    if not set(form.evidence) <= files.keys():
        yield Fault("evidence", "One of these files is not of this case. Choose again.")
    elif form.evidence_as == ENCLOSED and any(files[one].file.held is None for one in form.evidence):
        yield Fault("evidence", "A file that has not reached the desk cannot be enclosed. Send it by reference.")
    if form.evidence_as not in {BY_REFERENCE, ENCLOSED}:
        yield Fault("evidence_as", "Choose how the files go.")
    if form.reporter not in {NAMED, LEFT_OUT}:
        yield Fault("reporter", "Choose whether the person who reported is named.")


def get_evidence_id(row: FileOfReport) -> str:
    """Return the id of a file in a form: of its evidence, or of one that was only described, its report and file id."""
    reference = row.file.reference
    return f"{row.case.case_id} {row.file.file_id}" if reference is None else reference.evidence_id


def make_mark(form: PackageForm) -> str:
    """Return the mark that a preview passes on to its draft; another text or choice has another mark."""
    return hashlib.sha256(encode(form)).hexdigest()


def keep_possible(form: PackageForm, gathered: GatheredCase) -> PackageForm:
    """Return an earlier form without the reports and files that the case has no more."""
    known = {one.case.case_id for one in gathered.reports}
    files = {get_evidence_id(one) for one in gathered.files}
    return msgspec.structs.replace(
        form,
        reports=tuple(one for one in form.reports if one in known),
        evidence=tuple(one for one in form.evidence if one in files),
    )


_PLAIN_MARKING: Final = "OFFICIAL"
_MARKED_BY: Final = "official_sensitive"
_LEAST_LEAK: Final = 3  # letters: a shorter name is in too many words
# A factor of risk.toml, and the code of the assessment that leaves it as it is.
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
    parts = [
        make_public_parts(one.content, number=number, barred_by=told, is_proven=one.is_proven)
        if isinstance(one.content, PublicReport)
        else make_industry_parts(one.content, number=number)
        for number, one in enumerate(chosen, start=1)
    ]
    hides = form.reporter == LEFT_OUT
    officer = _make_officer(connection, form)
    people = tuple(person for part in parts for person in part.people)[:MOST_ITEMS]
    holders = {one.key for one in people}
    usual = (Condition(title=one.title, say=one.say) for code, one in load_handling().items() if code in form.handling)
    special = (Condition(title="For this package", say=form.handling_note),) if form.handling_note else ()
    notes = Line(label="Notes", text=form.guidance, is_quoted=True)
    return PackageContent(
        package_id=package_id,
        environment=desk.config.environment,
        reference=gathered.case.reference,
        title=form.title or suggest_title(gathered),
        issued_at=format_time(now),
        issuer=desk.config.agency_name,
        recipient=body.name,
        marking=load_handling()[_MARKED_BY].title if _MARKED_BY in form.handling else _PLAIN_MARKING,
        is_urgent=YES in (gathered.assessment.immediate_risk, gathered.assessment.urgent_dissemination),
        safe_contact=_make_safe_contact(parts, officer, hides=hides),
        summary=form.summary,
        redaction=Redaction(hides_reporter=hides, reason=form.reporter_reason or _REASONS[form.reporter]),
        assessment=tuple(_list_assessment(gathered, chosen)),
        legal=tuple(_list_legal(form)),
        handling=(*usual, *special),
        officer=officer,
        reports=tuple(_make_report(one, part, n) for n, (one, part) in enumerate(zip(chosen, parts, strict=True), 1)),
        people=people,
        # A service may know a thousand logins: the sections of the report have every one of them.
        accounts=tuple(one for part in parts for one in part.accounts if one.holder in holders)[:MOST_ITEMS],
        evidence=tuple(_list_evidence(desk, gathered, chosen, form)),
        guidance=(Section(title="From the supporting officer", lines=(notes,)),) if form.guidance else (),
        urgent=tuple(dict.fromkeys(said for part in parts for said in part.urgent)),
    )


_REASONS: Final = {
    NAMED: "Their name and how to reach them are needed to act on this report.",
    LEFT_OUT: "Nothing about them is needed to act on this report.",
}


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
    current = gathered.assessment
    yield from (Line(label=title, text=title_of(getattr(current, name))) for name, title in ASSESSMENT)
    yield Line(label="Priority", text=current.priority)
    yield Line(label="Kind", text=title_of(current.kind))
    yield Line(label="Age of the child", text=title_of(current.age_band))
    if any(one.case.flagged for one in chosen):
        yield Line(label="How it was sent", text=_FLAGGED)
    # A person has answered it since: the factor would contradict the line above.
    answered = {_AGE_UNSAID} if current.age_band not in {"", _UNKNOWN_AGE} else set()
    left_out = {*current.struck, *answered}
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


def _make_officer(connection: Connection, form: PackageForm) -> Officer:
    person, roles = find_person(connection, form.officer), list_roles(connection, form.officer)
    titles = [role.title for role in Role if role in roles]
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
        # Letter for letter; of a partner's without the secrets that open its sealed files.
        original=encode(one.content if isinstance(one.content, PublicReport) else one.content.report).decode(),
    )


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


def list_leaks(content: PackageContent, page: bytes) -> list[str]:
    """Return the withheld words of a content that its page still has, e.g. a name in the story; blank without any."""
    if not content.redaction.hides_reporter:
        return []
    text = unescape(page.decode())
    hidden = {one.strip() for one in list_hidden_texts(content)} - _ANSWERS
    found = (one for one in sorted(hidden) if len(one) >= _LEAST_LEAK)
    return [one for one in found if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text, re.IGNORECASE)]


CHOICE: Final[StepKind] = "choose-body"
# Until a body has to have taken it: a child in danger now, and everything else within a working day or so.
_URGENT_WITHIN: Final = timedelta(hours=1)
_OTHERS_WITHIN: Final = timedelta(days=2)
# Every text of a form at its most, each character escaped at worst.
_MOST_FORM_BYTES: Final = 128 * 1024


class FormRefusedError(CaseError):
    """A form has faults; each names its field."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(faults[0].message, reason="form-refused")


@dataclass(frozen=True, slots=True)
class Preview:
    """A package as it would leave: its content, its way and bytes, and its page. `leaks` are withheld words in it."""

    gathered: GatheredCase
    content: PackageContent
    packed: Packed
    page: bytes
    leaks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The recorded choice behind an action, without its sealed texts. `assessed` is the number of its assessment."""

    step: CaseStep
    action_id: str
    destination: str
    assessed: int
    reports: tuple[str, ...]
    evidence: tuple[str, ...]
    adds_to: str


def draft_package(desk: Desk, made: Preview, form: PackageForm, *, actor: str) -> Action:
    """Keep a previewed package as a draft for a second person to sign. Raises `ActionError` and `CaseError`."""
    case, now = made.gathered.case, desk.clock()
    with desk.store.write() as connection:
        lead, current = get_ready(connection, case.case_id)
        lead = hold(desk, connection, lead, actor=actor)
        if has_changed(
            connection, lead.case_id, covers=made.gathered.covers, assessed=made.gathered.assessment.step.number
        ):
            raise CaseError("The case changed while you wrote. Look at it again, then draft.", reason="changed")
        action = draft_action(
            desk,
            connection,
            kind=form.kind,
            case_id=lead.case_id,
            recipient=form.destination,
            way=made.packed.way,
            body=made.packed.body,
            actor=actor,
            due_at=now + (_URGENT_WITHIN if current.immediate_risk == YES else _OTHERS_WITHIN),
            covers=made.gathered.covers if form.kind == PACKAGE else None,
            action_id=made.content.package_id,
        )
        _record_choice(desk, connection, lead, form, action, assessed=current.step.number, actor=actor)
        draft_signature(connection, action, by=actor, now=now)
        return action


def _record_choice(
    desk: Desk,
    connection: Connection,
    lead: CaseRow,
    form: PackageForm,
    action: Action,
    *,
    assessed: int,
    actor: str,
) -> None:
    codes: dict[str, audit.Detail] = {
        "action_id": action.action_id,
        "adds_to": form.adds_to,
        "assessed": assessed,
        "destination": form.destination,
        "kind": form.kind,
        "evidence": ",".join(form.evidence),
        "legal": ",".join(form.legal),
        "reporter": form.reporter,
        "reports": ",".join(form.reports),
    }
    text = StepText(reason=form.why, form=encode(form).decode())
    add_step(desk, connection, lead.case_id, CHOICE, actor=actor, text=text, codes=codes)


def list_choices(connection: Connection, case: CaseRow) -> dict[str, Choice]:
    """Return the choices behind the actions of a case, by action id."""
    found = (_to_choice(step) for step in list_steps(connection, case, kinds={CHOICE}))
    return {one.action_id: one for one in found}


def _to_choice(step: CaseStep) -> Choice:
    codes = step.detail
    return Choice(
        step=step,
        action_id=codes["action_id"],
        destination=codes["destination"],
        assessed=codes["assessed"],
        reports=tuple(filter(None, codes["reports"].split(","))),
        evidence=tuple(filter(None, codes["evidence"].split(","))),
        adds_to=codes["adds_to"],
    )


def open_form(desk: Desk, case: CaseRow, choice: Choice, *, actor: str) -> PackageForm | None:
    """Return the form behind an action, to start another one from; None if it no longer opens."""
    text = open_texts(desk, case, [choice.step], actor=actor).get(choice.step.step_id)
    if text is None or not text.form:
        return None
    return parse_exact(text.form.encode(), kind=PackageForm, max_bytes=_MOST_FORM_BYTES)


def check_still_right(desk: Desk, connection: Connection, action: Action) -> None:
    """Raise `CaseError` unless a draft is still up to date with its case, and its body takes it today.

    `unknown-action`, `changed`, `unknown-destination`, `retired-destination`, `takes-none`.
    """
    case = get_case(connection, action.case_id or "")
    choice = list_choices(connection, case).get(action.action_id)
    if choice is None:
        raise CaseError("No choice of a body is on record for this.", reason="unknown-action")
    get_destination(desk, action.kind, action.recipient)
    covers = action.covers if action.kind == PACKAGE else None
    if has_changed(connection, case.case_id, covers=covers, assessed=choice.assessed):
        raise CaseError(
            "The case was read further, assessed again or closed since this was drafted. Withdraw the draft, and make "
            "a new one from it: its texts are kept.",
            reason="changed",
        )


def check_may_send_alone(connection: Connection, action: Action) -> None:
    """Raise `CaseError` unless a duty officer may send this alone: a package of a crisis case."""
    if action.kind != PACKAGE or not get_case(connection, action.case_id or "").crisis:
        raise CaseError("Only the package of a crisis case goes without a second person.", reason="not-crisis")


@dataclass(frozen=True, slots=True)
class News:
    """Reports that were read, and files that became complete, since a package was drafted."""

    reports: int
    files: int

    @property
    def is_there(self) -> bool:
        """Whether there is any."""
        return bool(self.reports or self.files)


def get_news(connection: Connection, action: Action) -> News:
    """Return the news of its case since a package went, which a supplementary one would bring."""
    if action.kind != PACKAGE or action.state not in (*OUT_STATES, "ended"):
        return News(0, 0)
    case = get_case(connection, action.case_id or "")
    report_ids = [one.report_id for one in list_reports(connection, case.first_id)]
    files = count_arrived(connection, partner=case.partner, report_ids=report_ids, since=action.drafted_at)
    return News(max(0, count_read(connection, case) - (action.covers or 0)), files)


def make_package_part(action: Action, signing: ActionSigning, *, is_open: bool) -> dict[str, Any]:
    """Return the part of a package on the page of its action; its own page once it is open."""
    desk, page = get_desk(), None
    with desk.store.read() as connection:
        case = get_case(connection, action.case_id or "")
        news, choice = get_news(connection, action), list_choices(connection, case).get(action.action_id)
    if is_open:
        with suppress(OpeningError, FormatError):  # its case was destroyed
            page = cut_page(unpack(action.way, open_body(desk, action, actor=get_name())).page)
    body = load_register(desk.paths.destinations).get(action.recipient)
    is_to_save = signing.next == "send" and action.way == "sealed-file"
    return {
        "part": "desk/action_package.html",
        "contact": None if body is None else body.contact,
        "passphrase": draw_passphrase(desk) if is_to_save else "",
        "news": news,
        "choice": choice,
        "page": None if page is None else Markup(page),  # noqa: S704 - package_content.py escapes every text
        "may_alone": action.kind == PACKAGE and case.crisis and action.may_be_released,
    }


def make_file_answer(action: Action, *, passphrase: str) -> Response:
    """Return the sealed file under the passphrase of the page, or the letter; a large one goes by the command."""
    try:
        made = make_file(get_desk(), action, passphrase=passphrase, actor=get_name())
    except ReadError:
        raise ActionError("Take the passphrase of this page as it is.", reason="bad-passphrase") from None
    if made.size_bytes > MOST_PAGE_BYTES:
        raise ActionError(
            "This file is too large for a page. It can be saved on the desk's own machine.", reason="too-large"
        )
    answer = Response(made.pieces, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.name}"'
    answer.headers["Content-Security-Policy"] = SANDBOX
    answer.content_length = made.size_bytes
    return answer
