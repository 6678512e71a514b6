"""Watches for silent failures: collecting, alerts and their acknowledgement, the quarantine, late answers.

Each is a state: its alarm is raised while the cause lasts, cleared once it is gone, and stays on record. Never stores
content: codes, counts and times.

While nothing has failed it renews the signed statement of staffing that the form's promise rests on. A promise is
withdrawn by a statement without staffed time, and ends by itself after minutes (docs/decisions/0070).
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from gateway.desk.cases.actions.model import find_late
from gateway.desk.collection import damage
from gateway.desk.collection.chain import (
    MOST_NAMED,
    CollectorState,
    get_collector_state,
    read_feed_time,
    write_collector_state,
)
from gateway.desk.collection.quarantine import count_urgent, list_full_senders
from gateway.desk.keyring.anchoring import ANCHORED_WITHIN, find_newest_kept
from gateway.desk.keyring.publication import DAILY_ROLES, PublicationKind, find_newest
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.people.releases import PACKAGE, SERVICE_ALERT
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import find_end_of_escalation, find_overdue, find_unsent, is_able
from gateway.desk.store import DeskStoreError
from gateway.desk.store.agency_tables import PUBLICATIONS, RELEASE_SIGNATURES, RELEASES, SEALING_KEYS
from gateway.desk.store.audit import AlarmRow, list_alarms, raise_alarm
from gateway.desk.store.schema import ALARMS, CASE_ACTIONS, CASES, REPORTS, SERVICE_ALERTS
from gateway.desk.vault import LOCKED, VaultError
from gateway.exchange.feed import FeedStatus
from gateway.guidance.agency import HOLDS_FOR, SIGNED_STAFFING, Agency, ReadWithin, Staffing
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time

# The longest wait of a report at the gateway, and of an alert at the desk, before a person must look.
URGENT_WITHIN: Final = timedelta(minutes=2)
OTHERS_WITHIN: Final = timedelta(hours=1)

STOPPED: Final = "collector-stopped"
URGENT_WAIT: Final = "urgent-reports-wait"
OTHERS_WAIT: Final = "reports-wait"
NOT_SENT: Final = "alert-not-sent"
NOT_ACKNOWLEDGED: Final = "alert-not-acknowledged"
ESCALATION_RAN_OUT: Final = "escalation-ran-out"
NIGHT_UNTAKEN: Final = "night-not-taken-over"
CRISIS_UNREAD: Final = "crisis-unread"
QUARANTINE_FULL: Final = "quarantine-full"
QUARANTINE_UNSETTLED: Final = "quarantine-unsettled"
VAULT_CLOSED: Final = "vault-closed"
NOT_ANCHORED: Final = "audit-not-anchored"
UNREVIEWED: Final = "package-unreviewed"
ALERT_UNREVIEWED: Final = "service-alert-unreviewed"
OVERDUE: Final = "actions-overdue"
UNEXAMINED: Final = "data-not-examined"
# `doctor --deep` runs each day; a machine that is off for a weekend is no alarm.
EXAMINED_WITHIN: Final = timedelta(days=4)

# For pages and for `doctor`: the meaning of each, its remedy, and the command in that.
ADVICE: Final[dict[str, tuple[str, str, str]]] = {
    STOPPED: ("No report has been collected", "Start {}, and read its output.", "collect --every 60"),
    URGENT_WAIT: ("Urgent reports wait at the gateway", "Run {}, and read its output.", "collect"),
    OTHERS_WAIT: ("Reports wait at the gateway", "Run {}, and read its output.", "collect"),
    NOT_SENT: ("An alert has not gone out", "Phone the people on duty yourself, then check escalation.toml.", ""),
    NOT_ACKNOWLEDGED: ("An alert is not acknowledged", "Open the urgent cases; the page On duty takes its answer.", ""),
    ESCALATION_RAN_OUT: (
        "Nobody in the escalation answered an alert, and it goes on from the top",
        "Phone the people on duty yourself; the page Outbox shows whom it called.",
        "",
    ),
    CRISIS_UNREAD: (
        "A report in the crisis lane is unread past the hour that the form promised",
        "Open the lane “Crisis” and read it; {} shows its reference.",
        "case list",
    ),
    NIGHT_UNTAKEN: (
        "Nobody of the day team has taken over a crisis case of the night",
        "Open the page On duty, then Hand-over; {} shows every case.",
        "case list",
    ),
    VAULT_CLOSED: ("The vault opens no report", "Run {} on the desk's machine, or start the vault.", "unlock"),
    NOT_ANCHORED: ("The audit log was not anchored at the gateway", "Run {}, and read its output.", "publish"),
    UNREVIEWED: (
        "A package that a duty officer sent alone is not reviewed",
        "Read it on the page Actions, and sign it as the second person.",
        "",
    ),
    ALERT_UNREVIEWED: (
        "A warning to services that a duty officer sent alone is not reviewed",
        "Read it on the page Warnings, and sign it as the second person.",
        "",
    ),
    OVERDUE: ("An acknowledgement or an answer is overdue", "Phone them: the page “Actions” lists each.", ""),
    UNEXAMINED: ("The stored data was not examined for damage", "Run {}, each day by its timer.", "doctor --deep"),
    damage.PAGES: (
        "Pages of the desk's database are damaged",
        "Stop the desk, and recover the file (docs/running.md, Damaged database); {} says which rows.",
        "doctor --deep",
    ),
    damage.DAMAGED: ("A stored report is damaged", "It is fetched again while the gateway has it: run {}.", "collect"),
    damage.MISSING: ("A stored report is missing", "It is fetched again while the gateway has it: run {}.", "collect"),
    damage.KEY_LOST: (
        "The key of a case is missing, so nothing opens its report",
        (
            "Bring the newest copy of vault/case-keys back today, then run {}. After a day a report that the gateway "
            "still has gets a new key, and notes typed before stay closed."
        ),
        "doctor --deep",
    ),
    damage.BOX: (
        "A stored note, message or file of a sender is damaged",
        "Bring it back from a backup, then run {}.",
        "doctor --deep",
    ),
    QUARANTINE_FULL: ("A sender has filled its room in quarantine", "Read the page Quarantine.", ""),
    QUARANTINE_UNSETTLED: (
        "A report in quarantine that may be urgent waits past the hour that the form promised",
        "Read it on the page Quarantine, and file or dismiss it.",
        "",
    ),
}


def format_advice(code: str) -> str:
    """Return the remedy for a concern, with its command."""
    _, advice, command = ADVICE[code]
    return advice.format(f"`{suggest(command)}`")


@dataclass(frozen=True, slots=True)
class Concern:
    """Stopped or overdue work. `count` is the number; `detail` a code, an id or a target."""

    code: str
    since: datetime
    count: int = 1
    detail: str = ""


def list_concerns(connection: Connection, *, desk: Desk) -> list[Concern]:
    """Return stopped or overdue work, from the desk's own database."""
    now, state, settings = desk.clock(), get_collector_state(connection), desk.config.watch
    closed = find_closed(desk)
    concerns = [*_list_collector_concerns(state, now=now, within=timedelta(minutes=settings.collect_within_minutes))]
    if closed is not None:
        concerns.insert(0, Concern(VAULT_CLOSED, now, detail=closed))
    if unsent := find_unsent(connection, now=now, within=URGENT_WITHIN):
        since = parse_time(unsent.news_at or unsent.first_at)
        concerns.append(Concern(NOT_SENT, since, unsent.count - unsent.told, unsent.last_error or ""))
    if overdue := find_overdue(connection, now=now):
        alert, unread, came_round = overdue
        concerns.append(Concern(NOT_ACKNOWLEDGED, parse_time(alert.first_at), unread))
        if came_round is not None:
            concerns.append(Concern(ESCALATION_RAN_OUT, parse_time(came_round.called_at), unread))
    if desk.agency.is_in_hours(now) and (untaken := list_untaken(connection, agency=desk.agency, now=now)):
        concerns.append(Concern(NIGHT_UNTAKEN, desk.agency.get_night(now)[1], len(untaken)))
    within = timedelta(hours=desk.agency.promises.crisis_read_within_hours)
    concerns += _list_unread(connection, now=now, within=within)
    unsettled, unsettled_since = count_urgent(connection, before=now - within)
    if unsettled_since is not None:
        concerns.append(Concern(QUARANTINE_UNSETTLED, parse_time(unsettled_since), unsettled))
    anchored_at = _find_anchored_at(connection, desk=desk)
    if anchored_at is not None and now - anchored_at > ANCHORED_WITHIN:
        concerns.append(Concern(NOT_ANCHORED, anchored_at))
    if desk.agency.is_in_hours(now):
        concerns += _list_unreviewed(connection)
    if late := find_late(connection, now=now):
        concerns.append(Concern(OVERDUE, late[1], late[0]))
    concerns += _list_damage(connection, state, now=now)
    concerns += [
        Concern(QUARANTINE_FULL, parse_time(last_at), rows, partner)
        for partner, rows, last_at in list_full_senders(connection)
    ]
    return concerns


