"""How many reports came from a placement: a number for the desk alone, never for the service.

Never part of a digest: what a partner is told passes through the noise.
"""

from sqlalchemy import Connection, func, select

from gateway.desk.store.schema import CASES


def count_reports(connection: Connection, placement: str) -> int:
    """Return how many reports of people name this link id; made-up cases do not count."""
    count: int = connection.execute(
        select(func.count()).select_from(CASES).where(CASES.c.placement == placement, CASES.c.synthetic.is_(False))
    ).scalar_one()
    return count
