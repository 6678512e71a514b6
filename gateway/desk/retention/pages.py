"""The pages of retention: due cases, holds, lists to sign, certificates; and the forms of a case's legal hold."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from gateway.desk.cases.case_page import PageState, show_page_again
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.model import CaseRow, parse_day
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.views.page import Forms, Typed, get_desk, get_name, go_to, show_page, staff_rule
from gateway.desk.office.views.step_up import sign_on_page
from gateway.desk.retention.destruction import begin_destruction, find_certificate, list_certificates, stop_destruction
from gateway.desk.retention.lists import (
    DUE,
    REFUSALS,
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
from gateway.desk.vault.destructions import read_destructions
from gateway.exchange.desk_statements import MOST_CASES, SIGNED_CERTIFICATE
from gateway.web.rules import not_found
from partner_sdk.wire.canonical import format_time

blueprint = Blueprint("retention", __name__)
of_lists: Forms[str] = Forms(
    blueprint,
    find=lambda destruction_id="", case_id="": destruction_id or case_id,
    show=lambda _, faults: _show(fault=faults[0].message),
    then=lambda *_: go_to("retention.show_all"),
)
of_holds = Forms(
    blueprint,
    find=get_case_or_404,
    show=lambda case, faults: show_page_again(case, PageState(faults)),
    then=lambda case, _: go_to("cases.show_case", case_id=case.case_id, _anchor="hold-title"),
)


@blueprint.get("/retention")
@staff_rule(Permission.SEE_RETENTION)
def show_all() -> ResponseReturnValue:
    """Show the due cases, the holds, the lists that wait for a signature or their end, and the certificates."""
    return _show()


@of_lists.post("/retention/draft", Permission.DESTROY_CASES, at="")
def post_draft(_subject: str, _typed: Typed) -> None:
    """Draft a list of every case that may go now, for another supervisor to sign."""
    desk = get_desk()
    with desk.store.read() as connection:
        free = list_free(list_due(desk, connection, most=MOST_CASES), list_drafted(connection))
    draft_destruction(desk, [one.case.case_id for one in free], reason=DUE, actor=get_name())


@of_lists.post("/cases/<case_id>/erase", Permission.DESTROY_CASES, at="")
def post_erase(case_id: str, _typed: Typed) -> None:
    """Draft the erasure that the person of a case asked for, for another supervisor to sign."""
    draft_erasure(get_desk(), get_case_or_404(case_id).case_id, actor=get_name())


@of_lists.post("/retention/<destruction_id>/sign", Permission.DESTROY_CASES, at="")
def post_sign(destruction_id: str, _typed: Typed) -> None:
    """Sign a list as its author or as the second person; with both signatures it begins."""
    desk = get_desk()
    with desk.store.read() as connection:
        found = get_signatures(connection, destruction_id)
    if found.second.signed_by is None or found.author.signed_by is None:
        sign_on_page(sign_next(found, by=get_name()), body=bytes(found.row.body))
    if found.author.signed_by is not None:
        begin_destruction(desk, destruction_id, actor=get_name())


@of_lists.post("/retention/<destruction_id>/stop", Permission.DESTROY_CASES, at="")
def post_stop(destruction_id: str, _typed: Typed) -> None:
    """Stop a list within its week."""
    stop_destruction(get_desk(), destruction_id, actor=get_name())


@of_lists.post("/retention/<destruction_id>/withdraw", Permission.DESTROY_CASES, at="")
def post_withdraw(destruction_id: str, _typed: Typed) -> None:
    """Give up an unsigned list."""
    withdraw_draft(get_desk(), destruction_id, actor=get_name())


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


@of_holds.post("/cases/<case_id>/hold", Permission.HOLD_CASES, at="hold_reason", fields={"bad-day": "hold_review"})
def post_hold(case: CaseRow, typed: Typed) -> None:
    """Place a legal hold on a case, or give it another day."""
    review = parse_day(typed["hold_review"])
    place_hold(get_desk(), case.case_id, reason=typed["hold_reason"], review=review, actor=get_name())


@of_holds.post("/cases/<case_id>/lift-hold", Permission.HOLD_CASES, at="hold_reason")
def post_lift(case: CaseRow, typed: Typed) -> None:
    """Lift the legal hold of a case."""
    lift_hold(get_desk(), case.case_id, reason=typed["hold_reason"], actor=get_name())


def _show(*, fault: str | None = None) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        due = list_due(desk, connection, most=MOST_CASES)
        drafted = list_drafted(connection)
        holds = list_holds(connection)
        drafts = list_drafts(connection)
        certificates = [
            (row.destruction_id, SIGNED_CERTIFICATE.peek(bytes(row.certificate)))
            for row in list_certificates(connection)
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
