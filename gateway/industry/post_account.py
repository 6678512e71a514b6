"""`POST /v1/account`: keeps one sealed change of the caller's own account until the desk collects it.

Never reads the change, and changes nothing by itself: only the register that the agency signs does.
"""

from http import HTTPStatus

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.industry.sealed_items import keep_box, parse_box
from gateway.signed_request import read_signed_body
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire import problems
from partner_sdk.wire.account import MAX_ACCOUNT_BODY_BYTES, AccountPost
from partner_sdk.wire.canonical import parse_any_spelling
from partner_sdk.wire.items import ACCOUNT_CHANGE
from partner_sdk.wire.replies import WaitingReply


@rule(login=Login.PARTNER, limit="partner-account", csrf=CsrfRule.SIGNED, body_bytes=MAX_ACCOUNT_BODY_BYTES)
@describe(
    Call(
        group="Account",
        summary="Send a change of your account",
        purpose=(
            "New keys, or who is responsible at your service, in a box that only the agency opens. A person there "
            "decides; nothing changes before the agency has signed a new register."
        ),
        body=AccountPost,
        answers=(Answer(HTTPStatus.ACCEPTED, "The change is kept for the agency, which decides.", WaitingReply),),
        problems=(problems.MALFORMED_ENVELOPE, problems.UNKNOWN_AGENCY_KEY, problems.CONFLICTING_MESSAGE),
    )
)
def post_account() -> Response:
    """Answer 202 once the change is stored. The same again is no fault; another one under the same id is."""
    caller = get_caller()
    post = parse_any_spelling(read_signed_body(caller.claim), kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
    caller.gateway.limits.check("partner-account", subject=caller.partner)
    box = parse_box(caller.gateway, ACCOUNT_CHANGE, post.envelope)
    return keep_box(caller.gateway, ACCOUNT_CHANGE, address=caller.partner, item_id=post.change_id, box=box)
