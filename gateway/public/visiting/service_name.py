"""The name of the service whose button led here, so that nobody has to type it. Never asked of the service itself."""

from gateway.public.door import PublicDoor
from gateway.store import StorageUnavailableError


def find_service_name(door: PublicDoor, placement: str | None) -> str | None:
    """Find the name that the agency's register gives to the service of a placement."""
    if placement is None:
        return None
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return None
    entry = None if keys is None else keys.placements.get(placement)
    return None if entry is None else entry.service
