"""`GET /feed/status`: where this gateway's chains stand, what is published, and how much waits."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store import StorageUnavailableError
from gateway.store.collection import count_waiting, find_heads, list_waiting_by_priority
from gateway.store.instance import find_instance
from gateway.store.published import list_versions
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import ChainHead, FeedStatus


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_status() -> Response:
    """Answer from one state of the database."""
    gateway = get_desk_request().gateway
    with gateway.store.read() as connection:
        instance = find_instance(connection)
        heads = find_heads(connection)
        serials = {version.name: version.serial for version in list_versions(connection)}
        count, waiting = count_waiting(connection), list_waiting_by_priority(connection)
    if instance is None:
        raise StorageUnavailableError("The database has no instance name yet.", reason="schema")
    return answer_json(
        FeedStatus(
            chains=None
            if heads is None
            else tuple(ChainHead(partner=one.partner, sequence=one.sequence) for one in heads),
            environment=gateway.config.environment,
            epoch=instance.epoch,
            instance=instance.name,
            is_damaged=heads is None or count > sum(one.count for one in waiting) or gateway.soundness.is_damaged(),
            key_set_serial=serials.get("key-set"),
            register_serial=serials.get("register"),
            unacknowledged=count,
            waiting=tuple(waiting),
        )
    )
