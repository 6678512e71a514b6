"""Sends alerts to the people on duty: one a minute, tried until accepted, repeated until acknowledged (R21).

Never silent: each run names an alert that cannot be sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.headerregistry import Address
from typing import TYPE_CHECKING, Any, Final, Protocol, get_args

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.carriers.delivery import DeliveryError, post_json
from gateway.desk.carriers.mail import MailCarrier, make_mail, make_mail_carrier
from gateway.desk.config import MAILTO, OFF
from gateway.desk.outbox.alerts import (
    AlertRow,
    add_alert,
    count_anew,
    count_unread,
    find_last_sent,
    find_waiting,
    list_overdue,
)
from gateway.desk.outbox.loop import GiveUp, Hold, Outcome, Run
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.outbox_tables import ALERTS
from gateway.desk.wiring import Desk
from gateway.web.logs import format_exception
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.alert_notice import AlertNotice, AlertTarget
from partner_sdk.wire.canonical import format_time, parse_time

if TYPE_CHECKING:
    import requests

ALERT_FILE_NAME = "page.json"  # WIRE.md §9.1
COALESCED: Final = timedelta(minutes=1)
_NO_PAGER: Final = "no-pager"


class Pager(Protocol):
    """Delivers one signed notice, or raises `DeliveryError`."""

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Deliver the notice."""


@dataclass(frozen=True, slots=True)
class WebhookPager:
    """An address that accepts the signed bytes as they are."""

    url: str
    session: "requests.Session"

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Post the signed bytes, or raise `DeliveryError`."""
        post_json(self.session, url=self.url, body=signed)


@dataclass(frozen=True, slots=True)
class MailPager:
    """A mailbox that wakes the people on duty."""

    to: str
    sender: Address
    carrier: MailCarrier
    now: datetime
    random: bytes

    def send(self, signed: bytes, *, notice: AlertNotice) -> None:
        """Send a mail with the count and the first time, or raise `DeliveryError`."""
        words = "1 urgent item" if notice.count == 1 else f"{notice.count} urgent items"
        mail = make_mail(
            self.to,
            sender=self.sender,
            subject=f"{words} at the desk",
            body=f"{words} at the desk since {notice.first_at} ({notice.environment}). Open the desk's list.\n",
            now=self.now,
            random=self.random,
        )
        mail.add_attachment(signed, maintype="application", subtype="json", filename=ALERT_FILE_NAME)
        self.carrier.send(mail)


def find_pager(desk: Desk, target: AlertTarget) -> Pager | None:
    """Return the pager that `desk.toml` names for a target, or None for `off`.

    Raises `DeliveryError` (`no-mail`), and `LocalStateError` for the file of the mail server's login.
    """
    address: str = getattr(desk.config.pager, target)
    if address == OFF:
        return None
    if not address.startswith(MAILTO):
        return WebhookPager(address, desk.session)
    carrier = make_mail_carrier(desk.config.carriers)
    if carrier is None:
        raise DeliveryError(reason="no-mail")
    return MailPager(
        to=address.removeprefix(MAILTO),
        sender=Address(display_name=desk.config.carriers.mail_name, addr_spec=desk.config.carriers.mail_from),
        carrier=carrier,
        now=desk.clock(),
        random=desk.random(16),
    )


class NotRepeatedError(ReportAbuseError):
    """An unacknowledged alert could not be sent again."""


@dataclass(slots=True)
class AlertsSent:
    """The result of one run. `waiting` counts urgent reports that no alert has announced.

    `unacknowledged` counts the reports of alerts that were sent but not acknowledged in time. `is_stuck`: an alert was
    tried and not sent; `warnings` are lines for a person.
    """

    sent: int = 0
    waiting: int = 0
    unacknowledged: int = 0
    is_stuck: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AlertSender:
    """Sends the waiting alert to the people on duty now."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> AlertRow | Hold:
        """Return the alert, addressed to the people on duty now, unless one was sent there a moment ago."""
        now = self.run.desk.clock()
        waiting = find_waiting(connection)
        if waiting is None or str(waiting.id) != row.subject:
            return Hold()
        target = _choose_target(self.run.desk, now)
        if target is None:
            return Hold(code=_NO_PAGER)
        last_at = find_last_sent(connection, target)
        if last_at is not None and now < last_at + COALESCED:
            return Hold()
        connection.execute(update(ALERTS).where(ALERTS.c.id == waiting.id).values(target=target))
        return replace(waiting, target=target)

    def send(self, items: Sequence[AlertRow]) -> list[GiveUp | None]:
        """Sign each notice and deliver it by its pager."""
        for alert in items:
            _hand_over(self.run.desk, alert.target, count=alert.count, first_at=alert.first_at)
        return [None] * len(items)

    def sent(self, connection: Connection, row: Row[Any], item: AlertRow) -> None:
        """Note the announced count, and queue an alert for cases filed in the meantime."""
        now = self.run.desk.clock()
        query = select(ALERTS.c["count"].label("held"), ALERTS.c.first_at).where(ALERTS.c.id == item.id)
        alert = connection.execute(query).one()
        connection.execute(update(ALERTS).where(ALERTS.c.id == item.id).values(count=item.count))
        if alert.held > item.count:
            # Their time is that of this alert: the process that filed them may have read its clock before we read ours.
            left = alert.held - item.count
            add_alert(connection, item.target, count=left, first_at=alert.first_at, now=now)
        audit.append_entry(connection, "send-alert", item.target, at=now, actor=BY_THE_DESK, count=item.count)

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        """Do nothing: no alert is given up."""