def update_alarms(desk: Desk) -> list[Concern]:
    """Raise missing alarms of current concerns, clear those whose cause is gone, and return the concerns."""
    with desk.store.read() as connection:
        concerns = list_concerns(connection, desk=desk)
        is_settled = {one.code for one in concerns} == set(_list_open(connection))
    if not is_settled:
        with desk.store.write() as connection:
            concerns = list_concerns(connection, desk=desk)
            _update_alarms(connection, concerns, now=desk.clock())
    return concerns


def find_unfit(desk: Desk) -> str | None:
    """Return the code of the reason why this desk cannot open or collect now, or None; tested by a database write."""
    try:
        for role in DAILY_ROLES:
            desk.read_key(role)
        status = desk.load_signer().get_status()
        if status.is_locked:
            return LOCKED
        held = status.key_ids
        write_collector_state(desk, probed_at=format_time(desk.clock()))
        with desk.store.read() as connection:
            # A desk whose cases cannot be read is of no use.
            connection.execute(_FIRST_CASES).all()
            is_lost = bool(list_lost_quarters(connection, held=held))
            is_refused = get_collector_state(connection).is_refused
    except DeskStoreError as error:
        return {"disk-full": error.reason, "store-damaged": error.reason}.get(error.reason, "store-not-writable")
    except DBAPIError:
        return "store-damaged"  # a table or a column is gone
    except VaultError as error:
        return error.reason
    except ReportAbuseError:
        return "keys-missing"
    if is_lost:
        return "keys-missing"
    return "feed-refuses" if is_refused else None


