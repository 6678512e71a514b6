"""The body of a request: how large, in which media type, and never encoded or multipart.

Judged by headers and the route's rule before anything reads a byte. Bodies stay in memory: no file is ever written.
"""

from http import HTTPStatus
from typing import Final

from flask import Flask, abort, current_app, request

from gateway.web.problem_pages import RequestRefusedError
from gateway.web.rules import SAFE_METHODS, find_current_rule
from partner_sdk.wire import problems

FORM: Final = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS: Final = 200  # the largest page has some 40
REFUSED: Final = "report_abuse.refused"
"""In the environ: the status with which the server refuses this request; 400, 408, 431 or 503."""


def apply_body_limits(app: Flask) -> None:
    """Hold every request to the body rule of its route; a request without a route may not send one at all."""
    # Flask's own ceiling for whatever reads a body outside a route.
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
    stated = find_current_rule(current_app)
    if stated is None:
        return
    is_safe = request.method in SAFE_METHODS
    limit = 0 if is_safe else stated.body_bytes
    # Werkzeug holds to these while it reads.
    request.max_content_length = limit
    request.max_form_memory_size = limit
    if is_safe:
        if request.content_length or "HTTP_TRANSFER_ENCODING" in environ:
            raise RequestRefusedError(problems.BODY_NOT_ALLOWED)
        return
    if "HTTP_TRANSFER_ENCODING" in environ:
        # Werkzeug cuts a body without a length at the limit, and says nothing: half a story would look whole.
        abort(HTTPStatus.LENGTH_REQUIRED)
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise RequestRefusedError(problems.UNSUPPORTED_MEDIA_TYPE)
    if request.content_length is not None and request.content_length > limit:
        raise RequestRefusedError(problems.BODY_TOO_LARGE)
    _check_media_type(stated.body_media_type)
    if stated.body_media_type == FORM:
        _check_fields()


def _check_media_type(wanted: str) -> None:
    # Nearly every request names the very words, and needs no parsing.
    if request.environ.get("CONTENT_TYPE") == wanted:
        return
    if (request.content_length or request.mimetype) and request.mimetype != wanted:
        raise RequestRefusedError(problems.UNSUPPORTED_MEDIA_TYPE)


def _check_fields() -> None:
    """Count a form's fields before anything is parsed: 254 KiB of `a=&` are 87,000 of them, and each is an object."""
    if request.get_data().count(b"&") >= MAX_FORM_FIELDS:
        raise RequestRefusedError(problems.BODY_TOO_LARGE)
