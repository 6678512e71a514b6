"""The privacy ledger of digests, their records and their journal; and each table drawn once: pay, note, sample, store.

A spend, in whole micro-epsilon, is committed before anything is sampled, is never refunded, and is made once per table.
Records are only ever added (triggers hold it): the order in which they came is the history. Never leaves the desk: only
the published bytes do.

The rows of a service are charged to each incident of that quarter; those of `OVERVIEW_OF` are charged to each service
as a whole. They cost an incident at most `OUTCOME_MICRO`, which no row of a service may spend: the overview reads draws
that those rows have paid for, and counts nothing else of an incident but its outcome for the child.

The journal is one file for each digest, outside the database, which no backup takes and no restore replaces. A desk
restored from last night's backup finds there which tables it had begun to draw, the noisy draws, the frozen workings
and the published bytes, so that it draws and publishes nothing twice. An intent without a draw is a lost draw, and is
never drawn again. Never holds an exact count.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, insert, select

from gateway.desk.digests import noise
from gateway.desk.digests.tables import (
    BUDGET_MICRO,
    OUTCOME_MICRO,
    QUARTER_TABLES,
    FrozenClusters,
    Table,
    parse_clusters,
)
from gateway.desk.keyring.key_set import Period, Quarter, parse_period
from gateway.desk.office.people.releases import DIGEST, OVERVIEW, Release, draft_release, find_release, get_signed
from gateway.desk.partners.mailbox import has_message
from gateway.desk.partners.placement_register import list_ever_merged
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import DIGEST_DRAWS, DIGEST_STEPS, DIGESTS, LEDGER
from gateway.desk.store.audit import append_entry
from gateway.desk.store.schema import AUDIT
from partner_sdk.durable_files import find_bytes, held, make_private_folder, write_durably
from partner_sdk.errors import FormatError, RefusalError
from partner_sdk.wire import canonical
from partner_sdk.wire.canonical import format_time

# The ledger's name for all services together: no partner's id has a dot.
OVERVIEW_OF: Final = "all.services"
# Built once, like every statement of a run over all services: to build one takes longer than to execute it.
_SPENDS: Final = (
    select(LEDGER.c.table_name, LEDGER.c.micro_epsilon)
    .where(LEDGER.c.partner == bindparam("partner"), LEDGER.c.quarter == bindparam("quarter"))
    .order_by(LEDGER.c.id)
)


class LedgerError(RefusalError[Literal["no-spend", "over-budget", "spent-already"]]):
    """A spend is refused: the table is already paid for, or the quarter's budget would be exceeded."""


def get_spends(connection: Connection, *, partner: str, quarter: Quarter) -> dict[str, int]:
    """Return the cost of each table of one partner's quarter, in micro-epsilon."""
    rows = connection.execute(_SPENDS, {"partner": partner, "quarter": quarter.name})
    return {row.table_name: row.micro_epsilon for row in rows}


def get_spent(connection: Connection, *, partner: str, period: Period) -> int:
    """Return the micro-epsilon spent for any one cluster of a period: of the dearest of its quarters."""
    return max(sum(get_spends(connection, partner=partner, quarter=quarter).values()) for quarter in period.quarters)


def add_spend(
    connection: Connection,
    *,
    partner: str,
    clusters_sha256: Mapping[Quarter, bytes],
    table: str,
    micro_epsilon: int,
    now: datetime,
) -> None:
    """Write one spend in the caller's transaction, or raise `LedgerError`. Sample the table only once it is committed.

    `clusters_sha256` is, by quarter, the manifest of the frozen clusters whose privacy it spends. The table of a year
    is charged in full to each of its quarters, or to none, since each of its clusters is in one of them.
    """
    for quarter in clusters_sha256:
        spends = get_spends(connection, partner=partner, quarter=quarter)
        check_spend(spends, table=table, micro_epsilon=micro_epsilon, of_overview=partner == OVERVIEW_OF)
    connection.execute(
        insert(LEDGER),
        [
            {
                "partner": partner,
                "quarter": quarter.name,
                "table_name": table,
                "micro_epsilon": micro_epsilon,
                "clusters_sha256": manifest,
                "committed_at": format_time(now),
            }
            for quarter, manifest in clusters_sha256.items()
        ],
    )


