"""Other cases that share an identifier with a case, and how much that means: suggestions for a person to decide.

A rare phone number means much; one that stands in hundreds of cases means little, and a service's own contact nothing.
Never suggests a case that is linked already, or a link that a person refused or ended.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, literal_column, select

from gateway.desk.cases.model import CaseRow, to_case
from gateway.desk.collection.links import list_cluster, list_records
from gateway.desk.identifiers.extracting import FAIR, SEARCH_ONLY, STRONG, WEAK
from gateway.desk.store.identifier_tables import CASE_IDENTIFIERS, SERVICE_IDENTIFIERS
from gateway.desk.store.schema import CASES

# In more cases than FEW an identifier counts one step less, in more than MANY it is weak whatever it is.
FEW: Final = 5
MANY: Final = 20
# Beyond this it is counted no further and its cases are not listed, e.g. a link that hundreds of reports name.
MOST_COUNTED: Final = 500
MOST_FOLLOWED: Final = 2_000
MOST_MATCHES: Final = 10


@dataclass(frozen=True, slots=True)
class SharedIdentifier:
    """One identifier of this case that others have too: its kind, its place here, and the number of other cases.

    `owner` is the service that gives it as its own contact.
    """

    kind: str
    place: str
    others: int
    strength: int
    owner: str | None = None

    @property
    def is_counted_out(self) -> bool:
        """Whether there are more cases than were counted."""
        return self.others >= MOST_COUNTED


@dataclass(frozen=True, slots=True)
class Match:
    """Another case, with the shared identifiers, the strongest first."""

    case: CaseRow
    shared: tuple[SharedIdentifier, ...]
    strength: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The suggestions for a case: the best ones, their number, and shared identifiers that tie no two cases."""

    best: tuple[Match, ...] = ()
    found: int = 0
    weak: int = 0
    common: tuple[SharedIdentifier, ...] = ()
    is_indexed: bool = True


def get_matches(connection: Connection, case: CaseRow) -> Matches:
    """Return the cases that share an identifier with any report of a case, the strongest first."""
    own = (CASES.c.case_id == case.first_id) | (CASES.c.joined_to == case.first_id)
    reports = connection.execute(select(CASES.c.case_id, CASES.c.index_version).where(own)).all()
    own_ids = {row.case_id for row in reports}
    is_indexed = case.synthetic or all(row.index_version is not None for row in reports)
    followed, common = _list_shared(connection, own_ids)
    apart = _list_decided(connection, own_ids)
    by_case = _follow(connection, followed, own_ids=own_ids)
    ranked = [(*_weigh(shared), case_id) for case_id, shared in by_case.items() if case_id not in apart]
    # The strongest first, then the newest: a case id sorts by time.
    ranked.sort(key=lambda one: (one[0], len(one[1]), one[2]), reverse=True)
    best = ranked[:MOST_MATCHES]
    rows = connection.execute(select(CASES).where(CASES.c.case_id.in_([case_id for _, _, case_id in best])))
    cases = {row.case_id: to_case(row) for row in rows}
    matches = tuple(Match(cases[case_id], shared, strength) for strength, shared, case_id in best if case_id in cases)
    weak = sum(strength <= WEAK for strength, _, _ in ranked)
    return Matches(matches, len(ranked), weak, tuple(common), is_indexed=is_indexed)


def _list_shared(
    connection: Connection, own_ids: Collection[str]
) -> tuple[dict[bytes, SharedIdentifier], list[SharedIdentifier]]:
    """Return the shared identifiers whose cases are listed, the rarest first, and those that tie no two cases."""
    mine, other = CASE_IDENTIFIERS, CASE_IDENTIFIERS.alias("other")
    # Counted through the key, and no further than matters.
    some = (
        select(literal_column("1").label("one"))
        .where(other.c.digest == mine.c.digest, other.c.case_id.not_in(own_ids))
        .limit(MOST_COUNTED)
        .correlate(mine)
        .subquery()
    )
    others = select(func.count()).select_from(some).scalar_subquery()
    query = (
        select(
            mine.c.digest,
            func.max(mine.c.kind).label("kind"),
            func.max(mine.c.place).label("place"),
            func.max(mine.c.strength).label("strength"),
            func.max(others).label("others"),
            func.max(SERVICE_IDENTIFIERS.c.partner).label("owner"),
        )
        .select_from(mine.outerjoin(SERVICE_IDENTIFIERS, SERVICE_IDENTIFIERS.c.digest == mine.c.digest))
        .where(mine.c.case_id.in_(own_ids), mine.c.strength > SEARCH_ONLY)
        .group_by(mine.c.digest)
    )
    rows = sorted((row for row in connection.execute(query) if row.others), key=lambda row: row.others)
    followed: dict[bytes, SharedIdentifier] = {}
    common: list[SharedIdentifier] = []
    left = MOST_FOLLOWED
    for row in rows:
        shared = SharedIdentifier(row.kind, row.place, row.others, _rate(row.strength, row.others), row.owner)
        if shared.owner is not None or shared.is_counted_out or row.others > left:
            common.append(shared)
        else:
            followed[bytes(row.digest)] = shared
            left -= row.others
    return followed, common


