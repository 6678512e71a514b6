"""Alerts to one service or many for an immediate threat (R47): a pattern, advice, an expiry, and a thread with each.

Each recipient gets an action of its own, so each acknowledges by name. Two people release an alert; one about a case in
the crisis lane may be sent by the duty officer alone, and a second person reviews it the next morning.

A recipient reads its own entries and those that the desk wrote to it. An entry reaches another one only where the desk
passes it on in its own words: without the name of a service, and without a run of words of the entry (R49).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, insert, select

from gateway.desk.cases.actions.ledger import (
    Unsigned,
    draft_action,
    end_action,
    list_entries,
    open_body,
    open_texts,
    release_action,
    withdraw_action,
    write_entry,
)
from gateway.desk.cases.actions.model import OUT_STATES, Action, ActionError, get_action, list_unread, list_where
from gateway.desk.cases.actions.sending import fail_action
from gateway.desk.cases.case_reach import get_case_or_404
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, get_case, has_control_characters, normalise
from gateway.desk.cases.search import check_outgoing
from gateway.desk.collection.identifiers import find_shared_run
from gateway.desk.office.organisations import get_owner_names
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.people.releases import SERVICE_ALERT, Release, draft_release, find_release, get_signed
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    go_to,
    is_permitted,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.office.views.step_up import sign_on_page
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASE_ACTIONS, SERVICE_ALERTS
from gateway.web.rules import not_found
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.mailbox import MAX_ALERT_CHARACTERS, ServiceAlert, encode_body, parse_body

# The labels of the two texts in the form, by which a refusal names them.
PATTERN: Final = "What happens?"
ADVICE: Final = "What helps against it?"
AUDIENCES: Final = (
    ("all", "Every kind of service"),
    ("messages", "Services with messages between people"),
    ("live", "Services with live video or sound"),
    ("games", "Games"),
    ("pictures", "Services where people show pictures or videos"),
    ("payments", "Payment services"),
)
LASTS: Final = (("1", "1 day"), ("3", "3 days"), ("7", "1 week"), ("14", "2 weeks"), ("30", "1 month"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDraft:
    """A person's choices. `audience` and `lasts` are codes, `services` ids, and `case` a reference, an id or empty."""

    pattern: str
    advice: str
    audience: str
    lasts: str
    services: tuple[str, ...]
    case: str = ""


