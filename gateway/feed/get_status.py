"""`GET /feed/status`: where this gateway's chain stands, what is published, and how much waits."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store import StorageUnavailableError
from gateway.store.collection import count_waiting
from gateway.store.published import list_versions
from gateway.store.reports import find_next_place
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import FeedStatus


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_status() -> Response:
    """Answer from one state of the database."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        place = find_next_place(connection)
        serials = {version.name: version.serial for version in list_versions(connection)}
        waiting = count_waiting(connection)
    if place is None:
        raise StorageUnavailableError("The database has no instance name yet.", reason="schema")
    return answer_json(
        FeedStatus(
            environment=gateway.config.environment,
            epoch=place.epoch,
            instance=place.instance,
            key_set_serial=serials.get("key-set"),
            register_serial=serials.get("register"),
            sequence=place.sequence - 1,
            unacknowledged=waiting,
        )
    )
