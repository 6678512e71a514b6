"""Routes that build a package or redirect a report: start with the case open, preview the page, ask a second person.

Everything typed comes back with each answer. The case's text appears only in the response to the post that opened it.
"""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.desk.actions.model import Action, find_action, get_action
from gateway.desk.cases.case_page import PageState, get_case_or_404, show_page_again
from gateway.desk.cases.model import CaseRow
from gateway.desk.packages.choices import (
    MOST_CHARACTERS,
    PackageForm,
    choose_way,
    get_destination,
    keep_possible,
    list_form_faults,
    make_mark,
)
from gateway.desk.packages.content import redact
from gateway.desk.packages.drafting import FormRefusedError, Preview, draft_package, list_choices, open_form
from gateway.desk.packages.enclosing import make_openers
from gateway.desk.packages.forms import (
    EVIDENCE_AS,
    REPORTER,
    TITLES,
    WAY_TITLES,
    cut_page,
    make_first_form,
    make_offered,
    read_form,
    read_kind,
    to_typed,
)
from gateway.desk.packages.gathering import GatheredCase, gather_case
from gateway.desk.packages.making import list_leaks, make_content
from gateway.desk.packages.packing import pack
from gateway.desk.packages.sheet import render_html
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import Fault, get_desk, get_name, list_kept, show_page, staff_rule
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id

blueprint = Blueprint("packages", __name__)
# The texts of a form, each letter of four bytes spelled in twelve characters, and the ids of a case's files.
BUILD_BYTES = 256 * 1024


@blueprint.post("/cases/<case_id>/package/start")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=BUILD_BYTES)
def post_start(case_id: str) -> ResponseReturnValue:
    """Open the case and show the form: a new one, or one that starts from an earlier action's."""
    case = get_case_or_404(case_id)
    try:
        gathered = gather_case(get_desk(), case.case_id, actor=get_name())
        form = _find_earlier_form(gathered) or make_first_form(gathered, kind=read_kind())
    except ReportAbuseError as error:
        return _send_back(case, error)
    return _show(gathered, form)


@blueprint.post("/cases/<case_id>/package/preview")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=BUILD_BYTES)
def post_preview(case_id: str) -> ResponseReturnValue:
    """Show the page exactly as the officer will read it; nothing is kept."""
    case, form = get_case_or_404(case_id), read_form()
    try:
        made = _make(case, form)
    except FormRefusedError as error:
        return _show_faults(case, form, [Fault(one.field, one.message) for one in error.faults])
    except ReportAbuseError as error:
        return _show_faults(case, form, [Fault("destination", str(error))])
    return _show(made.gathered, form, preview=made)


@blueprint.post("/cases/<case_id>/package/draft")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=BUILD_BYTES)
def post_draft(case_id: str) -> ResponseReturnValue:
    """Fix the bytes, and ask a second person to read and sign them."""
    case, form, desk = get_case_or_404(case_id), read_form(), get_desk()
    package_id = _find_package_id()
    with desk.store.read() as connection:
        earlier = None if package_id is None else find_action(connection, package_id)
    if earlier is not None and earlier.case_id == case.case_id:
        return _go_to(earlier)  # a second press of the button
    try:
        made = _make(case, form, package_id=package_id)
        if request.form.get("mark", "") != make_mark(form):
            changed = Fault("preview-title", "This changed after you checked it. Check it again, then keep it.")
            return _show(made.gathered, form, preview=made, faults=[changed])
        action = draft_package(desk, made, form, actor=get_name())
    except FormRefusedError as error:
        return _show_faults(case, form, [Fault(one.field, one.message) for one in error.faults])
    except ReportAbuseError as error:
        return _show_faults(case, form, [Fault("destination", str(error))])
    return _go_to(action)


def _go_to(action: Action) -> ResponseReturnValue:
    return redirect(url_for("package_sending.show_package", action_id=action.action_id), HTTPStatus.SEE_OTHER)


def _find_package_id() -> str | None:
    """Return the number that the preview gave, so that a second press makes no second draft; other values are none."""
    package_id = request.form.get("package_id", "")
    try:
        check_report_id(package_id)
    except FormatError:
        return None
    return package_id


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
    return make_supplement(form, make_first_form(gathered, kind=form.kind), adds_to=earlier)


def make_supplement(sent: PackageForm, fresh: PackageForm, *, adds_to: str) -> PackageForm:
    """Return the form of a package that adds to a sent one: the same choices, and only the reports and files since."""
    title = f"More on: {sent.title}"[: MOST_CHARACTERS["title"]]
    reports = tuple(one for one in fresh.reports if one not in sent.reports) or fresh.reports
    evidence = tuple(one for one in fresh.evidence if one not in sent.evidence)
    return msgspec.structs.replace(sent, title=title, reports=reports, evidence=evidence, adds_to=adds_to)


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


def _send_back(case: CaseRow, error: ReportAbuseError) -> ResponseReturnValue:
    """Show the case, which cannot leave as it is, with the reason; nothing was typed yet."""
    return show_page_again(case, PageState([Fault("who-title", str(error))], heading="No package can be made yet"))


def _show(
    gathered: GatheredCase, form: PackageForm, *, faults: Sequence[Fault] = (), preview: Preview | None = None
) -> ResponseReturnValue:
    return show_page(
        "package_build.html",
        case=gathered.case,
        closed=gathered.closed,
        form=form,
        typed=to_typed(form),
        title=TITLES[form.kind],
        offered=make_offered(get_desk(), gathered, form),
        most=MOST_CHARACTERS,
        reporter_choices=REPORTER,
        evidence_choices=EVIDENCE_AS,
        preview=preview,
        mark="" if preview is None else make_mark(form),
        preview_page=None if preview is None else cut_page(preview.page),
        way=None if preview is None else WAY_TITLES[preview.packed.way],
        fault_heading="Nothing was kept yet",
        faults=list(faults),
        faulty={one.field for one in faults},
    )
