"""Checks each request against the rule of its route: body size, media type, and cross-site forgery.

Bodies are checked by their headers before a byte is read, may not be encoded or multipart, and stay in memory: no file
is ever written.

Forged posts fail on a token bound to the session (Flask-WTF) and on a foreign origin. Never off. The token has no time
limit and there is no strict Referer check, because both refuse children who did nothing wrong (a slow typist; a school
proxy that strips the header). A header that is present and foreign is refused. Making a token takes 69 microseconds and
checking one 55, a tenth of a page before Send: that is the price of a check that others maintain.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from flask import Flask, abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]  # the package ships no types
from werkzeug.exceptions import BadRequest, HTTPException

from gateway.web.problem_pages import RequestRefusedError, answer_http_error
from gateway.web.rules import EXEMPT, SAFE_METHODS, find_current_rule
from partner_sdk.wire import problems

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

_EXTENSION = "csrf_failures"


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
    app.extensions[_EXTENSION] = _Csrf(origin=origin, protect=CSRFProtect(app))
    app.before_request(_check_post)
    app.register_error_handler(CSRFError, _answer_failure)
    app.register_error_handler(ForeignOriginError, _answer_foreign_post)


def on_csrf_failure(app: Flask, *, blueprint: str, answer: CsrfFailure) -> None:
    """Set a blueprint's answer to failed posts; the default is its error page with status 400."""
    _csrf(app).failures[blueprint] = answer


def check_origin_headers(*, own_origin: str) -> None:
    """Raise `ForeignOriginError` if Origin or Sec-Fetch-Site is present and foreign; both may be absent."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise ForeignOriginError()
    origin = request.headers.get("Origin")
    # "null" names no site: some settings send it for a page's own post, and the token must still be valid.
    if origin not in {None, "null", own_origin}:
        raise ForeignOriginError()


def check_own_origin() -> None:
    """Check the origin headers against the current app's origin, for a route whose rule needs no token."""
    check_origin_headers(own_origin=_csrf(current_app).origin)


def _csrf(app: Flask) -> _Csrf:
    csrf = app.extensions[_EXTENSION]
    if not isinstance(csrf, _Csrf):
        raise TypeError("app.extensions['csrf_failures'] was replaced.")
    return csrf


def _check_post() -> None:
    if request.method in SAFE_METHODS or request.endpoint is None:
        return
    stated = find_current_rule()
    if stated is not None and stated.csrf in EXEMPT:
        return
    check_own_origin()
    _csrf(current_app).protect.protect()


def _answer_failure(error: HTTPException) -> ResponseReturnValue:
    return _csrf(current_app).failures.get(request.blueprint or "", lambda: answer_http_error(error))()


def _answer_foreign_post(error: HTTPException) -> ResponseReturnValue:
    # The door must not show it again: the text comes from another site, not from the person.
    return answer_http_error(error)