def check_spend(spends: Mapping[str, int], *, table: str, micro_epsilon: int, of_overview: bool = False) -> None:
    """Raise `LedgerError` unless this spend is new, above zero, and stays within the budget."""
    if micro_epsilon < 1:
        raise LedgerError("A draw must have a cost.", reason="no-spend")
    if table in spends:
        raise LedgerError(f"The table {table} has already been drawn and is never drawn again.", reason="spent-already")
    budget = BUDGET_MICRO if of_overview else BUDGET_MICRO - OUTCOME_MICRO
    left = budget - sum(spends.values())
    if micro_epsilon > left:
        raise LedgerError(
            f"The table {table} would cost {micro_epsilon} micro-epsilon, but only {left} of {budget} are left for "
            "this partner and quarter. Nothing was drawn.",
            reason="over-budget",
        )


T = TypeVar("T")
# The draws and the data beside the clusters: a few kilobytes.
MAX_RECORD_BYTES = 1024 * 1024
_MOST_AT_ONCE: Final = 500
_MESSAGE_LABEL: Final = "report-abuse digest message v1"
# The time inside every such id: the id depends on the digest's id alone.
_SAME_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)

State = Literal["drawing", "made", "not-eligible", "rejected", "released"]


class DigestRecordError(
    RefusalError[Literal["clusters-changed", "drawn-already", "made-already", "made-before", "unknown-digest"]]
):
    """A digest is absent, or a write-once part of it would be written again."""


class Workings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data behind a digest beside its clusters, frozen with them."""

    adopted: bool
    threshold: int
    placements: list[tuple[str, str]]
    synthetic: bool


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """One digest of the desk, without its clusters (`get_clusters`).

    `body` is the published bytes, which never change; None before they are made, or if the partner is ineligible.
    """

    digest_id: str
    partner: str
    quarter: str
    clusters_sha256: bytes
    frozen_at: str
    made_at: str
    made_by: str
    workings: Workings
    draws: dict[str, list[int]]
    state: State = "drawing"
    body: bytes | None = None
    reason: str | None = None
    rejected_by: str | None = None
    released_at: str | None = None
    released_by: str | None = None
    message_id: str | None = None


class Encodable(Protocol):
    """Frozen data with one spelling in bytes."""

    def encode(self) -> bytes:
        """Return the bytes to store."""


def make_digest_id(*, partner: str, quarter: Period) -> str:
    """Return the only possible id for a partner's period, e.g. `2026-Q3.example-chat`."""
    return f"{quarter.name}.{partner}"


def make_message_id(digest_id: str) -> str:
    """Return the only possible id of the message with a digest, a UUIDv7 of the hash of the digest's id.

    The gateway refuses other bytes under an id that it knows. So a desk that was restored from an old backup, and has
    forgotten that it published this period, cannot publish it again.
    """
    random = hashlib.sha256(f"{_MESSAGE_LABEL}/{digest_id}".encode()).digest()[: canonical.REPORT_ID_RANDOM_BYTES]
    return canonical.make_report_id(_SAME_TIME, random)


def find_record(connection: Connection, digest_id: str) -> DigestRecord | None:
    """Return a digest's record, or None."""
    row = connection.execute(_ONE_FROZEN, {"digest_id": digest_id}).first()
    return None if row is None else _read(connection, [row])[0]


def get_record(connection: Connection, digest_id: str) -> DigestRecord:
    """Return a digest's record, or raise `DigestRecordError`."""
    record = find_record(connection, digest_id)
    if record is None:
        raise DigestRecordError("No digest has that id.", reason="unknown-digest")
    return record


def list_records(
    connection: Connection, *, partner: str | None = None, period: str | None = None, rows: slice | None = None
) -> list[DigestRecord]:
    """Return the records, newest quarter first; on request of one partner, of one period, or some rows alone."""
    query = _FROZEN.order_by(DIGESTS.c.quarter.desc(), DIGESTS.c.partner)
    if partner is not None:
        query = query.where(DIGESTS.c.partner == partner)
    if period is not None:
        query = query.where(DIGESTS.c.quarter == period)
    if rows is not None:
        query = query.offset(rows.start).limit(rows.stop - rows.start)
    return _read(connection, connection.execute(query).all())


