"""The queue of everything the desk sends: one row for each record, with its state, its tries and its next try.

Never holds content or an address: a row names its record by an id of ours, and the record's own table holds the rest.
Never queues a stage of a public report: only partners can follow one.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from gateway.desk import audit
from gateway.desk.store.agency_tables import OUTBOX, STAGES
from gateway.exchange.feed import PutResult
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER, SetAsideReason

KindName = Literal["alert", "stage", "message", "reply", "note", "passkey", "forget"]
State = Literal["waiting", "held", "sent", "given_up"]

OPEN_STATES: Final[tuple[State, ...]] = ("waiting", "held")
# The condition of an entry that is neither sent nor given up.
IS_OPEN: Final = OUTBOX.c.state.in_(OPEN_STATES)
# When an entry was sent; None for one that waits or was given up.
SENT_AT: Final = case((OUTBOX.c.state == "sent", OUTBOX.c.done_at))
FIRST_WAIT: Final = timedelta(minutes=1)
# Given up because the gateway keeps no place for it, e.g. for a reply to a return code that is gone.
NO_PLACE: Final[PutResult] = "no-place"
# Entries that need a person come first.
_STATES: Final[tuple[State, ...]] = ("given_up", "waiting", "held", "sent")
COLLECTED: Final = "collected"
OPENED: Final = "opened"
# For a response that answers nothing; unlike the other reasons, this one goes with a filed report.
NO_OPEN_REQUEST: Final = "no-open-request"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One entry for lists; `subject` is the id of its record, and `done_at` when it was sent or given up."""

    id: int
    kind: KindName
    subject: str
    state: State
    tries: int
    next_try_at: str
    queued_at: str
    done_at: str | None
    last_error: str | None


class OutboxError(ReportAbuseError):
    """An entry cannot be tried again; the message gives the reason."""


def get_wait(
    tries: int, *, random: Callable[[int], bytes], longest: timedelta, first: timedelta = FIRST_WAIT
) -> timedelta:
    """Return the pause after this many tries: doubling, plus up to a quarter at random."""
    # 2**20 minutes are two years: the exponent is capped so that no number grows without end.
    doublings = min(max(tries - 1, 0), 20)
    wait = min(first * (1 << doublings), longest)
    return wait + wait * (random(1)[0] / 255) / 4


def queue(connection: Connection, kind: KindName, subjects: Iterable[str], *, now: datetime, lane: str = "") -> None:
    """Queue records in the caller's transaction; an already queued one is reset and sent again.

    Entries of one lane go in order: the first waiting one holds back the later ones.
    """
    moment = format_time(now)
    fresh = {
        "state": "waiting",
        "tries": 0,
        "silences": 0,
        "queued_at": moment,
        "next_try_at": moment,
    }
    values = [{"kind": kind, "subject": subject, "lane": lane, "turn": 0, **fresh} for subject in subjects]
    if values:
        connection.execute(_QUEUE, values)


# Text, because Core has ON CONFLICT only by dialect. Both databases know it. A new turn: a run that is sending the
# earlier entry cannot mark this one as sent.
_QUEUE: Final = text(
    "INSERT INTO outbox (kind, subject, lane, turn, state, tries, silences, queued_at, next_try_at)"
    " VALUES (:kind, :subject, :lane, :turn, :state, :tries, :silences, :queued_at, :next_try_at)"
    " ON CONFLICT (kind, subject) DO UPDATE SET turn = outbox.turn + 1, state = excluded.state, tries = excluded.tries,"
    " silences = excluded.silences, queued_at = excluded.queued_at, next_try_at = excluded.next_try_at, done_at = NULL,"
    " last_error = NULL"
)


