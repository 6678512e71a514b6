"""Lists the calls of an app below a prefix: route, rule, limits and description, in route order.

A view declares its purpose, body and answers beside its rule (`describe`). Login, limits and body size come from the
rule.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask

from gateway.limits import LimitRow
from gateway.web.rules import SAFE_METHODS, Login, RouteRule, find_rule
from partner_sdk.wire import problems
from partner_sdk.wire.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json"

_ATTRIBUTE = "described_call"
# A variable part of a path in Flask's syntax: `<report_id>`, `<int:part>`.
_VARIABLE = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


class UndescribedCallError(Exception):
    """A view has no description."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `kind` is a model of the wire, `dict` for any object, None for no body.

    `signed` is the model of the JSON inside the `payload` of a signed statement.
    With `may_name_a_wait` it may carry `Retry-After`.
    """

    status: HTTPStatus
    meaning: str
    kind: Any = None
    media_type: str = JSON
    signed: type | None = None
    has_tag: bool = False
    may_name_a_wait: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `body` is a model of the wire, or `bytes` for a raw file.

    `signed` maps each signed field of the body to the model of its payload. `path` maps each variable part of the path
    to its type, and `query` each optional name of the query. `problems` are specific to this call; those that follow
    from the rule are added.
    """

    group: str
    summary: str
    purpose: str
    answers: tuple[Answer, ...]
    body: Any = None
    signed: Mapping[str, type] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    may_be_signed: bool = False


def describe(call: Call) -> Callable[[View], View]:
    """Attach a description to a view; put it below its rule."""

    def state(view: View) -> View:
        setattr(view, _ATTRIBUTE, call)
        return view

    return state


def get_call(view: Callable[..., Any]) -> Call:
    """Return a view's description; raises `UndescribedCallError`."""
    call = getattr(view, _ATTRIBUTE, None)
    if not isinstance(call, Call):
        raise UndescribedCallError(
            f"{getattr(view, '__name__', view)} has no description: decorate it with `describe`."
        )
    return call


@dataclass(frozen=True, slots=True)
class DescribedCall:
    """One method of one path. `path` uses OpenAPI syntax, e.g. `/v1/reports/{report_id}`."""

    method: str
    path: str
    operation_id: str
    rule: RouteRule
    call: Call
    limits: tuple[LimitRow, ...]

    @property
    def takes_body(self) -> bool:
        """Whether the call has a body."""
        return self.method not in SAFE_METHODS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem that the call may answer, in the order of the table."""
        found = {*self.call.problems, problems.MALFORMED_REQUEST, problems.INTERNAL_ERROR, problems.STORAGE_UNAVAILABLE}
        if self.takes_body:
            found |= {problems.BODY_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE}
            if self.call.body is not bytes:
                found.add(problems.NOT_CANONICAL)
        else:
            found.add(problems.BODY_NOT_ALLOWED)
        if self.rule.login is Login.PARTNER or self.call.may_be_signed:
            found |= {problems.NOT_AUTHORISED, problems.NOT_READY, problems.UNSUPPORTED_MEDIA_TYPE}
        if self.limits:
            found.add(problems.RATE_LIMITED)
        if self.call.path:
            found.add(problems.NOT_FOUND)
        return tuple(problem for problem in problems.PROBLEMS if problem in found)


def list_calls(app: Flask, *, prefix: str, limits: Mapping[str, LimitRow]) -> tuple[DescribedCall, ...]:
    """Return every call below a prefix; raises `UndescribedCallError` for a view without a description."""
    found = []
    for route in app.url_map.iter_rules():
        if not route.rule.startswith(f"{prefix}/"):
            continue
        stated = find_rule(app, route.endpoint)
        if stated is None:
            # An app with such a route does not start (`finish_web_app`).
            raise KeyError(route.endpoint)
        found += [
            DescribedCall(
                method=method,
                path=_VARIABLE.sub(r"{\1}", route.rule),
                operation_id=route.endpoint.rpartition(".")[2],
                rule=stated,
                call=get_call(app.view_functions[route.endpoint]),
                limits=tuple(limits[name] for name in stated.limits if name in limits),
            )
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})
        ]
    return tuple(found)
