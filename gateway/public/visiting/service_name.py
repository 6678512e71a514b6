"""What the agency's register says of the button that led here: whether it is listed, and the name of its service.

Never asked of the service itself. A link id that the register does not list is not kept (WIRE.md §5.5).
"""

from gateway.public.door import PublicDoor
from gateway.store import StorageUnavailableError
from partner_sdk.wire.placement import PlacementEntry, is_placement


def find_listed(door: PublicDoor, placement: str) -> str | None:
    """Return a link id if the register lists it now; else None, also where the register can not be read now."""
    return None if _find_entry(door, placement) is None else placement


def find_service_name(door: PublicDoor, placement: str | None) -> str | None:
    """Find the name that the agency's register gives to the service of a placement."""
    entry = None if placement is None else _find_entry(door, placement)
    return None if entry is None else entry.service


def _find_entry(door: PublicDoor, placement: str) -> PlacementEntry | None:
    if not is_placement(placement):
        return None
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return None
    return None if keys is None else keys.placements.get(placement)
