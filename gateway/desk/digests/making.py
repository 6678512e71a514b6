"""Makes the digest of one service and one closed quarter or year.

The order is the guarantee: freeze the clusters, commit the spend, draw once, store the draw, then build, then show.
Never draws twice: after a crash between spend and draw the table is spent, empty and refused. A year adds up the draws
of its quarters, and draws its facts.

A run over all services counts those without keys too, so that many reports about one lead to an invitation. One that
was stopped goes on where it stopped. Never releases anything: a second person releases each digest.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, func, select

from gateway.desk.audit import append_entry
from gateway.desk.collection.joining import Clusters
from gateway.desk.digests import noise
from gateway.desk.digests.clusters import FrozenClusters, freeze
from gateway.desk.digests.drawing import Clock, DigestError, draw_unpaid, take_from_journal
from gateway.desk.digests.eligibility import (
    DEFAULT_THRESHOLD,
    MOST_PLACES,
    find_joining_day,
    has_adopted,
    is_eligible,
    list_adopters,
    list_places,
)
from gateway.desk.digests.freezing import freeze_clusters
from gateway.desk.digests.journal import Journal, find_journal, keep_body
from gateway.desk.digests.ledger import add_spend, get_spends, get_spent
from gateway.desk.digests.own_facts import read_own_facts
from gateway.desk.digests.payload import NothingDrawnError, build_body, find_drawn_total
from gateway.desk.digests.records import (
    DigestRecord,
    State,
    Workings,
    add_record,
    find_record,
    finish_record,
    get_clusters,
    make_digest_id,
)
from gateway.desk.digests.signatures import enter_draft
from gateway.desk.digests.tables import QUARTER_TABLES, Table, count_table, make_labels, make_year_tables
from gateway.desk.keyring.key_set import Period, Quarter, Year, check_closed, parse_quarter
from gateway.desk.partners.register import SERVICE, find_partner_kind
from gateway.desk.placements.merges import read_merges
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASES
from partner_sdk.wire.signing import Environment


@dataclass(frozen=True, slots=True)
class DigestOrder:
    """A person's choices before a digest is made.

    `quarter` may be a year, which has the choices of its quarters. Without `placements`, the table of places
    takes those of the register, and a partner that has any has adopted.
    """

    partner: str
    quarter: Period
    environment: Environment
    made_by: str
    adopted: bool = False
    placements: tuple[tuple[str, str], ...] | None = None
    threshold: int = DEFAULT_THRESHOLD
    accept_lost: bool = False


def make_digest(store: DeskStore, order: DigestOrder, *, clock: Clock, links: Clusters | None = None) -> DigestRecord:
    """Return the digest of the order: the stored one if it exists, otherwise a new one at the cost of its budget.

    A run over many partners passes one `links`, so that they are read once.

    Raises `QuarterError` while the period runs, `LedgerError` over budget, `DigestError` if a draw was lost, if the
    quarters of a year are not made yet, or for a partner that is no service, e.g. a police force.
    """
    check_closed(order.quarter, now=clock())
    with store.write() as connection:
        _check_service(connection, order.partner)
        # Read in the writer's turn: an earlier life of this desk may have drawn what this database does not know.
        journal = find_journal(store.journal, make_digest_id(partner=order.partner, quarter=order.quarter))
        draft = _begin(connection, order, journal=journal, links=links, now=clock())
        if draft.record.state != "drawing":
            return draft.record
        if draft.unpaid:
            draft.pay_for(connection, draft.unpaid[0], now=clock())
    draw_unpaid(store, draft, accept_lost=order.accept_lost, clock=clock)
    with store.write() as connection:
        return _finish(connection, draft, order, journal=store.journal, now=clock())


def _check_service(connection: Connection, partner: str) -> None:
    kind = find_partner_kind(connection, partner)
    # A partner without an entry is a service without keys, which is counted without being enrolled.
    if kind is not None and kind.type != SERVICE:
        raise DigestError("Only a service gets digests: no report is about this partner.", reason="not-a-service")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A digest that is being made, with the records of its quarters and their clusters; a quarter's is its own.

    `unpaid` tables are neither paid for nor drawn; `lost` ones are paid for alone.
    """

    record: DigestRecord
    tables: tuple[Table, ...]
    quarters: list[DigestRecord]
    clusters: list[FrozenClusters]
    unpaid: list[Table]
    lost: list[str]

    @property
    def is_eligible(self) -> bool:
        """Whether the partner gets this digest, once the kinds of a quarter are drawn."""
        workings = self.record.workings
        if self.quarters != [self.record]:
            return workings.adopted
        drawn_total = find_drawn_total(self.quarters)
        return is_eligible(adopted=workings.adopted, drawn_total=drawn_total, threshold=workings.threshold)

    def count(self, table: Table) -> list[int]:
        """Return the exact counts of a table over all quarters. Secret: only the noise may see them."""
        return [sum(column) for column in zip(*(count_table(table, one) for one in self.clusters), strict=True)]

    def pay_for(self, connection: Connection, table: Table, *, now: datetime) -> None:
        """Write the spend of a table, against each of the quarters."""
        add_spend(
            connection,
            partner=self.record.partner,
            clusters_sha256={parse_quarter(one.quarter): one.clusters_sha256 for one in self.quarters},
            table=table.name,
            micro_epsilon=noise.get_cost_micro(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro),
            now=now,
        )

    def drop_undeserved(self) -> None:
        """Leave the other tables of an ineligible partner unpaid: only the kinds decide on that."""
        if QUARTER_TABLES[0] not in self.unpaid and not self.is_eligible:
            self.unpaid.clear()


