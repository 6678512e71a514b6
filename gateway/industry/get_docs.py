"""`GET /v1/docs`: the calls of this door for people, one page made on the server. It runs no script."""

from http import HTTPStatus

from flask import Response, current_app

from gateway.description.call import Answer, Call, describe
from gateway.industry.described import get_description
from gateway.web.rules import CsrfRule, Login, rule

HTML = "text/html; charset=utf-8"


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="page")
@describe(
    Call(
        group="Description",
        summary="Read this description",
        purpose="The same for people: one page, without a script and without anything from elsewhere.",
        answers=(Answer(HTTPStatus.OK, "The page.", str, media_type="text/html"),),
    )
)
def get_docs() -> Response:
    """Answer anybody."""
    return Response(get_description(current_app).page, content_type=HTML)
