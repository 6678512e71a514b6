"""Routes that build a package or redirect a report: start with the case open, preview the page, ask a second person.

Everything typed comes back with each answer. The case's text appears only in the response to the post that opened it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.desk.cases.actions.destinations import GROUP_TITLES, Destination, load_register
from gateway.desk.cases.actions.model import ActionKind, find_action, get_action
from gateway.desk.cases.assessing import ShownSuggestion, list_who_can_help
from gateway.desk.cases.case_files import FileOfReport
from gateway.desk.cases.case_page import PageState, show_page_again
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.model import CaseRow, normalise
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.people.register import format_person, list_with_role
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Typed,
    get_desk,
    get_name,
    go_to,
    list_kept,
    show_page,
    staff_rule,
)
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_archive import pack
from gateway.desk.outgoing.package_content import (
    cut_page,
    format_size,
    load_handling,
    load_legal_bases,
    redact,
    render_html,
)
from gateway.desk.outgoing.package_drafting import (
    BY_REFERENCE,
    ENCLOSED,
    LEFT_OUT,
    MOST_CHARACTERS,
    NAMED,
    PACKAGE,
    REDIRECT,
    TAKEN_AS,
    WAY_TITLES,
    FormRefusedError,
    PackageForm,
    Preview,
    choose_way,
    draft_package,
    get_destination,
    get_evidence_id,
    keep_possible,
    list_choices,
    list_form_faults,
    list_leaks,
    make_content,
    make_mark,
    open_form,
    suggest_title,
)
from gateway.desk.outgoing.package_gathering import GatheredCase, gather_case, make_openers
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id, convert

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
    suggested = list_who_can_help(desk, gathered.case, gathered.assessment, contents)
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
        able = list_with_role(connection, *Permission.MAKE_PACKAGES.roles)
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


blueprint = Blueprint("packages", __name__)


@blueprint.post("/cases/<case_id>/package/start")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=FORM_BYTES)
def post_start(case_id: str) -> ResponseReturnValue:
    """Open the case and show the form: a new one, or one that starts from an earlier action's."""
    case = get_case_or_404(case_id)
    try:
        gathered = gather_case(get_desk(), case.case_id, actor=get_name())
        form = _find_earlier_form(gathered) or make_first_form(gathered, kind=read_kind())
    except ReportAbuseError as error:
        # Nothing was typed yet.
        return show_page_again(case, PageState([Fault("who-title", str(error))], heading="No package can be made yet"))
    return _show(gathered, form)


@blueprint.post("/cases/<case_id>/package/preview")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=FORM_BYTES)
def post_preview(case_id: str) -> ResponseReturnValue:
    """Show the page exactly as the officer will read it; nothing is kept."""
    case, form = get_case_or_404(case_id), read_form()
    try:
        made = _make(case, form)
    except FormRefusedError as error:
        return _show_faults(case, form, error.faults)
    except ReportAbuseError as error:
        return _show_faults(case, form, [Fault("destination", str(error))])
    return _show(made.gathered, form, preview=made)


@blueprint.post("/cases/<case_id>/package/draft")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=FORM_BYTES)
def post_draft(case_id: str) -> ResponseReturnValue:
    """Fix the bytes, and ask a second person to read and sign them."""
    case, form, desk = get_case_or_404(case_id), read_form(), get_desk()
    # The number that the preview gave, so that a second press makes no second draft; any other value is none.
    package_id: str | None = request.form.get("package_id", "")
    try:
        check_report_id(package_id or "")
    except FormatError:
        package_id = None
    with desk.store.read() as connection:
        earlier = None if package_id is None else find_action(connection, package_id)
    if earlier is not None and earlier.case_id == case.case_id:
        return go_to("actions.show_action", action_id=earlier.action_id)  # a second press of the button
    try:
        made = _make(case, form, package_id=package_id)
        if request.form.get("mark", "") != make_mark(form):
            changed = Fault("preview-title", "This changed after you checked it. Check it again, then keep it.")
            return _show(made.gathered, form, preview=made, faults=[changed])
        action = draft_package(desk, made, form, actor=get_name())
    except FormRefusedError as error:
        return _show_faults(case, form, error.faults)
    except ReportAbuseError as error:
        return _show_faults(case, form, [Fault("destination", str(error))])
    return go_to("actions.show_action", action_id=action.action_id)


