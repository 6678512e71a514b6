"""The register of placements: each link id, its owner, the agreed place of the button, and its state.

The signed register (keyring/publication.py) lists the currently agreed ones. Counts of reports by placement are for the
desk alone, never in a digest: a partner gets numbers only through the noise.

A service that was entered twice counts as another id from
then on: cases keep the id that they were filed with, and each reader resolves it here, so that a merge can end.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Connection, Row, func, insert, select

from gateway.desk.store.agency_tables import (
    ADOPTION_REQUESTS,
    PLACEMENTS,
    SERVICE_MERGES,
    PlacementState,
)
from gateway.desk.store.agency_tables import PlacementRow as PlacementRow
from gateway.desk.store.schema import CASES
from gateway.web.settings import SettingsError, check_origin, is_loopback
from partner_sdk.errors import RefusalError
from partner_sdk.wire.button import Surface
from partner_sdk.wire.canonical import format_time

SURFACES: Final[tuple[str, ...]] = get_args(Surface)
# The states that are in the signed register.
IN_REGISTER: Final[tuple[PlacementState, ...]] = ("agreed",)
SURFACE_TITLES: Final = {
    "chat": "Chat",
    "direct_message": "Direct message",
    "profile": "Profile page",
    "game_lobby": "Game lobby",
    "stream": "Live stream",
    "comments": "Comments",
    "help": "Help page",
    "other": "Somewhere else",
}


PlacementRefusal = (
    Literal["agreed-already", "bad-address", "bad-day", "bad-link-id", "bad-look-at", "bad-owner"]
    | Literal["bad-owner-name", "bad-position", "bad-service", "bad-surface", "ended"]
    | Literal["link-id-taken", "merged", "no-change", "no-file", "no-reason", "not-suspended"]
    | Literal["owner-known", "register-full", "suspended-already", "token-exists", "unknown-owner"]
    | Literal["unknown-placement"]
)


class PlacementError(RefusalError[PlacementRefusal]):
    """A placement is unknown, or cannot be agreed or changed this way; the message gives the remedy."""


def find_placement(connection: Connection, placement: str | None) -> PlacementRow | None:
    """Return the placement of a link id in any state, or None."""
    if placement is None:
        return None
    row = connection.execute(select(PLACEMENTS).where(PLACEMENTS.c.placement == placement)).first()
    return None if row is None else to_placement(row)


def get_placement(connection: Connection, placement: str) -> PlacementRow:
    """Return the placement of a link id in any state, or raise `PlacementError` (`unknown-placement`)."""
    found = find_placement(connection, placement)
    if found is None:
        raise PlacementError(f"There is no placement {placement}.", reason="unknown-placement")
    return found


def list_placements(
    connection: Connection,
    *,
    owner: str | None = None,
    states: Collection[PlacementState] = (),
    link_ids: Collection[str] | None = None,
) -> list[PlacementRow]:
    """Return placements by service name, then link id; of one owner, in certain states or of some ids only."""
    query = select(PLACEMENTS).order_by(PLACEMENTS.c.service, PLACEMENTS.c.placement)
    if owner is not None:
        query = query.where(PLACEMENTS.c.owner == owner)
    if states:
        query = query.where(PLACEMENTS.c.state.in_(states))
    if link_ids is not None:
        query = query.where(PLACEMENTS.c.placement.in_(link_ids))
    return [to_placement(row) for row in connection.execute(query)]


def to_placement(row: Row[Any]) -> PlacementRow:
    """Return one row of the table as a `PlacementRow`."""
    return PlacementRow._make(row)


def count_reports(connection: Connection, placement: str) -> int:
    """Return the number of reports from people with this link id; made-up cases do not count."""
    count: int = connection.execute(
        select(func.count()).select_from(CASES).where(CASES.c.placement == placement, CASES.c.synthetic.is_(False))
    ).scalar_one()
    return count


def count_button_requests(connection: Connection, *, with_decided: bool = False) -> int:
    """Return the number of waiting requests to show the button; on request with the decided ones."""
    query = select(func.count()).select_from(ADOPTION_REQUESTS)
    if not with_decided:
        query = query.where(ADOPTION_REQUESTS.c.state == "waiting")
    return connection.execute(query).scalar_one()


def format_place(surface: str, position: str) -> str:
    """Return a surface and a position as one line, e.g. `Profile page: under the name`."""
    return f"{SURFACE_TITLES.get(surface, surface)}: {position}"


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


MAX_ADDRESS_CHARACTERS: Final = 500
ANY_PART: Final = "*"

_PRINTED: Final = re.compile(r"[\x21-\x7e]+")
# RFC 3986 §3.3 without `*`, which is our own mark.
_PART: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})+")
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


def parse_pattern(text: str) -> str:
    """Return an agreement's address in canonical form. Raises `PlacementError`."""
    parts = _split(text, reason="bad-address")
    if parts.query or "?" in text:
        raise PlacementError("The address of a placement cannot have a question mark.", reason="bad-address")
    _check_path(parts.path, may_stand_for_any=True, reason="bad-address")
    return _join(parts)


