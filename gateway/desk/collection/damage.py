"""Looks for damage in everything that the desk stores, and for a report that the gateway's public log lacks.

Asks the gateway again for a damaged report that it still has. A report that comes again replaces only a missing or
damaged one, and only if its statement is the one that was filed. Reads in batches, opens nothing, and writes only
alarms and its progress.

The public log is one history that goes on, with every report. A fault is an alarm and never a reason to leave a report
at the gateway. The desk remembers the checkpoint that it saw before; where the log contradicts it, until a person
clears the alarm, e.g. after a restore. That accepts the one checkpoint that the alarm names, and a log that continues
it. Both are kept, each in a file that is never written again: they are the proof. Each report that was filed here must
have its entry, those of the public too, whose receipts only the desk holds.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Any, Final, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    Table,
    cast,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.exc import DBAPIError

from gateway.databases.columns import SealedBytes, is_sound
from gateway.databases.database import surviving_damage
from gateway.databases.failures import is_damage
from gateway.desk.collection.chain import get_collector_state, write_collector_state
from gateway.desk.collection.filing import to_report_values, to_statement_values
from gateway.desk.collection.row_checks import VerifiedRow
from gateway.desk.keyring.case_boxes import close_reports, make_keys
from gateway.desk.keyring.key_set import CLOCK_ALLOWANCE, LOG_ROLE, list_verify_entries
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.wiring import Desk
from gateway.desk.store import DeskStoreError, audit
from gateway.desk.store.audit import AlarmRow, list_alarm_subjects, list_alarms, raise_alarm
from gateway.desk.store.migrations import METADATA
from gateway.desk.store.schema import ALARMS, CASES, CHAIN_LINKS, REPORTS
from gateway.desk.vault import CaseKey, VaultError
from gateway.exchange.feed import REPORT, Acknowledgement
from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, LogError, ProblemError, ReportAbuseError, UnavailableError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.public_log import (
    CLOCK_SKEW_SECONDS,
    CONTRADICTION_FILE,
    LOGGED_WITHIN_SECONDS,
    LogView,
    find_contradiction_file,
    origin_of,
    peek_checkpoint,
    view_log,
)
from partner_sdk.wire.receipts import SIGNED_INTAKE, IntakeStatement
from partner_sdk.wire.signing import VerifyKey, verify_keys

LOG_CONTRADICTS: Final = "public-log-contradicts"
# The log cannot be checked, has not begun, or has no newer batch than an hour ago.
LOG_STANDS_STILL: Final = "public-log-stands-still"
# A report that was filed here has no entry, or a late one.
LOG_LACKS: Final = "public-log-lacks-report"
CHECKPOINT_FILE: Final = "log.checkpoint"
UNCHECKED: Final = "unchecked"
_NO_LOG: Final = "no-log"
_NO_NEW_BATCH: Final = "no-new-batch"
# The log may be out of reach or stand still for this long, e.g. while a page of the gateway's database is mended.
STILL_FOR: Final = timedelta(hours=1)
# The time in which an entry must follow, from when the report was collected: by this desk's clock alone.
DUE_AFTER: Final = timedelta(seconds=LOGGED_WITHIN_SECONDS + CLOCK_SKEW_SECONDS)
# The share of a run for looking up entries; the next one goes on from there.
LOOK_FOR: Final = timedelta(seconds=10)
PAGE_ROWS: Final = 500
_SOUGHT_BY: Final = (REPORTS.c.id, REPORTS.c.reference, REPORTS.c.received_at, REPORTS.c.collected_at, REPORTS.c.intake)


def find_log_fault(desk: Desk, feed: FeedClient) -> str | None:
    """Return why the log does not hold, or None if it does; never raises an error of ours.

    Alarms: a contradiction, and a report without its entry, at once; a log that stands still, or cannot be checked
    (`unchecked`), after an hour.
    """
    listed: tuple[VerifyKey, ...] = ()
    try:
        with desk.store.read() as connection:
            listed = list_verify_entries(connection, LOG_ROLE)
        return _check(desk, feed, listed=listed)
    except ReportAbuseError:
        with suppress(ReportAbuseError):
            _note_still(desk, UNCHECKED, listed=listed)
        return UNCHECKED


def _check(desk: Desk, feed: FeedClient, *, listed: tuple[VerifyKey, ...]) -> str | None:
    origin, now = origin_of(desk.config.gateway_origin), desk.clock()
    remembered, note = find_bytes(desk.paths.state / CHECKPOINT_FILE), b""
    keys = verify_keys(listed, signed_at=now, now=now)
    if not keys and remembered is None:
        return None

    def fetch(name: str, max_bytes: int) -> bytes:
        nonlocal note
        try:
            raw = feed.get_log_file(name, max_bytes=max_bytes)
        except UnavailableError:
            raise
        except (FormatError, ProblemError):
            raise LogError("The gateway does not show its public log, or not all of it.", reason=_NO_LOG) from None
        note = raw if name == "checkpoint" else note
        return raw

    def view(older: bytes | None) -> LogView:
        return view_log(fetch, origin=origin, public_keys=list(keys.values()), remembered=older)

    try:
        found = view(remembered)
    except LogError as error:
        if remembered is None and error.reason == _NO_LOG:
            return _note_still(desk, _NO_LOG, listed=listed)
        after = _describe_remembered(desk, remembered)
        accepted = _find_accepted(desk, after=after, view=view)
        if accepted is None:
            _raise_contradiction(desk, f"{origin}: {error.reason}, {after}", [remembered or b"", note], keys=keys)
            return error.reason
        found = accepted
    if found.note != remembered:
        path = desk.paths.state / CHECKPOINT_FILE
        write_durably(path, found.note)
        os.utime(path, (now.timestamp(), now.timestamp()))  # by the desk's clock: alarms name this time
    is_still = found.note == remembered and _note_still(desk, _NO_NEW_BATCH, listed=listed)
    return _look_for_reports(desk, found) or is_still or None


def _look_for_reports(desk: Desk, log: LogView) -> str | None:
    """Look for the entries of all reports that are due, in the order of filing; return the first fault or None.

    Raises an alarm for each kind of fault, once until it is cleared and then once a day, naming the first report.
    """
    ends_at, first_fault = desk.clock() + LOOK_FOR, None
    with desk.store.read() as connection:
        reached = get_collector_state(connection).logged_report
    while desk.clock() < ends_at:
        query = select(*_SOUGHT_BY).where(REPORTS.c.id > reached).order_by(REPORTS.c.id).limit(PAGE_ROWS)
        with desk.store.read() as connection:
            rows = connection.execute(query).all()
        due = list(takewhile(lambda row: parse_time(row.collected_at) + DUE_AFTER <= desk.clock(), rows))
        for row in due:
            received_at = int(parse_time(row.received_at).timestamp())
            fault = log.find_fault(bytes(row.intake), received_at=received_at)
            if fault is not None and fault.reason != "pre-log":
                _raise_daily(desk, LOG_LACKS, f"{log.checkpoint.origin}: {fault.reason}", detail=row.reference)
                first_fault = first_fault or fault.reason
        if due:
            reached = due[-1].id
            write_collector_state(desk, logged_report=reached)
        if len(due) < PAGE_ROWS:
            break
    return first_fault


def _note_still(desk: Desk, reason: str, *, listed: tuple[VerifyKey, ...]) -> str | None:
    """Raise an alarm if the log has been like this for an hour; return the reason then.

    Counts from the newest checkpoint that was remembered, or from when the log's first key was added.
    """
    added = (parse_time(key.not_before) + CLOCK_ALLOWANCE for key in listed)
    since = _find_seen_at(desk) or min(added, default=None)
    if since is None or desk.clock() - since <= STILL_FOR:
        return None
    subject = f"{origin_of(desk.config.gateway_origin)}: {reason}"
    _raise_daily(desk, LOG_STANDS_STILL, subject, detail=f"since {format_time(since)}")
    return reason


def _raise_daily(desk: Desk, kind: str, subject: str, *, detail: str) -> None:
    """Raise an alarm, e.g. `report.example/log: late on 2026-11-25: GFS1-XJXCR-C`, unless one of today is open."""
    today = f"{subject} on {desk.clock():%Y-%m-%d}: "
    with desk.store.read() as connection:
        if any(one.startswith(today) for one in list_alarm_subjects(connection, kind)):
            return
    _raise(desk, kind, f"{today}{detail}")


def _find_seen_at(desk: Desk) -> datetime | None:
    """Return the time at which the newest checkpoint was remembered."""
    try:
        return datetime.fromtimestamp((desk.paths.state / CHECKPOINT_FILE).stat().st_mtime, UTC)
    except OSError:
        return None


def _raise_contradiction(desk: Desk, subject: str, notes: list[bytes], *, keys: dict[str, bytes]) -> None:
    """Keep both checkpoints and raise an alarm that names them, unless one of this kind is open already."""
    with desk.store.read() as connection:
        if any(one.startswith(subject) for one in list_alarm_subjects(connection, LOG_CONTRADICTS)):
            return
    for note in notes:
        path = find_contradiction_file(
            desk.paths.state / CONTRADICTION_FILE,
            note,
            origin=origin_of(desk.config.gateway_origin),
            public_keys=list(keys.values()),
        )
        if path is not None:
            with suppress(LocalStateError):  # the alarm counts more
                write_new_durably(path, note)
    _raise(desk, LOG_CONTRADICTS, f"{subject}; shown: {_describe(notes[-1])}")


def _find_accepted(desk: Desk, *, after: str, view: Callable[[bytes | None], LogView]) -> LogView | None:
    """Return the log if it continues a checkpoint that a person has accepted by clearing its alarm."""
    query = select(ALARMS.c.subject).where(ALARMS.c.kind == LOG_CONTRADICTS, ALARMS.c.cleared_at.is_not(None))
    with desk.store.read() as connection:
        cleared = list(connection.execute(query).scalars())
    for path in sorted(desk.paths.state.glob(f"{CONTRADICTION_FILE}-*")):
        note = find_bytes(path) or b""
        if any(subject.endswith(f"{after}; shown: {_describe(note)}") for subject in cleared):
            with suppress(LogError):
                return view(note)
    return None


def _describe_remembered(desk: Desk, remembered: bytes | None) -> str:
    """Return the checkpoint that is contradicted and its time, so that no older alarm is taken for this one."""
    seen_at = _find_seen_at(desk)
    if remembered is None or seen_at is None:
        return "before any other"
    return f"after {_describe(remembered)} seen at {format_time(seen_at)}"


def _describe(note: bytes) -> str:
    try:
        found = peek_checkpoint(note)
    except LogError:
        return "no checkpoint"
    return f"{found.size} entries with root {found.root.hex()[:16]}"


def _raise(desk: Desk, kind: str, subject: str) -> None:
    with desk.store.write() as connection:
        raise_alarm(connection, kind, subject, now=desk.clock())


PAGES: Final = "database-damaged"
DAMAGED: Final = "report-damaged"
MISSING: Final = "report-missing"
KEY_LOST: Final = "case-key-missing"
BOX: Final = "box-damaged"
_OF_REPORT: Final = (DAMAGED, MISSING, KEY_LOST)
KINDS: Final = (PAGES, *_OF_REPORT, BOX)

BATCH_ROWS: Final = 100  # of reports: 7 MB
_NOTED_EVERY: Final = 50  # batches
# A case with staff notes gets a new key only after this: until then its old key, and so the notes, may be recovered.
KEY_AWAITED: Final = timedelta(days=1)

Place = Sequence[Any]
# The stored state of a report that comes again: whole, to be replaced, without its case, or left at the gateway until
# the file is recovered, because SQLite cannot write over a damaged page.
Held = Literal["whole", "broken", "no-case", "unwritable"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing or damaged. `subject` begins with its reference; `lost` is how to ask for it again."""

    kind: str
    subject: str
    lost: Acknowledgement | None = None


