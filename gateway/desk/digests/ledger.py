"""The privacy ledger: the spending of each partner and quarter, in whole micro-epsilon.

A spend is committed before anything is sampled, is never refunded, and is made once per table: a second draw of the
same table would cost again, so it is refused. The table's own trigger makes rows append-only.

The rows of a service are charged to each incident of that quarter; those of `OVERVIEW_OF` are charged to each service
as a whole. They cost an incident at most `OUTCOME_MICRO`, which no row of a service may spend: the overview reads draws
that those rows have paid for, and counts nothing else of an incident but its outcome for the child.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from gateway.desk.digests.tables import BUDGET_MICRO, OUTCOME_MICRO
from gateway.desk.keyring.key_set import Period, Quarter
from gateway.desk.store.agency_tables import LEDGER
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time

# The ledger's name for all services together: no partner's id has a dot.
OVERVIEW_OF: Final = "all.services"
# Built once, like every statement of a run over all services: to build one takes longer than to execute it.
_SPENDS: Final = (
    select(LEDGER.c.table_name, LEDGER.c.micro_epsilon)
    .where(LEDGER.c.partner == bindparam("partner"), LEDGER.c.quarter == bindparam("quarter"))
    .order_by(LEDGER.c.id)
)


class LedgerError(ReportAbuseError):
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
