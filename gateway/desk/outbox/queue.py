"""The queue of everything the desk sends, and the only loop that sends it.

A row names its record by an id of ours, and the record's own table holds content and address. The loop claims entries,
sends them, and records each as sent, failed until a later try, or given up. Never sends an entry twice when two runs
find it together, and never loses one: a claim expires if its run is killed.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
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

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.carriers import DeliveryError
from gateway.desk.store import DeskStoreError, audit
from gateway.desk.store.agency_tables import OUTBOX, STAGES
from gateway.desk.store.audit import list_alarm_subjects, raise_alarm
from gateway.exchange.feed import PutResult
from gateway.web.logs import format_exception
from partner_sdk.errors import (
    LocalStateError,
    NotAuthorisedError,
    RateLimitedError,
    ReportAbuseError,
    TransportError,
    UnavailableError,
)
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
    """Release an entry that failed or was given up to the next run, and return it as it was. Raises `OutboxError`."""
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

    A report in quarantine is `collected` with a reason, and one filed later is `collected` without. An outcome queued
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


_log = logging.getLogger(__name__)

UNEXPECTED: Final = "unexpected"
GAVE_UP: Final = "outbox-gave-up"
STUCK: Final = "outbox-stuck"
# The gateway does not answer this desk now, or this desk lacks a key: not the entry's fault, which loses no try.
_SILENCE: Final = (TransportError, UnavailableError, NotAuthorisedError, RateLimitedError, LocalStateError)
# A crash (500) may be due to this entry alone: treated as silence, it would hold back all others for ever.
_CRASH: Final = 500
# After this many calls in a row without an answer the gateway counts as silent. Two of them may be due to one entry,
# sent first in its batch and then alone, e.g. a message that kills a worker of the gateway.
_MOST_SILENCES: Final = 3
# After this many turns in a row without an answer an entry waits between its turns: three such entries would make the
# gateway look silent in every run. Until then it goes in the next run, because a silent gateway is not its fault.
_MOST_UNANSWERED: Final = 3
UNANSWERED_WAIT: Final = timedelta(minutes=5)
# A gateway that refuses this many entries of a kind, one by one, would refuse the rest of this run as well.
_MOST_REFUSED: Final = 5


@dataclass(frozen=True, slots=True)
class Hold:
    """The reason why an entry is not sent now: it waits until `until`, or for a later run (None), and loses no try."""

    until: datetime | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The reason why an entry is never sent. `is_alarm`: a person must look into it."""

    code: str
    is_alarm: bool = True


@dataclass(frozen=True, slots=True)
class Stop:
    """The reason why no entry of this kind is sent in this run, with a problem code if it is one."""

    code: str | None = None


class Sender(ABC):
    """Sends the entries of one kind in one run. With nothing else to record, the entry itself is the record."""

    @abstractmethod
    def load(self, connection: Connection, row: Row[Any]) -> Any:
        """Return the message to send, from the current record; or `Hold`, `GiveUp` or `Stop`.

        Runs in the transaction that claims the entry.
        """

    @abstractmethod
    def send(self, items: Sequence[Any]) -> Sequence[GiveUp | None]:
        """Send the loaded messages, and return for each None, or the reason why it can never be sent.

        Raises `DeliveryError` or the feed client's errors; then none of them counts as sent.
        """

    def sent(self, connection: Connection, row: Row[Any], item: Any) -> None:  # noqa: B027 - most record nothing more
        """Record the consequences, in the transaction that marks an entry as sent."""

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:  # noqa: B027 - as above
        """Record the consequences, in the transaction that gives an entry up."""


@dataclass(frozen=True, slots=True)
class OutboxKind:
    """One kind of entry, as data.

    No entry is begun once a run has spent `within` on the kind: a carrier that takes its time keeps back no collection.
    `lease` is the time for which a claim excludes other runs; `longest_wait` caps the doubling pause. An entry is given
    up after `most_tries` refusals or once it is `too_late_after`. `before` queues entries that fall due by time alone.
    """

    name: KindName
    open: "Callable[[Run], Sender]"
    lease: timedelta
    longest_wait: timedelta
    most_at_once: int = 1
    most_a_run: int | None = None
    within: timedelta | None = None
    most_tries: int | None = None
    too_late_after: timedelta | None = None
    is_for_gateway: bool = False
    # After an unexpected error the message may have been sent: another try may be a second copy.
    is_tried_after_slip: bool = True
    before: Callable[[Desk], object] | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether an entry is ever given up; an alert is not."""
        return self.most_tries is not None or self.too_late_after is not None


@dataclass(slots=True)
class Outcome:
    """The result of one run for one kind; `problems` counts codes, `open` entries wait or are held for another run."""

    sent: int = 0
    held: int = 0
    given_up: int = 0
    open: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    # The first failure of this run, for the caller's exit code; its entry is tried again.
    error: Exception | None = None

    def as_json(self) -> dict[str, Any]:
        """Return counts and codes."""
        return {name: getattr(self, name) for name in ("sent", "held", "given_up", "open", "problems")}

    def count(self, code: str) -> None:
        """Count a problem by its code."""
        self.problems[code] = self.problems.get(code, 0) + 1

    def fail(self, error: Exception) -> None:
        """Keep the first error."""
        self.error = self.error or error


@dataclass(slots=True)
class Run:
    """One run of the loop: the desk, its feed, and whether the gateway has failed to answer in it."""

    desk: Desk
    is_silent: bool = False
    silences: int = 0  # in a row
    _feed: FeedClient | None = None

    @property
    def feed(self) -> FeedClient:
        """Return the client of the feed, made when the first entry needs it."""
        if self._feed is None:
            self._feed = self.desk.make_feed()
        return self._feed


def send_kind(run: Run, kind: OutboxKind) -> Outcome:
    """Send every due entry of a kind. A failure is kept in the outcome; only the desk's database raises."""
    outcome = Outcome()
    try:
        if kind.before is not None:
            kind.before(run.desk)
    except DeskStoreError:
        raise  # locked or full: the next run finds every entry as it is
    except Exception as error:  # noqa: BLE001 - what is queued goes out all the same
        outcome.fail(error)
    try:
        _Sending(run, kind, outcome, kind.open(run)).go()
    except DeskStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one kind keeps back no other; its words may be a report's
        outcome.fail(error)
    with run.desk.store.read() as connection:
        outcome.open = count_open(connection, kind.name)
    return outcome