# By an index, and from the table.
_FIRST_CASES: Final = select(CASES).order_by(CASES.c.received_at.desc(), CASES.c.case_id.desc()).limit(50)


def find_closed(desk: Desk) -> str | None:
    """Return why the vault opens nothing now, e.g. `locked` or `vault-stopped`, or None."""
    try:
        return LOCKED if desk.load_signer().get_status().is_locked else None
    except VaultError as error:
        return error.reason
    except LocalStateError:
        return None  # a damaged file is another fault, which `doctor` names


def list_lost_quarters(connection: Connection, *, held: Collection[bytes]) -> list[str]:
    """Return the quarters whose sealing key should be in the vault but is not."""
    wanted = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.destroyed_at.is_(None)))
    return [row.quarter for row in wanted if parse_base64url(row.key_id) not in held]


def list_untaken(connection: Connection, *, agency: Agency, now: datetime) -> list[str]:
    """Return the open crisis cases that were read or held while the desk was closed, without a holder of the day since.

    They are the night's until a person takes them over in the desk's hours, the oldest first.
    """
    began = func.coalesce(CASES.c.held_since, CASES.c.opened_at)
    query = select(CASES.c.crisis_since, CASES.c.case_id, began.label("began")).where(
        CASES.c.crisis, CASES.c.closed_at.is_(None), CASES.c.joined_to.is_(None), began.is_not(None)
    )
    _, ends_at = agency.get_night(now)
    # Sorted here: a few cases, which the database reads by an index of another order.
    rows = sorted(connection.execute(query), key=lambda one: (one.crisis_since or "", one.case_id))
    return [
        row.case_id for row in rows if parse_time(row.began) < ends_at and not agency.is_in_hours(parse_time(row.began))
    ]


