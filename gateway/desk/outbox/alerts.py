"""Alerts to the people on duty: one at a time is escalated until a person takes it, or all was read (R21).

Never contains a word of a report: an alert has counts and times. Its entry in the outbox stays open as long as the
alert is; each notice is a row of `alert_calls`, one a minute at the most. Never silent: each run names an alert that no
level took. Also mails a person about a passkey that joined their account.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from gateway.desk.office.config import make_origin
from gateway.desk.office.escalation import MAILTO, Level
from gateway.desk.office.people.passkeys import NewKey, add_passkey, list_passkeys
from gateway.desk.office.people.permissions import BY_THE_DESK, Permission, is_allowed
from gateway.desk.office.people.register import find_person, get_person, list_roles
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.carriers import DeliveryError, make_mail, make_mail_carrier, post_json
from gateway.desk.outbox.queue import IS_OPEN, GiveUp, Hold, Outcome, Run, Sender, drop, queue, record
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import ALERT_CALLS, ALERTS, OUTBOX
from gateway.desk.store.agency_tables import AlertCall as AlertCall
from gateway.desk.store.schema import CASES, QUARANTINE
from gateway.desk.vault.assertions import Statement
from gateway.exchange.desk_statements import AlertNotice
from gateway.guidance.risk import is_danger_today
from gateway.web.logs import format_exception
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time, to_base64url


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert: `count` cases, `told` of them in a notice that was taken; the first of the rest came at `news_at`."""

    id: int
    count: int
    told: int
    first_at: str
    news_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    state: str
    tries: int
    next_try_at: str
    last_error: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still calls people."""
        return self.state in {"waiting", "held"}

    def is_on_its_way(self, now: datetime) -> bool:
        """Return whether a run is delivering it now, with its earlier count."""
        return self.tries > 0 and self.last_error is None and parse_time(self.next_try_at) > now


class AlertError(ReportAbuseError):
    """No alert of this number waits for a person."""


def queue_alert(connection: Connection, *, count: int, now: datetime) -> None:
    """Queue an alert for this many new crisis cases, in the caller's transaction; an open alert takes them in.

    Its next notice goes at once, to the level that was called last; its round of the escalation goes on as before.
    """
    if count < 1:
        return
    found = find_open(connection)
    if found is None:
        add_alert(connection, count=count, first_at=format_time(now), now=now)
        return
    # Another process may have read its clock before this alert was queued, and commit after that.
    values = {
        "count": ALERTS.c.count + count,
        "first_at": min(found.first_at, format_time(now)),
        "news_at": min(found.news_at or format_time(now), format_time(now)),
    }
    connection.execute(update(ALERTS).where(ALERTS.c.id == found.id).values(**values))
    if not found.is_on_its_way(now):  # else its run queues it again
        mine = record("alert", ALERTS.c.id) & (ALERTS.c.id == found.id)
        entry = select(OUTBOX.c.id).where(mine).scalar_subquery()
        connection.execute(update(OUTBOX).where(OUTBOX.c.id == entry).values(next_try_at=format_time(now)))


def add_alert(connection: Connection, *, count: int, first_at: str, now: datetime) -> None:
    """Open an alert. The level that it calls is chosen when it is sent."""
    values = {"count": count, "first_at": first_at, "news_at": format_time(now)}
    number = connection.execute(insert(ALERTS).values(**values).returning(ALERTS.c.id)).scalar_one()
    queue(connection, "alert", [str(number)], now=now)


def find_open(connection: Connection) -> AlertRow | None:
    """Return the open alert, if any."""
    return next(iter(_list_rows(connection, IS_OPEN, most=1)), None)


def get_alert(connection: Connection, number: int) -> AlertRow:
    """Return the alert of a number that the desk gave it."""
    (found,) = _list_rows(connection, ALERTS.c.id == number)
    return found


def find_waiting(connection: Connection) -> AlertRow | None:
    """Return the open alert if it has cases that no notice named yet."""
    found = find_open(connection)
    return found if found is not None and found.count > found.told else None


def find_unacknowledged(connection: Connection) -> AlertRow | None:
    """Return the open alert if a level was called, and urgent cases are unread."""
    found = find_open(connection)
    is_called = found is not None and found.told and count_unread(connection, since=found.first_at)
    return found if is_called else None


def count_anew(connection: Connection, *, now: datetime) -> None:
    """Remove cases opened since from the open alert, and end it if none is left.

    A report opened before the first call needs no alert: the audit log records that it was dropped.
    """
    row = find_open(connection)
    if row is None or row.is_on_its_way(now):
        return
    unread = count_unread(connection, since=row.first_at)
    if row.told:
        if not unread:
            _end(connection, row, now=now)
        return
    if left := min(row.count, unread):
        connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(count=left))
        return
    drop(connection, "alert", [str(row.id)])
    connection.execute(ALERT_CALLS.delete().where(ALERT_CALLS.c.alert_id == row.id))
    connection.execute(ALERTS.delete().where(ALERTS.c.id == row.id))
    audit.append_entry(connection, "drop-alert", str(row.id), at=now, actor=BY_THE_DESK, count=row.count)


def list_alerts(connection: Connection, *, most: int) -> list[AlertRow]:
    """Return the newest alerts, the newest first."""
    rows = connection.execute(_ROWS.order_by(ALERTS.c.id.desc()).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def list_calls(connection: Connection, alerts: Collection[int]) -> list[AlertCall]:
    """Return every notice of these alerts, the oldest first."""
    rows = select(*_CALL_COLUMNS).where(ALERT_CALLS.c.alert_id.in_(alerts)).order_by(ALERT_CALLS.c.id)
    return [AlertCall(**row._mapping) for row in connection.execute(rows)]


def find_unsent(connection: Connection, *, now: datetime, within: timedelta) -> AlertRow | None:
    """Return the open alert if it has cases that no notice has named within this time."""
    found = find_waiting(connection)
    return found if found is not None and (found.news_at or found.first_at) < format_time(now - within) else None


def find_overdue(connection: Connection, *, now: datetime) -> tuple[AlertRow, int, AlertCall | None] | None:
    """Return the unacknowledged alert once the first level's time is over: its unread cases, and where it came round.

    The call is the first of the second round of the escalation, if there was one.
    """
    found = find_unacknowledged(connection)
    if found is None:
        return None
    calls = list_calls(connection, [found.id])
    first = next((one for one in calls if one.taken_at is not None), None)
    if first is None or format_time(now) <= first.waits_until:
        return None
    unread = min(found.count, count_unread(connection, since=found.first_at))
    return found, unread, next((one for one in calls if one.turn > 1), None)


def acknowledge_alert(
    connection: Connection, number: int, *, actor: str, now: datetime, seen: int | None = None
) -> int:
    """Record the person in charge of the open alert, and return the number of its cases.

    `seen` is the count that the person saw, by default that of the last notice: cases that came later, and are unread,
    become the next alert. Raises `AlertError`.
    """
    found = find_open(connection)
    if found is None or found.id != number or not found.told:
        raise AlertError(
            "No alert with this number waits for a person. The page Outbox shows every alert.", reason="unknown-alert"
        )
    covered = min(found.count, found.told if seen is None else max(1, seen))
    left = min(found.count, count_unread(connection, since=found.first_at)) - covered
    values = {"acknowledged_at": format_time(now), "acknowledged_by": actor, "count": covered}
    _end(connection, found, now=now, **values)
    audit.append_entry(connection, "acknowledge-alert", str(number), at=now, actor=actor, count=covered)
    if left > 0:
        # Their time is that of this alert: which of its cases were the later ones is not recorded.
        add_alert(connection, count=left, first_at=found.first_at, now=now)
    return covered


def finish_call(connection: Connection, call_id: int, *, alert: AlertRow, now: datetime) -> None:
    """Record that a notice was taken: it named the cases of this alert up to its count."""
    moment = format_time(now)
    connection.execute(update(ALERT_CALLS).where(ALERT_CALLS.c.id == call_id).values(taken_at=moment))
    told = ALERTS.update().where(ALERTS.c.id == alert.id)
    connection.execute(told.values(told=alert.count))
    connection.execute(told.where(ALERTS.c["count"] <= alert.count).values(news_at=None))


def find_call_by_link(connection: Connection, secret: str) -> tuple[AlertRow, AlertCall] | None:
    """Return the alert and call of a notice's link."""
    found = connection.execute(select(*_CALL_COLUMNS).where(ALERT_CALLS.c.link_sha256 == hash_link(secret))).first()
    if found is None:
        return None
    call = AlertCall(**found._mapping)
    return get_alert(connection, call.alert_id), call


