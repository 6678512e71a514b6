"""Services that were entered twice: records that one id counts as another from now on.

Rows are only ever added (a trigger holds it), and the newest record of an id decides. Cases keep the id that they were
filed or set with; each reader resolves it here, so that a merge can end. Digests that exist never change.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from gateway.desk.store.agency_tables import SERVICE_MERGES
from partner_sdk.wire.canonical import format_time

_ALL: Final = select(SERVICE_MERGES.c.service, SERVICE_MERGES.c.into).order_by(SERVICE_MERGES.c.id)


def get_successor(connection: Connection, service: str) -> str:
    """Return the id under which a service counts: its own, or that of the service that it was merged into."""
    return follow(read_merges(connection), service)


def follow(merges: Mapping[str, str], service: str) -> str:
    """Return the id at the end of a chain of merges."""
    while service in merges:
        service = merges[service]
    return service


def list_counted(connection: Connection, service: str) -> list[str]:
    """Return every id that counts as this service, its own first; none for a service that was merged into another."""
    into = read_merges(connection)
    found = [] if service in into else [service]
    for one in found:
        found += [other for other, successor in into.items() if successor == one]
    return found


def list_ever_merged(connection: Connection, service: str) -> set[str]:
    """Return this id and all that were ever merged with it, also where that has ended."""
    rows = connection.execute(_ALL).all()
    found, size = {service}, 0
    while len(found) > size:
        size = len(found)
        found |= {
            one for row in rows if row.into and found & {row.service, row.into} for one in (row.service, row.into)
        }
    return found


def read_merges(connection: Connection) -> dict[str, str]:
    """Return the standing merges: by id, the one that it counts as."""
    newest = {row.service: row.into for row in connection.execute(_ALL)}
    return {service: into for service, into in newest.items() if into is not None}


def add_merge(connection: Connection, service: str, *, into: str | None, by: str, now: datetime) -> None:
    """Record that a service counts as another, or as itself again (None). The caller checks that this is allowed."""
    values = {"service": service, "into": into, "by": by, "at": format_time(now)}
    connection.execute(insert(SERVICE_MERGES).values(values))