def describe_concern(concern: Concern, *, now: datetime) -> str:
    """Return a concern as a sentence: the problem, its start, and the code or name that goes with it."""
    title = ADVICE[concern.code][0]
    age = now - concern.since
    minutes = int(age.total_seconds() // 60)
    since = "1 minute" if minutes == 1 else f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
    counted = f" ({concern.count})" if concern.count > 1 else ""
    detail = f" ({concern.detail})" if concern.detail else ""
    return f"{title}{counted} for {since}{detail}."


def describe_watch(desk: Desk, concerns: Sequence[Concern]) -> dict[str, Any]:
    """Return the state for a monitoring program: codes, counts and ages."""
    now = desk.clock()
    with desk.store.read() as connection:
        state = get_collector_state(connection)
        others = select(ALARMS.c.kind, func.count().label("count"), func.min(ALARMS.c.raised_at).label("since")).where(
            ALARMS.c.cleared_at.is_(None), ALARMS.c.kind.not_in(ADVICE)
        )
        events = connection.execute(others.group_by(ALARMS.c.kind).order_by(ALARMS.c.kind)).all()
    alarms = [(one.code, one.since, one.count) for one in concerns]
    alarms += [(row.kind, parse_time(row.since), row._mapping["count"]) for row in events]
    return {
        "alarms": [
            {"age_seconds": _age(since, now=now), "code": code, "count": count, "since": format_time(since)}
            for code, since, count in alarms
        ],
        "collector": {
            "age_seconds": None if state.succeeded_at is None else _age(parse_time(state.succeeded_at), now=now),
            "failure": state.failure,
            "succeeded_at": state.succeeded_at,
        },
        "environment": desk.config.environment,
        "role": "desk",
        "status": "alarm" if alarms else "ok",
        "waiting_at_gateway": {"others": state.others_waiting, "urgent": state.urgent_waiting},
    }


def list_waiting_concerns(status: FeedStatus, *, now: datetime) -> list[Concern]:
    """Return the reports that have waited at the gateway for too long, by its current count."""
    concerns = []
    for one in status.waiting:
        is_urgent, since = one.priority == "P1", read_feed_time(one.oldest_received_at, now=now)
        if now - since > (URGENT_WITHIN if is_urgent else OTHERS_WITHIN):
            concerns.append(Concern(URGENT_WAIT if is_urgent else OTHERS_WAIT, since, one.count))
    return concerns


def _list_unread(connection: Connection, *, now: datetime, within: timedelta) -> list[Concern]:
    """Return the broken promise, even if the alert was acknowledged: the form promised a child an hour."""
    unread = select(func.count(), func.min(CASES.c.crisis_since)).where(
        CASES.c.crisis,
        CASES.c.crisis_since <= format_time(now - within),
        CASES.c.opened_at.is_(None),
        CASES.c.closed_at.is_(None),
    )
    count, since = connection.execute(unread).one()
    return [Concern(CRISIS_UNREAD, parse_time(since), int(count))] if count else []


def list_unreviewed_actions(connection: Connection, case_ids: Collection[str]) -> set[str]:
    """Return the ids of the packages and alerts about these cases that wait for their review by a second person."""
    return {
        action_id
        for _, alone in _list_alone()
        for action_id in connection.execute(
            alone.with_only_columns(CASE_ACTIONS.c.action_id).where(CASE_ACTIONS.c.case_id.in_(case_ids))
        ).scalars()
    }


def _list_unreviewed(connection: Connection) -> list[Concern]:
    """Return the packages and alerts that one person released: once the desk is open, a second one reviews them."""
    found = []
    for code, alone in _list_alone():
        columns = func.count(RELEASES.c.id.distinct()), func.min(CASE_ACTIONS.c.released_at)
        count, since = connection.execute(alone.with_only_columns(*columns)).one()
        found += [Concern(code, parse_time(since), int(count))] if count else []
    return found


def _list_alone() -> list[tuple[str, Select[Any]]]:
    signed = RELEASES.outerjoin(RELEASE_SIGNATURES, RELEASES.c.id == RELEASE_SIGNATURES.c.release_id)
    of_alert = signed.join(SERVICE_ALERTS, SERVICE_ALERTS.c.alert_id == RELEASES.c.subject)
    return [
        (
            code,
            select(CASE_ACTIONS.c.action_id)
            .select_from(rows.join(CASE_ACTIONS, CASE_ACTIONS.c.action_id == action_id))
            .where(
                RELEASES.c.kind == kind,
                RELEASE_SIGNATURES.c.release_id.is_(None),
                CASE_ACTIONS.c.released_at.is_not(None),
                CASE_ACTIONS.c.state != "withdrawn",
            ),
        )
        for code, kind, action_id, rows in (
            (UNREVIEWED, PACKAGE, RELEASES.c.subject, signed),
            (ALERT_UNREVIEWED, SERVICE_ALERT, SERVICE_ALERTS.c.action_id, of_alert),
        )
    ]


def _find_anchored_at(connection: Connection, *, desk: Desk) -> datetime | None:
    """Return the time of the newest anchor; before the first, that of the first list at the gateway, if there is one.

    A damaged copy of the anchors counts as none: `audit check` names it.
    """
    try:
        newest = find_newest_kept(desk)
    except ReportAbuseError:
        newest = None
    first = select(func.min(PUBLICATIONS.c.published_at))
    at = connection.execute(first).scalar() if newest is None else newest.at
    return None if at is None else parse_time(at)


def _list_damage(connection: Connection, state: CollectorState, *, now: datetime) -> list[Concern]:
    """Return one concern for each kind of damage, naming its references, and one if the check is overdue."""
    found: dict[str, list[AlarmRow]] = {}
    for alarm in list_alarms(connection):
        if alarm.kind in damage.KINDS:
            found.setdefault(alarm.kind, []).append(alarm)
    concerns = [
        Concern(
            kind,
            parse_time(rows[0].raised_at),
            len(rows),
            ", ".join(damage.get_subject(row).partition(":")[0] for row in rows[:MOST_NAMED]),
        )
        for kind, rows in found.items()
    ]
    first = select(REPORTS.c.collected_at).order_by(REPORTS.c.id).limit(1)
    since = state.examined_at or connection.execute(first).scalar()
    if since is not None and now - parse_time(since) > EXAMINED_WITHIN:
        concerns.append(Concern(UNEXAMINED, parse_time(since)))
    return concerns


def _list_collector_concerns(state: CollectorState, *, now: datetime, within: timedelta) -> list[Concern]:
    concerns = []
    last = state.succeeded_at or state.failed_at
    # A desk that has never collected is being set up: `doctor` reports that, and nothing has stopped.
    if last is not None and (state.succeeded_at is None or now - parse_time(last) > within):
        concerns.append(Concern(STOPPED, parse_time(last), detail=state.failure or ""))
    for code, since, count, limit in (
        (URGENT_WAIT, state.urgent_since, state.urgent_waiting, URGENT_WITHIN),
        (OTHERS_WAIT, state.others_since, state.others_waiting, OTHERS_WITHIN),
    ):
        if since is not None and now - parse_time(since) > limit:
            concerns.append(Concern(code, parse_time(since), count))
    return concerns


def _update_alarms(connection: Connection, concerns: Collection[Concern], *, now: datetime) -> None:
    is_open = _list_open(connection)
    for concern in concerns:
        if concern.code not in is_open:
            # One alarm of a kind is open at a time; the time distinguishes it from an earlier one.
            detail = f" {concern.detail}" if concern.detail else ""
            raise_alarm(connection, concern.code, f"since {format_time(concern.since)}{detail}, {now:%FT%TZ}", now=now)
    gone = set(is_open) - {concern.code for concern in concerns}
    if gone:
        connection.execute(
            update(ALARMS)
            .where(ALARMS.c.cleared_at.is_(None), ALARMS.c.kind.in_(gone))
            .values(cleared_at=format_time(now), cleared_by=BY_THE_DESK)
        )


def _list_open(connection: Connection) -> list[str]:
    query = select(ALARMS.c.kind).where(ALARMS.c.cleared_at.is_(None), ALARMS.c.kind.in_(ADVICE))
    return list(connection.execute(query).scalars())


def _age(since: datetime, *, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()))


