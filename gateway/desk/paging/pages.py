"""Alerts the people on duty to urgent reports: one notice a minute, tried until it is taken and acknowledged (R21).

Never says what came in: a notice has a count and times. Never silent: each run names an alert that cannot go out.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from gateway.desk import audit
from gateway.desk.carrying.back_off import get_wait
from gateway.desk.carrying.delivery import DeliveryError
from gateway.desk.paging.pagers import find_pager
from gateway.desk.store.post_tables import PAGES
from gateway.desk.store.schema import CASES, SET_ASIDE
from gateway.desk.wiring import Desk
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.page_notice import PageNotice, PageTarget, sign_page

COALESCED: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(minutes=15)
# For so long nobody else sends a page that is being sent; a run that was killed leaves it to the next one.
_LEASE: Final = timedelta(minutes=2)
_NO_PAGER: Final = "no-pager"


@dataclass(frozen=True, slots=True)
class PageRow:
    """One page as lists show it: to whom, how many, and when."""

    id: int
    target: str
    count: int
    first_at: str
    sent_at: str | None
    tries: int
    next_try_at: str
    last_error: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    repeats: int
    repeated_at: str | None
    repeated_to: str | None


_COLUMNS: Final = [PAGES.c[name] for name in PageRow.__dataclass_fields__]


class AlertError(ReportAbuseError):
    """No alert of this number waits to be acknowledged."""


@dataclass(slots=True)
class Paged:
    """What one run did. `waiting` counts urgent reports of which nobody has been told.

    `unacknowledged` counts those that somebody was told of and nobody has acknowledged in time.
    `is_stuck` says that it was tried and did not work; `warnings` are lines for a person.
    """

    sent: int = 0
    waiting: int = 0
    unacknowledged: int = 0
    is_stuck: bool = False
    warnings: list[str] = field(default_factory=list)


def queue_page(connection: Connection, *, count: int, now: datetime) -> None:
    """Note in the caller's transaction that so many cases came into the crisis lane; what waits already is added to."""
    if count < 1:
        return
    waiting = _find_waiting(connection)
    if waiting is not None:
        # Another process may have read its clock before this page was queued, and commit after that.
        first_at = min(waiting.first_at, format_time(now))
        values = {"count": PAGES.c.count + count, "first_at": first_at}
        connection.execute(update(PAGES).where(PAGES.c.id == waiting.id).values(**values))
        return
    # Addressed when it is sent, to who is on duty then.
    _add_page(connection, "desk", count=count, first_at=format_time(now), now=now)


def send_pages(desk: Desk) -> Paged:
    """Send the page that waits, if it is due, to whoever is on duty now. Never raises for a pager that fails.

    Of a page that could not go out until all it tells of was opened by somebody, nobody has to be told any more: it is
    dropped, and the audit log says so.
    """
    paged = Paged(warnings=list_pager_warnings(desk))
    now = desk.clock()
    with desk.store.write() as connection:
        _count_anew(connection, now=now)
        row = _claim(connection, desk=desk, now=now)
    if row is not None:
        _send(desk, row, paged=paged)
    _repeat(desk, paged=paged)
    with desk.store.read() as connection:
        waiting = _find_waiting(connection)
    if waiting is not None:
        paged.waiting = _count_of(waiting)
        if waiting.last_error is not None:
            paged.is_stuck = True
            paged.warnings.append(
                f"ALERT NOT DELIVERED: {paged.waiting} urgent since {waiting.first_at}, {waiting.tries} tries, "
                f"{waiting.last_error}. Phone the people on duty."
            )
    return paged


def list_pages(connection: Connection, *, most: int) -> list[PageRow]:
    """Return the newest pages, the newest first."""
    rows = connection.execute(select(*_COLUMNS).order_by(PAGES.c.id.desc()).limit(most))
    return [PageRow(**row._mapping) for row in rows]


def list_unsent(connection: Connection, *, now: datetime, within: timedelta) -> list[PageRow]:
    """Return the alerts that have not gone out in this time."""
    return _list_rows(connection, PAGES.c.sent_at.is_(None), PAGES.c.first_at < format_time(now - within))


def list_unacknowledged(connection: Connection) -> list[PageRow]:
    """Return the alerts that went out and that nobody has acknowledged, the oldest first.

    One whose urgent cases were all opened since needs nobody any more.
    """
    rows = _list_rows(connection, PAGES.c.sent_at.is_not(None), PAGES.c.acknowledged_at.is_(None))
    # What is unread since a moment is unread since every earlier one: the newest alert that has some settles the rest.
    while rows and not _count_unread(connection, since=rows[-1].first_at):
        rows.pop()
    return rows


