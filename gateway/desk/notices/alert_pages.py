"""The pages of alerts to services: the list, a new one, the words to sign, and the threads with its recipients."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.desk.actions.ledger import ENTRY_TITLES, MOST_OPENED_ENTRIES, open_body
from gateway.desk.actions.model import OUT_STATES, ActionError
from gateway.desk.cases.case_page import get_case_or_404
from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.notices.alert_threads import close_alert, count_longest, list_threads, post_entry
from gateway.desk.notices.service_alerts import (
    ADVICE,
    AUDIENCES,
    LASTS,
    PATTERN,
    AlertDraft,
    ServiceAlertRow,
    describe_alert,
    draft_alert,
    find_alert_id,
    get_alert,
    is_in_crisis,
    list_alerts,
    list_audience,
    release_alert,
    release_alone,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import get_owner_names
from gateway.desk.views.page import (
    Fault,
    Typed,
    get_desk,
    get_name,
    is_permitted,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.views.touch import FORM_BYTES, sign_on_page
from gateway.web.problem_pages import not_found
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.action_bodies import MAX_ALERT_CHARACTERS, ServiceAlert
from partner_sdk.wire.mailbox_message import parse_body

blueprint = Blueprint("service_alerts", __name__)
# Two texts of 4,000 characters of four bytes each, percent-encoded, and the ids of many services.
ALERT_BYTES: Final = 256 * 1024
# The field of a refusal, by its reason.
_FIELDS: Final = {"no-recipient": "services", "recipient-suspended": "services", "unknown-case": "case"}


@blueprint.get("/service-alerts")
@staff_rule(Permission.ALERT_SERVICES)
def list_all() -> ResponseReturnValue:
    """Show every alert to services, the newest first."""
    with get_desk().store.read() as connection:
        alerts = list_alerts(connection)
    page = read_list_page(found=len(alerts))
    return show_page("service_alerts.html", alerts=alerts[page.rows], listed_page=page)


@blueprint.get("/service-alerts/new")
@staff_rule(Permission.ALERT_SERVICES)
def show_form() -> ResponseReturnValue:
    """Show the form of a new alert, about the case of `?case=` if one is named."""
    return _show_form(Typed({"case": request.args.get("case", "").strip()}), [])


@blueprint.post("/service-alerts")
@staff_rule(Permission.ALERT_SERVICES, body_bytes=ALERT_BYTES)
def post_draft() -> ResponseReturnValue:
    """Write an alert for a second person to sign."""
    typed, services = read_typed(), request.form.getlist("services")
    draft = AlertDraft(
        pattern=typed["pattern"],
        advice=typed["advice"],
        audience=typed["audience"],
        lasts=typed["lasts"],
        services=tuple(services),
        case=typed["case"],
    )
    if blank := _list_blank(typed, services):
        return _show_form(typed, services, *blank)
    try:
        if draft.case:
            with get_desk().store.read() as connection:
                case = get_case(connection, draft.case)
            get_case_or_404(case.case_id)  # a duty officer writes about cases of the crisis lane alone
        alert_id = draft_alert(get_desk(), draft, actor=get_name())
    except (ActionError, CaseError) as error:
        return _show_form(typed, services, Fault(_choose_field(error, typed), str(error)))
    return _go_to(alert_id)


@blueprint.get("/service-alerts/<alert_id>")
@staff_rule(Permission.ALERT_SERVICES)
def show_alert(alert_id: str) -> ResponseReturnValue:
    """Show an alert as its recipients read it, its way to each, and their entries."""
    return _show(_get(alert_id))


@blueprint.post("/service-alerts/<alert_id>/read")
@staff_rule(Permission.ALERT_SERVICES, body_bytes=FORM_BYTES)
def post_read(alert_id: str) -> ResponseReturnValue:
    """Open the threads, which is recorded."""
    return _show(_get(alert_id), is_open=True)


@blueprint.post("/service-alerts/<alert_id>/release")
@staff_rule(Permission.RELEASE_NOTICES, body_bytes=FORM_BYTES)
def post_release(alert_id: str) -> ResponseReturnValue:
    """Sign an alert as a second person, and release it; one that a duty officer sent alone is reviewed by that."""
    alert, desk = _get(alert_id), get_desk()
    try:
        if alert.release is not None and alert.release.signed_by is None:
            with desk.store.read() as connection:
                body = describe_alert(connection, alert_id)
            sign_on_page(alert.release, body=body)
        release_alert(desk, alert_id, actor=get_name())
    except ReportAbuseError as error:
        return _show(_get(alert_id), fault=Fault("release", str(error)))
    return _go_to(alert_id)


@blueprint.post("/service-alerts/<alert_id>/alone")
@staff_rule(Permission.ALERT_ALONE, body_bytes=FORM_BYTES, needs_touch=True)
def post_alone(alert_id: str) -> ResponseReturnValue:
    """Release an alert about a case in the crisis lane as its duty officer alone."""
    alert = _get(alert_id)
    try:
        release_alone(get_desk(), alert.alert_id, actor=get_name())
    except ActionError as error:
        return _show(_get(alert_id), fault=Fault("release", str(error)))
    return _go_to(alert_id)


@blueprint.post("/service-alerts/<alert_id>/entries")
@staff_rule(Permission.ALERT_SERVICES, body_bytes=ALERT_BYTES)
def post_thread_entry(alert_id: str) -> ResponseReturnValue:
    """Write to some recipients in their threads."""
    alert, typed, services = _get(alert_id), read_typed(), request.form.getlist("to")
    try:
        post_entry(get_desk(), alert.alert_id, services=services, text=typed["entry"], actor=get_name())
    except (ActionError, CaseError) as error:
        field = "to" if error.reason == "no-recipient" else "entry"
        return _show(alert, typed=typed, to=services, fault=Fault(field, str(error)))
    return _go_to(alert_id, place="threads-title")


@blueprint.post("/service-alerts/<alert_id>/close")
@staff_rule(Permission.ALERT_SERVICES, body_bytes=ALERT_BYTES)
def post_close(alert_id: str) -> ResponseReturnValue:
    """Close an alert and its threads with a last word to each recipient."""
    alert, typed = _get(alert_id), read_typed()
    try:
        close_alert(get_desk(), alert.alert_id, text=typed["last_word"], actor=get_name())
    except (ActionError, CaseError) as error:
        return _show(alert, typed=typed, fault=Fault("last_word", str(error)))
    return _go_to(alert_id)


def _get(alert_id: str) -> ServiceAlertRow:
    with get_desk().store.read() as connection:
        try:
            alert = get_alert(connection, find_alert_id(connection, alert_id) or alert_id)
        except ActionError:
            not_found()
    if alert.first.case_id is not None:
        get_case_or_404(alert.first.case_id)
    return alert


def _list_blank(typed: Typed, services: list[str]) -> list[Fault]:
    """Return the blank parts of a warning, in the order of the form."""
    parts = (
        ("pattern", "Write what happens.", typed["pattern"].strip()),
        ("advice", "Write what helps against it.", typed["advice"].strip()),
        ("audience", "Choose the kind of service.", typed["audience"]),
        ("lasts", "Choose how long it holds.", typed["lasts"]),
        ("services", "Choose the services that get it.", services),
    )
    return [Fault(name, message) for name, message, value in parts if not value]


def _choose_field(error: ReportAbuseError, typed: Typed) -> str:
    if error.reason in _FIELDS:
        return _FIELDS[error.reason]
    if error.reason == "bad-code":
        return "lasts" if typed["audience"] in dict(AUDIENCES) else "audience"
    # Each of the other messages names the field in quotation marks.
    return "advice" if f"“{ADVICE}”" in str(error) else "pattern"


def _go_to(alert_id: str, *, place: str | None = None) -> ResponseReturnValue:
    address = url_for("service_alerts.show_alert", alert_id=alert_id, _anchor=place)
    return redirect(address, HTTPStatus.SEE_OTHER)


def _show_form(typed: Typed, services: list[str], *faults: Fault) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        known = list_audience(connection, environment=desk.config.environment)
    return show_page(
        "service_alert_form.html",
        services=list(known.items()),
        chosen=services,
        audiences=AUDIENCES,
        lasts=LASTS,
        pattern_label=PATTERN,
        advice_label=ADVICE,
        most=MAX_ALERT_CHARACTERS,
        typed=typed,
        faults=faults,
    )


def _show(
    alert: ServiceAlertRow,
    *,
    typed: Typed | None = None,
    to: list[str] | None = None,
    fault: Fault | None = None,
    is_open: bool = False,
) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        names, is_crisis = get_owner_names(connection), is_in_crisis(connection, alert)
        page = read_list_page(found=count_longest(connection, alert), most=MOST_OPENED_ENTRIES)
    try:
        body = parse_body(open_body(desk, alert.first, actor=get_name()), body=ServiceAlert)
    except OpeningError:
        body = None
    reached = [one.recipient for one in alert.actions if one.state in OUT_STATES]
    return show_page(
        "service_alert.html",
        alert=alert,
        body=body,
        entry_titles=ENTRY_TITLES,
        threads=list_threads(desk, alert, rows=page.rows, reader=get_name() if is_open else None),
        listed_page=page,
        is_open=is_open,
        names=names,
        reached=[(one, names.get(one, one)) for one in reached],
        to=reached if to is None else to,
        may_alone=is_crisis and is_permitted(Permission.ALERT_ALONE),
        is_expired=alert.first.is_expired(desk.clock()),
        me=get_name(),
        typed=typed or Typed(),
        faults=[] if fault is None else [fault],
    )