def _rate(strength: int, others: int) -> int:
    if others > MANY:
        return WEAK
    return max(WEAK, strength - 1) if others > FEW else strength


def _follow(
    connection: Connection, followed: Mapping[bytes, SharedIdentifier], *, own_ids: Collection[str]
) -> dict[str, list[SharedIdentifier]]:
    """Return the shared identifiers of each other case, by the id of its first report."""
    first_id = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("first_id")
    table = CASE_IDENTIFIERS.join(CASES, CASES.c.case_id == CASE_IDENTIFIERS.c.case_id)
    query = (
        select(CASE_IDENTIFIERS.c.digest, CASE_IDENTIFIERS.c.strength, first_id)
        .select_from(table)
        .where(
            CASE_IDENTIFIERS.c.digest.in_(followed),
            CASE_IDENTIFIERS.c.strength > SEARCH_ONLY,
            CASE_IDENTIFIERS.c.case_id.not_in(own_ids),
        )
    )
    found: dict[str, dict[bytes, SharedIdentifier]] = {}
    for row in connection.execute(query) if followed else ():
        shared = followed[bytes(row.digest)]
        # A link is no stronger than its weaker end, e.g. a name that only the other case's story mentions.
        strength = min(shared.strength, row.strength)
        found.setdefault(row.first_id, {})[bytes(row.digest)] = SharedIdentifier(
            shared.kind, shared.place, shared.others, strength
        )
    return {case_id: list(by_digest.values()) for case_id, by_digest in found.items()}


def _weigh(shared: Iterable[SharedIdentifier]) -> tuple[int, tuple[SharedIdentifier, ...]]:
    """Return how strongly a case is tied by these, and those to show, the strongest first."""
    ordered = sorted(shared, key=lambda one: (-one.strength, one.others))
    # The name without its service comes with each account, and adds nothing to it.
    kinds = {one.kind for one in ordered} - ({"username"} if any(one.kind == "account" for one in ordered) else set())
    best = ordered[0].strength
    # Two weak signs of different kinds are a fair one.
    strength = min(STRONG, best + 1) if len(kinds) > 1 and best < STRONG else best
    shown = tuple(one for one in ordered if one.kind in kinds)
    return strength, shown


def _list_decided(connection: Connection, own_ids: Collection[str]) -> set[str]:
    """Return the cases that are linked to this one already, or that a person has kept apart from it."""
    decided: set[str] = set()
    for case_id in own_ids:
        decided |= list_cluster(connection, case_id)
        newest = {record.other_id: record for record in list_records(connection, case_id)}
        decided |= {other_id for other_id, record in newest.items() if record.is_end}
    return decided


KIND_TITLES: Final = {
    "account": "User name and service",
    "username": "User name without its service",
    "phone": "Telephone number",
    "email": "E-mail address",
    "link": "Link",
    "payment": "Payment account or reference",
    "device": "Device",
    "content": "Hash of a file",
    "reference": "Reference at another body",
    "name": "Name",
}
PLACE_TITLES: Final = {
    "suspect": "of a suspect",
    "child": "of a child",
    "other_person": "of another person",
    "reporter": "of the person reporting",
    "incident": "in the incident",
    "file": "in the list of files",
    "report": "given by the sender",
    "text": "found in text",
}
_STRENGTHS: Final = {STRONG: "Strong", FAIR: "Fair", WEAK: "Weak"}


def format_found(kind: str, place: str) -> str:
    """Return the kind and the place of an identifier, e.g. `Telephone number of a suspect`."""
    return f"{KIND_TITLES[kind]} {PLACE_TITLES[place]}"


def format_others(shared: SharedIdentifier) -> str:
    """Return how rare a shared identifier is, e.g. `in 4 other cases`."""
    if shared.is_counted_out:
        return f"in more than {MOST_COUNTED} other cases"
    return "in these two cases alone" if shared.others == 1 else f"in {shared.others} other cases"


def format_strength(strength: int) -> str:
    """Return how much a match means, e.g. `Strong`."""
    return _STRENGTHS[strength]


# For the template, which draws these with a page of any state.
MATCH_TEXTS: Final = {"found": format_found, "others": format_others, "strength": format_strength}
