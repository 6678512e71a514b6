"""`PUT /feed/register`: publishes the register of partners.

Never stores one that the key set in force does not stand for, or that is older than the one in force.
"""

from flask import Response

from gateway.feed.desk_request import get_desk_request
from gateway.json_answer import answer_json
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.statements import MAX_LIST_BYTES


@rule(login=Login.DESK, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_LIST_BYTES)
def put_register() -> Response:
    """Answer with the serial that is in force now; the same register again is no fault."""
    desk = get_desk_request()
    return answer_json({"serial": desk.gateway.key_state.accept_register(desk.read_body())})