@dataclass(slots=True)
class Examined:
    """The result of a pass: the gaps, the number of reports that wait at the gateway again, and the skipped steps."""

    gaps: list[Gap] = field(default_factory=list)
    waiting_again: int = 0
    not_taken: list[str] = field(default_factory=list)


Step = Callable[[Desk, Place], Iterator[tuple[Place, list[Gap]]]]


def look_for_damage(desk: Desk, *, feed: FeedClient | None) -> Examined:
    """Examine pages, reports against their chain links, keys of cases and all boxes, and raise an alarm for each gap.

    Resumes an interrupted pass. Only a whole pass ends the alarms whose cause is gone. Raises
    `DeskStoreError` where not even an alarm can be written.
    """
    found = Examined()
    with desk.store.read() as connection:
        name, after = json.loads(get_collector_state(connection).examined_to or '["", []]')
    names = [one for one, _ in _STEPS]
    start = names.index(name) if name in names else 0
    for name, step in _STEPS[start:]:
        try:
            for number, (reached, gaps) in enumerate(step(desk, after), start=1):
                _note(desk, gaps, feed=feed, found=found)
                if number % _NOTED_EVERY == 0:
                    write_collector_state(desk, examined_to=json.dumps([name, list(reached)]))
        except VaultError:
            found.not_taken.append(name)
        except DeskStoreError as error:
            if error.reason != "store-damaged":
                raise
            _note(desk, [Gap(PAGES, f"{name}: some rows cannot be read")], feed=feed, found=found)
        after = []
    write_collector_state(desk, examined_at=format_time(desk.clock()), examined_to=None)
    if start == 0 and not found.not_taken:
        with desk.store.write() as connection:
            still = {(gap.kind, gap.subject) for gap in found.gaps}
            _end_alarms(connection, desk, lambda alarm: (alarm.kind, get_subject(alarm)) not in still)
    return found