def list_overdue(connection: Connection, *, now: datetime, within: timedelta) -> list[PageRow]:
    """Return the alerts that went out longer ago than this, and that nobody has acknowledged."""
    latest = format_time(now - within)
    return [row for row in list_unacknowledged(connection) if row.sent_at is not None and row.sent_at < latest]


def acknowledge_alert(connection: Connection, number: int, *, actor: str, now: datetime) -> int:
    """Note who has an alert, and every earlier one that went out, in hand; return how many they are.

    Raises `AlertError` (`unknown-alert`) where none of this number waits for that.
    """
    waiting = [PAGES.c.sent_at.is_not(None), PAGES.c.acknowledged_at.is_(None)]
    if connection.execute(select(PAGES.c.id).where(PAGES.c.id == number, *waiting)).first() is None:
        raise AlertError(
            "No alert of this number waits to be acknowledged. `alert list` shows those that do.",
            reason="unknown-alert",
        )
    changed = connection.execute(
        update(PAGES)
        .where(PAGES.c.id <= number, *waiting)
        .values(acknowledged_at=format_time(now), acknowledged_by=actor)
    )
    audit.append_entry(
        connection,
        at=now,
        actor=actor,
        action="acknowledge-alert",
        subject=str(number),
        detail={"alerts": changed.rowcount},
    )
    return changed.rowcount


def list_pager_warnings(desk: Desk) -> list[str]:
    """Return a line for each pager that `desk.toml` leaves off."""
    times = {"desk": "in the desk's hours", "out_of_hours": "out of hours"}
    return [
        f"NO PAGER {words}: urgent reports raise no alert then. Set pager.{target} in desk.toml."
        for target, words in times.items()
        if getattr(desk.config.pager, target) == "off"
    ]


def _count_anew(connection: Connection, *, now: datetime) -> None:
    """Take from the page that waits what somebody has opened since; drop it where nothing is left."""
    row = _find_waiting(connection)
    if row is None:
        return
    left = min(_count_of(row), _count_unread(connection, since=row.first_at))
    if left:
        connection.execute(update(PAGES).where(PAGES.c.id == row.id).values(count=left))
        return
    connection.execute(delete(PAGES).where(PAGES.c.id == row.id))
    audit.append_entry(
        connection, at=now, actor="pager", action="drop-page", subject=row.target, detail={"count": _count_of(row)}
    )


def _count_unread(connection: Connection, *, since: str) -> int:
    """Return how many cases came into the crisis lane since then that nobody has opened, and rows that wait aside.

    A case and what its sender added to it is one.
    """
    cases = select(func.count(func.coalesce(CASES.c.joined_to, CASES.c.case_id).distinct())).where(
        CASES.c.crisis,
        CASES.c.crisis_since >= since,
        # Who read it before it came into the crisis lane has not seen why it did.
        or_(CASES.c.opened_at.is_(None), CASES.c.opened_at < CASES.c.crisis_since),
    )
    # Of any priority: what a row seals may be more urgent than what it states.
    group = SET_ASIDE.c.reason + " " + func.coalesce(SET_ASIDE.c.claimed_partner, "")
    rows = select(func.count(group.distinct())).where(
        SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.set_aside_at >= since
    )
    return int(connection.execute(cases).scalar_one()) + int(connection.execute(rows).scalar_one())


def _claim(connection: Connection, *, desk: Desk, now: datetime) -> Row[Any] | None:
    """Take the waiting page for this run, addressed to who is on duty now; None when there is none, or it must wait."""
    row = _find_waiting(connection)
    if row is None or parse_time(row.next_try_at) > now:
        return None
    target = _choose_target(desk, now)
    if target is None:
        connection.execute(update(PAGES).where(PAGES.c.id == row.id).values(last_error=_NO_PAGER))
        return None
    last_at = _find_last_sent(connection, target)
    if last_at is not None and now < last_at + COALESCED:
        return None
    connection.execute(
        update(PAGES)
        .where(PAGES.c.id == row.id)
        .values(target=target, tries=row.tries + 1, next_try_at=format_time(now + _LEASE))
    )
    return connection.execute(select(PAGES).where(PAGES.c.id == row.id)).one()


def _choose_target(desk: Desk, now: datetime) -> PageTarget | None:
    # A pager that is off must not silence the other one: somebody is better than nobody, and each run says so.
    on_duty = desk.agency.get_target_on_duty(now)
    targets: list[PageTarget] = sorted(get_args(PageTarget), key=lambda target: target != on_duty)
    return next((target for target in targets if getattr(desk.config.pager, target) != "off"), None)