def _begin(
    connection: Connection, order: DigestOrder, *, journal: Journal | None, links: Clusters | None, now: datetime
) -> _Draft:
    period = order.quarter
    quarters = _get_quarters(connection, order.partner, period) if isinstance(period, Year) else []
    record = find_record(connection, make_digest_id(partner=order.partner, quarter=period))
    clusters: list[FrozenClusters] = []
    if record is None:
        workings = journal.workings if journal else None
        record, frozen = _freeze(connection, order, quarters, earlier=workings, links=links, now=now)
        clusters = [] if quarters else [frozen]
    if record.state != "drawing":
        return _Draft(record, (), quarters, [], [], [])
    tables: tuple[Table, ...] = QUARTER_TABLES
    if isinstance(period, Year):
        total = find_drawn_total(quarters) if record.workings.adopted else None
        tables = make_year_tables(record.workings.placements, drawn_total=total or 0)
    spends: set[str] = set()
    for quarter in period.quarters:
        spends |= get_spends(connection, partner=record.partner, quarter=quarter).keys()
    unpaid = [table for table in tables if table.name not in spends]
    counted = quarters or [record]
    if unpaid and not clusters:
        clusters = [get_clusters(connection, one.digest_id) for one in counted]
    lost = [table.name for table in tables if table.name in spends and table.name not in record.draws]
    draft = _Draft(record, tables, counted, clusters, unpaid, lost)
    take_from_journal(connection, draft, journal, now=now)
    return draft


def _get_quarters(connection: Connection, partner: str, year: Year) -> list[DigestRecord]:
    """Return the finished records of a year's quarters; raise `DigestError` unless every one that is due is there.

    The quarters before a service had keys or places are not due: it gets the year from the first one that it has.
    """
    found = {one: find_record(connection, make_digest_id(partner=partner, quarter=one)) for one in year.quarters}
    records = {one: record for one, record in found.items() if record is not None and record.state != "drawing"}
    # By the register alone: if cases decided this, the digest would reveal whether there was one.
    joined = find_joining_day(connection, partner=partner)
    first = min((one for one in year.quarters if found[one]), default=year.quarters[0])
    missing = [
        one.name
        for one in year.quarters
        if one not in records and (one >= first or (joined is not None and joined <= one.last_day.isoformat()))
    ]
    if missing:
        raise DigestError(
            f"{year.name} adds up its quarters. Make the digests of {', '.join(missing)} first.",
            reason="quarters-missing",
        )
    return list(records.values())


def _freeze(
    connection: Connection,
    order: DigestOrder,
    quarters: Sequence[DigestRecord],
    *,
    earlier: Workings | None,
    links: Clusters | None,
    now: datetime,
) -> tuple[DigestRecord, FrozenClusters]:
    if not order.made_by.strip():
        raise DigestError("Give the name of the person who makes the digest.", reason="no-name")
    if earlier is not None:
        order = replace(order, placements=tuple(earlier.placements))
    if isinstance(order.quarter, Quarter):
        workings, clusters = _gather(connection, order, order.quarter, links=links)
    else:
        # Its clusters stay in the records of the quarters, whose manifests the ledger names.
        workings = _join_workings(order, quarters)
        clusters = freeze((), labels=make_labels(workings.placements))
    record = add_record(
        connection,
        partner=order.partner,
        quarter=order.quarter,
        by=order.made_by.strip(),
        now=now,
        workings=earlier or workings,
        clusters=clusters,
    )
    manifest = record.clusters_sha256.hex()
    append_entry(connection, "digest-frozen", record.digest_id, at=now, actor=order.made_by, clusters_sha256=manifest)
    return record, clusters


def _gather(
    connection: Connection, order: DigestOrder, quarter: Quarter, *, links: Clusters | None
) -> tuple[Workings, FrozenClusters]:
    places = order.placements
    if places is None:
        places = list_places(connection, partner=order.partner, quarter=quarter)
    clusters, synthetic = freeze_clusters(
        connection,
        partner=order.partner,
        quarter=quarter,
        environment=order.environment,
        places=places,
        clusters=links,
    )
    workings = Workings(
        adopted=order.adopted or has_adopted(connection, partner=order.partner, quarter=quarter),
        threshold=order.threshold,
        placements=list(places),
        synthetic=synthetic,
    )
    return workings, clusters