def hash_link(secret: str) -> bytes:
    """Return the form in which the secret of a link is stored."""
    return hashlib.sha256(secret.encode()).digest()


def count_unread(connection: Connection, *, since: str) -> int:
    """Return the number of unopened crisis cases since then, plus rows in quarantine.

    A case and its sender's additions count once.
    """
    cases = select(func.count(func.coalesce(CASES.c.joined_to, CASES.c.case_id).distinct())).where(*_list_unread(since))
    # Of any priority: the sealed content may be more urgent than the stated priority.
    group = QUARANTINE.c.reason + " " + func.coalesce(QUARANTINE.c.claimed_partner, "")
    rows = select(func.count(group.distinct())).where(
        QUARANTINE.c.resolved_at.is_(None), QUARANTINE.c.quarantined_at >= since
    )
    return int(connection.execute(cases).scalar_one()) + int(connection.execute(rows).scalar_one())


def count_danger_today(connection: Connection, *, since: str) -> int:
    """Return the number of these unopened crisis cases whose answers name danger today; additions count once."""
    root = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("root")
    rows = connection.execute(select(root, CASES.c.factors).where(*_list_unread(since)))
    return len({row.root for row in rows if is_danger_today(row.factors)})


def _list_unread(since: str) -> tuple[ColumnElement[bool], ...]:
    # Opened before it came into the crisis lane: the reader has not seen why it did.
    unread = or_(CASES.c.opened_at.is_(None), CASES.c.opened_at < CASES.c.crisis_since)
    return CASES.c.crisis, CASES.c.crisis_since >= since, unread


