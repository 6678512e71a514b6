"""`POST /v1/adoption`: keeps one sealed request to show the button until the desk collects it.

Never reads who asks, and never keeps so many that reports lack room: at the bound it says so, and names another way.
"""

from http import HTTPStatus

from flask import Response, current_app, request

from gateway.description.call import Answer, Call, describe
from gateway.industry.sealed_items import keep_box, parse_box
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway
from partner_sdk.wire import problems
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, AdoptionPost
from partner_sdk.wire.canonical import parse_any_spelling
from partner_sdk.wire.items import ADOPTION_REQUEST
from partner_sdk.wire.replies import WaitingReply


@rule(login=Login.OPEN, limit="adoption", csrf=CsrfRule.SIGNED, body_bytes=MAX_ADOPTION_BODY_BYTES)
@describe(
    Call(
        group="The button",
        summary="Ask to show the button",
        purpose=(
            "Sends who you are and where the button would stand, in a box that only the agency opens. Needs no key and "
            "no invitation. A person there reads it and writes back; nothing is published, and nothing is agreed by "
            "this. The same box again is no fault."
        ),
        body=AdoptionPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The request is kept for the agency, which writes back.", WaitingReply),),
        problems=(
            problems.MALFORMED_ENVELOPE,
            problems.UNKNOWN_AGENCY_KEY,
            problems.CONFLICTING_MESSAGE,
            problems.NOT_READY,
            problems.ADOPTION_FULL,
        ),
    )
)
def post_adoption() -> Response:
    """Answer 202 once the request is stored. The same again is no fault; another box under the same id is."""
    gateway = get_gateway(current_app)
    post = parse_any_spelling(request.get_data(cache=False), kind=AdoptionPost, max_bytes=MAX_ADOPTION_BODY_BYTES)
    box = parse_box(gateway, ADOPTION_REQUEST, post.envelope)
    return keep_box(gateway, ADOPTION_REQUEST, address="", item_id=post.request_id, box=box)
