"""Freezes the clusters that a digest counts: the incidents about one service, each once and in one period only.

A cluster is every case that standing links connect (collection/joining.py), as of the moment of freezing. It belongs
to the period in which its first case about this service was closed, and it is left out if any of its cases was in a
cluster of another period: a link or its end after that changes nothing that was published and counts nothing again.

A cluster is represented field by field. The kind is the most serious one that an assessor gave; every other answer is
that of the newest assessment that knows it. Only cases about this service are read for it: none about another reaches
this partner. A service's own reports alone make no cluster, because it knows them and gets them exactly.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, false, select

from gateway.databases.database import stream_rows
from gateway.desk.collection.joining import Clusters
from gateway.desk.digests.clusters import COLUMNS, Answers, Cluster, FrozenClusters, freeze, shorten
from gateway.desk.digests.facts import load_facts
from gateway.desk.digests.records import list_spent
from gateway.desk.digests.tables import NOT_STATED, make_labels
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.placements.merges import list_counted
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
    newest_first = sorted(records, key=itemgetter("closed_at", "received_at", "case_id"), reverse=True)
    return Cluster(
        cases=members,
        kind=min((row["kind"] or NOT_STATED for row in records), key=_get_place),
        age_band=_choose_known(row["age_band"] for row in newest_first),
        placement=_choose_known(row["placement"] for row in newest_first),
        outcome=_choose_known(row["outcome"] for row in newest_first),
        facts={name: _choose_known(row[name] for row in newest_first) for name in load_facts()},
        weaknesses=next((found for row in newest_first if (found := tuple(_list_weaknesses(row)))), ()),
    )


def _get_place(kind: str) -> int:
    gravest_first = [one.code for one in load_rules().kind]
    return gravest_first.index(kind) if kind in gravest_first else len(gravest_first)


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
