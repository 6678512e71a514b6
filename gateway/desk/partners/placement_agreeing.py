"""Agrees placements of the button and changes them: agree, change, suspend, resume, end; each is recorded (R36).

Never gives a link id twice, not even after its placement has ended: it may still be on pages outside the desk's
control, and reports that name it belong to its first owner.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from gateway.desk.keyring.publication import list_placement_entries
from gateway.desk.office.organisations import find_owner_name
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import (
    SURFACE_TITLES,
    SURFACES,
    PlacementError,
    PlacementRefusal,
    PlacementRow,
    get_placement,
    get_successor,
    has_any_part,
    parse_page,
    parse_pattern,
)
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import ADOPTERS, PLACEMENT_HISTORY, PLACEMENTS
from gateway.exchange.feed import MAX_PLACEMENTS
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import SERVICE_NAME_MAX, TEST_LINK_ID, is_placement
from partner_sdk.wire.canonical import encode, format_time, parse_exact
from partner_sdk.wire.receipts import PLACEMENT_MAX
from partner_sdk.wire.submission import check_partner_id

MAX_POSITION_CHARACTERS: Final = 200
_MAX_TERMS_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement with a service. Without a `link_id` the desk makes one; `agreed_on` is a day, e.g. 2026-11-25.

    `new_owner` is the name of an organisation without keys that is new to the desk.
    """

    owner: str
    service: str
    surface: str
    address: str
    position: str
    look_at: str | None = None
    link_id: str | None = None
    agreed_on: str | None = None
    new_owner: str | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agreed terms, as the history keeps them after each change."""

    address: str
    look_at: str | None
    position: str
    service: str
    surface: str


@dataclass(frozen=True, slots=True)
class TermChanges:
    """New terms of a placement; None keeps the old one. An empty `look_at` means the address, if it is one page."""

    service: str | None = None
    surface: str | None = None
    address: str | None = None
    look_at: str | None = None
    position: str | None = None


def make_terms(agreement: Agreement) -> Terms:
    """Return the terms of an agreement in canonical form. Raises `PlacementError` for a missing or bad term."""
    if agreement.surface not in SURFACES:
        raise PlacementError(f"Choose the kind of place: {', '.join(SURFACE_TITLES.values())}.", reason="bad-surface")
    address = parse_pattern(agreement.address)
    look_at = None if has_any_part(address) else address
    if agreement.look_at:
        look_at = parse_page(agreement.look_at, pattern=address)
    return Terms(
        address=address,
        look_at=look_at,
        position=read_line(
            agreement.position, most=MAX_POSITION_CHARACTERS, what="The agreed position", reason="bad-position"
        ),
        service=read_line(
            agreement.service, most=SERVICE_NAME_MAX, what="The name of the service", reason="bad-service"
        ),
        surface=agreement.surface,
    )


def read_line(text: str, *, most: int, what: str, reason: PlacementRefusal) -> str:
    """Return a text with single spaces. Raises `PlacementError` unless it is one line."""
    line = " ".join(text.split())
    if not 0 < len(line) <= most or not line.isprintable():
        raise PlacementError(f"{what} must be one line of 1 to {most} characters.", reason=reason)
    return line


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One action: `agree`, `change`, `suspend`, `resume` or `end`."""

    at: str
    by: str
    action: str
    reason: str | None
    terms: Terms


def list_history(connection: Connection, placement: str) -> list[HistoryRow]:
    """Return a placement's history, the newest action first."""
    rows = connection.execute(
        select(PLACEMENT_HISTORY)
        .where(PLACEMENT_HISTORY.c.placement == placement)
        .order_by(PLACEMENT_HISTORY.c.id.desc())
    )
    return [
        HistoryRow(
            at=row.at,
            by=row.by,
            action=row.action,
            reason=row.reason,
            terms=parse_exact(bytes(row.terms), kind=Terms, max_bytes=_MAX_TERMS_BYTES),
        )
        for row in rows
    ]


MAX_REASON_CHARACTERS: Final = 300
MAX_OWNER_NAME_CHARACTERS: Final = 100
# Room for a number at the end of a generated link id, to make it unique in the register.
_ROOM_FOR_NUMBER: Final = len(f"-{MAX_PLACEMENTS}")
# The founding paper of the button is from 2007: an earlier day is a typing error.
_FIRST_DAY: Final = date(2007, 1, 1)
# The register has 4 MiB, in base64url (WIRE.md §5.5): the rest is for more than 500 partners and their keys.
MOST_ENTRY_BYTES: Final = 2_000_000


