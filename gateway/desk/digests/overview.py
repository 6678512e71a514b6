"""The overview of a year: all services together. A second kind of digest, whose unit of privacy is a whole service.

It reads the noisy draws of the services' digests, and of an incident itself the outcome for the child alone, for which
each incident's budget keeps a part (`ledger.py`). It adds noise of its own once, which hides whether a service is
counted at all, and has the ledger, the records and the two people of every digest (`ledger.py`), under the name
`all.services`.

A service counts once in a table of services, so that few services are enough for an order: under the kind, the age and
the weakness that its own digests have most often. In a table of incidents it counts with a fixed number at most. The
truth may be more than that, so such a number is only a lower end ("at least"). Negative noise stays in the sums: cut
off, it would add incidents to services that have none.

A number is shown from three times the most that one service can add, since below it one service could be most of it,
and if its range does not begin at 0. Both are judged on the noisy number: a judgement of the true one would be a
release of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.cases.choices import AGE_BANDS, KINDS, WEAKNESSES
from gateway.desk.collection.joining import load_clusters
from gateway.desk.digests.ledger import (
    MAX_RECORD_BYTES,
    OVERVIEW_OF,
    Clock,
    DigestError,
    DigestRecord,
    Draft,
    Workings,
    add_record,
    begin_draft,
    find_record,
    get_frozen,
    get_spent,
    list_records,
    make_digest_id,
    make_once,
)
from gateway.desk.digests.payload import CERTAINTY_PERMILLE, CHANCE_BEYOND, DrawnTable, add_draws, make_total
from gateway.desk.digests.tables import NOT_STATED, OUTCOME_MICRO, QUARTER_TABLES, Table, list_outcomes_of_cases
from gateway.desk.keyring.key_set import Year, check_closed
from gateway.desk.partners.placement_register import get_successor
from gateway.desk.store import DeskStore
from gateway.desk.store.agency_tables import DIGESTS
from partner_sdk.console.digests.view import OVERVIEW_VERSION, parse_overview
from partner_sdk.wire import canonical
from partner_sdk.wire.digest import MAX_OVERVIEW_CHARACTERS, MAX_OVERVIEW_TEXTS, Overview, OverviewLine, OverviewTable
from partner_sdk.wire.signing import Environment

MOST_OF_ONE: Final = 100
# Of each outcome for a child. Cut off line by line, so that an incident moves the table by no more than itself.
MOST_OUTCOMES_OF_ONE: Final = 3
# One service is then at most a third of a number that is shown.
_TIMES_ONE: Final = 3
# The noise of the digests themselves in the sum of all totals: two standard deviations for 1,000 services. Their true
# number may not decide: to add one service would change a range.
_NOISE_OF_DIGESTS: Final = 900
_STATED: Final = (NOT_STATED, "Not stated")
_SAFE, _FOUND = frozenset({"safeguarded"}), frozenset({"located", "identified"})
_OUTCOMES: Final = (
    ("safeguarded", "The child is safeguarded"),
    ("found", "The child is located or identified"),
    ("other", "Another outcome: a suspect, a body overseas, no crime, not traceable"),
)
_BY_SERVICES: Final = "Each service counts once, under what its digests of the year have most often."
TOTAL_TABLE: Final = Table("total", "All incidents", 100_000, (("total", "All incidents"),), (), units=MOST_OF_ONE)
OUTCOME_TABLE: Final = Table(
    "child_outcome",
    "Outcomes for children",
    OUTCOME_MICRO * MOST_OUTCOMES_OF_ONE * len(_OUTCOMES),
    _OUTCOMES,
    (),
    units=MOST_OUTCOMES_OF_ONE * len(_OUTCOMES),
    note="Of incidents reported in the year, by what was known when this was made. Each counts once, under the first "
    "line that holds.",
)
OVERVIEW_TABLES: Final = (
    TOTAL_TABLE,
    Table("kind", "Most frequent kind of report", 460_000, (*KINDS, _STATED), ("kind",), note=_BY_SERVICES),
    Table(
        "age_band", "Most frequent age of the child", 100_000, (*AGE_BANDS, _STATED), ("age_band",), note=_BY_SERVICES
    ),
    OUTCOME_TABLE,
    Table(
        "weakness",
        "Most frequent weakness",
        160_000,
        WEAKNESSES,
        ("weakness_1", "weakness_2"),
        is_partition=False,
        note=f"{_BY_SERVICES} Counted are weaknesses that chance hardly explains.",
    ),
)
_UNITS: Final = {
    TOTAL_TABLE.name: (MOST_OF_ONE, f"incidents, at most {MOST_OF_ONE} from each service"),
    OUTCOME_TABLE.name: (
        MOST_OUTCOMES_OF_ONE,
        f"incidents, at most {MOST_OUTCOMES_OF_ONE} in a line from each service, and each that names none",
    ),
}


@dataclass(frozen=True, slots=True)
class OverviewOrder:
    """A person's choices for an overview: the texts are this person's own words, and never name a service."""

    year: Year
    environment: Environment
    made_by: str
    patterns: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    accept_lost: bool = False


class Contributions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The frozen data of an overview: by service and table, what it adds. The ledger names the hash of these bytes.

    `unnamed` are the outcomes for children in incidents that name no service: each of them is a unit of its own.
    """

    services: dict[str, dict[str, list[int]]]
    unnamed: list[int]
    patterns: list[str]
    changes: list[str]

    def encode(self) -> bytes:
        """Return the bytes to store."""
        return canonical.encode(self)


