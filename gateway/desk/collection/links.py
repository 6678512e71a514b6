"""Links between cases about one person or incident, and the clusters that they make.

A link is a record: two cases, a person and a time; its reason is sealed in the steps of both (`cases/linking.py`).
Records are only ever added (a trigger holds it), and the newest record of two cases decides whether their link stands
or has ended; an end without a link before it refuses a suggested one. A cluster is everything that standing links
connect, in any order of linking: there is no copied id that could fall behind.

A sender's later report is linked to its first one by the desk itself when it is filed. A person may end that link too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, or_, select

from gateway.databases.database import stream_rows
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.schema import CASE_LINKS
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time

_MOST_STREAMED: Final = 5000


class LinkError(ReportAbuseError):
    """Two cases cannot be linked, or their link cannot be ended."""


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """One record about a case: the other case, and whether it links or ends."""

    other_id: str
    is_end: bool
    at: str
    by: str


@dataclass(slots=True)
class Clusters:
    """The clusters of all standing links, by union-find. Cases without a link are clusters of one.

    The cases of a cluster are a ring, each with the next one: texts alone, so that a million links take no list each.
    """

    _newest_record: int = 0
    _parents: dict[str, str] = field(default_factory=dict)
    _next: dict[str, str] = field(default_factory=dict)

    def refresh(self, connection: Connection) -> None:
        """Read the links again if one was recorded since the last time."""
        newest = connection.execute(_LAST).scalar() or 0
        if newest == self._newest_record:
            return
        self._newest_record = newest
        self._parents.clear()
        self._next.clear()
        rows = chain.from_iterable(stream_rows(connection, _ALL, {}, batch=_MOST_STREAMED))
        for (one, other), records in groupby(rows, key=itemgetter(0, 1)):
            *_, (_, _, is_end) = records
            if not is_end:
                self.join(one, other)

    def find(self, case_id: str) -> str:
        """Return one case that stands for the whole cluster, the same for every case in it."""
        parents, root = self._parents, case_id
        while (above := parents.get(root, root)) != root:
            root = above
        while (above := parents.get(case_id, case_id)) != root:
            parents[case_id] = root
            case_id = above
        return root

    def join(self, one: str, other: str) -> None:
        """Make one cluster of those of two cases."""
        root, joined = self.find(one), self.find(other)
        if root == joined:
            return
        self._parents.setdefault(root, root)
        self._parents[joined] = root
        # Two rings become one where two of their cases exchange the next ones.
        after = self._next
        after[root], after[joined] = after.get(joined, joined), after.get(root, root)

    def has_links(self, case_id: str) -> bool:
        """Return whether a link of this case stands."""
        return case_id in self._parents

    def list_members(self, case_id: str) -> tuple[str, ...]:
        """Return every case of the cluster, this one included."""
        members, case = [case_id], self._next.get(case_id, case_id)
        while case != case_id:
            members.append(case)
            case = self._next[case]
        return tuple(members)


def load_clusters(connection: Connection) -> Clusters:
    """Return the clusters of all standing links."""
    clusters = Clusters()
    clusters.refresh(connection)
    return clusters


def list_cluster(connection: Connection, case_id: str) -> frozenset[str]:
    """Return every case of one case's cluster, this one included, step by step along the standing links."""
    found, waiting = {case_id}, [case_id]
    while waiting:
        new = set(_list_linked(connection, waiting.pop())) - found
        found |= new
        waiting += new
    return frozenset(found)


def list_records(connection: Connection, case_id: str) -> list[LinkRecord]:
    """Return the records about a case, the oldest first."""
    rows = connection.execute(_OF_CASE, {"case_id": case_id})
    return [LinkRecord(row.case_b if row.case_a == case_id else row.case_a, row.is_end, row.at, row.by) for row in rows]


def add_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> bool:
    """Link two cases and return True, or return False if their own link stands already.

    Raises `LinkError` for a case and itself.
    """
    if case_id == other_id:
        raise LinkError("That is this case itself. Give the reference of another one.", reason="own-case")
    if _find_newest(connection, case_id, other_id) is False:
        return False
    _record(connection, case_id, other_id, is_end=False, by=by, now=now)
    return True


def end_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> None:
    """End the link of two cases. Raises `LinkError` if they have none of their own that stands."""
    if _find_newest(connection, case_id, other_id) is not False:
        raise LinkError("These two cases have no link of their own. End the links that connect them.", reason="no-link")
    _record(connection, case_id, other_id, is_end=True, by=by, now=now)


def refuse_link(connection: Connection, case_id: str, other_id: str, *, by: str, now: datetime) -> bool:
    """Record that two cases are apart, and return True; False if the newest record ended their link before.

    They are not suggested again, and the desk itself never links them. Raises `LinkError` for a case and itself, and if
    their link stands.
    """
    if case_id == other_id:
        raise LinkError("That is this case itself. Give the reference of another one.", reason="own-case")
    newest = _find_newest(connection, case_id, other_id)
    if newest is False:
        raise LinkError("These two cases are linked already.", reason="linked-already")
    if newest is None:
        _record(connection, case_id, other_id, is_end=True, by=by, now=now)
    return newest is None


def link_additions(connection: Connection, first_id: str, case_ids: Iterable[str], *, now: datetime) -> None:
    """Link a sender's later reports to its first one, unless a person has ever decided about the two."""
    for case_id in case_ids:
        if case_id != first_id and _find_newest(connection, case_id, first_id) is None:
            _record(connection, case_id, first_id, is_end=False, by=BY_THE_DESK, now=now)


def make_values(case_id: str, other_id: str, *, by: str, now: datetime) -> dict[str, object]:
    """Return the row of a new link."""
    first, second = sorted((case_id, other_id))
    return {
        "case_a": first,
        "case_b": second,
        "is_end": False,
        "at": format_time(now),
        "by": by,
    }


def _record(connection: Connection, case_id: str, other_id: str, *, is_end: bool, by: str, now: datetime) -> None:
    values = make_values(case_id, other_id, by=by, now=now)
    connection.execute(insert(CASE_LINKS).values(values | {"is_end": is_end}))


def _find_newest(connection: Connection, case_id: str, other_id: str) -> bool | None:
    """Return whether the newest record of two cases ends their link; None without a record."""
    first, second = sorted((case_id, other_id))
    found: bool | None = connection.execute(_NEWEST, {"first": first, "second": second}).scalar()
    return found


def _list_linked(connection: Connection, case_id: str) -> Iterator[str]:
    standing = {record.other_id: not record.is_end for record in list_records(connection, case_id)}
    return (other_id for other_id, stands in standing.items() if stands)


_ALL: Final = select(CASE_LINKS.c.case_a, CASE_LINKS.c.case_b, CASE_LINKS.c.is_end).order_by(
    CASE_LINKS.c.case_a, CASE_LINKS.c.case_b, CASE_LINKS.c.id
)
_LAST: Final = select(func.max(CASE_LINKS.c.id))
_OF_CASE: Final = (
    select(CASE_LINKS)
    .where(or_(CASE_LINKS.c.case_a == bindparam("case_id"), CASE_LINKS.c.case_b == bindparam("case_id")))
    .order_by(CASE_LINKS.c.id)
)
_NEWEST: Final = (
    select(CASE_LINKS.c.is_end)
    .where(CASE_LINKS.c.case_a == bindparam("first"), CASE_LINKS.c.case_b == bindparam("second"))
    .order_by(CASE_LINKS.c.id.desc())
    .limit(1)
)