def count_periods(connection: Connection) -> dict[str, int]:
    """Return the number of digests of each period, the newest first, e.g. `{"2026-Q3": 40}`."""
    number = func.count().label("number")
    query = select(DIGESTS.c.quarter, number).group_by(DIGESTS.c.quarter).order_by(DIGESTS.c.quarter.desc())
    return {row.quarter: row.number for row in connection.execute(query)}


def get_clusters(connection: Connection, digest_id: str) -> FrozenClusters:
    """Return the frozen clusters of a digest; raise `DigestRecordError` if they are not those of its manifest."""
    return parse_clusters(get_frozen(connection, digest_id))


def get_frozen(connection: Connection, digest_id: str) -> bytes:
    """Return the frozen bytes of a digest; raise `DigestRecordError` if they are not those of its manifest."""
    row = connection.execute(_CLUSTERS.where(DIGESTS.c.digest_id == digest_id)).one()
    raw = bytes(row.clusters)
    if hashlib.sha256(raw).digest() != bytes(row.clusters_sha256):
        raise DigestRecordError("The frozen clusters are not those of the manifest.", reason="clusters-changed")
    return raw


def list_spent(connection: Connection, *, partner: str, quarter: Quarter) -> frozenset[bytes]:
    """Return the cases, as `shorten` makes them, in clusters that another digest of this partner has counted.

    Digests of a service that was ever merged with it are its own too, those of the same quarter included.
    """
    digest_id = make_digest_id(partner=partner, quarter=quarter)
    asked = {"family": sorted(list_ever_merged(connection, partner)), "digest_id": digest_id}
    digest_ids = connection.execute(_OTHERS, asked).scalars().all()
    return frozenset().union(*(get_clusters(connection, digest_id).list_cases() for digest_id in digest_ids))


def add_record(
    connection: Connection,
    *,
    partner: str,
    quarter: Period,
    by: str,
    now: datetime,
    workings: Workings,
    clusters: Encodable,
) -> DigestRecord:
    """Freeze the data behind a digest and its clusters. Raises `DigestRecordError`, `DigestError`."""
    if not by.strip():
        raise DigestError("Give the name of the person who makes it.", reason="no-name")
    digest_id, raw = make_digest_id(partner=partner, quarter=quarter), clusters.encode()
    is_audited = connection.execute(_AUDITED, {"digest_id": digest_id}).first() is not None
    if is_audited or has_message(connection, make_message_id(digest_id)):
        raise DigestRecordError(
            "The audit log or the mailbox knows a digest of this partner and period, and its record is gone. It is "
            "never made a second time: restore the newest backup.",
            reason="made-before",
        )
    moment, manifest = canonical.format_time(now), hashlib.sha256(raw).digest()
    values = {
        "digest_id": digest_id,
        "partner": partner,
        "quarter": quarter.name,
        "workings": canonical.encode(workings),
        "clusters": raw,
        "clusters_sha256": manifest,
        "frozen_at": moment,
        "frozen_by": by.strip(),
    }
    connection.execute(insert(DIGESTS), values)
    append_entry(connection, "digest-frozen", digest_id, at=now, actor=by, clusters_sha256=manifest.hex())
    return DigestRecord(digest_id, partner, quarter.name, manifest, moment, moment, by.strip(), workings, draws={})


def add_draw(connection: Connection, record: DigestRecord, *, table: str, draw: list[int]) -> None:
    """Store one draw, or find it stored by a command that took it from the journal meanwhile.

    Raises `DigestRecordError` if another draw exists or the digest is past drawing.
    """
    stored = connection.execute(_DRAW, {"digest_id": record.digest_id, "table": table}).scalar()
    if stored is not None and _parse(stored, list[int]) == draw and table not in record.draws:
        return
    if _is_past_drawing(connection, record) or table in record.draws or stored is not None:
        raise DigestRecordError(
            f"The draw of {table} came too late to be stored and was discarded unseen.", reason="drawn-already"
        )
    values = {"digest_id": record.digest_id, "table_name": table, "draw": canonical.encode(draw)}
    connection.execute(insert(DIGEST_DRAWS), values)


def finish_record(connection: Connection, record: DigestRecord, *, body: bytes | None, now: datetime) -> DigestRecord:
    """Store the published bytes, or that the partner is ineligible; raise `DigestRecordError` the second time."""
    if _is_past_drawing(connection, record):
        raise DigestRecordError("This digest has already been made.", reason="made-already")
    state: State = "not-eligible" if body is None else "made"
    _add_step(connection, record.digest_id, state=state, now=now, body=body)
    return replace(record, state=state, body=body, made_at=canonical.format_time(now))


