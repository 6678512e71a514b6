"""The id of each request: in every answer and every log line, so that one can be found by the other.

Never taken from the caller: an id from outside could carry words into the log.
"""

import time
import uuid

from flask import Flask, Response, g

REQUEST_ID_HEADER = "X-Request-Id"


def get_request_id() -> str:
    """Return this request's id, made on first use."""
    found: str | None = g.get("request_id")
    if found is None:
        found = g.request_id = str(uuid.uuid4())
    return found


def get_elapsed_milliseconds() -> int:
    """Return whole milliseconds since the request came in, or 0 when that is not known."""
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
