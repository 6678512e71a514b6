"""The desk's only call for a program: the runner delivers the results of its checks.

Never shows anything: the finder of a lost token can add checks, but read nothing. Every refusal without a valid token
is the same, so it cannot be tested whether one exists.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.placements.checks import BY_RUNNER, take_checks
from gateway.desk.placements.runner import PostRate, is_runner_token
from gateway.desk.views.page import get_desk
from gateway.web.rules import CsrfRule, Login, RequestRefusedError, check_own_origin, make_problem_response, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.button import MAX_CHECKS_BODY_BYTES

PATH: Final = "/placement-checks"
LIMIT: Final = "placement-checks"
_SCHEME: Final = "Bearer "
_EXTENSION: Final = "placement_post_rates"

blueprint = Blueprint("placement_checks", __name__)


@dataclass(frozen=True, slots=True)
class _PostRates:
    """Two counters: callers without a token use up none of the runner's allowance."""

    taken: PostRate = field(default_factory=PostRate)
    refused: PostRate = field(default_factory=PostRate)


def bind_post_rate(app: Flask) -> None:
    """Give an app its counters of posts."""
    app.extensions[_EXTENSION] = _PostRates()


@blueprint.post(PATH)
@rule(login=Login.RUNNER, limit=LIMIT, csrf=CsrfRule.BEARER, body_bytes=MAX_CHECKS_BODY_BYTES, surface="api")
def post_checks() -> ResponseReturnValue:
    """Take in checks: 204 for new ones, for repeated ones, and for those of pages that were never agreed."""
    desk = get_desk()
    # Another site's page may make a desk browser post here: it has no token, and is not counted.
    check_own_origin()
    header, rates = request.headers.get("Authorization", ""), _get_rates()
    # Callers without a token are counted apart, and cannot use up the runner's allowance.
    is_runner = header.startswith(_SCHEME) and is_runner_token(desk, header.removeprefix(_SCHEME))
    seconds = (rates.taken if is_runner else rates.refused).take(desk.clock())
    if seconds:
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=seconds)
    if not is_runner:
        return _refuse()
    try:
        take_checks(desk, request.get_data(cache=False), channel=BY_RUNNER, actor=BY_THE_DESK)
    except FormatError as error:
        is_spelling = error.reason == "not-canonical"
        raise RequestRefusedError(problems.NOT_CANONICAL if is_spelling else problems.MALFORMED_REQUEST) from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _refuse() -> Response:
    response = make_problem_response(
        problems.NOT_AUTHORISED, detail="This call needs the runner's token: make one with `placement runner-token`."
    )
    response.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750 §3
    return response


def _get_rates() -> _PostRates:
    rates = current_app.extensions[_EXTENSION]
    if not isinstance(rates, _PostRates):
        raise TypeError("app.extensions['placement_post_rates'] was replaced.")
    return rates
