"""Freezes the clusters that a digest counts: the incidents about one service, each once and in one period only.

A cluster is every case that standing links connect (collection/joining.py), as of the moment of freezing. It belongs
to the period in which its first case about this service was closed, and it is left out if any of its cases was in a
cluster of another period: a link or its end after that changes nothing that was published and counts nothing again.

A cluster is represented field by field. The kind is the most serious one that an assessor gave; every other answer is
that of the newest assessment that knows it. Only cases about this service are read for it: none about another reaches
this partner. A service's own reports alone make no cluster, because it knows them and gets them exactly.

Makes the digest of one service and one closed quarter or year.

The order is the guarantee: freeze the clusters, commit the spend, draw once, store the draw, then build, then show.
Never draws twice: after a crash between spend and draw the table is spent, empty and refused. A year adds up the draws
of its quarters, and draws its facts.

A run over all services counts those without keys too, so that many reports about one lead to an invitation. One that
was stopped goes on where it stopped. Never releases anything: a second person releases each digest.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, bindparam, false, func, select

from gateway.databases.database import stream_rows
from gateway.desk.cases.choices import load_facts
from gateway.desk.collection.joining import Clusters
from gateway.desk.digests.ledger import (
    Clock,
    DigestError,
    DigestRecord,
    Draft,
    Journal,
    State,
    Workings,
    add_record,
    begin_draft,
    find_record,
    get_clusters,
    get_spent,
    list_spent,
    make_digest_id,
    make_once,
)
from gateway.desk.digests.own_facts import (
    DEFAULT_THRESHOLD,
    MOST_PLACES,
    find_joining_day,
    has_adopted,
    is_eligible,
    list_adopters,
    list_places,
    read_own_facts,
)
from gateway.desk.digests.payload import NothingDrawnError, build_body, find_drawn_total
from gateway.desk.digests.tables import (
    COLUMNS,
    NOT_STATED,
    QUARTER_TABLES,
    Answers,
    Cluster,
    FrozenClusters,
    Table,
    count_table,
    freeze,
    make_labels,
    make_year_tables,
    shorten,
)
from gateway.desk.keyring.key_set import Period, Quarter, Year, check_closed, parse_quarter
from gateway.desk.office.organisations import SERVICE, find_partner_kind
from gateway.desk.partners.placement_register import list_counted, read_merges
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import PARTNERS
from gateway.desk.store.schema import CASES
from gateway.guidance.risk import load_rules
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.signing import Environment

# An answer that another one of the cluster replaces.
_NOT_KNOWN: Final = frozenset({None, "", NOT_STATED, "unknown"})
_MOST_AT_ONCE: Final = 500
# A batch of a service's cases: about a megabyte, and one round trip to a server.
_MOST_STREAMED: Final = 5000
# The columns that are read, and their places in a row: the answers come last.
_OWN: Final = ("case_id", "partner", "received_at", "closed_at")
_READ: Final = (*_OWN, *COLUMNS)
_PARTNER, _CLOSED_AT = _READ.index("partner"), _READ.index("closed_at")
_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Reads:
    """The queries of a desk, built once: of the cases about a service by its period, and by their ids."""

    in_period: Select[Any]
    synthetic: Select[Any]
    by_id: Select[Any]


def _make_reads(*, is_live: bool) -> _Reads:
    closed = select(*(CASES.c[name] for name in _READ)).where(CASES.c.closed_at.is_not(None))
    if is_live:
        # A made-up case never enters a live desk's digest.
        closed = closed.where(CASES.c.synthetic == false())
    in_period = closed.where(
        CASES.c.environment == bindparam("environment"),
        CASES.c.about.in_(bindparam("services", expanding=True)),
        CASES.c.partner != bindparam("partner"),
        CASES.c.closed_at >= bindparam("starts_at"),
        CASES.c.closed_at < bindparam("ends_at"),
    )
    by_id = closed.where(
        # The text added to both keeps SQLite from the indexes that begin with them: it would read all cases about the
        # service again for each part of the linked ones.
        CASES.c.environment.concat("") == bindparam("environment"),
        CASES.c.about.concat("").in_(bindparam("services", expanding=True)),
        CASES.c.case_id.in_(bindparam("case_ids", expanding=True)),
    )
    return _Reads(in_period, synthetic=in_period.where(CASES.c.synthetic).limit(1), by_id=by_id)


_READS: Final = {is_live: _make_reads(is_live=is_live) for is_live in (True, False)}


def freeze_clusters(
    connection: Connection,
    *,
    partner: str,
    quarter: Quarter,
    environment: Environment,
    places: Sequence[tuple[str, str]],
    clusters: Clusters | None = None,
) -> tuple[FrozenClusters, bool]:
    """Return the clusters of a period in their frozen form, and whether one of them is synthetic.

    Cases about a service that was merged into the partner count as its own.

    Pass loaded `clusters` to freeze many partners in one run; they are read again if a link was recorded since.
    """
    clusters = clusters or Clusters()
    clusters.refresh(connection)
    reads = _READS[environment == "live"]
    asked: dict[str, Any] = {
        "partner": partner,
        "services": list_counted(connection, partner),
        "environment": environment,
        "starts_at": format_time(quarter.starts_at),
        "ends_at": format_time(quarter.ends_at),
    }
    single, linked = _sort(stream_rows(connection, reads.in_period, asked, batch=_MOST_STREAMED), clusters)
    frozen = freeze(
        _list_linked(connection, reads.by_id, linked, clusters, asked),
        single=single,
        labels=make_labels(places),
        spent=list_spent(connection, partner=partner, quarter=quarter),
    )
    is_synthetic = environment != "live" and connection.execute(reads.synthetic, asked).first()
    return frozen, bool(is_synthetic)


def _sort(batches: Iterable[Sequence[_Row]], clusters: Clusters) -> tuple[dict[Answers, list[bytes]], dict[str, _Row]]:
    """Return the cases without a link, which are nearly all, by their answers; and the others by case id."""
    single: defaultdict[Answers, list[bytes]] = defaultdict(list)
    linked: dict[str, _Row] = {}
    for rows in batches:
        for row in rows:
            if clusters.has_links(row[0]):
                linked[row[0]] = row
            else:
                single[row[len(_OWN) :]].append(shorten(row[0]))
    return single, linked


def _list_linked(
    connection: Connection, by_id: Select[Any], linked: Mapping[str, _Row], clusters: Clusters, asked: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], Answers]]:
    """Yield the clusters of linked cases whose first case by another sender was closed in the period."""
    waiting = list({clusters.find(case_id): clusters.list_members(case_id) for case_id in linked}.values())
    for start in range(0, len(waiting), _MOST_AT_ONCE):
        groups = waiting[start : start + _MOST_AT_ONCE]
        unread = [case_id for members in groups for case_id in members if case_id not in linked]
        others: dict[str, _Row] = {}
        for first in range(0, len(unread), _MOST_AT_ONCE):
            some = {**asked, "case_ids": unread[first : first + _MOST_AT_ONCE]}
            others.update((row.case_id, tuple(row)) for row in connection.execute(by_id, some))
        for members in groups:
            rows = [row for case_id in members if (row := linked.get(case_id) or others.get(case_id))]
            firsts = [row[_CLOSED_AT] for row in rows if row[_PARTNER] != asked["partner"]]
            if firsts and asked["starts_at"] <= min(firsts) < asked["ends_at"]:
                yield members, rows[0][len(_OWN) :] if len(rows) == 1 else _represent(members, rows).answers


def _represent(members: tuple[str, ...], rows: Sequence[_Row]) -> Cluster:
    records = [dict(zip(_READ, row, strict=True)) for row in rows]
    gravest_first = [one.code for one in load_rules().kind]
    newest_first = sorted(records, key=itemgetter("closed_at", "received_at", "case_id"), reverse=True)
    return Cluster(
        cases=members,
        kind=min(
            (row["kind"] or NOT_STATED for row in records),
            key=lambda kind: gravest_first.index(kind) if kind in gravest_first else len(gravest_first),
        ),
        age_band=_choose_known(row["age_band"] for row in newest_first),
        placement=_choose_known(row["placement"] for row in newest_first),
        outcome=_choose_known(row["outcome"] for row in newest_first),
        facts={name: _choose_known(row[name] for row in newest_first) for name in load_facts()},
        weaknesses=next((found for row in newest_first if (found := tuple(_list_weaknesses(row)))), ()),
    )


def _choose_known(values: Iterable[str | None]) -> str:
    """Return the first known value, or else the first one, e.g. "unknown" rather than "not stated"."""
    first = None
    for value in values:
        if value not in _NOT_KNOWN:
            return str(value)
        first = first or value
    return first or NOT_STATED


def _list_weaknesses(record: Mapping[str, Any]) -> Iterator[str]:
    return (code for code in (record["weakness_1"], record["weakness_2"]) if code)


@dataclass(frozen=True, slots=True)
class DigestOrder:
    """A person's choices before a digest is made; for a run over all services, without a `partner`.

    `quarter` may be a year, which has the choices of its quarters. Without `placements`, the table of places
    takes those of the register, and a partner that has any has adopted.
    """

    quarter: Period
    environment: Environment
    made_by: str
    partner: str = ""
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
    return make_once(
        store,
        make_digest_id(partner=order.partner, quarter=order.quarter),
        begin=lambda connection, journal: _begin(connection, order, journal=journal, links=links, now=clock()),
        build=lambda connection, draft: _build(connection, draft, order, now=clock()),
        made_by=order.made_by,
        accept_lost=order.accept_lost,
        clock=clock,
    )


def _begin(
    connection: Connection, order: DigestOrder, *, journal: Journal | None, links: Clusters | None, now: datetime
) -> Draft:
    kind, period = find_partner_kind(connection, order.partner), order.quarter
    # A partner without an entry is a service without keys, which is counted without being enrolled.
    if kind is not None and kind.type != SERVICE:
        raise DigestError("Only a service gets digests: no report is about this partner.", reason="not-a-service")
    quarters = _get_quarters(connection, order.partner, period)
    record = find_record(connection, make_digest_id(partner=order.partner, quarter=period))
    clusters: list[FrozenClusters] = []
    if record is None:
        workings = journal.workings if journal else None
        record, frozen = _freeze(connection, order, quarters, earlier=workings, links=links, now=now)
        clusters = [] if quarters else [frozen]
    if record.state != "drawing":
        return Draft(record)
    tables: Sequence[Table] = QUARTER_TABLES
    if isinstance(period, Year):
        total = find_drawn_total(quarters) if record.workings.adopted else None
        tables = make_year_tables(record.workings.placements, drawn_total=total or 0)
    counted = quarters or [record]
    manifests = {parse_quarter(one.quarter): one.clusters_sha256 for one in counted}
    draft = begin_draft(connection, record, tables, manifests)
    if draft.unpaid:
        clusters = clusters or [get_clusters(connection, one.digest_id) for one in counted]
    for table in draft.unpaid:
        exact = zip(*(count_table(table, one) for one in clusters), strict=True)
        draft.counts[table.name] = [sum(column) for column in exact]
    return replace(draft, is_eligible=partial(_is_eligible, record), quarters=counted)


def _is_eligible(record: DigestRecord) -> bool:
    """Return whether the partner gets this digest, once the kinds of a quarter are drawn; a year draws none."""
    total = find_drawn_total([record])
    return is_eligible(adopted=record.workings.adopted, drawn_total=total, threshold=record.workings.threshold)


def _get_quarters(connection: Connection, partner: str, year: Period) -> list[DigestRecord]:
    """Return the finished records of a year's quarters; raise `DigestError` unless every one that is due is there.

    The quarters before a service had keys or places are not due: it gets the year from the first one that it has.
    """
    if isinstance(year, Quarter):
        return []
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
        by=order.made_by,
        now=now,
        workings=earlier or workings,
        clusters=clusters,
    )
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


def _build(connection: Connection, draft: Draft, order: DigestOrder, *, now: datetime) -> bytes | None:
    record = draft.record
    if not draft.is_eligible():
        return None
    own = read_own_facts(connection, partner=record.partner, environment=order.environment, period=order.quarter)
    return build_body(
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


def make_all(
    store: DeskStore,
    order: DigestOrder,
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
    store: DeskStore, order: DigestOrder, *, service: str, links: Clusters, clock: Clock
) -> State | Literal["lost", "not-due"]:
    try:
        return make_digest(store, replace(order, partner=service), clock=clock, links=links).state
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