def _make(case: CaseRow, form: PackageForm, *, package_id: str | None = None) -> Preview:
    """Open the case and make exactly the bytes that would leave; nothing is kept. Raises `FormRefusedError`."""
    desk, by = get_desk(), get_name()
    gathered = gather_case(desk, case.case_id, actor=by)
    with desk.store.read() as connection:
        faults = list_form_faults(desk, connection, gathered, form)
        if faults:
            raise FormRefusedError(faults)
        whole = make_content(desk, connection, gathered, form, package_id=package_id or desk.make_id())
    content, way = redact(whole), choose_way(get_destination(desk, form.kind, form.destination), form)
    openers = make_openers(desk, content.evidence, gathered.files, case_id=gathered.case.case_id, actor=by)
    packed = pack(desk, content, way=way, openers=openers)
    page = render_html(content)
    return Preview(gathered, content, packed, page, list_leaks(whole, page))


def _find_earlier_form(gathered: GatheredCase) -> PackageForm | None:
    """Return the form of the action to start from: to change a draft, or to add to a package that went."""
    desk, earlier = get_desk(), request.form.get("from_action", "")
    if not earlier:
        return None
    with desk.store.read() as connection:
        choice = list_choices(connection, gathered.case).get(earlier)
        was_sent = choice is not None and get_action(connection, earlier).sent_at is not None
    form = None if choice is None else open_form(desk, gathered.case, choice, actor=get_name())
    if form is None or choice is None:
        return None
    if not was_sent:
        return keep_possible(form, gathered)
    # It adds to the sent one: the same choices, and only the reports and files since.
    fresh = make_first_form(gathered, kind=form.kind)
    title = f"More on: {form.title}"[: MOST_CHARACTERS["title"]]
    reports = tuple(one for one in fresh.reports if one not in form.reports) or fresh.reports
    evidence = tuple(one for one in fresh.evidence if one not in form.evidence)
    return msgspec.structs.replace(form, title=title, reports=reports, evidence=evidence, adds_to=earlier)


def _show_faults(case: CaseRow, form: PackageForm, faults: Sequence[Fault]) -> ResponseReturnValue:
    try:
        gathered = gather_case(get_desk(), case.case_id, actor=get_name())
    except ReportAbuseError as error:
        # The case cannot leave now, e.g. more of it was read meanwhile: nothing that was typed is lost.
        return show_page(
            "package_kept.html",
            case=case,
            fault=str(error),
            kept_fields=list_kept(without={"mark", "package_id"}),
            form=form,
        )
    return _show(gathered, form, faults=faults)


def _show(
    gathered: GatheredCase, form: PackageForm, *, faults: Sequence[Fault] = (), preview: Preview | None = None
) -> ResponseReturnValue:
    return show_page(
        "package_build.html",
        case=gathered.case,
        closed=gathered.closed,
        form=form,
        typed=Typed({name: getattr(form, name) for name in (*_CHOICES, *MOST_CHARACTERS)}),
        title=TITLES[form.kind],
        offered=make_offered(get_desk(), gathered, form),
        most=MOST_CHARACTERS,
        reporter_choices=REPORTER,
        evidence_choices=EVIDENCE_AS,
        preview=preview,
        mark="" if preview is None else make_mark(form),
        preview_page=None if preview is None else Markup(cut_page(preview.page)),  # noqa: S704 - package_content.py escapes every text
        way=None if preview is None else WAY_TITLES[preview.packed.way],
        fault_heading="Nothing was kept yet",
        faults=list(faults),
        faulty={one.field for one in faults},
    )
