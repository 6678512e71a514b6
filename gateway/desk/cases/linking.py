"""Links a case to others about the same person or incident, suggests such cases, and sets the service it is about.

Digests count linked cases once; a link changes only later digests. Each decision is a step of both cases, with its
reason sealed. A suggestion shares an identifier: a rare phone number means much, one that stands in hundreds of cases
little. Never suggests a linked case, or a link that a person refused or ended.

The service is set from the button's place or by an analyst. A typed name is matched with the register, and a new one
is added only on purpose. The sender of a report is not taken for the service.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, func, insert, literal_column, or_, select, update

from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    StepKind,
    StepText,
    add_step,
    get_case,
    get_clean_reason,
    to_case,
)
from gateway.desk.collection.identifiers import FAIR, SEARCH_ONLY, STRONG, WEAK, squeeze_service, strip_address
from gateway.desk.collection.joining import (
    LinkError,
    LinkRecord,
    add_link,
    end_link,
    list_cluster,
    list_records,
    refuse_link,
)
from gateway.desk.office.organisations import find_owner_name, get_owner_names, has_keys
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import add_merge, follow, get_successor, list_placements, read_merges
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import ADOPTERS
from gateway.desk.store.schema import CASE_IDENTIFIERS, CASES, SERVICE_IDENTIFIERS
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER, check_partner_id


@dataclass(frozen=True, slots=True)
class LinkedCase:
    """Another case of the cluster. `record` is the newest of its own link; None if only other cases connect the two."""

    case: CaseRow
    record: LinkRecord | None


def link_cases(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two cases are about the same person or incident."""
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        if not record_link(desk, connection, found, other, text=text, actor=actor):
            raise CaseError("These two cases are linked already.", reason="linked-already")
        return found


