"""Eligibility for a digest, and the clusters it counts: agreed places of the button, and one case for each cluster.

A partner is eligible if it adopted the button, or has a significant number of incidents (R43). The second test reads
the noisy total only, so testing a small partner reveals no more than the tables do.

The total is the sum of the draws of all kinds, not the least-squares estimate, which leaves no negative numbers and so
would lift a partner without incidents. Eight draws of epsilon 0.55 have a standard error of 7.2 together, so with a
threshold of 60 a partner with 40 incidents is eligible in 0.5 % of quarters, one with 80 in 99.6 %, and one without any
never (5 in 10^10); with 60 it is about every second one.

Counted places are those agreed in the register, never those found in cases. A label is the link id, its title the
surface and the position: both were agreed with the service itself. Nothing else of the register is in a digest, not an
address, a state, a reason or the result of a check.

A frozen cluster is one representative of each cluster about one provider that was first closed in the quarter. A
cluster belongs to the quarter of its first closed case and is spent in one quarter only, even if its cases are closed,
merged or split afterwards.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, and_, func, select

from gateway.desk.digests.clusters import Cluster, FrozenClusters, freeze, shorten
from gateway.desk.digests.records import list_spent
from gateway.desk.digests.tables import NOT_STATED, make_labels
from gateway.desk.keyring.quarters import Quarter
from gateway.desk.placements.register import PlacementRow, format_place, list_placements
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time

DEFAULT_THRESHOLD = 60
# A cell takes up to about 700 bytes in a digest, which has 256 KiB. Places beyond this count as elsewhere.
MOST_PLACES: Final = 200
# A case without a cluster is a cluster of its own.
_CLUSTER: Final = func.coalesce(CASES.c.cluster_id, CASES.c.case_id)


def is_eligible(*, adopted: bool, drawn_total: int | None, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made; one test is enough. Without the draw (lost), only the button counts."""
    return adopted or (drawn_total is not None and drawn_total >= threshold)


def has_adopted(connection: Connection, *, partner: str, quarter: Quarter) -> bool:
    """Return whether a partner shows the button by agreement: one of the two tests of eligibility (R43)."""
    return any(not _ended_before(row, quarter) for row in list_placements(connection, owner=partner))


def list_adopters(connection: Connection) -> set[str]:
    """Return the owners of placements that have not ended."""
    return {row.owner for row in list_placements(connection, states=("agreed", "suspended"))}


def list_places(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[tuple[str, str], ...]:
    """Return link id and title of each placement that existed in the quarter, the oldest agreement first.

    Suspended ones are included: the button was there, and earlier reports name it.
    """
    last_day = quarter.last_day.isoformat()
    rows = [
        row
        for row in list_placements(connection, owner=partner)
        if row.agreed_on <= last_day and not _ended_before(row, quarter)
    ]
    rows.sort(key=lambda row: (row.agreed_on, row.placement))
    return tuple((row.placement, format_place(row.surface, row.position)) for row in rows[:MOST_PLACES])


def _ended_before(row: PlacementRow, quarter: Quarter) -> bool:
    return row.state == "ended" and row.state_at < format_time(quarter.starts_at)


def freeze_clusters(
    connection: Connection, *, partner: str, quarter: Quarter, places: Sequence[tuple[str, str]]
) -> tuple[FrozenClusters, bool]:
    """Return the clusters of a quarter in their frozen form, and whether one of them is synthetic."""
    spent_cases = list_spent(connection, partner=partner, quarter=quarter)
    starts_at, ends_at = format_time(quarter.starts_at), format_time(quarter.ends_at)
    about = and_(CASES.c.provider == partner, CASES.c.closed_at.is_not(None))
    members = connection.execute(select(CASES.c.case_id, _CLUSTER.label("cluster")).where(about))
    # An analyst may have joined a counted case to another cluster since: that cluster is then spent too.
    spent = {row.cluster for row in members if not spent_cases.isdisjoint(map(shorten, (row.case_id, row.cluster)))}
    earlier = select(_CLUSTER).where(about, CASES.c.closed_at < starts_at)
    rows = connection.execute(
        select(CASES, _CLUSTER.label("cluster"))
        .where(about, CASES.c.closed_at >= starts_at, CASES.c.closed_at < ends_at, _CLUSTER.not_in(earlier))
        .order_by(CASES.c.closed_at, CASES.c.case_id)
    )
    frozen: dict[str, Cluster] = {}
    synthetic = False
    for row in rows:
        if row.cluster in frozen or row.cluster in spent:
            continue
        frozen[row.cluster] = Cluster(
            cluster_id=row.cluster,
            cases=(row.case_id, row.cluster),
            kind=row.kind or NOT_STATED,
            age_band=row.age_band or NOT_STATED,
            placement=row.placement or NOT_STATED,
            outcome=row.outcome or NOT_STATED,
            weaknesses=tuple(code for code in (row.weakness_1, row.weakness_2) if code),
        )
        synthetic = synthetic or row.synthetic
    return freeze(frozen.values(), labels=make_labels(places)), synthetic


def count_own_reports(connection: Connection, *, partner: str, quarter: Quarter) -> int:
    """Return the number of the partner's own reports in the quarter; exact, since it holds a receipt for each."""
    count: int = connection.execute(
        select(func.count())
        .select_from(CASES)
        .where(
            CASES.c.partner == partner,
            CASES.c.door == "industry",
            CASES.c.synthetic.is_(False),
            CASES.c.received_at >= format_time(quarter.starts_at),
            CASES.c.received_at < format_time(quarter.ends_at),
        )
    ).scalar_one()
    return count