def make_overview(store: DeskStore, order: OverviewOrder, *, clock: Clock) -> DigestRecord:
    """Return the overview of a year: the stored one if it exists, otherwise a new one at the cost of its budget.

    Raises `QuarterError` while the year runs, `DigestError` if a quarter has no digests or a draw was lost, and
    `JournalError` if another release drew other tables before.
    """
    check_closed(order.year, now=clock())
    # Before the first spend: an overview that is too long for its readers could never be made again.
    for texts in (order.patterns, order.changes):
        if len(texts) > MAX_OVERVIEW_TEXTS or any(len(one) > MAX_OVERVIEW_CHARACTERS for one in texts):
            raise DigestError(
                f"Write at most {MAX_OVERVIEW_TEXTS} texts of at most {MAX_OVERVIEW_CHARACTERS} characters each.",
                reason="too-long",
            )
    return make_once(
        store,
        make_digest_id(partner=OVERVIEW_OF, quarter=order.year),
        begin=lambda connection, _journal: _begin(connection, order, now=clock()),
        build=lambda connection, draft: _build(connection, draft, order, now=clock()),
        made_by=order.made_by,
        accept_lost=order.accept_lost,
        clock=clock,
    )


def _begin(connection: Connection, order: OverviewOrder, *, now: datetime) -> Draft:
    record = find_record(connection, make_digest_id(partner=OVERVIEW_OF, quarter=order.year))
    if record is None:
        contributions, synthetic = _gather(connection, order)
        record = add_record(
            connection,
            partner=OVERVIEW_OF,
            quarter=order.year,
            by=order.made_by,
            now=now,
            workings=Workings(adopted=True, threshold=0, placements=[], synthetic=synthetic),
            clusters=contributions,
        )
    if record.state != "drawing":
        return Draft(record)
    manifests = dict.fromkeys(order.year.quarters, record.clusters_sha256)
    draft = begin_draft(connection, record, OVERVIEW_TABLES, manifests)
    frozen = _read_frozen(connection, record)
    for table in draft.unpaid:
        added = [one[table.name] for one in frozen.services.values()]
        unnamed = frozen.unnamed if table is OUTCOME_TABLE else [0] * len(table.labels)
        draft.counts[table.name] = [sum(column) for column in zip(unnamed, *added, strict=True)]
    return draft


def _read_frozen(connection: Connection, record: DigestRecord) -> Contributions:
    return canonical.parse_exact(get_frozen(connection, record.digest_id), kind=Contributions, max_bytes=_MOST_BYTES)


def _gather(connection: Connection, order: OverviewOrder) -> tuple[Contributions, bool]:
    """Return what each service adds, from the stored draws of its year (also of digests that it never got)."""
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
        services[service] = {table.name: _contribute(table, records) for table in OVERVIEW_TABLES}
    unnamed = [0] * len(_OUTCOMES)
    for about, counts in _count_outcomes(connection, order.year).items():
        if about is None:
            unnamed = counts
        else:
            of_service = services.setdefault(about, {table.name: [0] * len(table.labels) for table in OVERVIEW_TABLES})
            of_service[OUTCOME_TABLE.name] = [min(MOST_OUTCOMES_OF_ONE, one) for one in counts]
    return Contributions(services, unnamed, list(order.patterns), list(order.changes)), synthetic