def _send(desk: Desk, row: Row[Any], *, paged: Paged) -> None:
    now, count = desk.clock(), _count_of(row)
    try:
        _hand_over(desk, row.target, count=count, first_at=row.first_at, now=now)
    except (DeliveryError, LocalStateError) as error:
        wait = get_wait(row.tries, random=desk.random, longest=LONGEST_WAIT)
        with desk.store.write() as connection:
            connection.execute(
                update(PAGES)
                .where(PAGES.c.id == row.id)
                .values(next_try_at=format_time(now + wait), last_error=error.reason)
            )
        return
    with desk.store.write() as connection:
        # None: everything was opened meanwhile, and another run dropped the page.
        held = connection.execute(select(PAGES).where(PAGES.c.id == row.id)).first()
        connection.execute(
            update(PAGES).where(PAGES.c.id == row.id).values(sent_at=format_time(now), count=count, last_error=None)
        )
        if held is not None and _count_of(held) > count:
            # Filed while we were sending: the next notice tells of them. Its time is that of this page, because who
            # filed them may have read its clock before we read ours.
            left = _count_of(held) - count
            _add_page(connection, row.target, count=left, first_at=held.first_at, now=now)
        audit.append_entry(
            connection, at=now, actor="pager", action="send-page", subject=row.target, detail={"count": count}
        )
    paged.sent += 1


def _repeat(desk: Desk, *, paged: Paged) -> None:
    """Send what nobody has acknowledged in time once more, to the target that was not told last."""
    now, within = desk.clock(), timedelta(minutes=desk.config.watch.acknowledge_within_minutes)
    with desk.store.write() as connection:
        overdue = list_overdue(connection, now=now, within=within)
        if not overdue:
            return
        first_at = min(row.first_at for row in overdue)
        paged.unacknowledged = min(sum(row.count for row in overdue), _count_unread(connection, since=first_at))
        due = [row for row in overdue if row.repeated_at is None or now - parse_time(row.repeated_at) >= within]
        if not due:
            return
        target = _choose_other(desk, due[-1].repeated_to or due[-1].target)
        if target is None:
            return  # no pager is on at all: each run says so
        # Before it is sent: a run that is killed meanwhile leaves the next repeat to the next turn.
        connection.execute(
            update(PAGES)
            .where(PAGES.c.id.in_([row.id for row in due]))
            .values(repeated_at=format_time(now), repeated_to=target, repeats=PAGES.c.repeats + 1)
        )
        audit.append_entry(
            connection,
            at=now,
            actor="pager",
            action="repeat-page",
            subject=target,
            detail={"count": paged.unacknowledged},
        )
    try:
        _hand_over(desk, target, count=paged.unacknowledged, first_at=first_at, now=now)
    except (DeliveryError, LocalStateError) as error:
        paged.is_stuck = True
        paged.warnings.append(f"ALERT NOT REPEATED: {paged.unacknowledged} urgent since {first_at}, {error.reason}.")
        with desk.store.write() as connection:  # the next run tries the same target again
            for row in due:
                values = {"repeated_at": row.repeated_at, "repeated_to": row.repeated_to, "repeats": row.repeats}
                connection.execute(update(PAGES).where(PAGES.c.id == row.id).values(**values))


def _choose_other(desk: Desk, told: str) -> PageTarget | None:
    targets: list[PageTarget] = sorted(get_args(PageTarget), key=lambda target: target == told)
    return next((target for target in targets if getattr(desk.config.pager, target) != "off"), None)


def _hand_over(desk: Desk, target: PageTarget, *, count: int, first_at: str, now: datetime) -> None:
    """Sign a notice and give it to a pager; raises `DeliveryError` or `LocalStateError` where it does not take it."""
    pager = find_pager(desk, target)
    if pager is None:
        raise DeliveryError(reason=_NO_PAGER)
    notice = PageNotice(
        count=count,
        environment=desk.config.environment,
        first_at=first_at,
        issued_at=format_time(now),
        target=target,
    )
    pager.send(sign_page(notice, private_key=desk.load_private_key(KeyRole.MAILBOX_SIGNING)), notice=notice)


def _add_page(connection: Connection, target: str, *, count: int, first_at: str, now: datetime) -> None:
    connection.execute(
        insert(PAGES).values(target=target, count=count, first_at=first_at, tries=0, next_try_at=format_time(now))
    )


def _list_rows(connection: Connection, *conditions: ColumnElement[bool]) -> list[PageRow]:
    rows = connection.execute(select(*_COLUMNS).where(*conditions).order_by(PAGES.c.id))
    return [PageRow(**row._mapping) for row in rows]


def _count_of(row: Row[Any]) -> int:
    return int(row._mapping["count"])  # `row.count` is the method of a tuple


def _find_waiting(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(PAGES).where(PAGES.c.sent_at.is_(None)).order_by(PAGES.c.id).limit(1)).first()


def _find_last_sent(connection: Connection, target: str) -> datetime | None:
    last = connection.execute(select(func.max(PAGES.c.sent_at)).where(PAGES.c.target == target)).scalar()
    return None if last is None else parse_time(last)
