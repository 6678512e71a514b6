"""The rule of each route, the checks of a request against it, the id and log line of each, and the pages of refusals.

An app with a route without a rule does not start. Bodies are checked by their headers before a byte is read, may not be
encoded or multipart, and stay in memory. Forged posts fail on a token bound to the session (Flask-WTF, 55 microseconds)
and on a foreign origin. The token has no time limit and there is no strict Referer check, because both refuse children
who did nothing wrong (a slow typist; a school proxy that strips the header).

A refusal is a problem document (RFC 9457) under the API prefixes and where a page's script asks (the surface "api"), a
page of the door elsewhere. Handlers are registered
on the app, because a blueprint's miss 404 and 405. Never echoes input, and never takes a request's id from the caller.
logs.py stands apart, so that a process without an app does not load Flask.
"""

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

from flask import Blueprint, Flask, Response, abort, current_app, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]  # the package ships no types
from werkzeug.exceptions import BadRequest, HTTPException

from gateway.web.logs import METER, describe_requests_by, log_event, log_failure
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import NOT_A_REPORT, Problem
from partner_sdk.wire.signing import Environment

ENVIRONMENT_HEADER: Final = "Report-Abuse-Environment"


def format_environment(environment: Environment) -> str:
    """Return the value of the header: `live`, or `sandbox; NOT A REPORT`."""
    return environment if environment == "live" else f"{environment}; {NOT_A_REPORT}"


View = TypeVar("View", bound=Callable[..., Any])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
NO_LIMIT = "none"

_ATTRIBUTE = "route_rule"
_ENVIRON_KEY = "report_abuse.route_rule"


class Login(Enum):
    """The callers of a route."""

    OPEN = "anyone"
    PARTNER = "a partner, by a signed request"
    DESK = "the desk, by a signed request"
    STAFF = "a member of the desk's staff, by a session"
    RUNNER = "the runner of button checks, by a bearer token"


class CsrfRule(Enum):
    """A route's protection against forged posts."""

    NO_POST = "none needed: only safe methods"
    TOKEN = "a token bound to the session, and no foreign origin"  # noqa: S105 - a description, not a secret
    OWN_ORIGIN = "no foreign origin, and JSON, which no form can declare: this call gives a page its token"
    SIGNED = "exempt: no cookie is read, each request is signed or sealed by its sender"
    BEARER = "exempt: no cookie is read, each request has a secret in a header that no browser adds by itself"


# A forged post achieves nothing here that its maker could not do without the browser: no cookie is read, and the body
# must be JSON, which a form cannot declare (415) and a script of another origin may not send. Signed requests and
# bearer tokens also need a secret that no browser adds.
EXEMPT = frozenset({CsrfRule.SIGNED, CsrfRule.BEARER})


class BodyRoom(Enum):
    """The memory in which the bodies of a route are buffered; each room fills on its own."""

    FORMS = "forms: room for people, however much machines send"
    REPORTS = "reports and lists, small and large ones apart"
    PARTS = "parts of files, which use at most half of the threads"


@dataclass(frozen=True, slots=True)
class BodyTerms:
    """A route's limits on a body before it is read: the most bytes, and the room."""

    ceiling: int
    room: BodyRoom


NO_BODY = BodyTerms(ceiling=0, room=BodyRoom.REPORTS)


class RouteRuleError(Exception):
    """A route has no rule, or a contradictory one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """The rule of one route; put it as a decorator on the view, below the route's decorator.

    `limit` names a row of the app's limits, or `none`; `surface` picks the headers. `other_limits` names rows that may
    count a request instead, depending on its body. `body_room` names the room for its bodies. `log_word` replaces the
    route in the log where the path would reveal an answer. `permissions` are those of staff, one of which is enough;
    others have none. `needs_step_up` asks for a fresh step-up of a passkey.
    """

    login: Login
    limit: str
    csrf: CsrfRule
    body_bytes: int
    body_room: BodyRoom = BodyRoom.REPORTS
    media_type: str = ""
    surface: str = ""
    log_word: str = ""
    other_limits: tuple[str, ...] = ()
    permissions: tuple[Enum, ...] = ()
    needs_step_up: bool = False

    def __call__(self, view: View) -> View:
        """Attach this rule to a view function."""
        setattr(view, _ATTRIBUTE, self)
        return view

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of all limits that may count a request, the usual one first."""
        return (self.limit, *self.other_limits)

    @property
    def room(self) -> BodyRoom:
        """The room of its bodies: forms if a page of ours posts it."""
        return BodyRoom.FORMS if self.csrf in {CsrfRule.TOKEN, CsrfRule.OWN_ORIGIN} else self.body_room

    @property
    def body_media_type(self) -> str:
        """The media type of a body: a form if a token is required, JSON if the request is signed."""
        if self.media_type:
            return self.media_type
        return "application/x-www-form-urlencoded" if self.csrf is CsrfRule.TOKEN else "application/json"


