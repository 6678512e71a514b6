"""A service's request becomes a sealed box that waits for the desk, or nothing happens at all.

What was typed is in memory for this one request: no draft, no log, no readable row. The gateway can not open the box.
"""

from gateway.intake import NoActiveKeyError
from gateway.public.door import PublicDoor
from gateway.store.items import check_room, put_item
from partner_sdk.wire.adoption import AdoptionRequest, AskingService, seal_adoption
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id
from partner_sdk.wire.items import ADOPTION_REQUEST


def send_adoption(door: PublicDoor, service: AskingService) -> str | None:
    """Seal and store a request, and return its id. In practice nothing is kept, as the page says, and there is none.

    Raises `NoActiveKeyError`, `NoRoomError`, `SealingError`, `FormatError`, `StorageUnavailableError`: nothing
    is stored then.
    """
    if door.is_practice:
        return None
    now = door.clock()
    keys = door.key_state.find_keys()
    sealing_key = None if keys is None else keys.find_active_sealing_key(now=now)
    if keys is None or sealing_key is None:
        raise NoActiveKeyError("The agency has no key to seal to now.")
    request = AdoptionRequest(
        environment=keys.key_set.environment,
        request_id=make_report_id(now, door.random(REPORT_ID_RANDOM_BYTES)),
        service=service,
    )
    envelope = seal_adoption(request, sealing_key=sealing_key).to_bytes()
    # Before the write, so that what has no room does not stand in the line of writers, where reports do.
    with door.store.read() as connection:
        check_room(connection, ADOPTION_REQUEST)
    with door.store.write() as connection:
        put_item(connection, ADOPTION_REQUEST, address="", item_id=request.request_id, envelope=envelope, now=now)
    return request.request_id