def _note(desk: Desk, gaps: Sequence[Gap], *, feed: FeedClient | None, found: Examined) -> None:
    """Raise the alarms of these gaps, and let the gateway's copies wait for the next round of collecting."""
    if not gaps:
        return
    found.gaps += gaps
    now = desk.clock()
    with desk.store.write() as connection:
        is_open = {(one.kind, get_subject(one)): one for one in list_alarms(connection) if one.kind in KINDS}
        for gap in gaps:
            if (gap.kind, gap.subject) not in is_open:
                raise_alarm(connection, gap.kind, f"{gap.subject}, found {now:%FT%TZ}", now=now)
        lost = [
            gap.lost
            for gap in gaps
            if gap.lost is not None and not (gap.kind == KEY_LOST and _has_notes(connection, gap, is_open, desk=desk))
        ]
    if feed is not None and lost:
        found.waiting_again += feed.acknowledge(REPORT, tuple(lost), is_withdrawn=True)


def _has_notes(connection: Connection, gap: Gap, is_open: dict[tuple[str, str], AlarmRow], *, desk: Desk) -> bool:
    """Return whether other boxes are sealed under the same key while its alarm is younger than a day."""
    alarm = is_open.get((gap.kind, gap.subject))
    if alarm is not None and alarm.raised_at <= format_time(desk.clock() - KEY_AWAITED):
        return False
    reference = gap.subject.partition(":")[0]
    case_id = select(CASES.c.case_id).where(CASES.c.reference == reference).scalar_subquery()
    return any(
        connection.execute(select(table.c.case_id).where(table.c.case_id == case_id, box.is_not(None)).limit(1)).first()
        for table in METADATA.sorted_tables
        if "case_id" in table.c
        for box in _list_sealed(table)
    )