Claimed = tuple[Row[Any], Any]


@dataclass(slots=True)
class _Sending:
    run: Run
    kind: OutboxKind
    outcome: Outcome
    sender: Sender
    refused: int = 0
    silent_lanes: set[str] = field(default_factory=set)  # an unanswered entry holds back the later ones in its lane
    is_stopped: bool = False
    ends_at: datetime | None = None

    def go(self) -> None:
        if self.kind.within is not None:
            self.ends_at = self.run.desk.clock() + self.kind.within
        self._give_up_late()
        seen, last_id = 0, 0
        while not self._is_over() and (self.kind.most_a_run is None or seen < self.kind.most_a_run):
            with self.run.desk.store.read() as connection:
                due = list_due(
                    connection, self.kind.name, now=self.run.desk.clock(), after=last_id, most=self.kind.most_at_once
                )
            if not due:
                return
            seen, last_id = seen + len(due), due[-1].id
            claimed = self._claim(due)
            if claimed:
                self._send(claimed)

    def _is_over(self) -> bool:
        is_silent = self.kind.is_for_gateway and self.run.is_silent
        is_late = self.ends_at is not None and self.run.desk.clock() >= self.ends_at
        return is_silent or is_late or self.is_stopped or self.refused >= _MOST_REFUSED

    def _stop(self, stop: Stop) -> None:
        self.is_stopped = True
        if stop.code is not None:
            self.outcome.count(stop.code)

    def _claim(self, due: Sequence[Row[Any]]) -> list[Claimed]:
        desk, sender = self.run.desk, self.sender
        until = desk.clock() + self.kind.lease
        claimed: list[Claimed] = []
        failed: list[tuple[Row[Any], Exception]] = []
        with desk.store.write() as connection:
            for row in due:
                # Not claimed by another run, and not queued again.
                same = select(OUTBOX.c.id).where(_as_read(row), IS_OPEN)
                if row.lane in self.silent_lanes or connection.execute(same).first() is None:
                    continue
                try:
                    item = sender.load(connection, row)
                except DeskStoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - one entry keeps back no other
                    failed.append((claim(connection, row, until=until), error))
                    continue
                match item:
                    case Hold():
                        self._hold(connection, row, item)
                    case GiveUp():
                        self._give_up(connection, row, item)
                    case Stop():
                        self._stop(item)
                        break
                    case _:
                        claimed.append((claim(connection, row, until=until), item))
        for row, reason in failed:
            self._fail(row, reason)
        return claimed

    def _send(self, claimed: Sequence[Claimed]) -> None:
        try:
            results = self.sender.send([item for _, item in claimed])
        except DeskStoreError:
            raise
        except Exception as error:  # noqa: BLE001 - see `_fail`
            if self.kind.is_for_gateway and isinstance(error, _SILENCE) and not is_crash(error):
                self.run.silences += 1
                self.run.is_silent = self.run.silences >= _MOST_SILENCES
                self.outcome.fail(error)
                if self.run.is_silent or len(claimed) == 1:
                    self._release(claimed, error, is_unanswered=True)
                    return
            elif len(claimed) == 1:
                self._fail(claimed[0][0], error)
                return
            # One of them is refused or unanswered: send each alone, so that it holds back no other.
            for number, one in enumerate(claimed):
                if self._is_over():
                    self._release(claimed[number:], error)
                    return
                self._send([one])
        else:
            self.run.silences = 0
            self._note(claimed, results)

    def _note(self, claimed: Sequence[Claimed], results: Sequence[GiveUp | None]) -> None:
        try:
            with self.run.desk.store.write() as connection:
                for one, result in zip(claimed, results, strict=True):
                    self._note_one(connection, one, result)
        except DeskStoreError:
            raise
        except Exception as error:  # noqa: BLE001 - what follows from one entry keeps back no other
            if len(claimed) == 1:
                self._fail(claimed[0][0], error)
                return
            for one, result in zip(claimed, results, strict=True):
                self._note([one], [result])
        else:
            self.outcome.sent += sum(result is None for result in results)

    def _note_one(self, connection: Connection, claimed: Claimed, result: GiveUp | None) -> None:
        row, item = claimed
        if result is not None:
            self._give_up(connection, row, result)
        elif note(connection, row, state="sent", done_at=format_time(self.run.desk.clock()), last_error=None):
            self.sender.sent(connection, row, item)

    def _hold(self, connection: Connection, row: Row[Any], hold: Hold) -> None:
        if hold.until is None:
            if hold.code is not None:
                note(connection, row, last_error=hold.code)
                self.outcome.count(hold.code)
            return
        note(connection, row, state="held", next_try_at=format_time(hold.until), last_error=hold.code)
        self.outcome.held += 1

    def _release(self, claimed: Sequence[Claimed], error: Exception, *, is_unanswered: bool = False) -> None:
        """Give entries their try back. One that is never answered becomes an alarm in the end."""
        code = error.reason if isinstance(error, ReportAbuseError) else UNEXPECTED
        now = self.run.desk.clock()
        with self.run.desk.store.write() as connection:
            for row, _ in claimed:
                silences = row.silences + is_unanswered
                next_try = format_time(now + UNANSWERED_WAIT * (is_unanswered and silences >= _MOST_UNANSWERED))
                note(connection, row, tries=row.tries - 1, silences=silences, next_try_at=next_try, last_error=code)
                if row.lane:
                    self.silent_lanes.add(row.lane)
                if is_unanswered and self.kind.most_tries is not None and silences >= self.kind.most_tries:
                    self._raise_alarm(connection, STUCK, code, now=now)

    def _fail(self, row: Row[Any], error: Exception) -> None:
        """Schedule an entry's next try, or give it up."""
        is_known = isinstance(error, ReportAbuseError)
        code = error.reason if isinstance(error, ReportAbuseError) else UNEXPECTED
        if not is_known:
            # The text of an unexpected error may contain text of a report: only its type is recorded.
            _log.error("Could not send a %s: %s", self.kind.name, format_exception(error))
        if self.kind.is_for_gateway:
            self.outcome.fail(error)
            self.refused += 1
        tries = max(row.tries, 1)
        is_final = isinstance(error, DeliveryError) and error.is_final
        is_tried_often = self.kind.most_tries is not None and tries >= self.kind.most_tries
        with self.run.desk.store.write() as connection:
            if is_tried_often and is_crash(error):
                # The gateway's own fault, which its operator must fix: a reply to a child must not be given up for it.
                self._raise_alarm(connection, STUCK, code, now=self.run.desk.clock())
            is_over = is_final or (is_tried_often and not is_crash(error))
            is_over |= not (is_known or self.kind.is_tried_after_slip)
            if is_over and self.kind.is_given_up:
                self._give_up(connection, row, GiveUp(code, is_alarm=not is_final))
                return
            wait = get_wait(tries, random=self.run.desk.random, longest=self.kind.longest_wait)
            note(connection, row, silences=0, next_try_at=format_time(self.run.desk.clock() + wait), last_error=code)
        self.outcome.count(code)

    def _give_up(self, connection: Connection, row: Row[Any], verdict: GiveUp) -> None:
        now = self.run.desk.clock()
        if not note(connection, row, state="given_up", done_at=format_time(now), last_error=verdict.code):
            return
        self.sender.given_up(connection, row, verdict.code)
        if verdict.is_alarm:
            self._raise_alarm(connection, GAVE_UP, verdict.code, now=now)
        self.outcome.given_up += 1
        self.outcome.count(verdict.code)

    def _raise_alarm(self, connection: Connection, alarm: str, code: str, *, now: datetime) -> None:
        # One for each cause until it is cleared: a mail server that is down gives up a hundred notes.
        cause = f"{self.kind.name} {code}, "
        if not any(subject.startswith(cause) for subject in list_alarm_subjects(connection, alarm)):
            raise_alarm(connection, alarm, f"{cause}first at {format_time(now)}", now=now)

    def _give_up_late(self) -> None:
        if self.kind.too_late_after is None:
            return
        late = format_time(self.run.desk.clock() - self.kind.too_late_after)
        is_late = (OUTBOX.c.kind == self.kind.name) & IS_OPEN & (OUTBOX.c.queued_at < late)
        with self.run.desk.store.read() as connection:
            rows = connection.execute(select(OUTBOX).where(is_late).order_by(OUTBOX.c.id)).all()
        for row in rows:
            with self.run.desk.store.write() as connection:
                self._give_up(connection, row, GiveUp(row.last_error or "too-late"))


def is_crash(error: Exception) -> bool:
    """Return whether the gateway crashed on this call, possibly because of this call alone."""
    return isinstance(error, UnavailableError) and error.status == _CRASH