def _is_past_drawing(connection: Connection, record: DigestRecord) -> bool:
    return connection.execute(_STEP, {"digest_id": record.digest_id}).first() is not None


def mark_rejected(connection: Connection, digest_id: str, *, by: str, reason: str | None, now: datetime) -> None:
    """Record that a person rejected the preview, and why; the spend stays."""
    _add_step(connection, digest_id, state="rejected", now=now, by=by, reason=reason)


def mark_released(connection: Connection, digest_id: str, *, by: str, message_id: str, now: datetime) -> None:
    """Record the releasing person and the message of a digest."""
    _add_step(connection, digest_id, state="released", now=now, by=by, message_id=message_id)


def _add_step(connection: Connection, digest_id: str, *, state: State, now: datetime, **values: object) -> None:
    whole = {"digest_id": digest_id, "state": state, "at": canonical.format_time(now), **values}
    connection.execute(insert(DIGEST_STEPS), whole)


_FROZEN: Final = select(*(column for column in DIGESTS.c if column.name != "clusters"))
_CLUSTERS: Final = select(DIGESTS.c.clusters, DIGESTS.c.clusters_sha256)
# Built once: a run over all services executes each of them thousands of times.
_ONE_FROZEN: Final = _FROZEN.where(DIGESTS.c.digest_id == bindparam("digest_id"))
_OTHERS: Final = select(DIGESTS.c.digest_id).where(
    DIGESTS.c.partner.in_(bindparam("family", expanding=True)), DIGESTS.c.digest_id != bindparam("digest_id")
)
_AUDITED: Final = select(AUDIT.c.id).where(
    AUDIT.c.subject == bindparam("digest_id"), AUDIT.c.action.in_(("digest-frozen", "digest-released"))
)
_DRAW: Final = select(DIGEST_DRAWS.c.draw).where(
    DIGEST_DRAWS.c.digest_id == bindparam("digest_id"), DIGEST_DRAWS.c.table_name == bindparam("table")
)
_STEP: Final = select(DIGEST_STEPS.c.id).where(DIGEST_STEPS.c.digest_id == bindparam("digest_id")).limit(1)


def _read(connection: Connection, rows: Sequence[Row[Any]]) -> list[DigestRecord]:
    found = {row.digest_id: _to_record(row) for row in rows}
    digest_ids = list(found)
    for start in range(0, len(digest_ids), _MOST_AT_ONCE):
        some = digest_ids[start : start + _MOST_AT_ONCE]
        for one in connection.execute(select(DIGEST_DRAWS).where(DIGEST_DRAWS.c.digest_id.in_(some))):
            found[one.digest_id].draws[one.table_name] = _parse(one.draw, list[int])
        steps = select(DIGEST_STEPS).where(DIGEST_STEPS.c.digest_id.in_(some)).order_by(DIGEST_STEPS.c.id)
        for step in connection.execute(steps):
            changes = _STEPS[step.state](step)
            found[step.digest_id] = replace(found[step.digest_id], **changes, state=step.state)
    return list(found.values())


def _to_record(row: Row[Any]) -> DigestRecord:
    return DigestRecord(
        digest_id=row.digest_id,
        partner=row.partner,
        quarter=row.quarter,
        clusters_sha256=bytes(row.clusters_sha256),
        frozen_at=row.frozen_at,
        made_at=row.frozen_at,
        made_by=row.frozen_by,
        workings=_parse(row.workings, Workings),
        draws={},
    )


def _parse(raw: bytes, kind: type[T]) -> T:
    return canonical.parse_exact(bytes(raw), kind=kind, max_bytes=MAX_RECORD_BYTES)


# The fields of a record that each state sets.
_STEPS: Final[dict[str, Callable[[Row[Any]], dict[str, Any]]]] = {
    "made": lambda step: {"made_at": step.at, "body": bytes(step.body)},
    "not-eligible": lambda step: {"made_at": step.at},
    "rejected": lambda step: {"rejected_by": step.by, "reason": step.reason},
    "released": lambda step: {"released_at": step.at, "released_by": step.by, "message_id": step.message_id},
}


