"""`GET /v1/openapi.json`: the calls of this door for machines, made from the code of the calls themselves."""

from http import HTTPStatus

from flask import Response, current_app

from gateway.description.call import Answer, Call, describe
from gateway.industry.described import answer_kept, get_description
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.wire.signature_profile import CONTENT_TYPE


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
@describe(
    Call(
        group="Description",
        summary="Fetch this description for machines",
        purpose="The OpenAPI 3.1 document of every call below /v1.",
        answers=(
            Answer(HTTPStatus.OK, "The document.", dict, has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "It is still the one that you hold."),
        ),
    )
)
def get_openapi() -> Response:
    """Answer anybody."""
    return answer_kept(get_description(current_app).raw, content_type=CONTENT_TYPE)
