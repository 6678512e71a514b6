"""`GET /v1/keys`: the agency's signed key set, byte for byte as it was published."""

import hashlib

from flask import Response, current_app, request

from gateway.industry.caller import get_accepted_keys
from gateway.json_answer import answer_bytes
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
def get_keys() -> Response:
    """Answer anybody; the bundle proves itself against the pinned root. 304 for the tag of these very bytes."""
    bundle = get_accepted_keys(get_gateway(current_app)).bundle
    response = answer_bytes(bundle)
    response.set_etag(hashlib.sha256(bundle).hexdigest())
    response.make_conditional(request)
    return response