rule = RouteRule  # reads well as a decorator


def find_rule(app: Flask, endpoint: str | None) -> RouteRule | None:
    """Return the rule of an endpoint, or None if the endpoint is unknown or has none."""
    if endpoint is None:
        return None
    stated = getattr(app.view_functions.get(endpoint), _ATTRIBUTE, None)
    return stated if isinstance(stated, RouteRule) else None


def find_current_rule() -> RouteRule | None:
    """Return the rule of the current request, or None if it matched no route; half a dozen hooks ask for it."""
    environ = request.environ
    if _ENVIRON_KEY not in environ:
        environ[_ENVIRON_KEY] = find_rule(current_app, request.endpoint)
    return environ[_ENVIRON_KEY]  # type: ignore[no-any-return]  # an environ holds anything


def get_body_terms(app: Flask, *, method: str, path: str) -> BodyTerms:
    """Return the terms for the body of a request; `NO_BODY` if no route with a rule accepts one."""
    if method in SAFE_METHODS:
        return NO_BODY
    try:
        endpoint, _values = app.url_map.bind("").match(path, method=method)
    except HTTPException:
        return NO_BODY
    stated = find_rule(app, endpoint)
    return NO_BODY if stated is None else BodyTerms(ceiling=stated.body_bytes, room=stated.room)


def list_fixed_terms(app: Flask) -> Mapping[tuple[str, str], BodyTerms]:
    """List the terms of every route whose path has no variable part, by method and path: the loop need not match it."""
    return {
        (method, route.rule): BodyTerms(ceiling=stated.body_bytes, room=stated.room)
        for route in app.url_map.iter_rules()
        if "<" not in route.rule and (stated := find_rule(app, route.endpoint)) is not None
        for method in (route.methods or set()) - SAFE_METHODS
    }


def check_every_route_has_a_rule(app: Flask, *, limits: Collection[str]) -> None:
    """Raise `RouteRuleError` naming every route without a sound rule; `limits` are the names of the app's limits."""
    faults = []
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        methods = (route.methods or set()) - SAFE_METHODS
        if stated is None:
            faults.append(f"{route.rule} ({route.endpoint}) has no rule")
            continue
        faults += [f"{route.rule} ({route.endpoint}) {fault}" for fault in _faults(stated, has_post=bool(methods))]
        if any(name != NO_LIMIT and name not in limits for name in stated.limits):
            faults.append(f"{route.rule} ({route.endpoint}) names an unknown limit")
        if route.rule != "/" and route.rule.endswith("/"):
            # Werkzeug would redirect the path without it to an address built from the Host header.
            faults.append(f"{route.rule} ({route.endpoint}) ends in a slash")
    if faults:
        raise RouteRuleError("; ".join(sorted(faults)))


def _faults(stated: RouteRule, *, has_post: bool) -> list[str]:
    faults = []
    if has_post and stated.csrf is CsrfRule.NO_POST:
        faults.append("accepts unsafe methods but has no rule against forged posts")
    if has_post and stated.body_bytes < 1:
        faults.append("accepts unsafe methods but has no body limit above 0")
    if not has_post and stated.csrf is not CsrfRule.NO_POST:
        faults.append("accepts only safe methods but has a rule for posts")
    if not has_post and stated.body_bytes:
        faults.append("accepts only safe methods but allows a body")
    if not has_post and stated.body_room is not BodyRoom.REPORTS:
        faults.append("accepts only safe methods but names a room for bodies")
    if (stated.login is Login.STAFF) is not bool(stated.permissions):
        faults.append("is for staff without a permission, or names one for others")
    if stated.csrf is CsrfRule.OWN_ORIGIN and stated.body_media_type != "application/json":
        faults.append("needs no token, but takes a body that a form of another site can send")
    if stated.login is Login.STAFF and stated.csrf in {*EXEMPT, CsrfRule.OWN_ORIGIN}:
        faults.append("trusts a session but is exempt from the token")
    if (stated.login is Login.RUNNER) is not (stated.csrf is CsrfRule.BEARER):
        faults.append("requires a bearer token in only one of login and csrf")
    return faults