def unlink_cases(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two linked cases are not about the same person or incident. Digests made before keep them as one."""
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found, linked = get_case(connection, wanted), get_case(connection, other)
        try:
            end_link(connection, found.case_id, linked.case_id, by=actor, now=desk.clock())
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        _add_steps(desk, connection, "unlink", found, linked, text=text, actor=actor)
        return found


def refuse_match(desk: Desk, wanted: str, other: str, *, reason: str, actor: str) -> CaseRow:
    """Record that two cases with a shared identifier are not about the same person or incident.

    They are not suggested again. Refusing twice changes nothing.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found, refused = get_case(connection, wanted), get_case(connection, other)
        try:
            is_new = refuse_link(connection, found.case_id, refused.case_id, by=actor, now=desk.clock())
        except LinkError as error:
            raise CaseError(str(error), reason=error.reason) from None
        if is_new:
            _add_steps(desk, connection, "keep-apart", found, refused, text=text, actor=actor)
        return found


def record_link(
    desk: Desk, connection: Connection, found: CaseRow, other: str, *, text: StepText | None, actor: str
) -> bool:
    """Link a case to another in the caller's transaction; return False if their own link stands already.

    No text is needed at closing: the step of closing follows.
    """
    linked = get_case(connection, other)
    try:
        is_new = add_link(connection, found.case_id, linked.case_id, by=actor, now=desk.clock())
    except LinkError as error:
        raise CaseError(str(error), reason=error.reason) from None
    if is_new:
        _add_steps(desk, connection, "link", found, linked, text=text, actor=actor)
    return is_new


def list_linked(connection: Connection, case: CaseRow) -> list[LinkedCase]:
    """Return the other cases of a case's cluster, those with a link of their own first."""
    newest = {record.other_id: record for record in list_records(connection, case.case_id)}
    standing = {other_id: record for other_id, record in newest.items() if not record.is_end}
    others = sorted(list_cluster(connection, case.case_id) - {case.case_id}, key=lambda one: (one not in standing, one))
    return [LinkedCase(get_case(connection, other_id), standing.get(other_id)) for other_id in others]


def _add_steps(
    desk: Desk,
    connection: Connection,
    kind: StepKind,
    found: CaseRow,
    linked: CaseRow,
    *,
    text: StepText | None,
    actor: str,
) -> None:
    """Record a step in the case of each report, or one step if a person parts a report from its own case."""
    first, second = (get_lead(connection, one.case_id).case_id for one in (found, linked))
    others = {first: linked, second: found}
    if first == second:
        others = {first: found if linked.case_id == first else linked}
    for lead_id, other in others.items():
        add_step(desk, connection, lead_id, kind, actor=actor, text=text, codes={"other": other.case_id})


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
        lowered = max(WEAK, row.strength - 1) if row.others > FEW else row.strength
        strength = WEAK if row.others > MANY else lowered
        shared = SharedIdentifier(row.kind, row.place, row.others, strength, row.owner)
        if shared.owner is not None or shared.is_counted_out or row.others > left:
            common.append(shared)
        else:
            followed[bytes(row.digest)] = shared
            left -= row.others
    return followed, common


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


# For the template, which draws these with a page of any state.
MATCH_TEXTS: Final = {"found": format_found, "others": format_others, "strength": _STRENGTHS.__getitem__}


MAX_SERVICE_CHARACTERS: Final = 80
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_MOST_ID_CHARACTERS: Final = 64  # of a partner id


def set_about(
    desk: Desk, wanted: str, service: str | None, *, reason: str, actor: str, is_new: bool = False
) -> CaseRow:
    """Record the service that a case and its sender's later reports are about; None for no named one.

    `service` is an id, a name or a web address, e.g. `Other Chat` or `https://otherchat.example/u/1`; `is_new` adds an
    unknown one to the register, without keys.
    """
    text, now = StepText(reason=get_clean_reason(reason)), desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        about = None if service is None else _find_successor(connection, service)
        if service is not None and about is None and not is_new:
            raise CaseError(
                "No service in the register has this name. Check the spelling, or tick that it is new.",
                reason="unknown-service",
            )
        if service is not None and about is None:
            about = make_service_id(service)
            if find_owner_name(connection, about) is not None:
                raise CaseError(f"The register has a service with the id {about}: give that.", reason="service-known")
            name = " ".join(service.split())
            values = {"owner": about, "name": name, "added_at": format_time(now), "added_by": actor}
            connection.execute(insert(ADOPTERS).values(values))
            audit.append_entry(connection, "add-service", about, at=now, actor=actor)
        same = or_(CASES.c.case_id == found.case_id, CASES.c.joined_to == found.case_id)
        connection.execute(update(CASES).where(same).values(about=about))
        lead, codes = get_lead(connection, found.case_id), {"before": found.about, "service": about}
        add_step(desk, connection, lead.case_id, "set-service", actor=actor, text=text, codes=codes)
        return get_case(connection, found.case_id)


def merge_services(desk: Desk, service: str, into: str, *, reason: str, actor: str) -> str:
    """Record that a service without keys was entered twice and counts as another; return the id of that one.

    Digests that exist stay as they are, and no incident in them is counted again (digests/ledger.py).
    """
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        for one in (service, into):
            if find_owner_name(connection, one) is None:
                raise CaseError(
                    "No service in the register has this name. Check the spelling, or tick that it is new.",
                    reason="unknown-service",
                )
        into = get_successor(connection, into)
        if service == into:
            raise CaseError("Both are the same service already.", reason="same-service")
        if service in read_merges(connection):
            raise CaseError(f"{service} counts as another service already.", reason="merged-already")
        if has_keys(connection, service):
            raise CaseError(
                f"{service} was invited or has keys, so it stays. Merge the other one into it.", reason="has-keys"
            )
        if list_placements(connection, owner=service, states=("agreed", "suspended")):
            raise CaseError(f"{service} shows the button. End its placements first.", reason="has-placements")
        add_merge(connection, service, into=into, by=actor, now=now)
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(connection, "merge-services", service, at=now, actor=actor, into=into, reason_sha256=proof)
        return into


def part_service(desk: Desk, service: str, *, reason: str, actor: str) -> None:
    """Record that a merged service counts as itself again. Incidents that were counted stay counted."""
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        if service not in read_merges(connection):
            raise CaseError(f"{service} counts as itself.", reason="not-merged")
        add_merge(connection, service, into=None, by=actor, now=now)
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(connection, "part-service", service, at=now, actor=actor, reason_sha256=proof)


def suggest_service(connection: Connection, words: Iterable[str]) -> str | None:
    """Return the id of the first service of the register that these words name, or None."""
    return next((found for one in words if (found := _find_successor(connection, one)) is not None), None)


def _find_successor(connection: Connection, text: str) -> str | None:
    return find_service(get_owner_names(connection), text, merges=read_merges(connection))


def find_service(names: Mapping[str, str], text: str, *, merges: Mapping[str, str] = _NONE) -> str | None:
    """Return the id of the service with this id, name or web address, in any spelling; None if none or two fit.

    With `merges`, one that was entered twice is found under the id that it counts as.
    """
    if text in names:
        return follow(merges, text)
    wanted = squeeze_service(text)
    fitting = {
        follow(merges, owner)
        for owner, name in names.items()
        if wanted and wanted in {squeeze_service(owner), squeeze_service(name)}
    }
    return fitting.pop() if len(fitting) == 1 else None


def make_service_id(text: str) -> str:
    """Return the id for a new service, e.g. `other-chat` for `Other Chat`, `otherchat` for `www.otherchat.example`."""
    if not 0 < len(text.strip()) <= MAX_SERVICE_CHARACTERS or not text.isprintable():
        raise CaseError(f"Give a name of up to {MAX_SERVICE_CHARACTERS} characters.", reason="bad-service")
    service_id = "-".join(re.findall(r"[a-z0-9]+", strip_address(text)))[:_MOST_ID_CHARACTERS].rstrip("-")
    try:
        check_partner_id(service_id)
    except FormatError:
        service_id = PUBLIC_SENDER
    if service_id == PUBLIC_SENDER:
        raise CaseError("Give a name with letters or digits, e.g. the web address.", reason="bad-service")
    return service_id