def count_waiting_anew(desk: Desk) -> None:
    """Remove cases opened since from the waiting alert."""
    with desk.store.write() as connection:
        count_anew(connection, now=desk.clock())


def repeat_overdue(desk: Desk) -> None:
    """Send alerts that were not acknowledged in time again, to the target that was not alerted last.

    Raises `NotRepeatedError`.
    """
    now, within = desk.clock(), _get_patience(desk)
    with desk.store.write() as connection:
        overdue = list_overdue(connection, now=now, within=within)
        due = [row for row in overdue if row.repeated_at is None or now - parse_time(row.repeated_at) >= within]
        target = _choose_other(desk, due[-1].repeated_to or due[-1].target) if due else None
        if target is None:
            return  # none is due, or every pager is off: each run reports it
        count, first_at = _count_overdue(connection, overdue), min(row.first_at for row in overdue)
        # Before it is sent: a run that is killed meanwhile leaves the next repeat to the next turn.
        connection.execute(
            update(ALERTS)
            .where(ALERTS.c.id.in_([row.id for row in due]))
            .values(repeated_at=format_time(now), repeated_to=target, repeats=ALERTS.c.repeats + 1)
        )
        audit.append_entry(connection, "repeat-alert", target, at=now, actor=BY_THE_DESK, count=count)
    try:
        _hand_over(desk, target, count=count, first_at=first_at)
    except (DeliveryError, LocalStateError) as error:
        with desk.store.write() as connection:  # the next run tries the same target again
            for row in due:
                values = {"repeated_at": row.repeated_at, "repeated_to": row.repeated_to, "repeats": row.repeats}
                connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(**values))
        raise NotRepeatedError(
            f"ALERT NOT REPEATED: {count} urgent since {first_at}, {error.reason}.", reason=error.reason
        ) from None


def describe_alerts(desk: Desk, outcome: Outcome) -> AlertsSent:
    """Return the result of one run, and warnings about the waiting alerts."""
    now, found = desk.clock(), AlertsSent(sent=outcome.sent, warnings=list_pager_warnings(desk))
    with desk.store.read() as connection:
        waiting = find_waiting(connection)
        overdue = list_overdue(connection, now=now, within=_get_patience(desk))
        found.unacknowledged = _count_overdue(connection, overdue)
    if isinstance(outcome.error, NotRepeatedError):
        found.is_stuck = True
        found.warnings.append(str(outcome.error))
    elif outcome.error is not None:
        found.is_stuck = True
        found.warnings.append(f"ALERT NOT DELIVERED: unexpected, {format_exception(outcome.error)}.")
    if waiting is not None:
        found.waiting = waiting.count
        if waiting.last_error is not None:
            found.is_stuck = True
            found.warnings.append(
                f"ALERT NOT DELIVERED: {waiting.count} urgent since {waiting.first_at}, {waiting.tries} tries, "
                f"{waiting.last_error}. Phone the people on duty."
            )
    return found


def list_pager_warnings(desk: Desk) -> list[str]:
    """Return a line for each pager that is off in `desk.toml`."""
    times = {"desk": "in the desk's hours", "out_of_hours": "out of hours"}
    return [
        f"NO PAGER {words}: urgent reports will raise no alert then. Set pager.{target} in desk.toml."
        for target, words in times.items()
        if getattr(desk.config.pager, target) == "off"
    ]


def _get_patience(desk: Desk) -> timedelta:
    return timedelta(minutes=desk.config.watch.acknowledge_within_minutes)


def _count_overdue(connection: Connection, overdue: Sequence[AlertRow]) -> int:
    if not overdue:
        return 0
    unread = count_unread(connection, since=min(row.first_at for row in overdue))
    return min(sum(row.count for row in overdue), unread)


def _choose_target(desk: Desk, now: datetime) -> AlertTarget | None:
    # A pager that is off must not silence the other one: one is better than none, and each run reports it.
    on_duty = desk.agency.get_target_on_duty(now)
    targets: list[AlertTarget] = sorted(get_args(AlertTarget), key=lambda target: target != on_duty)
    return next((target for target in targets if getattr(desk.config.pager, target) != "off"), None)


def _choose_other(desk: Desk, told: str) -> AlertTarget | None:
    targets: list[AlertTarget] = sorted(get_args(AlertTarget), key=lambda target: target == told)
    return next((target for target in targets if getattr(desk.config.pager, target) != "off"), None)


def _hand_over(desk: Desk, target: AlertTarget, *, count: int, first_at: str) -> None:
    """Sign a notice and deliver it by a pager; raises `DeliveryError` or `LocalStateError` on failure."""
    pager = find_pager(desk, target)
    if pager is None:
        raise DeliveryError(reason=_NO_PAGER)
    notice = AlertNotice(
        count=count,
        environment=desk.config.environment,
        first_at=first_at,
        issued_at=format_time(desk.clock()),
        target=target,
    )
    pager.send(desk.load_signer().sign(notice), notice=notice)
