"""`POST /feed/account-change-acks`: the desk holds these changes of partners' accounts."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.account_changes import acknowledge_change
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.account import AccountChangeAckPost
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, AcknowledgementReply


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_account_change_acks() -> Response:
    """Answer with how many are acknowledged now or were before; the others are not known here."""
    desk = get_desk_request()
    post = desk.parse_body(AccountChangeAckPost, max_bytes=MAX_ROWS_BODY_BYTES)
    now = desk.gateway.clock()
    with desk.gateway.store.write() as connection:
        known = sum(
            acknowledge_change(connection, partner=one.partner, change_id=one.change_id, now=now)
            for one in post.acknowledged
        )
    return answer_json(AcknowledgementReply(acknowledged=known))