def get_subject(alarm: AlarmRow) -> str:
    """Return the gap that an alarm is about, without the time at which it was found."""
    return alarm.subject.partition(", found ")[0]


def _end_alarms(connection: Connection, desk: Desk, is_over: Callable[[AlarmRow], bool]) -> None:
    over = [one.id for one in list_alarms(connection) if one.kind in KINDS and is_over(one)]
    ended = {"cleared_at": format_time(desk.clock()), "cleared_by": BY_THE_DESK}
    for start in range(0, len(over), BATCH_ROWS):
        connection.execute(update(ALARMS).where(ALARMS.c.id.in_(over[start : start + BATCH_ROWS])).values(**ended))


def _examine_pages(desk: Desk, _after: Place) -> Iterator[tuple[Place, list[Gap]]]:
    yield [], [Gap(PAGES, "pages of the file or server")] if desk.store.has_damage(is_deep=True) else []


def _examine_reports(desk: Desk, after: Place) -> Iterator[tuple[Place, list[Gap]]]:
    """Compare each filed link with its report, which must exist and match its statement and the digest of its box."""
    filed = select(CHAIN_LINKS).where(CHAIN_LINKS.c.filed)
    for links in _read_batches(desk, filed, list(CHAIN_LINKS.primary_key), after):
        with desk.store.read() as connection:
            gaps = [gap for gap in _judge_links(connection, links, environment=desk.config.environment) if gap]
        yield list(links[-1])[: len(CHAIN_LINKS.primary_key)], gaps


