"""The rule of each route: its callers, its limit, its protection against forged posts, its body size.

An app with a route without a rule does not start.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException

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
    route in the log where the path would reveal an answer. `permission` is required of staff; other callers have none.
    `needs_touch` asks for a fresh touch of a passkey.
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
    permission: Enum | None = None
    needs_touch: bool = False

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
        """The room of its bodies: forms if a token is required."""
        return BodyRoom.FORMS if self.csrf is CsrfRule.TOKEN else self.body_room

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
    if (stated.login is Login.STAFF) is not (stated.permission is not None):
        faults.append("is for staff without a permission, or names one for others")
    if stated.login is Login.STAFF and stated.csrf in EXEMPT:
        faults.append("trusts a session but is exempt from the token")
    if (stated.login is Login.RUNNER) is not (stated.csrf is CsrfRule.BEARER):
        faults.append("requires a bearer token in only one of login and csrf")
    return faults
