"""The pages of a referral: its form beside the reasons why a case may not be referred, and the exact words to sign."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.actions.ledger import end_action, open_body
from gateway.desk.actions.model import OUT_STATES, Action, ActionError
from gateway.desk.cases.case_page import get_case_or_404
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.notices.notice_page import (
    change_notice,
    get_notice_or_404,
    go_to_notice,
    release_notice,
    withdraw_notice,
)
from gateway.desk.notices.referrals import (
    Referral,
    draft_referral,
    get_referable_service,
    release_referral,
    write_to_service,
)
from gateway.desk.notices.signing import find_signature
from gateway.desk.notices.terms import ACCOUNT_CHOICES, list_rules
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import get_owner_names
from gateway.desk.views.page import Fault, Typed, get_desk, get_name, go_to, read_typed, show_page, staff_rule
from gateway.desk.views.touch import FORM_BYTES
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.action_bodies import MAX_ACCOUNT_CHARACTERS, MAX_ALERT_CHARACTERS, TermsReferral
from partner_sdk.wire.mailbox_message import parse_body

blueprint = Blueprint("referrals", __name__)
REFERRAL_BYTES: Final = 16_384  # an account of 300 characters of four bytes each, percent-encoded, and codes
WRITE_BYTES: Final = 64 * 1024  # a text of 4,000 characters of four bytes each, percent-encoded
# The fields of the form, by the reason of a refusal.
_FIELDS: Final = {"bad-account": "account", "shows-reporter": "account"}


@blueprint.get("/cases/<case_id>/referral")
@staff_rule(Permission.REFER_TERMS)
def show_form(case_id: str) -> ResponseReturnValue:
    """Show the form, or why this case may not be referred."""
    return _show_form(get_case_or_404(case_id), Typed())


@blueprint.post("/cases/<case_id>/referral")
@staff_rule(Permission.REFER_TERMS, body_bytes=REFERRAL_BYTES)
def post_draft(case_id: str) -> ResponseReturnValue:
    """Write a referral for a second person to sign."""
    case, typed = get_case_or_404(case_id), read_typed()
    referral = Referral(account_kind=typed["account_kind"], account=typed["account"], rule=typed["rule"])
    try:
        action = draft_referral(get_desk(), case.case_id, referral, actor=get_name())
    except (ActionError, CaseError) as error:
        return _show_form(case, typed, Fault(_choose_field(error, typed), str(error)))
    return go_to_notice(action)


@blueprint.get("/referrals/<action_id>")
@staff_rule(Permission.REFER_TERMS)
def show_referral(action_id: str) -> ResponseReturnValue:
    """Show a referral exactly as the service will read it."""
    return _show(_get(action_id))


@blueprint.post("/referrals/<action_id>/release")
@staff_rule(Permission.RELEASE_NOTICES, body_bytes=FORM_BYTES)
def post_release(action_id: str) -> ResponseReturnValue:
    """Sign a referral as a second person and release it; signed before, it is only released."""
    return release_notice(_get(action_id), release_referral, show=_show)


@blueprint.post("/referrals/<action_id>/withdraw")
@staff_rule(Permission.REFER_TERMS, body_bytes=REFERRAL_BYTES)
def post_withdraw(action_id: str) -> ResponseReturnValue:
    """Withdraw a referral; once it was sent, a recall goes out in its thread."""
    return withdraw_notice(_get(action_id), show=_show)


@blueprint.post("/referrals/<action_id>/write")
@staff_rule(Permission.REFER_TERMS, body_bytes=WRITE_BYTES)
def post_write(action_id: str) -> ResponseReturnValue:
    """Write to the service in the thread of its referral."""
    action, typed = _get(action_id), read_typed()
    try:
        write_to_service(get_desk(), action.action_id, text=typed["entry"], actor=get_name())
    except (ActionError, CaseError) as error:
        return _show(action, fault=str(error), typed=typed)
    return go_to("actions.show_action", action_id=action_id)


@blueprint.post("/referrals/<action_id>/end")
@staff_rule(Permission.REFER_TERMS, body_bytes=FORM_BYTES)
def post_end(action_id: str) -> ResponseReturnValue:
    """End a referral: nothing more is expected of the service."""
    return change_notice(_get(action_id), end_action, show=_show)


def _get(action_id: str) -> Action:
    action = get_notice_or_404(action_id, kind="terms-referral")
    get_case_or_404(action.subject)
    return action


def _choose_field(error: ReportAbuseError, typed: Typed) -> str:
    if error.reason == "bad-code":
        return "rule" if typed["account_kind"] in dict(ACCOUNT_CHOICES) else "account_kind"
    return _FIELDS.get(error.reason, "referral")


@blueprint.app_template_global()
def find_referral_refusal(case_id: str) -> ReportAbuseError | None:
    """Return why this person cannot refer an account of a case now, for its page; None if they can."""
    desk = get_desk()
    with desk.store.read() as connection:
        lead = get_lead(connection, case_id)
        try:
            get_referable_service(desk, connection, lead, actor=get_name())
        except (ActionError, CaseError) as error:
            return error
    return None


def _show_form(case: CaseRow, typed: Typed, *faults: Fault) -> ResponseReturnValue:
    desk, refusal, service = get_desk(), "", ""
    with desk.store.read() as connection:
        lead = get_lead(connection, case.case_id)
        try:
            service = get_referable_service(desk, connection, lead, actor=get_name())
        except (ActionError, CaseError) as error:
            refusal = str(error)
    return show_page(
        "referral_form.html",
        case=lead,
        service=service,
        refusal=refusal,
        rules=list_rules(),
        account_choices=ACCOUNT_CHOICES,
        most=MAX_ACCOUNT_CHARACTERS,
        typed=typed,
        faults=faults,
    )


def _show(action: Action, *, fault: str | None = None, typed: Typed | None = None) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        case = get_lead(connection, action.subject)
        release = find_signature(connection, action)
        names = get_owner_names(connection)
    try:
        body = parse_body(open_body(desk, action, actor=get_name()), body=TermsReferral)
    except OpeningError:
        body = None
    return show_page(
        "referral.html",
        action=action,
        case=case,
        service=names.get(action.recipient, action.recipient),
        body=body,
        is_out=action.state in OUT_STATES,
        most=MAX_ALERT_CHARACTERS,
        typed=typed or Typed(),
        release=release,
        me=get_name(),
        fault=fault,
    )
