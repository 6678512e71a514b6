"""Writes one line of the log for each answer, and says of a failure in which request it was.

Apart from logs.py, which every process uses: one that serves no app loads no Flask.
"""

from flask import Flask, Response, current_app, request

from gateway.web.logs import describe_requests_by, log_event
from gateway.web.request_id import get_elapsed_milliseconds, get_request_id
from gateway.web.rules import find_current_rule

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def apply_access_log(app: Flask) -> None:
    """Write one line for each answer, and name the request in each failure of this process.

    Two apps in one process say the same of a failure: what describes it asks Flask for the current request and app.
    """
    app.after_request(_log_answer)
    describe_requests_by(_describe_request)


def _log_answer(response: Response) -> Response:
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
    stated = find_current_rule(current_app)
    return (stated.log_word if stated is not None else "") or request.url_rule.rule
