"""Freezes whom a digest counts: one representative of each cluster about one provider that was first closed in the
quarter.

A cluster belongs to the quarter of its first closed case and is spent in one quarter only, whatever is closed, merged
or split afterwards.
"""

from typing import Final

from sqlalchemy import Connection, and_, func, select

from gateway.desk.feedback.records import list_records
from gateway.desk.feedback.tables import NOT_STATED, CountedCluster
from gateway.desk.keyring.quarters import Quarter
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time

# A case without a cluster is a cluster of its own.
_CLUSTER: Final = func.coalesce(CASES.c.cluster_id, CASES.c.case_id)
_MOST_AT_ONCE: Final = 500


def freeze_clusters(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[list[CountedCluster], bool]:
    """Return the representatives, earliest closed first, and whether one of them is synthetic."""
    spent = _list_spent(connection, partner=partner, quarter=quarter)
    starts_at, ends_at = format_time(quarter.starts_at), format_time(quarter.ends_at)
    about = and_(CASES.c.provider == partner, CASES.c.closed_at.is_not(None))
    earlier = select(_CLUSTER).where(about, CASES.c.closed_at < starts_at)
    rows = connection.execute(
        select(CASES, _CLUSTER.label("cluster"))
        .where(about, CASES.c.closed_at >= starts_at, CASES.c.closed_at < ends_at, _CLUSTER.not_in(earlier))
        .order_by(CASES.c.closed_at, CASES.c.case_id)
    )
    frozen: dict[str, CountedCluster] = {}
    synthetic = False
    for row in rows:
        if row.cluster in frozen or row.cluster in spent:
            continue
        frozen[row.cluster] = CountedCluster(
            cluster_id=row.cluster,
            case_id=row.case_id,
            kind=row.kind or NOT_STATED,
            age_band=row.age_band or NOT_STATED,
            placement=row.placement or NOT_STATED,
            outcome=row.outcome or NOT_STATED,
            weaknesses=tuple(code for code in (row.weakness_1, row.weakness_2) if code),
        )
        synthetic = synthetic or row.synthetic
    return list(frozen.values()), synthetic


def count_own_reports(connection: Connection, *, partner: str, quarter: Quarter) -> int:
    """Return how many reports the partner itself sent in the quarter: it holds a receipt for each, so it is exact."""
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


def _list_spent(connection: Connection, *, partner: str, quarter: Quarter) -> set[str]:
    """Return the clusters that another quarter has counted: by the name they had then, and by the one they have now."""
    others = [record for record in list_records(connection, partner=partner) if record.quarter != quarter.name]
    counted = [one for record in others for one in record.workings.clusters]
    spent = {one.cluster_id for one in counted}
    cases = [one.case_id for one in counted]
    # An analyst may have joined a counted case to another cluster since: that cluster is spent with it.
    for start in range(0, len(cases), _MOST_AT_ONCE):
        some = CASES.c.case_id.in_(cases[start : start + _MOST_AT_ONCE])
        spent |= set(connection.execute(select(_CLUSTER).where(some)).scalars())
    return spent
