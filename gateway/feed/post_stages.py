"""`POST /feed/stages`: how far partners' reports are at the desk, and the outcomes that it releases."""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.store.collection import set_stage
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.feed_messages import MAX_ROWS_BODY_BYTES, StagePost


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_ROWS_BODY_BYTES)
def post_stages() -> Response:
    """Answer with how many are set now; the others are not known here. A late message moves nothing back."""
    desk = get_desk_request()
    post = desk.parse_body(StagePost, max_bytes=MAX_ROWS_BODY_BYTES)
    with desk.gateway.store.write() as connection:
        known = sum(set_stage(connection, item) for item in post.stages)
    return answer_json({"updated": known})
