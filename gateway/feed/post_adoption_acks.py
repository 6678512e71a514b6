"""`POST /feed/adoption-acks`: the desk holds these requests to show the button, and the gateway lets go of them."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.adoption import acknowledge_adoption
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.adoption import AdoptionAckPost
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, AcknowledgementReply


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_adoption_acks() -> Response:
    """Answer with how many were let go of now; the others do not wait here, or not any more."""
    desk = get_desk_request()
    post = desk.parse_body(AdoptionAckPost, max_bytes=MAX_ROWS_BODY_BYTES)
    with desk.gateway.store.write() as connection:
        known = sum(acknowledge_adoption(connection, request_id=one) for one in post.ids)
    return answer_json(AcknowledgementReply(acknowledged=known))
