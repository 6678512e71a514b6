"""Freezes the clusters that a digest counts: the incidents about one service, each once and in one period only.

A cluster is every case that standing links connect (collection/links.py), read at the moment of freezing. It belongs to
the period in which its first case about this service was closed, and it is left out if any of its cases was in a
cluster of another period: a link or its end after that changes nothing that was published and counts nothing again.

A cluster is represented field by field. The kind is the most serious one that an assessor gave; every other answer is
that of the newest assessment that knows it. Only cases about this service are read for it: none about another reaches
this partner. A service's own reports alone make no cluster, because it knows them and gets them exactly.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Connection, Row, false, select

from gateway.desk.collection.links import Clusters
from gateway.desk.digests.clusters import COLUMNS, Answers, Cluster, FrozenClusters, freeze
from gateway.desk.digests.facts import load_facts
from gateway.desk.digests.records import list_spent
from gateway.desk.digests.tables import NOT_STATED, make_labels
from gateway.desk.keyring.quarters import Quarter
from gateway.desk.placements.merges import list_counted
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.keys import Environment

# The most serious kind first: harm that is happening or planned comes before words.
GRAVEST_FIRST: Final = (
    "sexual_acts_live",
    "meet_offline",
    "coercion_blackmail",
    "grooming",
    "sexual_talk",
    "risk_behaviour",
    "something_else",
)
# An answer that another one of the cluster replaces.
_NOT_KNOWN: Final = frozenset({None, "", NOT_STATED, "unknown"})
_MOST_AT_ONCE: Final = 500
_ANSWERS: Final = tuple(CASES.c[column] for column in COLUMNS)
_READ: Final = (CASES.c.case_id, CASES.c.partner, CASES.c.received_at, CASES.c.closed_at, *_ANSWERS)


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
    is_closed = _make_condition(environment)
    services = list_counted(connection, partner)
    about = is_closed & CASES.c.about.in_(services)
    # The text added to the service keeps SQLite from reading all its cases again for each part of the linked ones.
    about_by_id = is_closed & CASES.c.about.concat("").in_(services)
    starts_at, ends_at = format_time(quarter.starts_at), format_time(quarter.ends_at)
    in_period = (about, CASES.c.partner != partner, CASES.c.closed_at >= starts_at, CASES.c.closed_at < ends_at)
    linked: dict[str, tuple[str, ...]] = {}
    frozen = freeze(
        _list_linked(connection, linked, about=about_by_id, partner=partner, starts_at=starts_at, ends_at=ends_at),
        single=_list_single(connection, in_period, clusters=clusters, linked=linked),
        labels=make_labels(places),
        spent=list_spent(connection, partner=partner, quarter=quarter),
    )
    is_synthetic = (
        environment != "live"
        and connection.execute(select(CASES.c.case_id).where(*in_period, CASES.c.synthetic).limit(1)).first()
    )
    return frozen, bool(is_synthetic)


def _make_condition(environment: Environment) -> ColumnElement[bool]:
    """Return the condition of closed cases; a made-up case never enters a live desk's digest."""
    # The text added to the environment keeps SQLite from the index that begins with it, as in `of_sender`.
    is_closed = CASES.c.closed_at.is_not(None) & (CASES.c.environment.concat("") == environment)
    return is_closed & (CASES.c.synthetic == false()) if environment == "live" else is_closed


def _list_single(
    connection: Connection,
    in_period: Sequence[ColumnElement[bool]],
    *,
    clusters: Clusters,
    linked: dict[str, tuple[str, ...]],
) -> Iterator[tuple[str, Answers]]:
    """Yield the cases without a link, which are nearly all, and note the members of the clusters of the others."""
    # The driver's own rows: a service may have a million cases, and SQLAlchemy's rows cost half as much again.
    rows = cast("Any", connection.execute(select(CASES.c.case_id, *_ANSWERS).where(*in_period)).cursor)
    for case_id, *answers in rows:
        if clusters.has_links(case_id):
            linked[clusters.find(case_id)] = clusters.list_members(case_id)
        else:
            yield case_id, tuple(answers)


def _list_linked(
    connection: Connection,
    linked: Mapping[str, tuple[str, ...]],
    *,
    about: ColumnElement[bool],
    partner: str,
    starts_at: str,
    ends_at: str,
) -> Iterator[Cluster]:
    """Yield the clusters of linked cases whose first case by another sender was closed in the period.

    Begun after `_list_single` has ended, which notes them.
    """
    waiting = list(linked.values())
    for start in range(0, len(waiting), _MOST_AT_ONCE):
        groups = waiting[start : start + _MOST_AT_ONCE]
        closed = _read_closed(connection, about, [case_id for members in groups for case_id in members])
        for members in groups:
            records = [closed[case_id] for case_id in members if case_id in closed]
            firsts = [row.closed_at for row in records if row.partner != partner]
            if firsts and starts_at <= min(firsts) < ends_at:
                yield _represent(members, records)


def _read_closed(connection: Connection, about: ColumnElement[bool], case_ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(case_ids), _MOST_AT_ONCE):
        some = CASES.c.case_id.in_(case_ids[start : start + _MOST_AT_ONCE])
        found.update({row.case_id: row for row in connection.execute(select(*_READ).where(about, some))})
    return found


def _represent(members: tuple[str, ...], records: list[Row[Any]]) -> Cluster:
    newest_first = sorted(records, key=lambda row: (row.closed_at, row.received_at, row.case_id), reverse=True)
    return Cluster(
        cases=members,
        kind=min((row.kind or NOT_STATED for row in records), key=_get_place),
        age_band=_choose_known(row.age_band for row in newest_first),
        placement=_choose_known(row.placement for row in newest_first),
        outcome=_choose_known(row.outcome for row in newest_first),
        facts={name: _choose_known(row._mapping[name] for row in newest_first) for name in load_facts()},
        weaknesses=next((found for row in newest_first if (found := tuple(_list_weaknesses(row)))), ()),
    )


def _get_place(kind: str) -> int:
    return GRAVEST_FIRST.index(kind) if kind in GRAVEST_FIRST else len(GRAVEST_FIRST)


def _choose_known(values: Iterable[str | None]) -> str:
    """Return the first known value, or else the first one, e.g. "unknown" rather than "not stated"."""
    first = None
    for value in values:
        if value not in _NOT_KNOWN:
            return str(value)
        first = first or value
    return first or NOT_STATED


def _list_weaknesses(row: Row[Any]) -> Iterator[str]:
    return (code for code in (row.weakness_1, row.weakness_2) if code)
