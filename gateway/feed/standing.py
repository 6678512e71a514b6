"""Where this gateway stands: what it serves, how much waits, and every link of its chains, for the desk to compare."""

from flask import Response

from gateway.feed.desk_request import MAX_SEQUENCE, get_desk_request, get_number
from gateway.json_answer import answer_json
from gateway.store import StorageUnavailableError
from gateway.store.collection import count_waiting, find_heads, list_links, list_waiting_by_priority
from gateway.store.instance import find_instance
from gateway.store.published import list_versions
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import ChainHead, FeedStatus, ReconciliationPage, ReconciliationRow

MAX_LINKS = 1000


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


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_reconciliation() -> Response:
    """Answer with the links behind the position `after`, acknowledged or not; `more` says that others follow."""
    gateway = get_desk_request().gateway
    after = get_number("after", default=0, least=0, most=MAX_SEQUENCE)
    with gateway.store.read() as connection:
        links, more = list_links(connection, after=after, limit=MAX_LINKS)
    statements = tuple(
        ReconciliationRow(
            intake_sha256=link.intake_sha256.hex(),
            partner=link.partner,
            position=link.position,
            report_id=link.report_id,
            sequence=link.sequence,
        )
        for link in links
    )
    return answer_json(ReconciliationPage(more=more, statements=statements))
