"""The terms of a placement, in canonical form, and its history: each action with the terms after it.

Never changes the register.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.placements.page_addresses import has_any_part, parse_page, parse_pattern
from gateway.desk.placements.register import SURFACE_TITLES, SURFACES, PlacementError
from gateway.desk.store.agency_tables import PLACEMENT_HISTORY
from partner_sdk.wire.button import SERVICE_NAME_MAX
from partner_sdk.wire.canonical import parse_exact

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


def read_line(text: str, *, most: int, what: str, reason: str) -> str:
    """Return a text with single spaces. Raises `PlacementError` (`reason`) unless it is one line."""
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
