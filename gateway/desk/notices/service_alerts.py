"""Alerts to one service or many for an immediate threat (R47): a pattern, advice, an expiry, and a thread with each.

Each recipient gets an action of its own, so each acknowledges by name and has a thread of its own (alert_threads.py).
Two people release an alert; one about a case in the crisis lane may be sent by the duty officer alone, and a second
person reviews it the next morning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, insert, select

from gateway.desk import audit
from gateway.desk.actions.ledger import Unsigned, draft_action, release_action
from gateway.desk.actions.model import Action, ActionError, list_where
from gateway.desk.actions.sending import fail_action
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, has_control_characters, normalise
from gateway.desk.cases.search import check_outgoing
from gateway.desk.people.releases import SERVICE_ALERT, Release, draft_release, find_release, get_signed
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASE_ACTIONS, SERVICE_ALERTS
from gateway.desk.wiring import Desk
from partner_sdk.wire.action_bodies import MAX_ALERT_CHARACTERS, ServiceAlert
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.mailbox_message import encode_body

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
    """Write an alert for a second person to sign, and return its id.

    Raises `ActionError`: `no-text`, `too-long`, `unprintable`, `bad-code`, `no-recipient`, `recipient-suspended`,
    `names-service`; `CaseError`: `unknown-case`, `not-opened`, `shows-reporter`, `not-checked`, `not-assessed`.
    """
    texts = {one: get_clean_text(text, one) for one, text in ((PATTERN, draft.pattern), (ADVICE, draft.advice))}
    audience, days = dict(AUDIENCES).get(draft.audience), draft.lasts
    if audience is None or days not in dict(LASTS):
        raise ActionError("Choose for whom the warning is, and how long it is valid.", reason="bad-code")
    lead = _find_lead(desk, draft.case)
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
    """Return an alert. Raises `ActionError` (`unknown-action`)."""
    actions = _list_actions(connection, alert_id)
    if not actions:
        raise ActionError("There is no such warning.", reason="unknown-action")
    return _to_row(connection, alert_id, actions)


def find_alert_id(connection: Connection, action_id: str) -> str | None:
    """Return the alert of an action, or None."""
    query = select(SERVICE_ALERTS.c.alert_id).where(SERVICE_ALERTS.c.action_id == action_id)
    found: str | None = connection.execute(query).scalar()
    return found


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

    A recipient that was suspended since fails alone, with an alarm. Raises `ReleaseError` (`not-signed`) and
    `ActionError` (`expired`).
    """
    with desk.store.write() as connection:
        body = describe_alert(connection, alert_id)
        signature = get_signed(connection, kind=SERVICE_ALERT, subject=alert_id, body=body)
        return _release_all(desk, connection, get_alert(connection, alert_id), signature=signature, actor=actor)


def release_alone(desk: Desk, alert_id: str, *, actor: str) -> ServiceAlertRow:
    """Release an alert as one person: about a case in the crisis lane, while no second one is there.

    It stays on the list until a second person has read and signed it. Raises `ActionError` (`not-crisis`, `expired`).
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


def get_clean_text(text: str, field: str) -> str:
    """Return a text for services. Raises `ActionError` (`no-text`, `too-long`, `unprintable`)."""
    text = normalise(text)
    if not text:
        raise ActionError(f"Fill in the field “{field}”.", reason="no-text")
    if len(text) > MAX_ALERT_CHARACTERS:
        raise ActionError(f"The field “{field}” can have up to {MAX_ALERT_CHARACTERS:,} characters.", reason="too-long")
    if has_control_characters(text):
        raise ActionError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return text


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


def _find_lead(desk: Desk, wanted: str) -> CaseRow | None:
    if not wanted.strip():
        return None
    with desk.store.read() as connection:
        lead = get_lead(connection, wanted.strip())
    if lead.opened_at is None:
        raise CaseError("This report is still unread. Open it first.", reason="not-opened")
    return lead


def _list_actions(connection: Connection, alert_id: str) -> list[Action]:
    own = select(SERVICE_ALERTS.c.action_id).where(SERVICE_ALERTS.c.alert_id == alert_id)
    return sorted(list_where(connection, CASE_ACTIONS.c.action_id.in_(own)), key=lambda one: one.recipient)


def _to_row(connection: Connection, alert_id: str, actions: Sequence[Action]) -> ServiceAlertRow:
    body = describe_alert(connection, alert_id)
    release = find_release(connection, kind=SERVICE_ALERT, subject=alert_id, body=body)
    return ServiceAlertRow(alert_id, tuple(actions), release)