def _contribute(table: Table, records: Sequence[DigestRecord]) -> list[int]:
    kind, counts = add_draws(QUARTER_TABLES[0], records), [0] * len(table.labels)
    if kind is None:
        return counts
    if table is TOTAL_TABLE:
        return [max(-MOST_OF_ONE, min(MOST_OF_ONE, sum(kind.values)))]
    drawn = add_draws(table if table.name == "age_band" else QUARTER_TABLES[table.name == "weakness"], records)
    if table is OUTCOME_TABLE or drawn is None or make_total(kind).value is None:
        return counts
    clear = drawn.list_clear() if table.name == "weakness" else [value > 0 for value in drawn.values]
    if any(clear):
        counts[max(range(len(counts)), key=lambda place: (clear[place], drawn.values[place]))] = 1
    return counts


def _count_outcomes(connection: Connection, year: Year) -> dict[str | None, list[int]]:
    """Return the incidents of each outcome for the child by the service that they name, or None. Exact and secret."""
    clusters = load_clusters(connection)
    found: dict[str, tuple[str, str | None, frozenset[str]]] = {}
    for one in list_outcomes_of_cases(connection, until=year.ends_at):
        first, about, codes = found.get(clusters.find(one.case_id), (one.received_at, None, frozenset[str]()))
        # An incident belongs to the year of its first case with an outcome, so no second year counts it.
        found[clusters.find(one.case_id)] = min(first, one.received_at), about or one.about, codes | one.codes
    counts: dict[str | None, list[int]] = {}
    for first, about, codes in found.values():
        place = 0 if codes & _SAFE else 1 if codes & _FOUND else 2
        if first >= canonical.format_time(year.quarters[0].starts_at):
            service = None if about is None else get_successor(connection, about)
            counts.setdefault(service, [0] * len(_OUTCOMES))[place] += 1
    return counts


def _build(connection: Connection, draft: Draft, order: OverviewOrder, *, now: datetime) -> bytes:
    record, year, frozen = draft.record, order.year, _read_frozen(connection, draft.record)
    return encode_overview(
        Overview(
            overview_version=OVERVIEW_VERSION,
            environment=order.environment,
            period=year.name,
            first_day=year.first_day.isoformat(),
            last_day=year.last_day.isoformat(),
            made_at=canonical.format_time(now),
            synthetic=record.workings.synthetic,
            epsilon_micro=get_spent(connection, partner=OVERVIEW_OF, period=year),
            interval_permille=CERTAINTY_PERMILLE,
            tables=[
                _make_table(table, record.draws[table.name]) for table in OVERVIEW_TABLES if table.name in record.draws
            ],
            missing_tables=[table.title for table in OVERVIEW_TABLES if table.name not in record.draws],
            patterns=frozen.patterns,
            changes=frozen.changes,
        )
    )


def _make_table(table: Table, draw: Sequence[int]) -> OverviewTable:
    drawn = DrawnTable(table, tuple(draw), 1)
    most, unit = _UNITS.get(table.name, (1, "services, each counted once"))
    is_of_services, reach = most == 1, drawn.get_reach()
    if table is TOTAL_TABLE:
        reach = math.ceil(math.hypot(reach, _NOISE_OF_DIGESTS))
    lines = []
    for (label, title), value in zip(table.labels, draw, strict=True):
        low, high = max(0, value - reach), value + reach if is_of_services else None
        if value < _TIMES_ONE * most or low < 1:
            lines.append(OverviewLine(label, title, None, 0, None))
        elif is_of_services:
            lines.append(OverviewLine(label, title, value, low, high, *_bound_share(drawn, value)))
        else:
            lines.append(OverviewLine(label, title, None, low, None))
    order = sorted(range(len(lines)), key=lambda place: (lines[place].low == 0, -draw[place]))
    ranked = [lines[place] for place in order]
    return OverviewTable(table.name, table.title, unit, table.note, table.epsilon_micro, table.sensitivity, ranked)


def _bound_share(drawn: DrawnTable, value: int) -> tuple[int, int]:
    """Return the range of a line's share in per cent, from two ranges that each have half the chance of error."""
    reach, others = drawn.get_reach(chance=CHANCE_BEYOND / 2), sum(drawn.values) - value
    reach_of_others = drawn.get_reach(chance=CHANCE_BEYOND / 2, lines=len(drawn.values) - 1)
    low, high = max(0, value - reach), value + reach
    least, most = max(0, others - reach_of_others), max(0, others + reach_of_others)
    return 100 * low // max(1, low + most), -(-100 * high // (high + least))


_MOST_BYTES: Final = 64 * MAX_RECORD_BYTES


def encode_overview(overview: Overview) -> bytes:
    """Return the canonical bytes, which are stored, signed and published."""
    raw = canonical.encode(overview)
    parse_overview(raw)
    return raw
