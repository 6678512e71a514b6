"""Routes of a drafted or sent package: read it, sign and release it, send it alone at night, recall it, save its file.

A package is read in the response to a post alone. The second person reads these bytes before signing them.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.desk.actions.ledger import open_body, record_sent, withdraw_action
from gateway.desk.actions.model import Action, find_action, get_action
from gateway.desk.cases.case_page import MOST_PAGE_BYTES, get_case_or_404
from gateway.desk.cases.holding import make_scope
from gateway.desk.destinations.register import load_register
from gateway.desk.packages.archive import Unpacked, unpack
from gateway.desk.packages.drafting import (
    PACKAGE,
    REDIRECT,
    WAY_TITLES,
    check_may_send_alone,
    check_still_right,
    check_was_read,
    find_package_release,
    get_news,
    list_choices,
    list_packages,
    make_state,
    release_package,
)
from gateway.desk.packages.saving import draw_passphrase, make_file
from gateway.desk.packages.sheet import cut_page
from gateway.desk.people.permissions import Permission
from gateway.desk.people.releases import ReleaseError, check_may_sign, verify_release
from gateway.desk.suggestions import suggest
from gateway.desk.views.page import (
    SANDBOX,
    Fault,
    get_desk,
    get_name,
    is_permitted,
    list_permitted,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.views.touch import FORM_BYTES as TOUCH_BYTES
from gateway.desk.views.touch import sign_on_page
from gateway.web.problem_pages import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.package_reader import ReadError

blueprint = Blueprint("package_sending", __name__)
# A reason, and the names of a person outside.
_FORM_BYTES: Final = 8_192
_NEXT: Final = {
    "review": "Released by one person alone: read it and sign it",
    "sign": "Waits for a second person's signature",
    "release": "Signed, and not sent: release it",
    "send": "Released: send the file, and record that it went",
    "": "",
}


@blueprint.get("/packages")
@staff_rule(Permission.RELEASE_PACKAGES)
def list_all() -> ResponseReturnValue:
    """List the open packages of the cases that this person reads, those with a next act here first."""
    desk = get_desk()
    register = load_register(desk.paths.destinations)
    with desk.store.read() as connection:
        found = [(one, make_scope(connection, one.case, person=get_name())) for one in list_packages(connection)]
    rows = [one for one, scope in found if is_permitted(Permission.READ_CASES, case=scope)]
    return show_page("packages.html", rows=rows, register=register, next_acts=_NEXT)


@blueprint.get("/packages/<action_id>")
@staff_rule(Permission.READ_CASES)
def show_package(action_id: str) -> ResponseReturnValue:
    """Show a package without its page."""
    return _show(_get_or_404(action_id))


@blueprint.post("/packages/<action_id>/read")
@staff_rule(Permission.READ_CASES, body_bytes=_FORM_BYTES)
def post_read(action_id: str) -> ResponseReturnValue:
    """Open the page of a package, which is recorded; a second person signs it from here."""
    action = _get_or_404(action_id)
    try:
        return _show(action, page=_open(action).page)
    except ReportAbuseError as error:
        return _show(action, faults=[_make_fault(error)])


@blueprint.post("/packages/<action_id>/release")
@staff_rule(Permission.RELEASE_PACKAGES, body_bytes=TOUCH_BYTES)
def post_release(action_id: str) -> ResponseReturnValue:
    """Sign a package as the second person, and release it; one that went at night is signed only."""
    action, desk = _get_or_404(action_id), get_desk()
    try:
        with desk.store.read() as connection:
            release = find_package_release(connection, action_id)
            if release is None:
                raise ReleaseError("This draft waits for no signature.", reason="unknown-release")
            if release.signed_by is None:
                check_may_sign(release, by=get_name())
                check_was_read(connection, action, by=get_name())
            if action.may_be_released:
                check_still_right(desk, connection, action)
        if release.signed_by is None:
            sign_on_page(release, body=_open(action).manifest)
        else:
            with desk.store.read() as connection:
                verify_release(connection, release.id)
        if action.may_be_released:
            release_package(desk, action_id, signature=release, actor=get_name())
    except ReportAbuseError as error:
        return _show(action, faults=[_make_fault(error)])
    return _go_to(action)


@blueprint.post("/packages/<action_id>/send-alone")
@staff_rule(Permission.SEND_PACKAGES_ALONE, body_bytes=_FORM_BYTES, needs_touch=True)
def post_send_alone(action_id: str) -> ResponseReturnValue:
    """Release the package of a crisis case as the duty officer alone; a second person reviews it next morning."""
    action, desk = _get_or_404(action_id), get_desk()
    try:
        with desk.store.read() as connection:
            check_may_send_alone(connection, action)
        release_package(desk, action_id, signature="sent-alone", actor=get_name())
    except ReportAbuseError as error:
        return _show(action, faults=[_make_fault(error)])
    return _go_to(action)


@blueprint.post("/packages/<action_id>/withdraw")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=_FORM_BYTES)
def post_withdraw(action_id: str) -> ResponseReturnValue:
    """Withdraw a draft, or recall a package that went in error, with a reason."""
    action, typed = _get_or_404(action_id), read_typed()
    try:
        with get_desk().store.write() as connection:
            withdraw_action(get_desk(), connection, action_id, reason=typed["withdraw_reason"], actor=get_name())
    except ReportAbuseError as error:
        return _show(action, faults=[Fault("withdraw_reason", str(error))])
    return _go_to(action)


@blueprint.post("/packages/<action_id>/file")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=_FORM_BYTES, needs_touch=True)
def post_file(action_id: str) -> ResponseReturnValue:
    """Hand out the sealed file under the passphrase of this form, or the letter; a large one goes by the command."""
    action, passphrase = _get_or_404(action_id), request.form.get("passphrase", "")
    try:
        made = make_file(get_desk(), action, passphrase=passphrase, actor=get_name())
    except ReadError:
        return _show(action, faults=[Fault("state-title", "Take the passphrase of this page as it is.")])
    except ReportAbuseError as error:
        return _show(action, faults=[_make_fault(error)])
    if made.size_bytes > MOST_PAGE_BYTES:
        words = f"`{suggest(f'package save {action_id} --out FILE')}`"
        return _show(action, faults=[Fault("state-title", f"This file is too large for a page. Run {words}.")])
    answer = Response(made.pieces, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.name}"'
    answer.headers["Content-Security-Policy"] = SANDBOX
    answer.content_length = made.size_bytes
    return answer


@blueprint.post("/packages/<action_id>/sent")
@staff_rule(Permission.MAKE_PACKAGES, body_bytes=_FORM_BYTES)
def post_sent(action_id: str) -> ResponseReturnValue:
    """Record that a sealed file or letter went."""
    action = _get_or_404(action_id)
    try:
        with get_desk().store.write() as connection:
            record_sent(get_desk(), connection, action_id, actor=get_name())
    except ReportAbuseError as error:
        return _show(action, faults=[_make_fault(error)])
    return _go_to(action)


def _get_or_404(action_id: str) -> Action:
    """Return a package or redirected report of a case that this person reaches, or answer 404 or 403."""
    with get_desk().store.read() as connection:
        action = find_action(connection, action_id)
    if action is None or action.kind not in (PACKAGE, REDIRECT) or action.case_id is None:
        not_found()
    get_case_or_404(action.case_id)
    return action


def _open(action: Action) -> Unpacked:
    return unpack(action.way, open_body(get_desk(), action, actor=get_name()))


def _go_to(action: Action) -> ResponseReturnValue:
    return redirect(url_for("package_sending.show_package", action_id=action.action_id), HTTPStatus.SEE_OTHER)


def _make_fault(error: ReportAbuseError) -> Fault:
    return Fault("state-title", str(error))


def _show(action: Action, *, page: bytes | None = None, faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        state = make_state(connection, get_action(connection, action.action_id))
        news = get_news(connection, state.action)
        choice = list_choices(connection, state.case).get(action.action_id)
        may_alone = action.kind == PACKAGE and state.case.crisis
        scope = make_scope(connection, state.case, person=get_name())
    body = load_register(desk.paths.destinations).get(action.recipient)
    return show_page(
        "package.html",
        action=state.action,
        case=state.case,
        state=state,
        next_act=_NEXT[state.next],
        recipient=action.recipient if body is None else body.name,
        contact=None if body is None else body.contact,
        way=WAY_TITLES[action.way],
        passphrase=draw_passphrase(desk) if state.next == "send" and action.way == "sealed-file" else "",
        news=news,
        choice=choice,
        page=None if page is None else Markup(cut_page(page)),  # noqa: S704 - sheet.py escapes every text
        may=list_permitted(case=scope),
        may_alone=may_alone,
        is_unsent=state.action.may_be_released,
        me=get_name(),
        typed=read_typed(),
        faults=list(faults),
        faulty={one.field for one in faults},
    )
