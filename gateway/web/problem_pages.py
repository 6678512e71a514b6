"""Answers errors: a problem document (RFC 9457) under the API prefixes, a page of the door elsewhere.

Handlers are registered on the app and split by path, because a blueprint's handlers miss 404 and 405. Never echoes
input.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NoReturn

from flask import Blueprint, Flask, Response, abort, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from gateway.web.logs import log_failure
from gateway.web.request_log import get_request_id
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import Problem

API_PREFIXES = ("/v1", "/feed")

_EXTENSION = "problem_pages"
_BY_STATUS = {
    400: problems.MALFORMED_REQUEST,
    401: problems.NOT_AUTHORISED,
    404: problems.NOT_FOUND,
    405: problems.METHOD_NOT_ALLOWED,
    413: problems.BODY_TOO_LARGE,
    415: problems.UNSUPPORTED_MEDIA_TYPE,
    429: problems.RATE_LIMITED,
}

HtmlError = Callable[[int, str], ResponseReturnValue]
"""Renders the error page of a door for a status and a request id."""
ProblemPage = Callable[[Problem], ResponseReturnValue]
"""Renders the page of a problem type in the look of a door."""

blueprint = Blueprint("problems", __name__, template_folder="templates")


class RequestRefusedError(Exception):
    """A request is answered with a row of the problem table; `detail` must be a fixed text of ours."""

    def __init__(
        self,
        problem: Problem,
        *,
        detail: str | None = None,
        faults: Sequence[FieldFault] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem.slug)
        self.problem = problem
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds
        self.headers = dict(headers or {})


class _ProblemPages:
    """The settings of one app's handlers; kept in `app.extensions`."""

    def __init__(self, *, origin: str, api_prefixes: Sequence[str], html_error: HtmlError) -> None:
        self.origin = origin
        self.api_prefixes = tuple(prefix.rstrip("/") for prefix in api_prefixes)
        self.html_error = html_error
        self.problem_page: ProblemPage = _render_plainly

    def is_api_path(self, path: str) -> bool:
        """Return whether a path belongs to an API."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.api_prefixes)


def register_problems(
    app: Flask, *, origin: str, html_error: HtmlError, api_prefixes: Sequence[str] = API_PREFIXES
) -> None:
    """Answer every error of `app` and serve one page for each problem type."""
    app.extensions[_EXTENSION] = _ProblemPages(origin=origin, api_prefixes=api_prefixes, html_error=html_error)
    app.register_blueprint(blueprint)
    app.register_error_handler(RequestRefusedError, _answer_refusal)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, _answer_failure)


def use_html_error(app: Flask, html_error: HtmlError) -> None:
    """Set the renderer of error pages outside the API prefixes; a door calls it when it registers itself."""
    _pages(app).html_error = html_error


def use_problem_page(app: Flask, problem_page: ProblemPage) -> None:
    """Set the renderer of the pages of problem types; a door calls it when it registers itself."""
    _pages(app).problem_page = problem_page


def make_problem_response(
    problem: Problem,
    *,
    detail: str | None = None,
    faults: Sequence[FieldFault] = (),
    retry_after_seconds: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the problem document of this request, with Retry-After if the table or the caller gives seconds."""
    document = problems.make_document(
        problem, origin=_pages(current_app).origin, request_id=get_request_id(), detail=detail, faults=faults
    )
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A server error reveals only its title and request id.
        document.pop("detail", None)
    response = Response(encode(document), status=problem.status, content_type=problems.MEDIA_TYPE)
    seconds = problem.retry_after_seconds if retry_after_seconds is None else retry_after_seconds
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §15.5.2 requires a challenge; ours is the profile of WIRE.md §7, the same for every cause.
        response.headers["WWW-Authenticate"] = 'Signature tag="report-abuse"'
    response.headers.extend(headers or {})
    return response


@blueprint.get("/problems/<slug>")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def show_problem(slug: str) -> ResponseReturnValue:
    """Show the page of one problem type."""
    problem = problems.find_problem(slug)
    if problem is None or problem.slug != slug:
        not_found()
    return _pages(current_app).problem_page(problem)


def _render_plainly(problem: Problem) -> ResponseReturnValue:
    return render_template("web/problem.html", problem=problem)


def not_found() -> NoReturn:
    """Answer 404 as this path does: problem document or page."""
    abort(HTTPStatus.NOT_FOUND)


def _pages(app: Flask) -> _ProblemPages:
    pages = app.extensions[_EXTENSION]
    if not isinstance(pages, _ProblemPages):
        raise TypeError("app.extensions['problem_pages'] was replaced.")
    return pages


def _answer_refusal(error: RequestRefusedError) -> ResponseReturnValue:
    if _pages(current_app).is_api_path(request.path):
        return make_problem_response(
            error.problem,
            detail=error.detail,
            faults=error.faults,
            retry_after_seconds=error.retry_after_seconds,
            headers=error.headers,
        )
    return _html(error.problem.status, retry_after_seconds=error.problem.retry_after_seconds)


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
    """Answer an HTTP error as this path does: problem document or page."""
    status = error.code
    if status is None or status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    if not _pages(current_app).is_api_path(request.path):
        response = _html(status)
    elif status in _BY_STATUS:
        response = make_problem_response(_BY_STATUS[status])
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response = make_problem_response(problems.INTERNAL_ERROR)
    else:
        response = _make_blank_problem(status)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = error.get_response().headers.get("Allow")
        if allow:
            response.headers["Allow"] = allow
    return response


def _answer_failure(error: Exception) -> ResponseReturnValue:
    log_failure(error)
    return _answer_refusal(RequestRefusedError(problems.INTERNAL_ERROR))


def _html(status: int, *, retry_after_seconds: int | None = None) -> Response:
    try:
        response = make_response(_pages(current_app).html_error(status, get_request_id()))
    except Exception as error:  # noqa: BLE001 - an error page that fails must still be answered
        log_failure(error, event="error-page-failed")
        response = Response(f"{status}. {get_request_id()}", content_type="text/plain; charset=utf-8")
    response.status_code = status
    if retry_after_seconds is not None:
        response.headers["Retry-After"] = str(retry_after_seconds)
    return response


def _make_blank_problem(status: int) -> Response:
    # RFC 9457 §4.2.1: about:blank adds nothing to the status.
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Refused"
    document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "instance": f"urn:uuid:{get_request_id()}",
    }
    return Response(encode(document), status=status, content_type=problems.MEDIA_TYPE)