# The body is text inside JSON, whose quotes are escaped; the draws are a few kilobytes.
_MAX_BYTES: Final = 4 * MAX_RECORD_BYTES


class JournalError(RefusalError[Literal["drawn-already", "journal-damaged", "journal-differs"]]):
    """The journal contradicts what the desk is about to do, or cannot be read."""


class JournalledDraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The intent to draw a table, and the draw once it is made. `clusters_sha256` is the manifest, in hex."""

    micro_epsilon: int
    clusters_sha256: str
    intended_at: str
    draw: list[int] | None = None


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The journal of one digest, by table. `body` is its published bytes, None before they are made."""

    digest_id: str
    partner: str
    period: str
    workings: Workings
    tables: dict[str, JournalledDraw] = {}
    body: str | None = None


def find_journal(folder: Path, digest_id: str) -> Journal | None:
    """Return the journal of a digest, or None. Raises `JournalError`."""
    return _read_journal(_make_path(folder, digest_id))


def list_journals(folder: Path) -> Iterator[Journal]:
    """Yield every journal of a desk. Raises `JournalError`."""
    for path in sorted(folder.glob("*.json")):
        if (journal := _read_journal(path)) is not None:
            yield journal


def add_intent(folder: Path, record: DigestRecord, *, table: str, micro_epsilon: int, at: str) -> None:
    """Record durably that a table is about to be drawn; only then draw it.

    Raises `JournalError` (`drawn-already`) if it has an intent: it was drawn, or is being drawn right now.
    """
    make_private_folder(folder)
    path = _make_path(folder, record.digest_id)
    with held(path):
        journal = _read_journal(path) or Journal(record.digest_id, record.partner, record.quarter, record.workings)
        if table in journal.tables:
            raise JournalError(
                f"The journal of draws knows a draw of {table}, and it is never drawn again.", reason="drawn-already"
            )
        intent = JournalledDraw(micro_epsilon, record.clusters_sha256.hex(), at)
        _write(path, msgspec.structs.replace(journal, tables=journal.tables | {table: intent}))


def add_journalled_draw(folder: Path, record: DigestRecord, *, table: str, draw: list[int]) -> None:
    """Record the draw of an intent durably, before the database has it."""
    path = _make_path(folder, record.digest_id)
    with held(path):
        journal = _get(path)
        drawn = msgspec.structs.replace(journal.tables[table], draw=draw)
        _write(path, msgspec.structs.replace(journal, tables=journal.tables | {table: drawn}))


def keep_body(folder: Path, record: DigestRecord, body: bytes) -> bytes:
    """Record the published bytes durably and return them, or those of an earlier life of this desk.

    A digest without a draw of its own, e.g. of a small year, has no journal: it follows from its quarters.
    """
    path = _make_path(folder, record.digest_id)
    if not path.exists():
        return body
    with held(path):
        journal = _get(path)
        if journal.body is not None:
            return journal.body.encode()
        _write(path, msgspec.structs.replace(journal, body=body.decode()))
    return body


def _make_path(folder: Path, digest_id: str) -> Path:
    # A hash: the name of a service without keys may hold any character.
    return folder / f"{hashlib.sha256(digest_id.encode()).hexdigest()}.json"


def _get(path: Path) -> Journal:
    journal = _read_journal(path)
    if journal is None:
        raise JournalError("The journal of draws was removed while a digest was made.", reason="journal-damaged")
    return journal


def _read_journal(path: Path) -> Journal | None:
    raw = find_bytes(path)
    if raw is None:
        return None
    try:
        return canonical.parse_exact(raw, kind=Journal, max_bytes=_MAX_BYTES)
    except FormatError:
        raise JournalError(
            f"The journal of draws {path} is damaged. Nothing was drawn: draws that it knew could be drawn again.",
            reason="journal-damaged",
        ) from None


def _write(path: Path, journal: Journal) -> None:
    write_durably(path, canonical.encode(journal))


Clock = Callable[[], datetime]