def _end(connection: Connection, row: AlertRow, *, now: datetime, **values: object) -> None:
    if values:
        connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(**values))
    # The next turn: a run that is delivering it at this moment queues it no more.
    entry = select(OUTBOX.c.id).where(record("alert", ALERTS.c.id), ALERTS.c.id == row.id).scalar_subquery()
    ended = {"state": "sent", "turn": OUTBOX.c.turn + 1, "done_at": format_time(now), "last_error": None}
    connection.execute(update(OUTBOX).where(OUTBOX.c.id == entry).values(**ended))


def _list_rows(connection: Connection, *conditions: ColumnElement[bool], most: int | None = None) -> Sequence[AlertRow]:
    rows = connection.execute(_ROWS.where(*conditions).order_by(ALERTS.c.id).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def _columns() -> list[Any]:
    own = dict(ALERTS.c.items())
    return [own[name] if name in own else OUTBOX.c[name] for name in AlertRow.__dataclass_fields__]


_ROWS: Final = select(*_columns()).join(OUTBOX, record("alert", ALERTS.c.id))
_CALL_COLUMNS: Final = [ALERT_CALLS.c[name] for name in AlertCall.__dataclass_fields__]


ALERT_FILE_NAME = "page.json"  # WIRE.md §9.1
COALESCED: Final = timedelta(minutes=1)
# One run calls no further level after this time, so that it ends within the two minutes of its claim even if every
# target keeps it waiting.
CALLS_WITHIN: Final = timedelta(minutes=1)
_NOBODY: Final = "nobody-to-alert"
_SECRET_BYTES: Final = 16


def _make_sender(desk: Desk) -> Address:
    carriers = desk.config.carriers
    return Address(display_name=carriers.mail_name, addr_spec=carriers.mail_from)


def add_told_passkey(
    connection: Connection, key: NewKey, statement: Statement, *, label: str, by: str, now: datetime
) -> None:
    """Add a passkey as `add_passkey` does, and queue the mail to its person."""
    number = add_passkey(connection, key, statement, label=label, by=by, now=now)
    queue(connection, "passkey", [f"{statement.person} {number}"], now=now)


class PasskeyMailSender(Sender):
    """Writes to a person whose account a passkey joined; one without an address learns it on the desk's pages alone."""

    def __init__(self, run: Run) -> None:
        self._desk = run.desk

    def load(self, connection: Connection, row: Row[Any]) -> EmailMessage | Hold | GiveUp:
        """Return the mail about the passkey that the entry names by its person and number."""
        desk, (person, _, number) = self._desk, row.subject.partition(" ")
        found = next(one for one in list_passkeys(connection, person, with_ended=True) if one.number == number)
        to = get_person(connection, person).mail
        if to is None:
            return GiveUp("no-address", is_alarm=False)
        if desk.config.carriers.mail == "off":
            return Hold(code="channel-off")
        body = (
            f"A passkey, “{found.label}”, joined your account at the desk of {desk.config.agency_name} on "
            f"{format_uk_time(found.added_at)}. It signs for you from {format_uk_time(found.signs_from)}.\n\n"
            "Was it not you? Sign in now, end it on the page Your passkeys, and tell a supervisor.\n"
        )
        sender, random = _make_sender(desk), desk.random(16)
        return make_mail(
            to, sender=sender, subject="A new passkey at the desk", body=body, now=desk.clock(), random=random
        )

    def send(self, items: Sequence[EmailMessage]) -> list[GiveUp | None]:
        """Deliver each mail. Raises `DeliveryError`."""
        carrier = make_mail_carrier(self._desk.config.carriers)
        for mail in items:
            if carrier is None:
                raise DeliveryError(reason="no-mail")
            carrier.send(mail)
        return [None] * len(items)


@dataclass(slots=True)
class AlertsSent:
    """The result of one run. `waiting` counts urgent reports that no notice has named.

    `unacknowledged` counts unread reports of an alert that was not acknowledged in time. `is_stuck`: an alert was tried
    and not taken; `warnings` are lines for a person.
    """

    sent: int = 0
    waiting: int = 0
    unacknowledged: int = 0
    is_stuck: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NextCalls:
    """The next steps of an alert: the levels to try, each with its round of the escalation, and the notice's count.

    `waits_until` is the end of the running wait, for news to the level that was called last.
    """

    alert: AlertRow
    count: int
    danger_today: int
    levels: Sequence[tuple[Level, int]]
    waits_until: datetime | None


@dataclass(slots=True)
class AlertSender(Sender):
    """Sends the open alert to the level whose turn it is, or to the next one that takes it."""

    run: Run
    waits_until: datetime | None = None

    def load(self, connection: Connection, row: Row[Any]) -> NextCalls | Hold:
        """Return the levels to call now, unless the last one still has time and there is no news for it."""
        desk, now = self.run.desk, self.run.desk.clock()
        alert = find_open(connection)
        if alert is None or str(alert.id) != row.subject:
            return Hold()
        on_duty = list_callable(desk, connection, now=now)
        if not on_duty:
            return Hold(code=_NOBODY)
        plan = plan_calls(alert, list_calls(connection, [alert.id]), on_duty, now=now)
        if plan is None:
            last = [one for one in list_calls(connection, [alert.id]) if one.taken_at is not None][-1]
            return Hold(until=parse_time(last.waits_until))
        taken = select(func.max(ALERT_CALLS.c.taken_at)).where(ALERT_CALLS.c.level == plan.levels[0][0].title)
        last_at = connection.execute(taken).scalar()
        if last_at is not None and now < parse_time(last_at) + COALESCED:
            return Hold()
        unread = min(alert.count, count_unread(connection, since=alert.first_at))
        danger_today = count_danger_today(connection, since=alert.first_at)
        return NextCalls(alert, max(1, unread), danger_today, plan.levels, plan.waits_until)

    def send(self, items: Sequence[NextCalls]) -> list[GiveUp | None]:
        """Call the levels in turn until one takes the notice. Raises the last failure if none does."""
        for plan in items:
            self._call(plan)
        return [None] * len(items)

    def sent(self, connection: Connection, row: Row[Any], item: NextCalls) -> None:
        """Queue the alert for the end of the wait, or for now if cases were filed in the meantime."""
        now = self.run.desk.clock()
        is_news = get_alert(connection, item.alert.id).count > item.alert.count
        queue(connection, "alert", [row.subject], now=now if is_news or self.waits_until is None else self.waits_until)

    def _call(self, plan: NextCalls) -> None:
        desk = self.run.desk
        began_at, failure = desk.clock(), DeliveryError(reason=_NOBODY)
        for place, (level, turn) in enumerate(plan.levels):
            now = desk.clock()
            if now - began_at > CALLS_WITHIN:
                break
            is_news = place == 0 and plan.waits_until is not None
            until = plan.waits_until if is_news else now + timedelta(minutes=level.wait_minutes)
            secret = to_base64url(desk.random(_SECRET_BYTES))
            values = {
                "alert_id": plan.alert.id,
                "level": level.title,
                "person": level.person,
                "turn": turn,
                "count": plan.count,
                "called_at": format_time(now),
                "waits_until": format_time(until or now),
                "link_sha256": hash_link(secret),
            }
            # Before the notice goes: a run that is killed has called this level.
            with desk.store.write() as connection:
                begun = insert(ALERT_CALLS).values(**values).returning(ALERT_CALLS.c.id)
                call_id = int(connection.execute(begun).scalar_one())
            try:
                _hand_over(desk, level, plan, secret=secret)
            except (DeliveryError, LocalStateError) as error:
                failure = error if isinstance(error, DeliveryError) else DeliveryError(reason=error.reason)
                with desk.store.write() as connection:
                    mine = ALERT_CALLS.c.id == call_id
                    connection.execute(update(ALERT_CALLS).where(mine).values(failed_because=error.reason))
                continue
            with desk.store.write() as connection:
                finish_call(connection, call_id, alert=plan.alert, now=desk.clock())
                numbers = {"call": call_id, "count": plan.count, "turn": turn}
                audit.append_entry(
                    connection, "send-alert", str(plan.alert.id), at=desk.clock(), actor=BY_THE_DESK, **numbers
                )
            self.waits_until = until
            return
        raise failure


def plan_calls(
    alert: AlertRow, calls: Sequence[AlertCall], on_duty: Sequence[Level], *, now: datetime
) -> NextCalls | None:
    """Return the levels to try, beginning with the one whose turn it is; None while the last one has time and no news.

    After the last level it goes on from the top, as the next round.
    """
    taken = [one for one in calls if one.taken_at is not None]
    places = {level.title: place for place, level in enumerate(on_duty)}
    last, first, turn, waits_until = (calls[-1] if calls else None), 0, 1, None
    if last is not None:
        turn = last.turn
        place = places.get(last.level)
        has_time = bool(taken) and format_time(now) < taken[-1].waits_until
        if has_time and alert.count <= alert.told and last.taken_at is not None:
            return None
        is_cut_off = last.taken_at is None and last.failed_because is None  # a run was killed: it may not have gone
        is_news = last.taken_at is not None and has_time
        if place is None:
            first = 0  # it is not on duty any more, e.g. at the end of a shift
        elif is_cut_off or is_news:
            first, waits_until = place, parse_time(last.waits_until) if is_news else None
        else:
            first = place + 1
            if first >= len(on_duty):
                first, turn = 0, turn + 1
    levels = [*((one, turn) for one in on_duty[first:]), *((one, turn + 1) for one in on_duty[:first])]
    return NextCalls(alert, alert.count, 0, levels, waits_until)


def find_end_of_escalation(
    desk: Desk, connection: Connection, *, now: datetime, sent_within: timedelta
) -> datetime | None:
    """Return when every level will have had its time with the open alert without an answer; None without an alert.

    That time is over once the alert is in its second round, or no level took it in time.
    """
    ends = []
    if (unsent := find_unsent(connection, now=now, within=timedelta(0))) is not None:
        ends.append(parse_time(unsent.news_at or unsent.first_at) + sent_within)
    alert = find_unacknowledged(connection)
    calls = [] if alert is None else [one for one in list_calls(connection, [alert.id]) if one.taken_at is not None]
    if calls and calls[-1].turn > 1:
        ends.append(parse_time(calls[-1].called_at))
    elif calls:
        on_duty = list_callable(desk, connection, now=now)
        titles = [one.title for one in on_duty]
        left = on_duty[titles.index(calls[-1].level) + 1 :] if calls[-1].level in titles else on_duty
        ends.append(parse_time(calls[-1].waits_until) + timedelta(minutes=sum(one.wait_minutes for one in left)))
    return min(ends, default=None)


def list_callable(desk: Desk, connection: Connection, *, now: datetime) -> list[Level]:
    """Return the levels on duty now, or if there are none, every level: one is better than none.

    Levels of people without the right to acknowledge an alert are left out.
    """
    able = [one for one in desk.escalation.levels if is_able(connection, one.person)]
    return [one for one in able if one.is_on_duty(desk.agency, now)] or able


def count_waiting_anew(desk: Desk) -> None:
    """Remove cases opened since from the open alert."""
    with desk.store.write() as connection:
        count_anew(connection, now=desk.clock())


def describe_alerts(desk: Desk, outcome: Outcome) -> AlertsSent:
    """Return the result of one run, and warnings about the open alert."""
    now, found = desk.clock(), AlertsSent(sent=outcome.sent)
    with desk.store.read() as connection:
        found.warnings = list_escalation_warnings(desk, connection)
        alert, waiting = find_open(connection), find_waiting(connection)
        overdue = find_overdue(connection, now=now)
    found.waiting = waiting.count - waiting.told if waiting is not None else 0
    found.unacknowledged = overdue[1] if overdue is not None else 0
    if outcome.error is not None:
        found.is_stuck = True
        found.warnings.append(f"ALERT NOT DELIVERED: unexpected, {format_exception(outcome.error)}.")
    if alert is not None and alert.last_error is not None:
        found.is_stuck = True
        found.warnings.append(
            f"ALERT NOT DELIVERED: {alert.count} urgent since {alert.first_at}, {alert.last_error}. "
            "Phone the people on duty."
        )
    return found


def list_escalation_warnings(desk: Desk, connection: Connection, *, is_for_later: bool = False) -> list[str]:
    """Return a line for each fault of the escalation, e.g. a time without a level on duty, or a removed person."""
    levels, now = desk.escalation.levels, desk.clock()
    gap = desk.escalation.find_gap(desk.agency, now) if is_for_later else None
    found = [
        f"ESCALATION: {one.person} may not acknowledge alerts, so the level “{one.title}” is left out."
        for one in levels
        if not is_able(connection, one.person)
    ]
    if not any(is_able(connection, one.person) for one in levels):
        found.append("NOBODY TO ALERT: urgent reports call nobody. Write escalation.toml.")
    elif not any(one.is_on_duty(desk.agency, now) for one in levels):
        found.append("NOBODY ON DUTY NOW: an alert calls every level. Mend its hours in escalation.toml.")
    elif gap is not None:
        found.append(f"NOBODY ON DUTY at {format_uk_time(format_time(gap))}: an alert would call every level.")
    return found


def is_able(connection: Connection, person: str | None) -> bool:
    """Return whether a level's person may acknowledge an alert; a body or a shared telephone has none, and may."""
    if person is None:
        return True
    found = find_person(connection, person)
    is_here = found is not None and found.ended_at is None
    return is_here and is_allowed(list_roles(connection, person), Permission.TAKE_ALERTS)


def _hand_over(desk: Desk, level: Level, plan: NextCalls, *, secret: str) -> None:
    """Sign a notice and deliver it; raises `DeliveryError` or `LocalStateError` on failure."""
    notice = AlertNotice(
        count=plan.count,
        danger_today=plan.danger_today,
        environment=desk.config.environment,
        first_at=plan.alert.first_at,
        issued_at=format_time(desk.clock()),
        # It leads to the sign-in: opening it acknowledges nothing. Without `pages_origin` the desk's pages, and so the
        # link, open on its machine alone.
        link=f"{make_origin(desk.config)}/duty/alerts/{secret}",
        target=level.body,
    )
    signed = desk.load_signer().sign(notice)
    if not level.target.startswith(MAILTO):
        post_json(desk.session, url=level.target, body=signed)
        return
    carrier = make_mail_carrier(desk.config.carriers)
    if carrier is None:
        raise DeliveryError(reason="no-mail")
    words = "1 urgent item" if notice.count == 1 else f"{notice.count} urgent items"
    danger = f"{notice.danger_today} with danger today" if notice.danger_today else "none with danger today"
    body = (
        f"{words} at the desk since {format_uk_time(notice.first_at)}, {danger} ({notice.environment}).\n\n"
        f"Sign in and say that you have it: {notice.link}\n"
    )
    mail = make_mail(
        level.target.removeprefix(MAILTO),
        sender=_make_sender(desk),
        subject=f"{words} at the desk, {danger}",
        body=body,
        now=desk.clock(),
        random=desk.random(16),
    )
    mail.add_attachment(signed, maintype="application", subtype="json", filename=ALERT_FILE_NAME)
    carrier.send(mail)