def agree_placement(desk: Desk, agreement: Agreement, *, actor: str) -> PlacementRow:
    """Put a new placement into the register; it is published with the next `publish`. Raises `PlacementError`."""
    now = desk.clock()
    terms = make_terms(agreement)
    agreed_on = _read_day(agreement.agreed_on, today=get_uk_day(now))
    with desk.store.write() as connection:
        ensure_owner(connection, desk, owner=agreement.owner, new_name=agreement.new_owner, actor=actor)
        if agreement.link_id is None:
            _check_not_agreed(connection, owner=agreement.owner, terms=terms)
        link_id = agreement.link_id or offer_link_id(connection, owner=agreement.owner, surface=terms.surface)
        _check_link_id(connection, link_id)
        connection.execute(
            insert(PLACEMENTS).values(
                placement=link_id,
                owner=agreement.owner,
                **msgspec.structs.asdict(terms),
                agreed_on=agreed_on.isoformat(),
                agreed_by=actor,
                state="agreed",
                state_at=format_time(now),
                state_by=actor,
                state_reason=None,
            )
        )
        _check_room(connection)
        _note(connection, desk, link_id, "agree", terms=terms, actor=actor)
        return get_placement(connection, link_id)


def change_placement(desk: Desk, placement: str, changes: TermChanges, *, actor: str) -> PlacementRow:
    """Change the terms of a placement that has not ended; owner and link id never change."""
    with desk.store.write() as connection:
        row = _get_living(connection, placement)
        before = _to_terms(row)
        changed = {name: value for name, value in asdict(changes).items() if value is not None}
        if changes.address not in {None, before.address}:
            changed.setdefault("look_at", None)  # the old page is at another address
        terms = make_terms(Agreement(owner=row.owner, **(msgspec.structs.asdict(before) | changed)))
        if terms == before:
            raise PlacementError("Nothing was changed: give at least one new value.", reason="no-change")
        connection.execute(
            update(PLACEMENTS).where(PLACEMENTS.c.placement == placement).values(**msgspec.structs.asdict(terms))
        )
        _check_room(connection)
        _note(connection, desk, placement, "change", terms=terms, actor=actor)
        return get_placement(connection, placement)


def suspend_placement(desk: Desk, placement: str, *, reason: str, actor: str) -> PlacementRow:
    """Take a placement out of the register for a while. Its button still opens the form, without a known place."""
    with desk.store.write() as connection:
        row = _get_living(connection, placement)
        if row.state == "suspended":
            raise PlacementError(
                f"{placement} has been suspended since {row.state_at[:10]} by {row.state_by} ({row.state_reason}).",
                reason="suspended-already",
            )
        return _set_state(connection, desk, row, state="suspended", action="suspend", reason=reason, actor=actor)


def resume_placement(desk: Desk, placement: str, *, actor: str) -> PlacementRow:
    """Put a suspended placement back into the register."""
    with desk.store.write() as connection:
        row = _get_living(connection, placement)
        if row.state != "suspended":
            raise PlacementError(
                f"{placement} is not suspended: it has been in the register since {row.state_at[:10]}.",
                reason="not-suspended",
            )
        resumed = _set_state(connection, desk, row, state="agreed", action="resume", reason=None, actor=actor)
        _check_room(connection)
        return resumed


def end_placement(desk: Desk, placement: str, *, reason: str, actor: str) -> PlacementRow:
    """End a placement for good. Reports on their way keep its owner; its link id is never used again."""
    with desk.store.write() as connection:
        row = _get_living(connection, placement)
        return _set_state(connection, desk, row, state="ended", action="end", reason=reason, actor=actor)


def offer_link_id(connection: Connection, *, owner: str, surface: str) -> str:
    """Return an unused link id, e.g. `example-chat-profile`, or the same with a number.

    The name only helps readers: the register alone decides the owner of an id.
    """
    stem = f"{owner}-{surface.replace('_', '-')}"[: PLACEMENT_MAX - _ROOM_FOR_NUMBER].rstrip("-")
    alike = select(PLACEMENTS.c.placement).where(PLACEMENTS.c.placement.startswith(stem, autoescape=True))
    taken = set(connection.execute(alike).scalars())
    number, offered = 1, stem
    while offered in taken:
        number += 1
        offered = f"{stem}-{number}"
    return offered


