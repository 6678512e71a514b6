"""The name of the service whose button led here, so that nobody has to type it. Never asked of the service itself."""

from gateway.public.door import PublicDoor
from gateway.store import StorageUnavailableError
from partner_sdk.wire.placement import find_owner


def find_service_name(door: PublicDoor, placement: str | None) -> str | None:
    """Find the name that the agency's register gives to the owner of a placement."""
    if placement is None:
        return None
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return None
    names = {} if keys is None else {entry.partner: entry.name for entry in keys.partners.values()}
    owner = find_owner(placement, partners=names)
    return None if owner is None else names[owner]
