"""All digests of a quarter in one run: of every partner, and of every service without keys that cases are about.

A service without keys is counted too, so that many reports about it lead to an invitation. Each digest is a record of
its own (`make_digest`): a run that was stopped goes on where it stopped, and draws nothing twice. Never
releases anything: a second person releases each digest.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from gateway.desk.collection.links import Clusters
from gateway.desk.digests.drawing import Clock, DigestError
from gateway.desk.digests.eligibility import DEFAULT_THRESHOLD, list_adopters
from gateway.desk.digests.making import DigestOrder, make_digest
from gateway.desk.digests.payload import NothingDrawnError
from gateway.desk.digests.records import State
from gateway.desk.keyring.quarters import Period, check_closed
from gateway.desk.partners.register import SERVICE
from gateway.desk.placements.merges import read_merges
from gateway.desk.store import DeskStore
from gateway.desk.store.partner_tables import PARTNERS
from gateway.desk.store.schema import CASES
from partner_sdk.wire.keys import Environment


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