@dataclass(frozen=True, slots=True)
class ServiceAlertRow:
    """One alert to services, with an action for each recipient; all of them have the same content."""

    alert_id: str
    actions: tuple[Action, ...]
    release: Release | None

    @property
    def first(self) -> Action:
        """One of its actions, for what they have in common."""
        return self.actions[0]

    @property
    def is_released(self) -> bool:
        """Whether it was released to any recipient."""
        return any(one.released_at is not None for one in self.actions)

    @property
    def is_unreviewed(self) -> bool:
        """Whether one person alone released it, and no second one has read it since."""
        return self.is_released and (self.release is None or self.release.signed_by is None)

    @property
    def has_unreached(self) -> bool:
        """Whether it could not be sent to a recipient, e.g. one whose keys had ended: it may be tried again."""
        return any(one.may_be_released and one.state == "failed" for one in self.actions)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more goes to any recipient."""
        return all(one.state in ("ended", "withdrawn", "failed") for one in self.actions)

    def count(self, state: str) -> int:
        """Return the number of recipients in a state."""
        return sum(one.state == state for one in self.actions)

    def count_acknowledged(self) -> int:
        """Return the number of recipients that acknowledged it by name."""
        return sum(one.acknowledged_at is not None for one in self.actions)


def list_audience(connection: Connection, *, environment: str) -> dict[str, str]:
    """Return the services with keys in force, by id: the possible recipients of an alert."""
    rows = connection.execute(
        select(PARTNERS.c.partner, PARTNERS.c.name)
        .where(PARTNERS.c.type == "service", PARTNERS.c.state == "active", PARTNERS.c.environment == environment)
        .order_by(PARTNERS.c.name, PARTNERS.c.partner)
    )
    return {row.partner: row.name for row in rows}


def draft_alert(desk: Desk, draft: AlertDraft, *, actor: str) -> str:
    """Write an alert for a second person to sign, and return its id. Raises `ActionError` and `CaseError`."""
    texts = {one: _clean(text, one) for one, text in ((PATTERN, draft.pattern), (ADVICE, draft.advice))}
    audience, days = dict(AUDIENCES).get(draft.audience), draft.lasts
    if audience is None or days not in dict(LASTS):
        raise ActionError("Choose for whom the warning is, and how long it is valid.", reason="bad-code")
    lead = None
    if wanted := draft.case.strip():
        with desk.store.read() as connection:
            lead = get_lead(connection, wanted)
        if lead.opened_at is None:
            raise CaseError("This report is still unread. Open it first.", reason="not-opened")
    check_outgoing(desk, texts, about=lead, actor=actor)
    now, alert_id = desk.clock(), desk.make_id()
    expires_at = now + timedelta(days=int(days))
    body = ServiceAlert(
        advice=texts[ADVICE], audience=audience, expires_at=format_time(expires_at), pattern=texts[PATTERN]
    )
    with desk.store.write() as connection:
        services = tuple(dict.fromkeys(draft.services))
        known = list_audience(connection, environment=desk.config.environment)
        if not services:
            raise ActionError("Choose the services that get this warning.", reason="no-recipient")
        if any(one not in known for one in services):
            raise ActionError("One of these services has no key in force: leave it out.", reason="recipient-suspended")
        for service in services:
            action = draft_action(
                desk,
                connection,
                kind="alert",
                case_id=None if lead is None else lead.case_id,
                recipient=service,
                way="mailbox",
                body=encode_body(body),
                actor=actor,
                expires_at=expires_at,
            )
            connection.execute(insert(SERVICE_ALERTS).values(alert_id=alert_id, action_id=action.action_id))
        draft_release(
            connection,
            kind=SERVICE_ALERT,
            subject=alert_id,
            body=describe_alert(connection, alert_id),
            by=actor,
            now=now,
        )
    return alert_id


def _clean(text: str, field: str) -> str:
    text = normalise(text)
    if not text:
        raise ActionError(f"Fill in the field “{field}”.", reason="no-text")
    if len(text) > MAX_ALERT_CHARACTERS:
        raise ActionError(f"The field “{field}” can have up to {MAX_ALERT_CHARACTERS:,} characters.", reason="too-long")
    if has_control_characters(text):
        raise ActionError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return text


def describe_alert(connection: Connection, alert_id: str) -> bytes:
    """Return the bytes that a second person signs: the hash of the content, its end, and every recipient."""
    actions = _list_actions(connection, alert_id)
    return encode(
        {
            "alert": alert_id,
            "body_sha256": sorted({one.body_sha256 for one in actions}),
            "expires_at": sorted({one.expires_at or "" for one in actions}),
            "recipients": sorted([one.recipient, one.action_id] for one in actions),
        }
    )


def get_alert(connection: Connection, alert_id: str) -> ServiceAlertRow:
    """Return an alert. Raises `ActionError`."""
    actions = _list_actions(connection, alert_id)
    if not actions:
        raise ActionError("There is no such warning.", reason="unknown-action")
    return _to_row(connection, alert_id, actions)


def list_alerts(connection: Connection) -> list[ServiceAlertRow]:
    """Return every alert, the newest first."""
    by_id: dict[str, list[Action]] = {}
    actions = {one.action_id: one for one in list_where(connection, CASE_ACTIONS.c.kind == "alert")}
    for row in connection.execute(select(SERVICE_ALERTS)):
        by_id.setdefault(row.alert_id, []).append(actions[row.action_id])
    rows = [_to_row(connection, alert_id, some) for alert_id, some in by_id.items()]
    return sorted(rows, key=lambda one: (one.first.drafted_at, one.alert_id), reverse=True)


def release_alert(desk: Desk, alert_id: str, *, actor: str) -> ServiceAlertRow:
    """Release a signed alert to each recipient; repeated, it changes nothing.

    A recipient that was suspended since fails alone, with an alarm. Raises `ReleaseError` and `ActionError`.
    """
    with desk.store.write() as connection:
        body = describe_alert(connection, alert_id)
        signature = get_signed(connection, kind=SERVICE_ALERT, subject=alert_id, body=body)
        return _release_all(desk, connection, get_alert(connection, alert_id), signature=signature, actor=actor)


def release_alone(desk: Desk, alert_id: str, *, actor: str) -> ServiceAlertRow:
    """Release an alert as one person: about a case in the crisis lane, while no second one is there.

    It stays on the list until a second person has read and signed it. Raises `ActionError`.
    """
    with desk.store.write() as connection:
        alert = get_alert(connection, alert_id)
        if not is_in_crisis(connection, alert):
            raise ActionError(
                "One person alone releases a warning only about a case in the crisis lane.", reason="not-crisis"
            )
        if not alert.is_released:
            subject = alert.first.subject
            audit.append_entry(connection, "release-alert-alone", subject, at=desk.clock(), actor=actor, alert=alert_id)
        return _release_all(desk, connection, alert, signature="sent-alone", actor=actor)


def is_in_crisis(connection: Connection, alert: ServiceAlertRow) -> bool:
    """Return whether an alert is about a case that is in the crisis lane now."""
    case_id = alert.first.case_id
    return case_id is not None and get_lead(connection, case_id).crisis


def _release_all(
    desk: Desk, connection: Connection, alert: ServiceAlertRow, *, signature: Release | Unsigned, actor: str
) -> ServiceAlertRow:
    if alert.first.is_expired(desk.clock()):
        raise ActionError("This warning has expired: write a new one.", reason="expired")
    for action in alert.actions:
        if action.may_be_released:
            _release_one(desk, connection, action, signature=signature, actor=actor)
    return get_alert(connection, alert.alert_id)


def _release_one(
    desk: Desk, connection: Connection, action: Action, *, signature: Release | Unsigned, actor: str
) -> None:
    try:
        release_action(desk, connection, action.action_id, signature=signature, actor=actor)
    except ActionError as error:
        # One suspended recipient holds no warning back from the others.
        if error.reason not in ("recipient-gone", "recipient-suspended"):
            raise
        if action.state != "failed":
            fail_action(desk, connection, action, code=error.reason)


def _list_actions(connection: Connection, alert_id: str) -> list[Action]:
    own = select(SERVICE_ALERTS.c.action_id).where(SERVICE_ALERTS.c.alert_id == alert_id)
    return sorted(list_where(connection, CASE_ACTIONS.c.action_id.in_(own)), key=lambda one: one.recipient)


def _to_row(connection: Connection, alert_id: str, actions: Sequence[Action]) -> ServiceAlertRow:
    body = describe_alert(connection, alert_id)
    release = find_release(connection, kind=SERVICE_ALERT, subject=alert_id, body=body)
    return ServiceAlertRow(alert_id, tuple(actions), release)


def post_entry(desk: Desk, alert_id: str, *, services: Collection[str], text: str, actor: str) -> int:
    """Write to some recipients in their threads, and return their number; none sees the others."""
    with desk.store.read() as connection:
        alert = get_alert(connection, alert_id)
    reached = [one for one in alert.actions if one.recipient in services and one.state in OUT_STATES]
    if not reached:
        raise ActionError("Choose services that this warning has reached.", reason="no-recipient")
    text = get_checked_text(desk, alert, text, to=reached, actor=actor)
    with desk.store.write() as connection:
        for one in reached:
            action = get_action(connection, one.action_id)
            if action.state in OUT_STATES:
                write_entry(desk, connection, action, kind="note", text=text, actor=actor)
    return len(reached)


def close_alert(desk: Desk, alert_id: str, *, text: str, actor: str) -> ServiceAlertRow:
    """Close an alert and its threads; a recipient that it has not reached gets nothing more."""
    with desk.store.read() as connection:
        alert = get_alert(connection, alert_id)
    if alert.is_closed:
        raise ActionError("This warning is closed already.", reason="not-open")
    text = get_checked_text(desk, alert, text, to=alert.actions, actor=actor)
    with desk.store.write() as connection:
        for one in alert.actions:
            action = get_action(connection, one.action_id)
            if action.state in OUT_STATES:
                end_action(desk, connection, action.action_id, actor=actor, text=text)
            elif action.state not in ("ended", "withdrawn"):
                withdraw_action(desk, connection, action.action_id, reason="The warning was closed.", actor=actor)
        return get_alert(connection, alert_id)


def get_checked_text(desk: Desk, alert: ServiceAlertRow, text: str, *, to: Sequence[Action], actor: str) -> str:
    """Return a text for some recipients, clean and without words of another one's entries. Raises `ActionError`."""
    text = _clean(text, "Entry")
    with desk.store.read() as connection:
        lead = None if alert.first.case_id is None else get_lead(connection, alert.first.case_id)
    check_outgoing(desk, {"Entry": text}, about=lead, actor=actor)
    readers = {one.action_id for one in to}
    vault = desk.load_vault(actor=actor, reason="check")
    for action in alert.actions:
        # Its own words may be quoted to a recipient that is written to alone.
        if readers == {action.action_id}:
            continue
        with desk.store.read() as connection:
            theirs = [one for one in list_entries(connection, action.action_id) if one.direction == "in"]
        for words in open_texts(desk, action, theirs, vault=vault).values():
            by = words.by.strip()
            shared = by if by and by.casefold() in text.casefold() else find_shared_run(text, words.text)
            if shared is not None:
                raise ActionError(
                    f"Pass an entry on in your own words: “{shared}” stands in an entry of a service.",
                    reason="own-words",
                )
    return text


