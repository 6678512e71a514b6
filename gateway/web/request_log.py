"""The id of each request, in every answer and log line, and one access log line for each answer.

Never taken from the caller: an outside id could carry text into the log. Separate from logs.py, so that a process
without an app does not load Flask.
"""

import time
import uuid

from flask import Flask, Response, g, request

from gateway.web.logs import describe_requests_by, log_event
from gateway.web.metrics import METER
from gateway.web.rules import find_current_rule

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
    """Give every request an id and a start time, and every response the id."""
    app.before_request(_begin)
    app.after_request(_add_header)


def _begin() -> None:
    g.request_started = time.monotonic()
    get_request_id()


def _add_header(response: Response) -> Response:
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