def parse_page(text: str, *, pattern: str) -> str:
    """Return the address of the page to check, which must be at the agreed address.

    Raises `PlacementError`. It may have a query, as some sites name their pages that way.
    """
    parts = _split(text, reason="bad-look-at")
    _check_path(parts.path, may_stand_for_any=False, reason="bad-look-at")
    if not _QUERY.fullmatch(parts.query):
        raise PlacementError("The query in the page's address is malformed.", reason="bad-look-at")
    page = _join(parts)
    if not is_page_of(pattern, address=page):
        raise PlacementError("The page to check is not at the agreed address.", reason="bad-look-at")
    return page


def has_any_part(pattern: str) -> bool:
    """Return whether an address covers many pages."""
    return ANY_PART in urlsplit(pattern).path.split("/")


def is_page_of(pattern: str, *, address: str) -> bool:
    """Return whether an address matches an agreement; query and fragment are ignored."""
    try:
        agreed, seen = urlsplit(pattern), urlsplit(address)
    except ValueError:
        return False
    if (agreed.scheme, agreed.netloc) != (seen.scheme, seen.netloc.lower()):
        return False
    wanted, found = agreed.path.split("/"), (seen.path or "/").split("/")
    return len(wanted) == len(found) and all(
        bool(there) if part == ANY_PART else part == there for part, there in zip(wanted, found, strict=True)
    )


def _split(text: str, *, reason: PlacementRefusal) -> SplitResult:
    if not 0 < len(text) <= MAX_ADDRESS_CHARACTERS or not _PRINTED.fullmatch(text):
        raise PlacementError(
            f"An address can have up to {MAX_ADDRESS_CHARACTERS} ASCII characters, without spaces.", reason=reason
        )
    try:
        parts = urlsplit(text)
        parts = parts._replace(netloc=parts.netloc.lower(), path=parts.path or "/")
        check_origin(f"{parts.scheme}://{parts.netloc}", key="The address")
    except ValueError:
        raise PlacementError("The address is malformed.", reason=reason) from None
    except SettingsError:
        raise PlacementError(
            "Write the address like https://chat.example/people: with https, and without the usual port.",
            reason=reason,
        ) from None
    if "@" in parts.netloc:
        raise PlacementError("The address cannot have a user name before the host.", reason=reason)
    _check_host(parts.hostname or "", reason=reason)
    if "#" in text:
        raise PlacementError(
            ("The address cannot have a fragment: leave out the # and the text after it."), reason=reason
        )
    return parts


def _check_host(host: str, *, reason: PlacementRefusal) -> None:
    # An IP address is no public name, and may belong to a network of our own. Browsers read a host whose last part is a
    # number as an IPv4 address, however it is written (WHATWG URL, "ends in a number").
    if is_loopback(host):
        return
    last = host.rstrip(".").rpartition(".")[2]
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last):
            return
    raise PlacementError("Write the site as a name, not as an IP address.", reason=reason)


def _check_path(path: str, *, may_stand_for_any: bool, reason: PlacementRefusal) -> None:
    *folders, last = path.removeprefix("/").split("/")
    for part in (*folders, last):
        is_end = part is last and part == ""  # `https://chat.example/help/`
        if is_end or (part == ANY_PART and may_stand_for_any):
            continue
        if not _PART.fullmatch(part) or part in {".", ".."}:
            raise PlacementError(
                "Part of the path is malformed. A * stands for one whole part, and only in the agreed address.",
                reason=reason,
            )


def _join(parts: SplitResult) -> str:
    return parts.geturl()
