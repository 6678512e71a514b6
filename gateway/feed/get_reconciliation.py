"""`GET /feed/reconciliation`: every link of all chains of intake statements by its digest, acknowledged or not."""

from flask import Response

from gateway.feed.desk_request import MAX_SEQUENCE, get_desk_request, get_number
from gateway.json_answer import answer_json
from gateway.store.collection import list_links
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import ReconciliationPage, ReconciliationRow

MAX_LINKS = 1000


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_reconciliation() -> Response:
    """Answer with the links behind the position `after`, in the order of insertion; `more` says that others follow."""
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