blueprint = Blueprint("service_alerts", __name__)
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
@staff_rule(Permission.ALERT_SERVICES, body_bytes=FORM_BYTES)
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
    return go_to("service_alerts.show_alert", alert_id=alert_id)


@blueprint.get("/service-alerts/<alert_id>")
@staff_rule(Permission.ALERT_SERVICES)
def show_alert(alert_id: str) -> ResponseReturnValue:
    """Show an alert as its recipients read it, its way to each, and their entries."""
    return _show(_get(alert_id), [])


@blueprint.app_template_global()
def get_alert_id(action_id: str) -> str:
    """Return the alert of the action to one of its recipients."""
    with get_desk().store.read() as connection:
        of_action = select(SERVICE_ALERTS.c.alert_id).where(SERVICE_ALERTS.c.action_id == action_id)
        return str(connection.execute(of_action).scalar_one())


def _get(alert_id: str) -> ServiceAlertRow:
    with get_desk().store.read() as connection:
        try:
            alert = get_alert(connection, alert_id)
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


def _show(alert: ServiceAlertRow, faults: list[Fault]) -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        names, is_crisis = get_owner_names(connection), is_in_crisis(connection, alert)
        unread = list_unread(connection, [one.action_id for one in alert.actions])
    try:
        body = parse_body(open_body(desk, alert.first, actor=get_name()), body=ServiceAlert)
    except OpeningError:
        body = None
    reached = [one.recipient for one in alert.actions if one.state in OUT_STATES]
    return show_page(
        "service_alert.html",
        alert=alert,
        body=body,
        unread_entries=unread,
        names=names,
        reached=[(one, names.get(one, one)) for one in reached],
        to=request.form.getlist("to") if "entry" in request.form else reached,
        may_alone=is_crisis and is_permitted(Permission.ALERT_ALONE),
        is_expired=alert.first.is_expired(desk.clock()),
        me=get_name(),
        typed=read_typed(),
        faults=faults,
    )


