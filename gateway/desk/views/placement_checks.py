"""The one call of the desk for a program: the runner hands in what its checks of the buttons found.

Never shows anything: a token that is lost lets its finder add checks, and read nothing. Every refusal for want of a
token is the same, so nobody can find out whether there is one.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from gateway.desk.placements.checks import take_checks
from gateway.desk.placements.post_rate import PostRate
from gateway.desk.placements.runner import is_runner_token
from gateway.desk.views.context import get_desk
from gateway.web.problem_pages import RequestRefusedError, make_problem_response
from gateway.web.rules import CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.button_check import MAX_CHECKS_BODY_BYTES

PATH: Final = "/placement-checks"
LIMIT: Final = "placement-checks"
_ACTOR: Final = "runner"
_SCHEME: Final = "Bearer "
_EXTENSION: Final = "placement_post_rate"

blueprint = Blueprint("placement_checks", __name__)


def bind_post_rate(app: Flask) -> None:
    """Give an app its count of posts."""
    app.extensions[_EXTENSION] = PostRate()


@blueprint.post(PATH)
@rule(login=Login.RUNNER, limit=LIMIT, csrf=CsrfRule.BEARER, body_bytes=MAX_CHECKS_BODY_BYTES, surface="api")
def post_checks() -> ResponseReturnValue:
    """Take in checks: 204 for new ones, for the same again, and for those of pages that nobody agreed."""
    desk = get_desk()
    seconds = _get_rate().take(desk.clock())
    if seconds:
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=seconds)
    header = request.headers.get("Authorization", "")
    if not header.startswith(_SCHEME) or not is_runner_token(desk, header.removeprefix(_SCHEME)):
        return _refuse()
    try:
        take_checks(desk, request.get_data(cache=False), channel="runner", actor=_ACTOR)
    except FormatError as error:
        is_spelling = error.reason == "not-canonical"
        raise RequestRefusedError(problems.NOT_CANONICAL if is_spelling else problems.MALFORMED_REQUEST) from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _refuse() -> Response:
    response = make_problem_response(
        problems.NOT_AUTHORISED, detail="This call asks for the token of the runner: `placement runner-token` makes it."
    )
    response.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750 §3
    return response


def _get_rate() -> PostRate:
    rate = current_app.extensions[_EXTENSION]
    if not isinstance(rate, PostRate):
        raise TypeError("app.extensions['placement_post_rate'] was replaced.")
    return rate