REQUEST_ID_HEADER = "X-Request-Id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def get_request_id() -> str:
    """Return this request's id, made on first use."""
    found: str | None = g.get("request_id")
    if found is None:
        found = g.request_id = str(uuid.uuid4())
    return found


def get_elapsed_milliseconds() -> int:
    """Return the milliseconds since the request arrived, or 0 if unknown."""
    started = g.get("request_started")
    return 0 if started is None else int((time.monotonic() - started) * 1000)


def apply_request_ids(app: Flask) -> None:
    """Give every request an id and a start time, and every response the id, but for files that caches keep."""
    app.before_request(_begin)
    app.after_request(_add_header)


def _begin() -> None:
    g.request_started = time.monotonic()
    get_request_id()


def _add_header(response: Response) -> Response:
    if not response.cache_control.immutable:  # a file that caches keep for a year
        response.headers[REQUEST_ID_HEADER] = get_request_id()
    return response


def apply_access_log(app: Flask) -> None:
    """Log one line for each answer, and add the request to each failure logged in this process.

    Safe with two apps in one process: it asks Flask for the current request and app.
    """
    app.after_request(_log_answer)
    describe_requests_by(_describe_request)


def _log_answer(response: Response) -> Response:
    METER.count("requests", _route(), f"{response.status_code // 100}xx")
    METER.observe("request_seconds", get_elapsed_milliseconds() / 1000)
    log_event(
        "request",
        method=request.method if request.method in _METHODS else "OTHER",
        route=_route(),
        status=response.status_code,
        duration_ms=get_elapsed_milliseconds(),
        request_id=get_request_id(),
    )
    return response


def _describe_request() -> dict[str, str]:
    return {"request_id": get_request_id(), "route": _route()} if request else {}


def _route() -> str:
    if request.url_rule is None:
        return "unmatched"
    stated = find_current_rule()
    return (stated.log_word if stated is not None else "") or request.url_rule.rule


API_PREFIXES = ("/v1", "/feed")

_PAGES_EXTENSION = "problem_pages"
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

    def is_api_request(self) -> bool:
        """Return whether the caller of this request is a program: by its path, or by the surface of its route."""
        stated = find_current_rule()
        if stated is not None and stated.surface == "api":
            return True
        return any(request.path == prefix or request.path.startswith(f"{prefix}/") for prefix in self.api_prefixes)