def _judge_links(connection: Connection, links: Sequence[Row[Any]], *, environment: str) -> Iterator[Gap | None]:
    rows = _read_each(connection, _REPORT, [REPORTS.c.reference], [(link.reference,) for link in links])
    named = (
        CASES.c.partner.in_({link.partner for link in links}),
        CASES.c.report_id.in_([one.report_id for one in links]),
    )
    found = select(CASES.c.partner, CASES.c.report_id, CASES.c.destroyed_at).where(
        CASES.c.environment == environment, *named
    )
    cases = {(case.partner, case.report_id): case.destroyed_at for case in connection.execute(found)}
    for link in links:
        lost = Acknowledgement(address=link.partner, item_id=link.report_id, sha256=bytes(link.statement_sha256).hex())
        key = (link.partner, link.report_id)
        if cases.get(key) is not None:
            yield None  # destroyed
        elif (link.reference,) not in rows:
            yield Gap(MISSING, f"{link.reference}: no row", lost)
        elif key not in cases:
            yield Gap(MISSING, f"{link.reference}: no case", lost)
        else:
            fault = _find_fault(rows[(link.reference,)], statement_sha256=bytes(link.statement_sha256))
            yield None if fault is None else Gap(DAMAGED, f"{link.reference}: {fault}", lost)


def _find_fault(row: Row[Any] | None, *, statement_sha256: bytes) -> str | None:
    """Return the damaged part of a stored report, or None. Needs no key."""
    if row is None:
        return "unreadable"
    raw = bytes(row.intake)
    if sha256(raw).digest() != statement_sha256 or bytes(row.intake_sha256) != statement_sha256:
        return "statement"
    try:
        intake = SIGNED_INTAKE.peek(raw)
    except FormatError:
        return "statement"
    if any(row._mapping[name] != value for name, value in to_statement_values(intake).items()):
        return "columns"
    if intake.submission_sha256 != (None if row.submission is None else sha256(row.submission).hexdigest()):
        return "submission"
    return None if row.envelope and is_sound(row.envelope) else "box"


def _examine_keys(desk: Desk, after: Place) -> Iterator[tuple[Place, list[Gap]]]:
    """Ask the vault whether it has the key of each case."""
    of_report = (
        (REPORTS.c.environment == CASES.c.environment)
        & (REPORTS.c.partner == CASES.c.partner)
        & (REPORTS.c.report_id == CASES.c.report_id)
    )
    query = (
        select(CASES.c.case_id, *(CASES.c[name] for name in ("reference", "key_number", "partner", "report_id")))
        .add_columns(select(REPORTS.c.intake_sha256).where(of_report).scalar_subquery().label("intake_sha256"))
        .where(CASES.c.key_number.is_not(None), CASES.c.destroyed_at.is_(None))
    )
    for cases in _read_batches(desk, query, [CASES.c.case_id], after):
        lost = desk.load_signer().list_lost_keys(
            [CaseKey(case_id=case.case_id, number=case.key_number) for case in cases]
        )
        gaps = [
            Gap(
                KEY_LOST,
                f"{case.reference}: key {case.key_number}",
                None
                if case.intake_sha256 is None
                else Acknowledgement(
                    address=case.partner, item_id=case.report_id, sha256=bytes(case.intake_sha256).hex()
                ),
            )
            for case in cases
            if case.key_number in lost
        ]
        yield [cases[-1].case_id], gaps


def _list_sealed(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, SealedBytes)]


