"""The pages of retention: due cases, holds, lists to sign, certificates; and the forms of a case's legal hold."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from gateway.desk.cases.case_page import PageState, get_case_or_404, show_page_again
from gateway.desk.cases.model import CaseError, parse_day
from gateway.desk.people.permissions import Permission
from gateway.desk.people.releases import ReleaseError
from gateway.desk.retention.destruction import begin_destruction, find_certificate, list_certificates, stop_destruction
from gateway.desk.retention.lists import (
    DUE,
    REFUSALS,
    RetentionError,
    draft_destruction,
    draft_erasure,
    get_signatures,
    lift_hold,
    list_drafted,
    list_drafts,
    list_due,
    list_free,
    list_holds,
    load_classes,
    place_hold,
    sign_next,
    withdraw_draft,
)
from gateway.desk.uk_times import get_uk_day
from gateway.desk.vault.destructions import read_destructions
from gateway.desk.views.page import Fault, get_desk, get_name, go_to, read_typed, show_page, staff_rule
from gateway.desk.views.step_up import FORM_BYTES, sign_on_page
from gateway.guidance.destruction import MOST_CASES, peek_certificate
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time

blueprint = Blueprint("retention", __name__)
HOLD_BYTES = 16_384  # a reason of 300 characters of four bytes each, percent-encoded, and a day


@blueprint.get("/retention")
@staff_rule(Permission.SEE_RETENTION)
def show_all() -> ResponseReturnValue:
    """Show the due cases, the holds, the lists that wait for a signature or their end, and the certificates."""
    return _show()


@blueprint.post("/retention/draft")
@staff_rule(Permission.DESTROY_CASES, body_bytes=FORM_BYTES)
def post_draft() -> ResponseReturnValue:
    """Draft a list of every case that may go now, for another supervisor to sign."""
    desk = get_desk()
    with desk.store.read() as connection:
        drafted = list_drafted(connection)
        due = list_due(desk, connection, most=MOST_CASES)
    wanted = [one.case.case_id for one in list_free(due, drafted)]
    try:
        draft_destruction(desk, wanted, reason=DUE, actor=get_name())
    except (RetentionError, CaseError) as error:
        return _show(fault=str(error))
    return _go_back()


@blueprint.post("/cases/<case_id>/erase")
@staff_rule(Permission.DESTROY_CASES, body_bytes=FORM_BYTES)
def post_erase(case_id: str) -> ResponseReturnValue:
    """Draft the erasure that the person of a case asked for, for another supervisor to sign."""
    case = get_case_or_404(case_id)
    try:
        draft_erasure(get_desk(), case.case_id, actor=get_name())
    except (RetentionError, CaseError) as error:
        return _show(fault=str(error))
    return _go_back()


@blueprint.post("/retention/<destruction_id>/sign")
@staff_rule(Permission.DESTROY_CASES, body_bytes=FORM_BYTES)
def post_sign(destruction_id: str) -> ResponseReturnValue:
    """Sign a list as its author or as the second person; with both signatures it begins."""
    desk = get_desk()
    try:
        with desk.store.read() as connection:
            found = get_signatures(connection, destruction_id)
        if found.second.signed_by is None or found.author.signed_by is None:
            sign_on_page(sign_next(found, by=get_name()), body=bytes(found.row.body))
        if found.author.signed_by is not None:
            begin_destruction(desk, destruction_id, actor=get_name())
    except ReportAbuseError as error:
        return _show(fault=str(error))
    return _go_back()


@blueprint.post("/retention/<destruction_id>/stop")
@staff_rule(Permission.DESTROY_CASES, body_bytes=FORM_BYTES)
def post_stop(destruction_id: str) -> ResponseReturnValue:
    """Stop a list within its week."""
    try:
        stop_destruction(get_desk(), destruction_id, actor=get_name())
    except ReportAbuseError as error:
        return _show(fault=str(error))
    return _go_back()


@blueprint.post("/retention/<destruction_id>/withdraw")
@staff_rule(Permission.DESTROY_CASES, body_bytes=FORM_BYTES)
def post_withdraw(destruction_id: str) -> ResponseReturnValue:
    """Give up an unsigned list."""
    try:
        withdraw_draft(get_desk(), destruction_id, actor=get_name())
    except (RetentionError, ReleaseError) as error:
        return _show(fault=str(error))
    return _go_back()


@blueprint.get("/retention/<destruction_id>/certificate")
@staff_rule(Permission.SEE_RETENTION)
def get_certificate(destruction_id: str) -> Response:
    """Return a signed certificate as a file."""
    with get_desk().store.read() as connection:
        raw = find_certificate(connection, destruction_id)
    if raw is None:
        not_found()
    headers = {"Content-Disposition": f'attachment; filename="destruction-{destruction_id}.json"'}
    return Response(raw, content_type="application/json", headers=headers)


@blueprint.post("/cases/<case_id>/hold")
@staff_rule(Permission.HOLD_CASES, body_bytes=HOLD_BYTES)
def post_hold(case_id: str) -> ResponseReturnValue:
    """Place a legal hold on a case, or give it another day."""
    case, typed = get_case_or_404(case_id), read_typed()
    try:
        place_hold(
            get_desk(),
            case.case_id,
            reason=typed["hold_reason"],
            review=parse_day(typed["hold_review"]),
            actor=get_name(),
        )
    except ReportAbuseError as error:
        field = "hold_review" if error.reason == "bad-day" else "hold_reason"
        return show_page_again(case, PageState([Fault(field, _describe(error))]))
    return go_to("cases.show_case", case_id=case.case_id, _anchor="hold-title")


@blueprint.post("/cases/<case_id>/lift-hold")
@staff_rule(Permission.HOLD_CASES, body_bytes=HOLD_BYTES)
def post_lift(case_id: str) -> ResponseReturnValue:
    """Lift the legal hold of a case."""
    case, typed = get_case_or_404(case_id), read_typed()
    try:
        lift_hold(get_desk(), case.case_id, reason=typed["hold_reason"], actor=get_name())
    except ReportAbuseError as error:
        return show_page_again(case, PageState([Fault("hold_reason", _describe(error))]))
    return go_to("cases.show_case", case_id=case.case_id, _anchor="hold-title")


def _describe(error: ReportAbuseError) -> str:
    return "Write why." if error.reason == "reason-missing" else str(error)


def _go_back() -> ResponseReturnValue:
    return go_to("retention.show_all")


def _show(*, fault: str | None = None) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        due = list_due(desk, connection, most=MOST_CASES)
        drafted = list_drafted(connection)
        holds = list_holds(connection)
        drafts = list_drafts(connection)
        certificates = [
            (row.destruction_id, peek_certificate(bytes(row.certificate))) for row in list_certificates(connection)
        ]
    known = read_destructions(desk.paths.vault).lists.values()
    classes = load_classes(desk.paths.state)
    return show_page(
        "retention.html",
        due=due,
        free=list_free(due, drafted),
        drafted=drafted,
        refusals=REFUSALS,
        most=MOST_CASES,
        holds=holds,
        drafts=drafts,
        begun=[(one, format_time(one.ends_at)) for one in known if one.state == "begun"],
        stopped=[one for one in known if one.state == "stopped"],
        certificates=certificates,
        classes=(classes.content, classes.public, classes.reference),
        today=get_uk_day(desk.clock()).isoformat(),
        me=get_name(),
        fault=fault,
    )