def record(kind: KindName, subject: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that joins a table of records to their entries."""
    # No cast unless needed: it would keep SQLite from the record's own index.
    as_text = subject if isinstance(subject.type, Text) else cast(subject, Text)
    return and_(OUTBOX.c.kind == kind, OUTBOX.c.subject == as_text)


def list_due(connection: Connection, kind: KindName, *, now: datetime, after: int, most: int) -> Sequence[Row[Any]]:
    """Return the due entries, the oldest first, without those behind a waiting one."""
    moment, before = format_time(now), OUTBOX.alias()
    kept_back = select(before.c.id).where(
        before.c.kind == OUTBOX.c.kind,
        before.c.lane == OUTBOX.c.lane,
        before.c.lane != "",
        before.c.id < OUTBOX.c.id,
        before.c.state.in_(OPEN_STATES),
        before.c.next_try_at > moment,
    )
    due = (OUTBOX.c.kind == kind) & IS_OPEN & (OUTBOX.c.next_try_at <= moment) & (OUTBOX.c.id > after)
    query = select(OUTBOX).where(due, ~kept_back.exists()).order_by(OUTBOX.c.id).limit(most)
    return connection.execute(query).all()


def is_unchanged(connection: Connection, row: Row[Any]) -> bool:
    """Return whether an entry is as it was read: not claimed by another run and not queued again."""
    return connection.execute(select(OUTBOX.c.id).where(_as_read(row), IS_OPEN)).first() is not None


def claim(connection: Connection, row: Row[Any], *, until: datetime) -> Row[Any]:
    """Claim an entry for this run until that time; the claim of a killed run expires."""
    return connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == row.id)
        .values(
            state="waiting", turn=row.turn + 1, tries=row.tries + 1, next_try_at=format_time(until), last_error=None
        )
        .returning(OUTBOX)
    ).one()


def note(connection: Connection, row: Row[Any], **values: Any) -> bool:
    """Record the result of a claimed entry; False if it was queued again in the meantime and must be sent again."""
    return connection.execute(update(OUTBOX).where(_as_read(row), IS_OPEN).values(**values)).rowcount == 1


def drop(connection: Connection, kind: KindName, subjects: Collection[str]) -> None:
    """Remove entries whose records are gone."""
    connection.execute(delete(OUTBOX).where(OUTBOX.c.kind == kind, OUTBOX.c.subject.in_(subjects)))


def list_failed(connection: Connection, *, most: int) -> list[OutboxRow]:
    """Return the entries that failed or were given up, and that another try may send.

    Notes and replies without a place have lists of their own; an alert is tried again in each run.
    """
    wanted = _HAS_FAILED & OUTBOX.c.kind.not_in(("note", "alert")) & (OUTBOX.c.last_error != NO_PLACE)
    query = select(*_COLUMNS).where(wanted).order_by(*order_by_state()).limit(most)
    return [OutboxRow(**row._mapping) for row in connection.execute(query)]


def order_by_state() -> tuple[ColumnElement[Any], ...]:
    """Return the order of lists: given up first, then waiting, then sent, each newest first."""
    places = case({state: place for place, state in enumerate(_STATES)}, value=OUTBOX.c.state)
    return places, OUTBOX.c.id.desc()


def count_by_state(connection: Connection, kind: KindName) -> dict[str, int]:
    """Return the number of entries of a kind in each state."""
    query = select(OUTBOX.c.state, func.count()).where(OUTBOX.c.kind == kind).group_by(OUTBOX.c.state)
    return {str(state): int(count) for state, count in connection.execute(query)}


def count_open(connection: Connection, kind: KindName) -> int:
    """Return the number of unsent entries of a kind that are not given up."""
    counts = count_by_state(connection, kind)
    return sum(counts.get(state, 0) for state in OPEN_STATES)


def count_failing(connection: Connection, kind: KindName) -> dict[str, int]:
    """Return the number of entries of a kind that wait for another try, by the code of their last failure."""
    failing = (OUTBOX.c.kind == kind) & IS_OPEN & OUTBOX.c.last_error.is_not(None)
    query = select(OUTBOX.c.last_error, func.count()).where(failing).group_by(OUTBOX.c.last_error)
    return {str(code): int(count) for code, count in connection.execute(query)}


def try_again(connection: Connection, number: int, *, actor: str, now: datetime) -> OutboxRow:
    """Release an entry that failed or was given up to the next run, and return it as it was.

    Raises `OutboxError` (`not-waiting`) for any other: an entry without an error may be on its way at this moment.
    """
    row = connection.execute(select(*_COLUMNS).where(OUTBOX.c.id == number, _HAS_FAILED)).first()
    if row is None:
        raise OutboxError("This entry has not failed, or was tried again already.", reason="not-waiting")
    connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.id == number)
        .values(
            state="waiting",
            turn=OUTBOX.c.turn + 1,
            tries=0,
            silences=0,
            next_try_at=format_time(now),
            last_error=None,
        )
    )
    audit.append_entry(connection, "send-again", row.subject, at=now, actor=actor, kind=row.kind)
    return OutboxRow(**row._mapping)


# An entry without an error may be on its way at this moment.
_HAS_FAILED: Final = (OUTBOX.c.state == "given_up") | (IS_OPEN & OUTBOX.c.last_error.is_not(None))
_COLUMNS: Final = [OUTBOX.c[name] for name in OutboxRow.__dataclass_fields__]


def _as_read(row: Row[Any]) -> ColumnElement[bool]:
    return and_(OUTBOX.c.id == row.id, OUTBOX.c.turn == row.turn)


def queue_stage(
    connection: Connection,
    *,
    partner: str,
    report_id: str,
    now: datetime,
    outcome: str | None = None,
    stage: Literal["collected", "opened"] = OPENED,
    set_aside_reason: SetAsideReason | None = None,
) -> None:
    """Queue a report's stage, with its outcome once released, in the caller's transaction.

    A set-aside report is `collected` with a reason, and one filed later is `collected` without. An outcome queued
    earlier stays if no new one is given: it was released already.
    """
    if partner == PUBLIC_SENDER:
        return
    same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
    told = outcome or connection.execute(select(STAGES.c.outcome).where(same)).scalar()
    connection.execute(delete(STAGES).where(same))
    connection.execute(
        insert(STAGES).values(
            partner=partner, report_id=report_id, stage=stage, outcome=told, set_aside_reason=set_aside_reason
        )
    )
    queue(connection, "stage", [f"{partner} {report_id}"], now=now)


def queue_stage_again(connection: Connection, *, partner: str, report_id: str, now: datetime) -> None:
    """Queue a report's current stage again, if it has one."""
    same = (STAGES.c.partner == partner) & (STAGES.c.report_id == report_id)
    if connection.execute(select(STAGES.c.stage).where(same)).first() is not None:
        queue(connection, "stage", [f"{partner} {report_id}"], now=now)
