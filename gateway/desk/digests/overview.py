"""The overview of a year: all services together. A second kind of digest, whose unit of privacy is a whole service.

It reads the noisy draws of the services' digests and never a count, so it costs an incident nothing: the incident's
digest has paid. It adds noise of its own once, which hides whether a service is counted at all, and has the ledger,
the records and the two people of every digest (`signatures.py`), under the name `all.services`.

Each service adds at most `MOST_OF_ONE` incidents to a table, scaled down evenly, and at most `MOST_WEAKNESSES_OF_ONE`
likely weaknesses, one each. Negative noise stays in: cut off, it would add incidents to services that have none.

A number is shown from three times the most that one service can add, since below it one service could be most of it,
and from twice the reach of its interval. Both are judged on the noisy number: a judgement of the true one would be a
release of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.audit import append_entry
from gateway.desk.digests import noise
from gateway.desk.digests.drawing import Clock, DigestError, draw_unpaid, take_from_journal
from gateway.desk.digests.eligibility import list_adopters
from gateway.desk.digests.estimates import list_likely
from gateway.desk.digests.journal import find_journal
from gateway.desk.digests.ledger import OVERVIEW_OF, add_spend, get_spends, get_spent
from gateway.desk.digests.payload import add_draws
from gateway.desk.digests.records import (
    MAX_RECORD_BYTES,
    DigestRecord,
    Workings,
    add_record,
    find_record,
    finish_record,
    get_frozen,
    get_record,
    list_records,
    make_digest_id,
    make_message_id,
    mark_released,
)
from gateway.desk.digests.signatures import enter_draft, get_body, get_signer
from gateway.desk.digests.tables import AGE_BANDS, BUDGET_MICRO, KINDS, NOT_STATED, QUARTER_TABLES, WEAKNESSES, Table
from gateway.desk.keyring.quarters import LongPeriod, check_closed
from gateway.desk.outbox_run import send_due
from gateway.desk.partners.mailbox import write_message
from gateway.desk.placements.merges import get_successor
from gateway.desk.store import DeskStore
from gateway.desk.store.partner_tables import DIGESTS, PARTNERS
from gateway.desk.wiring import Desk
from partner_sdk.wire import canonical
from partner_sdk.wire.digest import SMALLEST_SHOWN, DigestCell, DigestTable
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.overview import OVERVIEW_VERSION, Overview, encode_overview

MOST_OF_ONE: Final = 100
MOST_WEAKNESSES_OF_ONE: Final = 3
# One service is then at most a third of a number that is shown.
_TIMES_ONE: Final = 3
_CERTAINTY_PERMILLE: Final = 950
_STATED: Final = (NOT_STATED, "Not stated")
# The interval of a number that is shown then reaches at most half of it to each side.
_TIMES_REACH: Final = 2
_CAPPED: Final = (
    f"Of each service at most {MOST_OF_ONE} incidents count, scaled down evenly with the noise of its own digests: "
    "the numbers are rather too low than too high."
)
OVERVIEW_TABLES: Final = (
    Table("kind", "Main kinds of report", 400_000, (*KINDS, _STATED), ("kind",), units=MOST_OF_ONE, note=_CAPPED),
    Table("age_band", "Age of the child", 200_000, (*AGE_BANDS, _STATED), ("age_band",), MOST_OF_ONE, note=_CAPPED),
    Table(
        "weakness",
        "Weaknesses, by the number of services",
        400_000,
        WEAKNESSES,
        ("weakness_1", "weakness_2"),
        units=MOST_WEAKNESSES_OF_ONE,
        is_partition=False,
        note=f"Of each service the {MOST_WEAKNESSES_OF_ONE} most frequent of its likely weaknesses count, once each.",
    ),
)

KINDS_ALONE: Final = replace(OVERVIEW_TABLES[0], epsilon_micro=BUDGET_MICRO)


def _choose_tables(kinds_alone: bool, /) -> tuple[Table, ...]:
    return (KINDS_ALONE,) if kinds_alone else OVERVIEW_TABLES


@dataclass(frozen=True, slots=True)
class OverviewOrder:
    """A person's choices for an overview: the texts are this person's own words, and never name a service.

    `kinds_alone` spends the whole budget on the kinds, for a year with few services. It is chosen by the number of
    services in the public register, never after a look at a number.
    """

    year: LongPeriod
    environment: Environment
    made_by: str
    patterns: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    kinds_alone: bool = False
    accept_lost: bool = False


class Contributions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The frozen data of an overview: by service and table, what it adds. The ledger names the hash of these bytes."""

    services: dict[str, dict[str, list[int]]]
    patterns: list[str]
    changes: list[str]
    kinds_alone: bool

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of this overview, with their shares of the budget."""
        return _choose_tables(self.kinds_alone)

    def encode(self) -> bytes:
        """Return the bytes to store."""
        return canonical.encode(self)


@dataclass(frozen=True, slots=True)
class _Draft:
    """An overview that is being made; `draw_unpaid` draws its tables."""

    record: DigestRecord
    year: LongPeriod
    contributions: Contributions
    unpaid: list[Table]
    lost: list[str]

    def count(self, table: Table) -> list[int]:
        """Return the capped sums of a table. Secret: they show what one service adds."""
        added = [one[table.name] for one in self.contributions.services.values()]
        return [sum(column) for column in zip(*added, strict=True)] if added else [0] * len(table.labels)

    def drop_undeserved(self) -> None:
        """Do nothing: an overview has no condition."""

    def pay_for(self, connection: Connection, table: Table, *, now: datetime) -> None:
        """Write the spend of a table, against each quarter of the year."""
        add_spend(
            connection,
            partner=OVERVIEW_OF,
            clusters_sha256=dict.fromkeys(self.year.quarters, self.record.clusters_sha256),
            table=table.name,
            micro_epsilon=noise.get_cost_micro(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro),
            now=now,
        )


def make_overview(store: DeskStore, order: OverviewOrder, *, clock: Clock) -> DigestRecord:
    """Return the overview of a year: the stored one if it exists, otherwise a new one at the cost of its budget.

    Raises `QuarterError` while the year runs, `DigestError` if a quarter has no digests or a draw was lost, and
    `JournalError` if this desk was restored and drew other tables before.
    """
    check_closed(order.year, now=clock())
    with store.write() as connection:
        draft = _begin(connection, order, now=clock())
        if draft.record.state != "drawing":
            return draft.record
        # Before the first spend: where the journal differs, nothing of this transaction stays.
        take_from_journal(connection, draft, find_journal(store.journal, draft.record.digest_id), now=clock())
        if draft.unpaid:
            draft.pay_for(connection, draft.unpaid[0], now=clock())
    draw_unpaid(store, draft, accept_lost=order.accept_lost, clock=clock)
    with store.write() as connection:
        return _finish(connection, draft, order, now=clock())


def release_overview(desk: Desk, digest_id: str) -> DigestRecord:
    """Write an overview that a second person signed to each adopter with keys; repeated, it only sends.

    Raises `DigestError` as `release_to_mailbox` does.
    """
    with desk.store.read() as connection:
        record = get_record(connection, digest_id)
        adopters = list(_list_recipients(connection, environment=desk.config.environment))
    if record.state != "released":
        with desk.store.read() as connection:
            signer = get_signer(connection, record)
        if not adopters:
            raise DigestError("No adopter of the button has a mailbox yet.", reason="no-adopters")
        # Before the first message: one that has begun to leave the desk cannot be rejected.
        with desk.store.write() as connection:
            mark_released(connection, digest_id, by=signer, message_id="", now=desk.clock())
            append_entry(
                connection, "digest-released", digest_id, at=desk.clock(), actor=signer, partners=len(adopters)
            )
            record = get_record(connection, digest_id)
    body, signer = get_body(record), str(record.released_by)
    for partner in adopters:
        message_id = make_message_id(f"{digest_id}/{partner}")
        write_message(desk, partner=partner, kind="overview", body=body, actor=signer, message_id=message_id)
    send_due(desk, only={"message"}).raise_first()
    return record


def _list_recipients(connection: Connection, *, environment: str) -> Iterator[str]:
    adopters = list_adopters(connection)
    query = select(PARTNERS.c.partner).where(PARTNERS.c.state == "active", PARTNERS.c.environment == environment)
    return (row.partner for row in connection.execute(query.order_by(PARTNERS.c.partner)) if row.partner in adopters)


def _begin(connection: Connection, order: OverviewOrder, *, now: datetime) -> _Draft:
    if order.year.half is not None:
        raise DigestError("An overview covers a year, e.g. 2026.", reason="not-a-year")
    digest_id = make_digest_id(partner=OVERVIEW_OF, quarter=order.year)
    record = find_record(connection, digest_id)
    if record is None:
        if not order.made_by.strip():
            raise DigestError("Give the name of the person who makes the overview.", reason="no-name")
        contributions, synthetic = _gather(connection, order)
        record = add_record(
            connection,
            partner=OVERVIEW_OF,
            quarter=order.year,
            by=order.made_by.strip(),
            now=now,
            workings=Workings(adopted=True, threshold=0, placements=[], synthetic=synthetic),
            clusters=contributions,
        )
        manifest = record.clusters_sha256.hex()
        append_entry(connection, "digest-frozen", digest_id, at=now, actor=order.made_by, clusters_sha256=manifest)
    else:
        raw = get_frozen(connection, digest_id)
        contributions = canonical.parse_exact(raw, kind=Contributions, max_bytes=_MOST_BYTES)
    spends = get_spends(connection, partner=OVERVIEW_OF, quarter=order.year.quarters[0])
    return _Draft(
        record=record,
        year=order.year,
        contributions=contributions,
        unpaid=[table for table in contributions.tables if table.name not in spends],
        lost=[table.name for table in contributions.tables if table.name in spends and table.name not in record.draws],
    )


def _gather(connection: Connection, order: OverviewOrder) -> tuple[Contributions, bool]:
    """Return what each service adds, from the stored draws of its year: also of digests that it never got."""
    names = [quarter.name for quarter in order.year.quarters] + [order.year.name]
    of_year = select(DIGESTS.c.partner, DIGESTS.c.quarter).where(
        DIGESTS.c.quarter.in_(names), DIGESTS.c.partner != OVERVIEW_OF
    )
    rows = connection.execute(of_year.order_by(DIGESTS.c.partner)).all()
    if missing := set(names) - {row.quarter for row in rows}:
        raise DigestError(
            f"An overview adds up the digests of its year. Make those of {', '.join(sorted(missing))} first.",
            reason="quarters-missing",
        )
    services: dict[str, dict[str, list[int]]] = {}
    synthetic = False
    # A service that was entered twice is one here, with the digests of both ids: its cap holds for them together.
    ids: dict[str, list[str]] = {}
    for partner in dict.fromkeys(row.partner for row in rows):
        ids.setdefault(get_successor(connection, partner), []).append(partner)
    for service, partners in ids.items():
        found = [record for partner in partners for record in list_records(connection, partner=partner)]
        records = [record for record in found if record.quarter in names]
        synthetic = synthetic or any(record.workings.synthetic for record in records)
        services[service] = {table.name: _contribute(table, records) for table in _choose_tables(order.kinds_alone)}
    return Contributions(services, list(order.patterns), list(order.changes), order.kinds_alone), synthetic


def _contribute(table: Table, records: Sequence[DigestRecord]) -> list[int]:
    having = [record for record in records if table.name in record.draws]
    if not having:
        return [0] * len(table.labels)
    if table.is_partition:
        draws = (record.draws[table.name] for record in having)
        return cap([sum(column) for column in zip(*draws, strict=True)], most=table.units)
    drawn = add_draws(QUARTER_TABLES[1], having)
    values = drawn.values if drawn else ()
    likely = [place for place, is_likely in enumerate(list_likely(drawn)) if is_likely] if drawn else []
    ranked = sorted(likely, key=lambda place: -values[place])[: table.units]
    return [int(place in ranked) for place in range(len(table.labels))]


def cap(values: Sequence[int], *, most: int) -> list[int]:
    """Return the values scaled to at most `most` in L1, rounded towards zero; smaller ones as they are."""
    size = max(most, sum(map(abs, values)))
    return [abs(value) * most // size * (1 if value > 0 else -1) for value in values]


def _finish(connection: Connection, draft: _Draft, order: OverviewOrder, *, now: datetime) -> DigestRecord:
    record, year = draft.record, order.year
    wanted = draft.contributions.tables
    drawn = [table for table in wanted if table.name in record.draws]
    body = encode_overview(
        Overview(
            overview_version=OVERVIEW_VERSION,
            environment=order.environment,
            period=year.name,
            first_day=year.first_day.isoformat(),
            last_day=year.last_day.isoformat(),
            made_at=canonical.format_time(now),
            synthetic=record.workings.synthetic,
            epsilon_micro=get_spent(connection, partner=OVERVIEW_OF, period=year),
            interval_permille=_CERTAINTY_PERMILLE,
            tables=[_make_table(table, record.draws[table.name]) for table in drawn],
            missing_tables=[table.title for table in wanted if table.name not in record.draws],
            patterns=draft.contributions.patterns,
            changes=draft.contributions.changes,
        )
    )
    append_entry(connection, "digest-made", record.digest_id, at=now, actor=order.made_by)
    finished = finish_record(connection, record, body=body, now=now)
    enter_draft(connection, finished, now=now)
    return finished


def _make_table(table: Table, draw: Sequence[int]) -> DigestTable:
    scale = noise.get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
    reach = noise.get_threshold(scale=scale, draws=1, chance=(1 - _CERTAINTY_PERMILLE / 1000) / 2)
    dominated = _TIMES_ONE * (table.units if table.is_partition else 1)
    smallest = max(SMALLEST_SHOWN, dominated, _TIMES_REACH * reach)
    cells = []
    for (label, title), value in zip(table.labels, draw, strict=True):
        low, high = max(0, value - reach), max(value + reach, smallest - 1)
        if value < smallest:
            cells.append(DigestCell(label, title, None, 0, high, f"fewer than {high + 1}"))
        else:
            cells.append(DigestCell(label, title, value, low, high, str(value)))
    if not table.is_partition:
        cells.sort(key=lambda cell: -(cell.value or 0))
    return DigestTable(table.name, table.title, False, table.epsilon_micro, table.sensitivity, cells, table.note)


_MOST_BYTES: Final = 64 * MAX_RECORD_BYTES
