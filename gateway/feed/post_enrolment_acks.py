"""`POST /feed/enrolment-acks`: the desk holds these answers to invitations."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.enrolments import acknowledge_enrolment
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, AcknowledgementReply, EnrolmentAckPost


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_enrolment_acks() -> Response:
    """Answer with how many are acknowledged now or were before; the others are not known here."""
    desk = get_desk_request()
    post = desk.parse_body(EnrolmentAckPost, max_bytes=MAX_ROWS_BODY_BYTES)
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        known = sum(acknowledge_enrolment(connection, enrolment_id=enrolment_id, now=now) for enrolment_id in post.ids)
    return answer_json(AcknowledgementReply(acknowledged=known))
