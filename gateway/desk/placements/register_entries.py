"""What the signed register lists of placements: those that are agreed now, and no more than it has room for."""

from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.placements.placements import PlacementError
from gateway.desk.store.placement_tables import PLACEMENTS
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.placement import MAX_PLACEMENTS, PlacementEntry

# The register has 4 MiB, in base64url (WIRE.md §5.5): what is left is for more than 500 partners and their keys.
MOST_ENTRY_BYTES: Final = 2_000_000


def list_entries(connection: Connection) -> tuple[PlacementEntry, ...]:
    """Return the placements that are agreed now, by link id.

    Those of a suspended partner are among them: being suspended ends the trust in its reports. A child on its pages
    can press the button all the same, and the desk must go on to know from where. A link id gives its owner no right.
    """
    rows = connection.execute(
        select(PLACEMENTS.c.placement, PLACEMENTS.c.owner, PLACEMENTS.c.service)
        .where(PLACEMENTS.c.state == "agreed")
        .order_by(PLACEMENTS.c.placement)
    )
    return tuple(PlacementEntry(partner=row.owner, placement=row.placement, service=row.service) for row in rows)


def check_room(connection: Connection) -> None:
    """Raise `PlacementError` (`register-full`) when the register can not list all that are agreed."""
    entries = list_entries(connection)
    if len(entries) > MAX_PLACEMENTS or len(encode(entries)) > MOST_ENTRY_BYTES:
        raise PlacementError(
            f"The register is full: it lists at most {MAX_PLACEMENTS} placements, fewer where names are long. End one "
            "that is gone.",
            reason="register-full",
        )
