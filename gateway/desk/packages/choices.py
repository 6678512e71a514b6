"""The choices of a package or a redirected report: everything that a person chose and wrote, and the faults in it.

The desk chooses nothing: a suggested body stands beside the field, and each text is typed or left as it was prepared.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.desk.actions.model import ActionKind, ActionWay
from gateway.desk.cases.case_files import FileOfReport
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.reading.labels import AGE_BANDS, KINDS
from gateway.desk.destinations.register import Destination, load_register
from gateway.desk.packages.gathering import GatheredCase
from gateway.desk.packages.terms import load_handling, load_legal_bases
from gateway.desk.people.register import find_person
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import encode

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


@dataclass(frozen=True, slots=True)
class FormFault:
    """One fault of a form: its field, and how to fix it."""

    field: str
    message: str


def suggest_title(gathered: GatheredCase) -> str:
    """Return a title without names, from the assessment, e.g. `Grooming, child of 13 to 15`."""
    kind, age = dict(KINDS).get(gathered.standing.kind, "Report"), dict(AGE_BANDS).get(gathered.standing.age_band, "")
    return f"{kind}, child of {age.lower()}" if gathered.standing.age_band[:1].isdigit() else kind


def choose_way(body: Destination, form: PackageForm) -> ActionWay:
    """Return how it goes: by mailbox where the body has keys and no file is enclosed, else as agreed, else sealed."""
    if form.evidence_as == ENCLOSED and form.evidence:
        return "sealed-file"
    if body.channel == "mailbox" and body.partner is not None:
        return "mailbox"
    return "letter" if body.channel == "letter" else "sealed-file"


def get_destination(desk: Desk, kind: ActionKind, key: str) -> Destination:
    """Return the body that this kind may go to today.

    Raises `CaseError`: `unknown-destination`, `retired-destination`, `takes-none`.
    """
    body = load_register(desk.paths.destinations).get(key)
    if body is None:
        raise CaseError("Choose the body that it goes to.", reason="unknown-destination")
    if body.is_retired(desk.agency.get_day(desk.clock())):
        raise CaseError(f"{body.name} takes nothing more. Choose another body.", reason="retired-destination")
    if not TAKEN_AS[kind] & set(body.takes):
        taken = "packages" if kind == PACKAGE else "redirected reports"
        raise CaseError(f"{body.name} takes no {taken}. Choose another body.", reason="takes-none")
    return body


def list_form_faults(desk: Desk, connection: Connection, gathered: GatheredCase, form: PackageForm) -> list[FormFault]:
    """Return everything that keeps this form from becoming a draft, in the order of the page."""
    return [*_list_body_faults(desk, form), *_list_text_faults(form), *_list_choice_faults(connection, gathered, form)]


def _list_body_faults(desk: Desk, form: PackageForm) -> Iterator[FormFault]:
    try:
        body = get_destination(desk, form.kind, form.destination)
    except CaseError as error:
        yield FormFault("destination", str(error))
        body = None
    bases = load_legal_bases()
    chosen = [bases[code] for code in form.legal if code in bases]
    if not chosen or len(chosen) != len(form.legal):
        yield FormFault("legal", "Choose the law that allows it.")
    elif body is not None and not all(body.group in one.groups for one in chosen):
        yield FormFault("legal", f"One of these laws is not for {body.name}. Choose those that are.")
    elif form.kind == REDIRECT and not any(one.agreed for one in chosen):
        yield FormFault("legal", "A report is redirected only if the person who reported agreed: choose that law.")


def _list_text_faults(form: PackageForm) -> Iterator[FormFault]:
    needed = {
        "why": "Write why this body.",
        "summary": "Write what happened and what you ask for, in a few sentences.",
        "necessity": "Write why this law holds in this case.",
        "officer_telephone": "Give a telephone number or an e-mail address that the officer can use.",
    }
    for name, most in MOST_CHARACTERS.items():
        text = getattr(form, name)
        if len(text) > most:
            yield FormFault(name, f"Make this shorter: {most:,} characters at most, and there are {len(text):,}.")
        elif any(not char.isprintable() and char not in "\n\t" for char in text):
            yield FormFault(name, "This contains characters that a page cannot show. Remove them.")
        elif not text and name in needed and not (name == "officer_telephone" and form.officer_email):
            yield FormFault(name, needed[name])


def _list_choice_faults(connection: Connection, gathered: GatheredCase, form: PackageForm) -> Iterator[FormFault]:
    handling = load_handling()
    if not set(form.handling) <= handling.keys():
        yield FormFault("handling", "One of these conditions is not on the list. Choose again.")
    person = find_person(connection, form.officer)
    if person is None or person.ended_at is not None:
        yield FormFault("officer", "Choose the officer of this desk who supports the package.")
    known = {one.case.case_id for one in gathered.reports}
    if not form.reports or not set(form.reports) <= known:
        yield FormFault("reports", "Choose at least one report of this case.")
    files = {get_evidence_id(one): one for one in gathered.files}
    if not set(form.evidence) <= files.keys():
        yield FormFault("evidence", "One of these files is not of this case. Choose again.")
    elif form.evidence_as == ENCLOSED and any(files[one].file.held is None for one in form.evidence):
        yield FormFault("evidence", "A file that has not reached the desk cannot be enclosed. Send it by reference.")
    if form.evidence_as not in {BY_REFERENCE, ENCLOSED}:
        yield FormFault("evidence_as", "Choose how the files go.")
    if form.reporter not in {NAMED, LEFT_OUT}:
        yield FormFault("reporter", "Choose whether the person who reported is named.")


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