def ensure_owner(connection: Connection, desk: Desk, *, owner: str, new_name: str | None, actor: str) -> None:
    """Enter an organisation without keys, or do nothing for a known id. Raises `PlacementError`."""
    unknown = PlacementError(
        "Choose the owner of the service, or give the id and name of a new organisation.", reason="unknown-owner"
    )
    if not owner and not new_name:
        raise unknown
    try:
        check_partner_id(owner)
    except FormatError as error:
        raise PlacementError(str(error), reason="bad-owner") from None
    if (successor := get_successor(connection, owner)) != owner:
        raise PlacementError(f"{owner} was entered twice and counts as {successor}: give that.", reason="merged")
    known = find_owner_name(connection, owner)
    if known is not None:
        if new_name and new_name.strip() != known:
            raise PlacementError(f"{owner} is already known as {known}.", reason="owner-known")
        return
    if not new_name:
        raise unknown
    name = read_line(
        new_name, most=MAX_OWNER_NAME_CHARACTERS, what="The name of the organisation", reason="bad-owner-name"
    )
    now = desk.clock()
    connection.execute(insert(ADOPTERS).values(owner=owner, name=name, added_at=format_time(now), added_by=actor))
    audit.append_entry(connection, "add-adopter", owner, at=now, actor=actor)


def _check_not_agreed(connection: Connection, *, owner: str, terms: Terms) -> None:
    """Refuse the same place a second time: a form sent twice must not give it two link ids."""
    same = {"owner": owner, "surface": terms.surface, "address": terms.address, "position": terms.position}
    query = select(PLACEMENTS.c.placement).where(PLACEMENTS.c.state == "agreed").order_by(PLACEMENTS.c.placement)
    stands = connection.execute(query.filter_by(**same).limit(1)).scalar()
    if stands is not None:
        raise PlacementError(
            (
                f"{stands} is already agreed there: same kind of place, address and position. To give the "
                "place a second link anyway, choose its link id."
            ),
            reason="agreed-already",
        )


def _check_link_id(connection: Connection, link_id: str) -> None:
    if not is_placement(link_id):
        raise PlacementError(
            (
                f"A link id has 1 to {PLACEMENT_MAX} characters of a-z, 0-9, - and _, and begins with a "
                "letter or a digit."
            ),
            reason="bad-link-id",
        )
    if link_id == TEST_LINK_ID:
        raise PlacementError(
            f"The link id {link_id} is for tests, by anyone. Choose another, or leave it out.", reason="link-id-taken"
        )
    if connection.execute(select(PLACEMENTS.c.placement).where(PLACEMENTS.c.placement == link_id)).first():
        raise PlacementError(
            (
                f"The link id {link_id} has been used before, and link ids are never used twice. Choose "
                "another, or leave it out."
            ),
            reason="link-id-taken",
        )


def _set_state(
    connection: Connection, desk: Desk, row: PlacementRow, *, state: str, action: str, reason: str | None, actor: str
) -> PlacementRow:
    if reason is not None:
        reason = read_line(reason, most=MAX_REASON_CHARACTERS, what="The reason", reason="no-reason")
        if not any(map(str.isalnum, reason)):
            raise PlacementError("The reason needs a letter or a digit.", reason="no-reason")
    connection.execute(
        update(PLACEMENTS)
        .where(PLACEMENTS.c.placement == row.placement)
        .values(state=state, state_at=format_time(desk.clock()), state_by=actor, state_reason=reason)
    )
    _note(connection, desk, row.placement, action, terms=_to_terms(row), actor=actor, reason=reason)
    return get_placement(connection, row.placement)


def _get_living(connection: Connection, placement: str) -> PlacementRow:
    row = get_placement(connection, placement)
    if row.state == "ended":
        raise PlacementError(
            f"{placement} has ended for good. Agree a new placement, with a new link id.", reason="ended"
        )
    return row


def _to_terms(row: PlacementRow) -> Terms:
    return Terms(
        address=row.address, look_at=row.look_at, position=row.position, service=row.service, surface=row.surface
    )


def _note(
    connection: Connection,
    desk: Desk,
    placement: str,
    action: str,
    *,
    terms: Terms,
    actor: str,
    reason: str | None = None,
) -> None:
    now = desk.clock()
    connection.execute(
        insert(PLACEMENT_HISTORY).values(
            placement=placement, at=format_time(now), by=actor, action=action, reason=reason, terms=encode(terms)
        )
    )
    # Codes alone: the agreed texts are in the history.
    audit.append_entry(connection, f"{action}-placement", placement, at=now, actor=actor, surface=terms.surface)


def _read_day(text: str | None, *, today: date) -> date:
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise PlacementError("Write the date like this: 2026-12-24.", reason="bad-day") from None
    if not _FIRST_DAY <= day <= today:
        raise PlacementError("The date must be today or earlier.", reason="bad-day")
    return day


def _check_room(connection: Connection) -> None:
    """Raise `PlacementError` (`register-full`) if the agreed placements do not fit into the register."""
    entries = list_placement_entries(connection)
    if len(entries) > MAX_PLACEMENTS or len(encode(entries)) > MOST_ENTRY_BYTES:
        raise PlacementError(
            (
                f"The register is full: it holds at most {MAX_PLACEMENTS} placements, fewer if names are "
                "long. End one that is no longer used."
            ),
            reason="register-full",
        )