class DigestError(
    RefusalError[
        Literal["draw-lost", "no-adopters", "no-name", "no-reason", "not-a-service", "not-a-year"]
        | Literal["not-eligible", "not-made", "not-released", "not-waiting", "published-before"]
        | Literal["quarters-missing", "too-long"]
    ]
):
    """A digest cannot be made, shown or released as asked."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A digest or an overview that is being made.

    `unpaid` tables are neither paid for nor drawn; `lost` ones are paid for alone. `counts` are the exact ones of each
    unpaid table. Secret: only the noise may see them. `manifests` are those, by quarter, whose privacy a table spends.
    Where `is_eligible` says no, the first table decided that, and the others stay unpaid.
    """

    record: DigestRecord
    tables: Sequence[Table] = ()
    manifests: Mapping[Quarter, bytes] = field(default_factory=dict)
    unpaid: list[Table] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    is_eligible: Callable[[], bool] = lambda: True
    quarters: Sequence[DigestRecord] = ()  # of a year, whose draws it adds up; a quarter is its own

    def pay_for(self, connection: Connection, table: Table, *, now: datetime) -> None:
        """Write the spend of a table, against each of the quarters. Raises `LedgerError`."""
        add_spend(
            connection,
            partner=self.record.partner,
            clusters_sha256=self.manifests,
            table=table.name,
            micro_epsilon=_get_cost(table),
            now=now,
        )

    def drop_undeserved(self) -> None:
        """Leave tables unpaid that the first one has made needless."""
        if QUARTER_TABLES[0] not in self.unpaid and not self.is_eligible():
            self.unpaid.clear()


def begin_draft(
    connection: Connection, record: DigestRecord, tables: Sequence[Table], manifests: Mapping[Quarter, bytes]
) -> Draft:
    """Return the draft of a frozen record, without counts."""
    spends = {name for one in manifests for name in get_spends(connection, partner=record.partner, quarter=one)}
    unpaid = [table for table in tables if table.name not in spends]
    lost = [table.name for table in tables if table.name in spends and table.name not in record.draws]
    return Draft(record, tables, manifests, unpaid, lost)


def make_once(
    store: DeskStore,
    digest_id: str,
    *,
    begin: Callable[[Connection, Journal | None], Draft],
    build: Callable[[Connection, Draft], bytes | None],
    made_by: str,
    accept_lost: bool,
    clock: Clock,
) -> DigestRecord:
    """Return the stored digest or overview, or make it. The order is the guarantee.

    `begin` freezes its data, or finds them frozen; `build` returns the bytes to publish, None for an ineligible one.
    """
    with store.write() as connection:
        # Read in the writer's turn: an earlier life of this desk may have drawn what this database does not know.
        journal = find_journal(store.journal, digest_id)
        draft = begin(connection, journal)
        if draft.record.state != "drawing":
            return draft.record
        # Before the first spend: where the journal differs, nothing of this transaction stays.
        take_from_journal(connection, draft, journal, now=clock())
        if draft.unpaid:
            draft.pay_for(connection, draft.unpaid[0], now=clock())
    draw_unpaid(store, draft, accept_lost=accept_lost, clock=clock)
    with store.write() as connection:
        now, body = clock(), build(connection, draft)
        if body is not None:
            body = keep_body(store.journal, draft.record, body)
        append_entry(connection, "digest-made", digest_id, at=now, actor=made_by)
        record = finish_record(connection, draft.record, body=body, now=now)
        if body is not None:
            kind = _get_kind(record)
            draft_release(connection, kind=kind, subject=digest_id, body=body, by=record.made_by, now=now)
        return record


