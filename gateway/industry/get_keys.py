"""`GET /v1/keys`: the agency's signed key set, byte for byte as it was published."""

import hashlib
from http import HTTPStatus

from flask import Response, current_app, request

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_accepted_keys
from gateway.json_answer import answer_bytes
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway
from partner_sdk.wire import problems
from partner_sdk.wire.keys import KeySetBundle


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the agency's keys",
        purpose=(
            "The signed key set, byte for byte as the agency published it. Check it against the root that you pinned "
            "before you seal to a key of it."
        ),
        answers=(
            Answer(HTTPStatus.OK, "The chain from the root to the key set.", KeySetBundle, has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "It is still the one that you hold."),
        ),
        problems=(problems.NOT_READY,),
    )
)
def get_keys() -> Response:
    """Answer anybody; the bundle proves itself against the pinned root. 304 for the tag of these very bytes."""
    bundle = get_accepted_keys(get_gateway(current_app)).bundle
    response = answer_bytes(bundle)
    response.set_etag(hashlib.sha256(bundle).hexdigest())
    response.make_conditional(request)
    return response
