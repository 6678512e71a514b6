"""The form of a package: its first state, what was sent, and the lists that it offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import request
from markupsafe import Markup

from gateway.desk.actions.model import ActionKind
from gateway.desk.cases.assessing import ShownSuggestion, list_who_can_help
from gateway.desk.cases.case_files import FileOfReport
from gateway.desk.cases.model import normalise
from gateway.desk.destinations.register import GROUP_TITLES, Destination, load_register
from gateway.desk.packages.choices import (
    BY_REFERENCE,
    ENCLOSED,
    LEFT_OUT,
    MOST_CHARACTERS,
    NAMED,
    PACKAGE,
    REDIRECT,
    TAKEN_AS,
    PackageForm,
    get_evidence_id,
    suggest_title,
)
from gateway.desk.packages.gathering import GatheredCase
from gateway.desk.packages.sheet import format_size
from gateway.desk.packages.terms import load_handling, load_legal_bases
from gateway.desk.people.permissions import ROLES_OF, Permission
from gateway.desk.people.register import format_person, list_with_role
from gateway.desk.views.page import Typed, get_desk, get_name
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import convert

_LISTS: Final = ("legal", "handling", "reports", "evidence")
_CHOICES: Final = ("kind", "destination", "officer", "evidence_as", "reporter", "adds_to")
TITLES: Final[dict[ActionKind, str]] = {PACKAGE: "Make a package", REDIRECT: "Redirect the report"}
REPORTER: Final = (
    (NAMED, "Named, with how to reach them safely"),
    (LEFT_OUT, "Left out: their name, contact and the original report are withheld"),
)
EVIDENCE_AS: Final = (
    (BY_REFERENCE, "By reference: name, size and SHA-256; the officer asks for the file"),
    (ENCLOSED, "Enclosed: the package goes as a sealed file"),
)
# Where it is to go, for the words of the page.
WAY_TITLES: Final = {
    "mailbox": "into its mailbox at the gateway, sealed to its key",
    "sealed-file": "as a sealed file; you give the passphrase by another way",
    "letter": "as a letter, printed from the PDF",
}


def read_kind() -> ActionKind:
    """Return the kind of this form: a redirected report, or else a package."""
    return REDIRECT if request.form.get("kind") == REDIRECT else PACKAGE


def read_form() -> PackageForm:
    """Return the form as it was sent, with texts normalised; its faults are found by the rules."""
    texts = {name: normalise(request.form.get(name, "")) for name in MOST_CHARACTERS}
    lists = {name: tuple(dict.fromkeys(request.form.getlist(name))) for name in _LISTS}
    choices = {name: request.form.get(name, "").strip() for name in _CHOICES}
    return convert({**choices, **texts, **lists, "kind": read_kind()}, kind=PackageForm)


def make_first_form(gathered: GatheredCase, *, kind: ActionKind) -> PackageForm:
    """Return the form to start from: usual conditions, every proven report, files by reference, and the own name."""
    contact = get_desk().config.contact
    return PackageForm(
        kind=kind,
        destination="",
        why="",
        title=suggest_title(gathered),
        summary=gathered.reasons.note if kind == PACKAGE else "",
        legal=(),
        necessity="",
        handling=tuple(code for code, one in load_handling().items() if one.usual),
        handling_note="",
        guidance="",
        officer=get_name(),
        officer_telephone=contact.telephone,
        officer_email=contact.email,
        reports=tuple(one.case.case_id for one in gathered.reports if one.is_proven),
        evidence=tuple(get_evidence_id(one) for one in gathered.files if one.file.reference is not None),
        evidence_as=BY_REFERENCE,
        reporter=NAMED if kind == REDIRECT else "",
        reporter_reason="",
    )


def to_typed(form: PackageForm) -> Typed:
    """Return the single fields of a form, for the page."""
    return Typed({name: getattr(form, name) for name in (*_CHOICES, *MOST_CHARACTERS)})


@dataclass(frozen=True, slots=True)
class Offered:
    """The lists that the form offers; `bodies` are grouped, the suggested ones first."""

    bodies: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    suggested: Sequence[ShownSuggestion]
    legal: Sequence[tuple[str, str]]
    asks: Sequence[str]
    handling: Sequence[tuple[str, str]]
    officers: Sequence[tuple[str, str]]
    reports: Sequence[tuple[str, str]]
    evidence: Sequence[tuple[str, str]]


def make_offered(desk: Desk, gathered: GatheredCase, form: PackageForm) -> Offered:
    """Return the lists for a form of this kind; with a body chosen, the laws for that body alone."""
    contents = [one.content for one in gathered.reports]
    suggested = list_who_can_help(desk, gathered.case, gathered.standing, contents)
    register, today = load_register(desk.paths.destinations), desk.agency.get_day(desk.clock())
    takers = {
        key: one for key, one in register.items() if TAKEN_AS[form.kind] & set(one.takes) and not one.is_retired(today)
    }
    body = takers.get(form.destination)
    bases = {
        code: one
        for code, one in load_legal_bases().items()
        if (body is None or body.group in one.groups) and (form.kind == PACKAGE or one.agreed)
    }
    with desk.store.read() as connection:
        able = list_with_role(connection, *ROLES_OF[Permission.MAKE_PACKAGES])
        officers = sorted((format_person(connection, one), one) for one in able)
    return Offered(
        bodies=_group(takers, suggested),
        suggested=suggested,
        legal=[(code, f"{one.title} ({one.law})") for code, one in bases.items()],
        asks=[one.asks for one in bases.values()],
        handling=[(code, one.say) for code, one in load_handling().items()],
        officers=[(person, name) for name, person in officers],
        reports=[
            (one.case.case_id, one.case.reference + ("" if one.is_proven else ": not proven to be the same person"))
            for one in gathered.reports
        ],
        evidence=[(get_evidence_id(row), _describe(row)) for row in gathered.files if row.file.reference is not None],
    )


def _group(
    takers: dict[str, Destination], suggested: Sequence[ShownSuggestion]
) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    named = {key: one.name for shown in suggested for key, one in shown.named if key in takers}
    groups = [
        (title, [(key, one.name) for key, one in takers.items() if one.group == code])
        for code, title in GROUP_TITLES.items()
    ]
    return [("Suggested", list(named.items())), *groups] if named else groups


def _describe(row: FileOfReport) -> str:
    reference, held = row.file.reference, row.file.held is not None
    size = "" if reference is None else f", {format_size(reference.size_bytes)}"
    return f"{row.file.name or row.file.file_id}{size}{'' if held else ', not here yet'} ({row.case.reference})"


def cut_page(page: bytes) -> Markup:
    """Return the body of a package's page, which `sheet.py` escaped, for the desk's own page around it."""
    body = page.decode().partition("<main>\n")[2].partition("\n</main>")[0]
    return Markup(body)  # noqa: S704 - built by sheet.py, which escapes every text
