"""The rule of each route: who may call it, what limits it, how forged posts are refused, how much body it takes.

An app in which one route states no rule does not start.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from flask import Flask, request
from werkzeug.exceptions import HTTPException

View = TypeVar("View", bound=Callable[..., Any])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
NO_LIMIT = "none"

_ATTRIBUTE = "route_rule"


class Login(Enum):
    """Who may call a route."""

    OPEN = "anyone"
    PARTNER = "a partner, by a signed request"
    DESK = "the desk, by a signed request"
    STAFF = "a member of the desk's staff, by a session"
    RUNNER = "the runner of button checks, by a bearer token"


class CsrfRule(Enum):
    """How a route refuses a post that another site forged."""

    NO_POST = "there is nothing to forge: only safe methods"
    TOKEN = "a token bound to the session, and no foreign origin"  # noqa: S105 - says what is asked, is no secret
    SIGNED = "exempt: no cookie is read, each request is signed or sealed by its sender"
    BEARER = "exempt: no cookie is read, each request names a secret in a header that no browser adds by itself"


# A post that another site has a browser send does nothing here that its maker could not do without the browser: no
# cookie is read, and the body must be JSON, which a form cannot say it is (415) and a script of another origin may not
# send. What is signed or opened by a bearer token asks for a secret besides, which no browser adds.
EXEMPT = frozenset({CsrfRule.SIGNED, CsrfRule.BEARER})


class BodyRoom(Enum):
    """Where the bodies of a route wait for a thread: what fills one room keeps nothing out of another."""

    FORMS = "forms: whatever machines send, a person finds room"
    REPORTS = "reports and lists, small ones apart from large ones"
    PARTS = "parts of files, which take at most half of the threads"


@dataclass(frozen=True, slots=True)
class BodyTerms:
    """What a route says of its bodies before one is read: how many bytes at most, and in which room."""

    ceiling: int
    room: BodyRoom


NO_BODY = BodyTerms(ceiling=0, room=BodyRoom.REPORTS)


class RouteRuleError(Exception):
    """A route states no rule, or one that contradicts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """What one route allows, stated as a decorator of its view function, below that of the route.

    `limit` names a row of the app's limits, or `none`; `surface` picks the headers. `other_limits` names the rows that
    may count a request in its place: what the body says decides. `body_room` says where bodies wait for a thread.
    `log_word` stands in the log for a route whose path would tell what a person answered.
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

    def __call__(self, view: View) -> View:
        """State this rule of a view function."""
        setattr(view, _ATTRIBUTE, self)
        return view

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of every limit that may count a request, the usual one first."""
        return (self.limit, *self.other_limits)

    @property
    def room(self) -> BodyRoom:
        """The room of its bodies: that of forms where a token is asked for."""
        return BodyRoom.FORMS if self.csrf is CsrfRule.TOKEN else self.body_room

    @property
    def body_media_type(self) -> str:
        """The one media type of a body: a form where a token is asked, JSON where the request is signed."""
        if self.media_type:
            return self.media_type
        return "application/x-www-form-urlencoded" if self.csrf is CsrfRule.TOKEN else "application/json"


rule = RouteRule  # as a decorator it reads as what it does


def find_rule(app: Flask, endpoint: str | None) -> RouteRule | None:
    """Return the rule of an endpoint, or None when there is no such endpoint or it states none."""
    if endpoint is None:
        return None
    stated = getattr(app.view_functions.get(endpoint), _ATTRIBUTE, None)
    return stated if isinstance(stated, RouteRule) else None


def find_current_rule(app: Flask) -> RouteRule | None:
    """Return the rule of the request that is being answered, or None when it met no route."""
    return find_rule(app, request.endpoint)


def get_body_terms(app: Flask, *, method: str, path: str) -> BodyTerms:
    """Return the terms for the body of a request; `NO_BODY` where no route, or none with a rule, takes one."""
    if method in SAFE_METHODS:
        return NO_BODY
    try:
        endpoint, _values = app.url_map.bind("").match(path, method=method)
    except HTTPException:
        return NO_BODY
    stated = find_rule(app, endpoint)
    return NO_BODY if stated is None else BodyTerms(ceiling=stated.body_bytes, room=stated.room)


def check_every_route_has_a_rule(app: Flask, *, limits: Collection[str]) -> None:
    """Raise `RouteRuleError` naming every route without a sound rule; `limits` are the names of the app's limits."""
    faults = []
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        methods = (route.methods or set()) - SAFE_METHODS
        if stated is None:
            faults.append(f"{route.rule} ({route.endpoint}) states no rule")
            continue
        faults += [f"{route.rule} ({route.endpoint}) {fault}" for fault in _faults(stated, has_post=bool(methods))]
        if any(name != NO_LIMIT and name not in limits for name in stated.limits):
            faults.append(f"{route.rule} ({route.endpoint}) names an unknown limit")
        if route.rule != "/" and route.rule.endswith("/"):
            # Werkzeug would redirect the spelling without it to an address built from the Host header.
            faults.append(f"{route.rule} ({route.endpoint}) ends in a slash")
    if faults:
        raise RouteRuleError("; ".join(sorted(faults)))


def _faults(stated: RouteRule, *, has_post: bool) -> list[str]:
    faults = []
    if has_post and stated.csrf is CsrfRule.NO_POST:
        faults.append("takes unsafe methods but states no rule against forged posts")
    if has_post and stated.body_bytes < 1:
        faults.append("takes unsafe methods but no body limit above 0")
    if not has_post and stated.csrf is not CsrfRule.NO_POST:
        faults.append("takes only safe methods but states a rule for posts")
    if not has_post and stated.body_bytes:
        faults.append("takes only safe methods but allows a body")
    if not has_post and stated.body_room is not BodyRoom.REPORTS:
        faults.append("takes only safe methods but names a room for bodies")
    if stated.login is Login.STAFF and stated.csrf in EXEMPT:
        faults.append("is exempt from the token although it trusts a session")
    if (stated.login is Login.RUNNER) is not (stated.csrf is CsrfRule.BEARER):
        faults.append("asks for a bearer token in one rule and not in the other")
    return faults