def _make_boxes_step(table: Table) -> Step:
    """Return the step that compares each box of a table with its digest."""
    key, sealed = list(table.primary_key), _list_sealed(table)
    naming = [table.c[name] for name in ("reference", "case_id") if name in table.c]
    query = select(*key, *(type_coerce(box, LargeBinary).label(box.name) for box in sealed))

    def examine(desk: Desk, after: Place) -> Iterator[tuple[Place, list[Gap]]]:
        for places in _read_batches(desk, select(*key, *naming), key, after):
            gaps, keys = [], [tuple(one[: len(key)]) for one in places]
            with desk.store.read() as connection:
                rows = _read_each(connection, query, key, keys)
                for one, place in zip(keys, places, strict=True):
                    row = rows.get(one)
                    if row is None or not all(is_sound(row._mapping[box.name]) for box in sealed):
                        reference = place._mapping.get("reference")
                        if reference is None:
                            of_case = CASES.c.case_id == place._mapping.get("case_id")
                            reference = connection.execute(select(CASES.c.reference).where(of_case)).scalar()
                        named = " ".join([table.name, *map(str, one)])
                        gaps.append(Gap(BOX, named if reference is None else f"{reference}: {named}"))
            yield keys[-1], gaps

    return examine


_REPORT: Final = select(
    *(column for column in REPORTS.columns if column is not REPORTS.c.envelope),
    type_coerce(REPORTS.c.envelope, LargeBinary).label("envelope"),
)
_STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("pages", _examine_pages),
    ("reports", _examine_reports),
    ("keys", _examine_keys),
    *(
        (table.name, _make_boxes_step(table))
        for table in METADATA.sorted_tables
        if table is not REPORTS and _list_sealed(table)
    ),
)


def _read_batches(
    desk: Desk, query: Select[Any], key: Sequence[ColumnElement[Any]], after: Place
) -> Iterator[Sequence[Row[Any]]]:
    """Yield rows in the order of `key`, its first columns, each batch from a transaction of its own."""
    while True:
        batch = query.order_by(*key).limit(BATCH_ROWS)
        if after:
            batch = batch.where(tuple_(*key) > tuple_(*map(literal, after)))
        with desk.store.read() as connection:
            rows = connection.execute(batch).all()
        if rows:
            yield rows
        if len(rows) < BATCH_ROWS:
            return
        after = list(rows[-1])[: len(key)]