def draw_unpaid(store: DeskStore, draft: Draft, *, accept_lost: bool, clock: Clock) -> None:
    """Draw every table of a draft once; the first one is paid for. Raises `DigestError` if a draw was lost."""
    _take_waiting(store, draft, now=clock())
    # Each transaction stores one draw and pays for the next: a crash loses at most the table that is being drawn.
    while draft.unpaid:
        table = draft.unpaid.pop(0)
        add_intent(
            store.journal,
            draft.record,
            table=table.name,
            micro_epsilon=_get_cost(table),
            at=format_time(clock()),
        )
        draw = noise.draw(draft.counts[table.name], sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
        add_journalled_draw(store.journal, draft.record, table=table.name, draw=draw)
        refused: LedgerError | None = None
        with store.write() as connection:
            add_draw(connection, draft.record, table=table.name, draw=draw)
            draft.record.draws[table.name] = draw
            draft.drop_undeserved()
            try:
                if draft.unpaid:
                    draft.pay_for(connection, draft.unpaid[0], now=clock())
            except LedgerError as error:
                refused = error  # the draw before it is stored all the same
        if refused is not None:
            raise refused
    if draft.lost and not accept_lost:
        raise DigestError(
            (
                f"The budget for {', '.join(draft.lost)} is spent, but the noise was never stored: the desk "
                "stopped halfway, or another command is drawing it right now. It is never drawn again. "
                "Wait a minute and try again; if you see this message again, make the digest without it "
                "(--without-lost)."
            ),
            reason="draw-lost",
        )


def take_from_journal(connection: Connection, draft: Draft, journal: Journal | None, *, now: datetime) -> None:
    """Store each draw that the journal has and the database lacks, and pay for it; an intent alone is a lost draw.

    The draws stand even if the clusters frozen now are others: the audit log names the manifest of each. Raises
    `JournalError` (`journal-differs`) if this release draws a table at another cost or with other labels.
    """
    record = draft.record
    paid = _list_paid(connection, record) if journal else set()
    for name, one in journal.tables.items() if journal else ():
        table = next((table for table in draft.unpaid if table.name == name), None)
        if table is not None:
            _check_same(table, one)
            draft.unpaid.remove(table)
            draft.lost.append(name)
            if name not in paid:
                draft.pay_for(connection, table, now=now)
        if name in draft.lost and one.draw is not None:
            add_draw(connection, record, table=name, draw=one.draw)
            record.draws[name] = one.draw
            draft.lost.remove(name)
            detail = {"table": name, "clusters_sha256": one.clusters_sha256}
            append_entry(connection, "digest-draw-restored", record.digest_id, at=now, actor=record.made_by, **detail)
    draft.drop_undeserved()


def _take_waiting(store: DeskStore, draft: Draft, *, now: datetime) -> None:
    journal = find_journal(store.journal, draft.record.digest_id)
    unpaid = {table.name for table in draft.unpaid}
    if journal and any(name in unpaid or (name in draft.lost and one.draw) for name, one in journal.tables.items()):
        with store.write() as connection:
            take_from_journal(connection, draft, journal, now=now)
            if draft.unpaid and draft.unpaid[0].name not in _list_paid(connection, draft.record):
                draft.pay_for(connection, draft.unpaid[0], now=now)


def _list_paid(connection: Connection, record: DigestRecord) -> set[str]:
    quarters = parse_period(record.quarter).quarters
    return {name for one in quarters for name in get_spends(connection, partner=record.partner, quarter=one)}


def _check_same(table: Table, one: JournalledDraw) -> None:
    if one.micro_epsilon != _get_cost(table) or (one.draw is not None and len(one.draw) != len(table.labels)):
        raise JournalError(
            f"The journal has a draw of {table.name} at another cost or with other labels: install the release that "
            "made it, and make this digest with that.",
            reason="journal-differs",
        )


def _get_cost(table: Table) -> int:
    return noise.get_cost_micro(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)


def get_body(record: DigestRecord) -> bytes:
    """Return the published bytes, or raise `DigestError` with the reason for their absence."""
    if record.body is not None:
        return record.body
    if record.state == "not-eligible":
        raise DigestError(
            (
                "The partner is not eligible: it has not adopted the button and has too few incidents. "
                "No digest was made; the budget already used stays spent."
            ),
            reason="not-eligible",
        )
    raise DigestError("This digest is not finished: make it again, and it goes on.", reason="not-made")


def check_waiting(record: DigestRecord) -> None:
    """Raise `DigestError` unless this digest waits for its release."""
    if record.state != "made":
        raise DigestError(
            f"This digest is {record.state.replace('-', ' ')}; it cannot be released.", reason="not-waiting"
        )


def find_draft(connection: Connection, record: DigestRecord) -> Release | None:
    """Return the release of a digest's bytes, with its signature if it has one."""
    if record.body is None:
        return None
    return find_release(connection, kind=_get_kind(record), subject=record.digest_id, body=record.body)


def get_signer(connection: Connection, record: DigestRecord) -> str:
    """Return the second person, whose signature covers exactly these bytes. Raises `DigestError`, `ReleaseError`."""
    check_waiting(record)
    kind, body = _get_kind(record), get_body(record)
    return get_signed(connection, kind=kind, subject=record.digest_id, body=body).signer


def _get_kind(record: DigestRecord) -> str:
    return OVERVIEW if record.partner == OVERVIEW_OF else DIGEST