# An idle desk signs one in two minutes. With a slow round behind it, the next still comes before this one ends.
RENEWED_AFTER: Final = timedelta(minutes=2)
_LOOKS_AHEAD: Final = timedelta(days=1)
# Reports wait for too long: a promise of these hours is broken already.
_BROKEN: Final = frozenset({CRISIS_UNREAD, STOPPED, URGENT_WAIT})
_KIND: Final[PublicationKind] = "staffing"


def publish_staffing(desk: Desk) -> None:
    """Publish a new statement at the gateway, unless the last one is recent and still true.

    Raises the feed client's errors; the next run tries again, and meanwhile the gateway's statement ends by itself.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        row = find_newest(connection, _KIND)
        last = None if row is None else SIGNED_STAFFING.peek(bytes(row.body))
        staffing = make_staffing(desk, connection, last=last)
    if last is not None and not _is_news(last, staffing):
        return
    body = desk.load_signer().sign(staffing)
    desk.make_feed().put_list(_KIND, body)
    with desk.store.write() as connection:
        # Only the newest is kept: no check reads an older one, and one in two minutes would fill the table.
        connection.execute(delete(PUBLICATIONS).where(PUBLICATIONS.c.kind == _KIND))
        values = {
            "kind": _KIND,
            "serial": int(parse_time(staffing.issued_at).timestamp()),
            "content_sha256": hashlib.sha256(body).digest(),
            "body": body,
            "signed_at": format_time(now),
            "published_at": format_time(now),
        }
        connection.execute(insert(PUBLICATIONS).values(**values))


def make_staffing(desk: Desk, connection: Connection, *, last: Staffing | None) -> Staffing:
    """Return the statement that is true now: unstaffed once nobody answered, or reports wait for too long."""
    now, agency = desk.clock(), desk.agency
    # The gateway accepts only a newer one, also within one second or after this clock was set back.
    issued_at = now if last is None else max(now, parse_time(last.issued_at) + timedelta(seconds=1))
    expires_at, staffed_until = issued_at + HOLDS_FOR, now
    end = find_end_of_escalation(desk, connection, now=now, sent_within=URGENT_WITHIN)
    is_broken = any(one.code in _BROKEN for one in list_concerns(connection, desk=desk))
    if (end is None or end > now) and not is_broken:
        able = tuple(one for one in desk.escalation.levels if is_able(connection, one.person))
        escalation = msgspec.structs.replace(desk.escalation, level=able)
        gap = escalation.find_gap(agency, now, within=_LOOKS_AHEAD, counts_hours=True)
        staffed_until = gap or now + _LOOKS_AHEAD
        # If nobody answers by then, the promise ends at that second, whatever this desk does.
        expires_at = expires_at if end is None or staffed_until == now else max(issued_at, min(expires_at, end))
    promises = agency.promises
    return Staffing(
        environment=desk.config.environment,
        expires_at=format_time(expires_at),
        issued_at=format_time(issued_at),
        next_hour=format_time(agency.get_next_opening(now)),
        read_within=ReadWithin(
            crisis=promises.crisis_read_within_hours * 60,
            other=promises.read_within_hours * 60,
            urgent=promises.urgent_read_within_hours * 60,
        ),
        staffed_until=None if staffed_until == now else format_time(staffed_until),
    )


def _is_news(last: Staffing, new: Staffing) -> bool:
    is_other = (last.staffed_until is None, last.read_within) != (new.staffed_until is None, new.read_within)
    gained = parse_time(new.expires_at) - parse_time(last.expires_at)
    return is_other or not timedelta(0) <= gained < RENEWED_AFTER