forms = Forms(
    blueprint,
    find=_get,
    show=lambda alert, faults: _show(_get(alert.alert_id), faults),
    then=lambda alert, place: go_to("service_alerts.show_alert", alert_id=alert.alert_id, _anchor=place or None),
)


@forms.post("/service-alerts/<alert_id>/release", Permission.RELEASE_NOTICES, at="release")
def post_release(alert: ServiceAlertRow, _typed: Typed) -> None:
    """Sign an alert as a second person, and release it; one that a duty officer sent alone is reviewed by that."""
    desk = get_desk()
    if alert.release is not None and alert.release.signed_by is None:
        with desk.store.read() as connection:
            body = describe_alert(connection, alert.alert_id)
        sign_on_page(alert.release, body=body)
    release_alert(desk, alert.alert_id, actor=get_name())


@forms.post("/service-alerts/<alert_id>/alone", Permission.ALERT_ALONE, at="release", needs_step_up=True)
def post_alone(alert: ServiceAlertRow, _typed: Typed) -> None:
    """Release an alert about a case in the crisis lane as its duty officer alone."""
    release_alone(get_desk(), alert.alert_id, actor=get_name())


@forms.post(
    "/service-alerts/<alert_id>/entries",
    Permission.ALERT_SERVICES,
    at="entry",
    fields={"no-recipient": "to"},
    place="threads-title",
)
def post_thread_entry(alert: ServiceAlertRow, typed: Typed) -> None:
    """Write to some recipients in their threads."""
    post_entry(get_desk(), alert.alert_id, services=request.form.getlist("to"), text=typed["entry"], actor=get_name())


@forms.post("/service-alerts/<alert_id>/close", Permission.ALERT_SERVICES, at="last_word")
def post_close(alert: ServiceAlertRow, typed: Typed) -> None:
    """Close an alert and its threads with a last word to each recipient."""
    close_alert(get_desk(), alert.alert_id, text=typed["last_word"], actor=get_name())
