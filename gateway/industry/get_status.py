"""`GET /v1/status`: which environment this is; to a signed caller also who it is taken for."""

from http import HTTPStatus

from flask import Response, current_app

from gateway.description.call import Answer, Call, describe
from gateway.industry.caller import get_caller
from gateway.json_answer import answer_json
from gateway.signed_request import has_signature
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway
from partner_sdk.wire.replies import ServiceCaller, ServiceStatus


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="See which gateway this is, and whom it takes you for",
        purpose="Use it to look at a new set-up. Signed, it also names the partner and the key that it knows you by.",
        answers=(Answer(HTTPStatus.OK, "The state of the service.", ServiceStatus),),
        may_be_signed=True,
    )
)
def get_status() -> Response:
    """Answer anybody; a signature that is there must hold."""
    gateway = get_gateway(current_app)
    caller = None
    if has_signature():
        entry = get_caller().entry
        caller = ServiceCaller(environment=entry.environment, key_id=entry.key_id, partner=entry.partner)
    is_ready = gateway.key_state.find_keys() is not None
    return answer_json(ServiceStatus(caller=caller, environment=gateway.config.environment, ready=is_ready))
