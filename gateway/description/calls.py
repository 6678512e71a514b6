"""The calls of an app below one prefix: route, rule, limits and words of each, in the order of the routes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask

from gateway.description.call import Call, get_call
from gateway.limits import LimitRow
from gateway.web.rules import SAFE_METHODS, Login, RouteRule, find_rule
from partner_sdk.wire import problems
from partner_sdk.wire.problems import Problem

# As Flask spells a part of a path that varies: `<report_id>`, `<int:part>`.
_VARIABLE = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


@dataclass(frozen=True, slots=True)
class DescribedCall:
    """One method of one path. `path` is spelled as in OpenAPI: `/v1/reports/{report_id}`."""

    method: str
    path: str
    operation_id: str
    rule: RouteRule
    call: Call
    limits: tuple[LimitRow, ...]

    @property
    def takes_body(self) -> bool:
        """Whether a body is sent with it."""
        return self.method not in SAFE_METHODS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem of the table that it may answer, in the order of the table."""
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
    """Return every call below a prefix; raises `UndescribedCallError` for a view without words."""
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