def _read_each(
    connection: Connection, query: Select[Any], key: Sequence[Column[Any]], values: Sequence[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Row[Any] | None]:
    """Return rows by their key; None for one whose page or text cannot be read."""
    wanted = key[0].in_([one[0] for one in values]) if len(key) == 1 else tuple_(*key).in_(values)
    try:
        with surviving_damage(connection):
            rows = connection.execute(query.where(wanted)).all()
        return {tuple(row._mapping[column.name] for column in key): row for row in rows}
    except DBAPIError as error:
        if not is_damage(error):
            raise
    if len(values) == 1:
        return {values[0]: None}
    return {found: row for one in values for found, row in _read_each(connection, query, key, [one]).items()}


def list_held(desk: Desk, rows: Sequence[VerifiedRow]) -> dict[bytes, Held]:
    """Return the stored state of the rows that were filed before, by their digest.

    In a transaction of its own: SQLite commits nothing more in one that met a damaged page.
    """
    by_digest = {row.intake_sha256: row for row in rows}
    with desk.store.read() as connection:
        known = list_filed(connection, {digest: row.intake for digest, row in by_digest.items()})
        judged = {digest: _judge_held(desk, connection, by_digest[digest]) for digest in known}
    return {digest: state for digest, state in judged.items() if state is not None}


def list_filed(connection: Connection, intakes: Mapping[bytes, IntakeStatement]) -> set[bytes]:
    """Return the digests of the intake statements whose reports were filed, even if their rows are damaged."""
    links = select(CHAIN_LINKS.c.statement_sha256).where(
        CHAIN_LINKS.c.instance.in_({one.instance for one in intakes.values()}),
        CHAIN_LINKS.c.partner.in_({one.clear.partner for one in intakes.values()}),
        CHAIN_LINKS.c.sequence.in_({one.sequence for one in intakes.values()}),
        CHAIN_LINKS.c.statement_sha256.in_(intakes),
        CHAIN_LINKS.c.filed,
    )
    return {bytes(one) for one in connection.execute(links).scalars()} if intakes else set()


def _judge_held(desk: Desk, connection: Connection, row: VerifiedRow) -> Held | None:
    """Return the stored state of a row that was filed; None if it is lost with its case, or its id is taken."""
    case, reference = _find_case(connection, row), (row.intake.reference,)
    if case is not None and case.destroyed_at is not None:
        return "whole"
    found = _read_each(connection, _REPORT, [REPORTS.c.reference], [reference])
    stored = found.get(reference)
    if reference in found and stored is None and _is_on_bad_page(connection, row):
        return "unwritable"
    is_same = stored is not None and bytes(stored.intake_sha256) == row.intake_sha256
    if case is None:
        return "no-case" if is_same else None
    clear = row.intake.clear
    if stored is not None and not is_same and (stored.partner, stored.report_id) != (clear.partner, clear.report_id):
        return "unwritable"  # another report has its reference
    if not is_same and _is_id_taken(connection, row):
        return None
    is_whole = stored is not None and _find_fault(stored, statement_sha256=row.intake_sha256) is None
    return "whole" if is_whole and not desk.load_signer().list_lost_keys(_list_keys(case)) else "broken"


def _is_id_taken(connection: Connection, row: VerifiedRow) -> bool:
    """Return whether the report under the id of this row is another one, and whole."""
    key = [REPORTS.c[name] for name in ("environment", "partner", "report_id")]
    named = tuple(getattr(row.intake.clear, column.name) for column in key)
    other = _read_each(connection, _REPORT, key, [named]).get(named)
    if other is None or bytes(other.intake_sha256) == row.intake_sha256:
        return False
    return _find_fault(other, statement_sha256=bytes(other.intake_sha256)) is None


def _is_on_bad_page(connection: Connection, row: VerifiedRow) -> bool:
    """Return whether the bytes of a stored report cannot be read; unreadable text alone can be overwritten."""
    raw = select(*(cast(column, LargeBinary) for column in REPORTS.columns))
    try:
        with surviving_damage(connection):
            connection.execute(raw.where(REPORTS.c.reference == row.intake.reference)).all()
    except DBAPIError as error:
        if not is_damage(error):
            raise
        return True
    return False


def _find_case(connection: Connection, row: VerifiedRow) -> Any:
    names = ("environment", "partner", "report_id")
    mine = [CASES.c[name] == getattr(row.intake.clear, name) for name in names]
    return connection.execute(select(CASES.c.case_id, CASES.c.key_number, CASES.c.destroyed_at).where(*mine)).first()


def _list_keys(case: Any) -> list[CaseKey]:
    return [] if case.key_number is None else [CaseKey(case_id=case.case_id, number=case.key_number)]


def mend_reports(connection: Connection, rows: Sequence[VerifiedRow], *, desk: Desk, actor: str) -> None:
    """Replace the damaged rows of these reports, under a new key where theirs is lost, and end their alarms.

    The row of a report without a case goes, so that the report is filed as if it had never come.
    """
    signer, now = desk.load_signer(), desk.clock()
    for row in rows:
        clear, case = row.intake.clear, _find_case(connection, row)
        of_report = (REPORTS.c.environment == clear.environment) & (REPORTS.c.partner == clear.partner)
        mine = or_(
            REPORTS.c.intake_sha256 == row.intake_sha256,
            of_report & (REPORTS.c.report_id == clear.report_id),
        )
        connection.execute(delete(REPORTS).where(mine))
        if case is None:
            continue
        keys = _list_keys(case)
        is_new_key = not keys or bool(signer.list_lost_keys(keys))
        (key,) = make_keys(signer, connection, [case.case_id]) if is_new_key else keys
        (closed,) = close_reports(signer, [(key, clear.report_id, row.envelope_raw)], kind="report")
        values = to_report_values(row, collected_at=format_time(now), closed=closed)
        connection.execute(insert(REPORTS).values(**values))
        connection.execute(update(CASES).where(CASES.c.case_id == case.case_id).values(key_number=key.number))
        audit.append_entry(connection, "mend-report", case.case_id, at=now, actor=actor, new_key=is_new_key)
    mended = {row.intake.reference for row in rows}
    if mended:
        _end_alarms(connection, desk, lambda one: one.kind in _OF_REPORT and one.subject.partition(":")[0] in mended)
