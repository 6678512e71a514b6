"""Scenarios for the next requests: faults that a test puts in the way with `Sandbox.next_requests`.

A real gateway, or the network, does each of these now and then. Nothing here waits: a time-out is reported at once.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import requests

from partner_sdk.errors import FieldFault
from partner_sdk.sandbox._answers import Answer, ProblemAnswer, Request, answer_problem
from partner_sdk.wire import problems
from partner_sdk.wire.problems import Problem

Handle = Callable[[Request], Answer]
"""Handles a request as if nothing were wrong."""

REPORTS: Final = "/v1/reports"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that goes wrong. `path` is the call that it is for, `/v1/evidence/*` all calls below; None for any."""

    name: str
    play: Callable[[Request, Handle], Answer]
    path: str | None = None

    def matches(self, request: Request) -> bool:
        """Return whether it is for this request."""
        if self.path is None:
            return True
        return request.path.startswith(self.path[:-1]) if self.path.endswith("*") else request.path == self.path


def problem(row: Problem, *, path: str | None = None, retry_after_seconds: int | None = None) -> Scenario:
    """The gateway refuses with a row of `partner_sdk.wire.problems`, and does nothing."""
    refused = ProblemAnswer(row, retry_after_seconds=retry_after_seconds)
    return Scenario(row.slug, lambda _request, _handle: answer_problem(refused), path)


def rate_limited(*, retry_after_seconds: int = 30) -> Scenario:
    """429 with Retry-After."""
    return problem(problems.RATE_LIMITED, retry_after_seconds=retry_after_seconds)


def unavailable(*, retry_after_seconds: int = 10) -> Scenario:
    """503 with Retry-After: the report could not be stored."""
    return problem(problems.STORAGE_UNAVAILABLE, retry_after_seconds=retry_after_seconds)


def validation_problem(*faults: FieldFault) -> Scenario:
    """400 for a report, with the faults of fields."""
    refused = ProblemAnswer(problems.MALFORMED_REQUEST, faults=faults or (FieldFault("#/statement", "Look at this."),))
    return Scenario("validation-problem", lambda _request, _handle: answer_problem(refused), REPORTS)


def conflict() -> Scenario:
    """409 for a report: its id is taken by another statement."""
    return problem(problems.CONFLICTING_REPORT, path=REPORTS)


def duplicate() -> Scenario:
    """200 for a report, as if these very bytes had come before: an earlier answer was lost, say."""

    def play(request: Request, handle: Handle) -> Answer:
        answer = handle(request)
        return replace(answer, status=HTTPStatus.OK) if answer.status == HTTPStatus.CREATED else answer

    return Scenario("duplicate", play, REPORTS)


def timeout() -> Scenario:
    """No answer in time, and nothing was done."""

    def play(_request: Request, _handle: Handle) -> Answer:
        raise requests.exceptions.ReadTimeout("The sandbox plays a time-out.")

    return Scenario("timeout", play)


def no_connection() -> Scenario:
    """The gateway cannot be reached."""

    def play(_request: Request, _handle: Handle) -> Answer:
        raise requests.exceptions.ConnectionError("The sandbox plays a gateway that is not there.")

    return Scenario("no-connection", play)


def answer_lost() -> Scenario:
    """The report is stored, and the line is cut before the answer: the hardest case for a client that counts."""

    def play(request: Request, handle: Handle) -> Answer:
        handle(request)
        raise requests.exceptions.ConnectionError("The sandbox cut the line after it had stored the report.")

    return Scenario("answer-lost", play, REPORTS)


class Script:
    """The scenarios that wait for their requests, in order."""

    def __init__(self) -> None:
        self._waiting: list[Scenario] = []
        self._lock = threading.Lock()

    def add(self, scenario: Scenario, *, times: int) -> None:
        """Let a scenario happen to the next `times` requests that it is for."""
        with self._lock:
            self._waiting += [scenario] * times

    def take(self, request: Request) -> Scenario | None:
        """Return the scenario of this request, which is then used up, or None."""
        with self._lock:
            for place, scenario in enumerate(self._waiting):
                if scenario.matches(request):
                    return self._waiting.pop(place)
        return None

    def list_waiting(self) -> Sequence[str]:
        """Return the names of scenarios that have not happened yet."""
        with self._lock:
            return [scenario.name for scenario in self._waiting]