def register_problems(
    app: Flask, *, origin: str, html_error: HtmlError, api_prefixes: Sequence[str] = API_PREFIXES
) -> None:
    """Answer every error of `app` and serve one page for each problem type."""
    app.extensions[_PAGES_EXTENSION] = _ProblemPages(origin=origin, api_prefixes=api_prefixes, html_error=html_error)
    app.register_blueprint(blueprint)
    app.register_error_handler(RequestRefusedError, answer_refusal)
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
    document = make_document(
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
    pages: _ProblemPages = app.extensions[_PAGES_EXTENSION]
    return pages


def answer_refusal(error: RequestRefusedError) -> ResponseReturnValue:
    """Answer a refusal as this path does: problem document or page."""
    if _pages(current_app).is_api_request():
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
    if not _pages(current_app).is_api_request():
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
    return answer_refusal(RequestRefusedError(problems.INTERNAL_ERROR))


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


FORM: Final = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS: Final = 200  # the largest page has about 40
REFUSED: Final = "report_abuse.refused"
"""Environ key: the status with which the server refuses this request: 400, 408, 431 or 503."""


def apply_body_limits(app: Flask) -> None:
    """Check every request against the body rule of its route; without a route no body is allowed."""
    # Flask's own ceiling, for bodies read outside a route.
    app.config["MAX_CONTENT_LENGTH"] = 0
    app.config["MAX_FORM_MEMORY_SIZE"] = 0
    app.before_request(_check_body)


def _check_body() -> None:
    environ = request.environ
    refused = environ.get(REFUSED)
    if refused == HTTPStatus.SERVICE_UNAVAILABLE:
        raise RequestRefusedError(problems.STORAGE_UNAVAILABLE)
    if refused is not None:
        abort(refused)
    stated = find_current_rule()
    if stated is None:
        return
    length = request.content_length
    if request.method in SAFE_METHODS:
        if length or "HTTP_TRANSFER_ENCODING" in environ:
            raise RequestRefusedError(problems.BODY_NOT_ALLOWED)
        return
    # Werkzeug enforces these while it reads.
    request.max_content_length = request.max_form_memory_size = stated.body_bytes
    if "HTTP_TRANSFER_ENCODING" in environ:
        # Werkzeug silently cuts a body without a length at the limit: half a story would look whole.
        abort(HTTPStatus.LENGTH_REQUIRED)
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise RequestRefusedError(problems.UNSUPPORTED_MEDIA_TYPE)
    if length is not None and length > stated.body_bytes:
        raise RequestRefusedError(problems.BODY_TOO_LARGE)
    _check_media_type(stated.body_media_type)
    if stated.body_media_type == FORM:
        _check_fields()


def _check_media_type(wanted: str) -> None:
    # Nearly every request has exactly this value, and needs no parsing.
    if request.environ.get("CONTENT_TYPE") == wanted:
        return
    if (request.content_length or request.mimetype) and request.mimetype != wanted:
        raise RequestRefusedError(problems.UNSUPPORTED_MEDIA_TYPE)


def _check_fields() -> None:
    """Count a form's fields before parsing: 254 KiB of `a=&` are 87,000 fields, each of them an object."""
    if request.get_data().count(b"&") >= MAX_FORM_FIELDS:
        raise RequestRefusedError(problems.BODY_TOO_LARGE)


CsrfFailure = Callable[[], ResponseReturnValue]
"""Answers a post without a valid token; the public door shows the page again with its text and a new token."""

_CSRF_EXTENSION = "csrf_failures"


class ForeignOriginError(BadRequest):
    """The browser reported that another site made this post."""

    description = "The post came from another site."


class _Csrf:
    """The check of one app; kept in `app.extensions`."""

    def __init__(self, *, origin: str, protect: CSRFProtect) -> None:
        self.origin = origin
        self.protect = protect
        self.failures: dict[str, CsrfFailure] = {}


def apply_csrf(app: Flask, *, origin: str) -> None:
    """Check every unsafe request of `app` unless its route's rule exempts it; `origin` is the app's own."""
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.config["WTF_CSRF_SSL_STRICT"] = False
    # `_check_post` runs the check by the route's rule; Flask-WTF's own hook knows only its own exemptions.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.extensions[_CSRF_EXTENSION] = _Csrf(origin=origin, protect=CSRFProtect(app))
    app.before_request(_check_post)
    app.register_error_handler(CSRFError, _answer_csrf_failure)
    # The door must not show it again: the text comes from another site, not from the person.
    app.register_error_handler(ForeignOriginError, answer_http_error)


def on_csrf_failure(app: Flask, *, blueprint: str, answer: CsrfFailure) -> None:
    """Set a blueprint's answer to failed posts; the default is its error page with status 400."""
    _csrf(app).failures[blueprint] = answer


def check_own_origin() -> None:
    """Raise `ForeignOriginError` if Origin or Sec-Fetch-Site is present and foreign; both may be absent."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise ForeignOriginError()
    origin = request.headers.get("Origin")
    # "null" names no site: some settings send it for a page's own post, and the token must still be valid.
    if origin not in {None, "null", _csrf(current_app).origin}:
        raise ForeignOriginError()


def _csrf(app: Flask) -> _Csrf:
    csrf: _Csrf = app.extensions[_CSRF_EXTENSION]
    return csrf


def _check_post() -> None:
    if request.method in SAFE_METHODS or request.endpoint is None:
        return
    stated = find_current_rule()
    if stated is not None and stated.csrf in EXEMPT:
        return
    check_own_origin()
    if stated is None or stated.csrf is not CsrfRule.OWN_ORIGIN:
        _csrf(current_app).protect.protect()


def _answer_csrf_failure(error: HTTPException) -> ResponseReturnValue:
    if _pages(current_app).is_api_request():
        return answer_http_error(error)
    return _csrf(current_app).failures.get(request.blueprint or "", lambda: answer_http_error(error))()


def make_document(
    problem: Problem, *, origin: str, request_id: str, detail: str | None = None, faults: Sequence[FieldFault] = ()
) -> dict[str, object]:
    """Return the problem document; `detail` replaces the advice and must be a fixed text of ours."""
    document: dict[str, object] = {
        "type": f"{origin}/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.advice if detail is None else detail,
        "instance": f"urn:uuid:{request_id}",
    }
    if faults:
        document["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
    return document
