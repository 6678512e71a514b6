"""Scenarios for the next requests: faults that a test puts in the way with `Sandbox.next_requests`.

A real gateway, or the network, does each of these now and then. Nothing here waits: a time-out is reported at once.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import requests

from gateway.testing.transport import make_response
from gateway.web.rules import ENVIRONMENT_HEADER, format_environment, make_document
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.problems import MEDIA_TYPE, Problem

Handle = Callable[[requests.PreparedRequest], requests.Response]
"""Handles a request as if nothing were wrong."""

REPORTS: Final = "/v1/reports"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault. `path` is the call that it hits, e.g. `/v1/reports`, or `/v1/evidence/*` for all below; None: any."""

    name: str
    play: Callable[[requests.PreparedRequest, Handle], requests.Response]
    path: str | None = None

    def matches(self, request: requests.PreparedRequest) -> bool:
        """Return whether the scenario hits this request."""
        path = urlsplit(request.url or "").path
        if self.path is None:
            return True
        return path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path


def problem(
    row: Problem,
    *,
    path: str | None = None,
    faults: tuple[FieldFault, ...] = (),
    retry_after_seconds: int | None = None,
) -> Scenario:
    """The gateway refuses with a row of `partner_sdk.wire.problems`, and does nothing."""
    wait = row.retry_after_seconds if retry_after_seconds is None else retry_after_seconds

    def play(request: requests.PreparedRequest, _handle: Handle) -> requests.Response:
        parts = urlsplit(request.url or "")
        origin = f"{parts.scheme}://{parts.netloc}"
        document = make_document(row, origin=origin, request_id=str(uuid.uuid4()), faults=faults)
        headers = {"Content-Type": MEDIA_TYPE, ENVIRONMENT_HEADER: format_environment("sandbox")}
        headers |= {} if wait is None else {"Retry-After": str(wait)}
        status = f"{row.status} {HTTPStatus(row.status).phrase}"
        return make_response(request, status=status, headers=headers, body=encode(document))

    return Scenario(row.slug, play, path)


def rate_limited(*, retry_after_seconds: int = 30) -> Scenario:
    """429 with Retry-After."""
    return problem(problems.RATE_LIMITED, retry_after_seconds=retry_after_seconds)


def unavailable(*, retry_after_seconds: int = 10) -> Scenario:
    """503 with Retry-After: the report could not be stored."""
    return problem(problems.STORAGE_UNAVAILABLE, retry_after_seconds=retry_after_seconds)


def validation_problem(*faults: FieldFault) -> Scenario:
    """400 for a report, with the faults of fields."""
    return problem(
        problems.MALFORMED_REQUEST, path=REPORTS, faults=faults or (FieldFault("#/statement", "Look at this."),)
    )


def conflict() -> Scenario:
    """409 for a report: its id is taken by another statement."""
    return problem(problems.CONFLICTING_REPORT, path=REPORTS)


def duplicate() -> Scenario:
    """200 for a report, as if its bytes came again, e.g. after a lost answer."""

    def play(request: requests.PreparedRequest, handle: Handle) -> requests.Response:
        handle(request)
        return handle(request)

    return Scenario("duplicate", play, REPORTS)


def timeout() -> Scenario:
    """No answer in time, and nothing was done."""

    def play(_request: requests.PreparedRequest, _handle: Handle) -> requests.Response:
        raise requests.exceptions.ReadTimeout("The sandbox plays a time-out.")

    return Scenario("timeout", play)


def no_connection() -> Scenario:
    """The gateway cannot be reached."""

    def play(_request: requests.PreparedRequest, _handle: Handle) -> requests.Response:
        raise requests.exceptions.ConnectionError("The sandbox simulates an unreachable gateway.")

    return Scenario("no-connection", play)


def answer_lost() -> Scenario:
    """The report is stored, and the line is cut before the answer: the hardest case for a client that counts."""

    def play(request: requests.PreparedRequest, handle: Handle) -> requests.Response:
        handle(request)
        raise requests.exceptions.ConnectionError("The sandbox closed the connection after storing the report.")

    return Scenario("answer-lost", play, REPORTS)