def _join_workings(order: DigestOrder, quarters: Sequence[DigestRecord]) -> Workings:
    """Return the workings of a year: it is eligible if one of its quarters was."""
    places = dict(place for record in reversed(quarters) for place in record.workings.placements)
    return Workings(
        adopted=any(record.state != "not-eligible" for record in quarters),
        threshold=order.threshold,
        placements=list(places.items())[:MOST_PLACES],
        synthetic=any(record.workings.synthetic for record in quarters),
    )


def _finish(connection: Connection, draft: _Draft, order: DigestOrder, *, journal: Path, now: datetime) -> DigestRecord:
    record, body = draft.record, None
    if draft.is_eligible:
        own = read_own_facts(connection, partner=record.partner, environment=order.environment, period=order.quarter)
        body = build_body(
            record,
            draft.tables,
            environment=order.environment,
            quarter=order.quarter,
            quarters=draft.quarters,
            own=own.tables,
            stated_kinds=own.stated_kinds,
            spent_micro=get_spent(connection, partner=record.partner, period=order.quarter),
            now=now,
        )
        body = keep_body(journal, record, body)
    append_entry(connection, "digest-made", record.digest_id, at=now, actor=order.made_by)
    finished = finish_record(connection, record, body=body, now=now)
    enter_draft(connection, finished, now=now)
    return finished


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """The digest of one service after a run; `lost` if a draw was paid for and never stored.

    A year is `not-due` if one of its quarters has no digest yet.
    """

    service: str
    has_keys: bool
    state: State | Literal["lost", "not-due"]

    @property
    def is_to_invite(self) -> bool:
        """Whether the service has a digest and no mailbox for it."""
        return not self.has_keys and self.state not in ("not-eligible", "lost", "not-due")


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A person's choices for a run; the register decides which service has adopted the button."""

    quarter: Period
    environment: Environment
    made_by: str
    threshold: int = DEFAULT_THRESHOLD
    accept_lost: bool = False


def make_all(
    store: DeskStore,
    order: BatchOrder,
    *,
    clock: Clock,
    most_seconds: float = math.inf,
) -> list[ServiceResult]:
    """Make every digest of a quarter that is not made yet.

    It stops after `most_seconds`; the next run goes on. A lost draw stops only its own digest. Raises as `make_digest`
    does for anything else.
    """
    check_closed(order.quarter, now=clock())
    results, links, began = [], Clusters(), time.monotonic()
    with store.hold():
        with store.read() as connection:
            services = list_services(connection, environment=order.environment)
        for service, has_keys in services.items():
            if time.monotonic() - began > most_seconds:
                break
            state = _make_one(store, order, service=service, links=links, clock=clock)
            results.append(ServiceResult(service, has_keys, state))
    return results


def _make_one(
    store: DeskStore, order: BatchOrder, *, service: str, links: Clusters, clock: Clock
) -> State | Literal["lost", "not-due"]:
    one = DigestOrder(
        partner=service,
        quarter=order.quarter,
        environment=order.environment,
        made_by=order.made_by,
        threshold=order.threshold,
        accept_lost=order.accept_lost,
    )
    try:
        return make_digest(store, one, clock=clock, links=links).state
    except (DigestError, NothingDrawnError) as error:
        if error.reason == "quarters-missing":
            return "not-due"
        if error.reason not in ("draw-lost", "nothing-drawn"):
            raise
        return "lost"


def list_services(connection: Connection, *, environment: str) -> dict[str, bool]:
    """Return every service that may have a digest, in order, and whether it has keys.

    They are the partners with a key in force, the adopters of the button, and the services that closed cases are about.
    """
    registered = connection.execute(
        select(PARTNERS.c.partner, PARTNERS.c.type, PARTNERS.c.state, PARTNERS.c.environment)
    )
    rows = registered.all()
    known = {row.partner for row in rows}
    partners = {
        row.partner for row in rows if row.type == SERVICE and row.state == "active" and row.environment == environment
    }
    merged = read_merges(connection)
    others = (
        (set(_list_reported(connection)) | list_adopters(connection) | set(merged.values())) - known - merged.keys()
    )
    return {service: service in partners for service in sorted(partners | others)}


def _list_reported(connection: Connection) -> Iterator[str]:
    # From one name to the next by the index: a DISTINCT would read every case.
    closed = select(func.min(CASES.c.about)).where(CASES.c.closed_at.is_not(None))
    found: str | None = connection.execute(closed).scalar()
    while found is not None:
        yield found
        found = connection.execute(closed.where(CASES.c.about > found)).scalar()
