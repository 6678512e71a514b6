"""An app with a route that states no sound rule does not start."""

from collections.abc import Callable

import pytest
from flask import Flask

from gateway.web.rules import (
    BodyRoom,
    CsrfRule,
    Login,
    RouteRule,
    RouteRuleError,
    check_every_route_has_a_rule,
    find_rule,
    rule,
)

GET_RULE = RouteRule(login=Login.OPEN, limit="none", csrf=CsrfRule.NO_POST, body_bytes=0)
POST_RULE = RouteRule(login=Login.OPEN, limit="none", csrf=CsrfRule.TOKEN, body_bytes=10)


def make_app(route: str, *, stated: RouteRule | None, methods: tuple[str, ...] = ("GET",)) -> Flask:
    def view() -> str:
        return "x"

    if stated is not None:
        rule(**{name: getattr(stated, name) for name in RouteRule.__slots__})(view)
    app = Flask("rules-test", static_folder=None)
    app.add_url_rule(route, endpoint="thing", view_func=view, methods=list(methods))
    return app


def change(start: RouteRule, **changes: object) -> RouteRule:
    fields = {name: getattr(start, name) for name in RouteRule.__slots__}
    return RouteRule(**(fields | changes))  # type: ignore[arg-type]  # fields are of their own types


@pytest.mark.parametrize(
    ("route", "stated", "methods", "words"),
    [
        ("/x", None, ("GET",), "has no rule"),
        ("/x", change(GET_RULE, limit="unheard-of"), ("GET",), "unknown limit"),
        ("/x", change(GET_RULE, body_bytes=5), ("GET",), "allows a body"),
        ("/x", change(GET_RULE, body_room=BodyRoom.PARTS), ("GET",), "names a room"),
        ("/x", change(GET_RULE, csrf=CsrfRule.TOKEN), ("GET",), "rule for posts"),
        ("/x", change(POST_RULE, csrf=CsrfRule.NO_POST), ("GET", "POST"), "forged posts"),
        ("/x", change(POST_RULE, body_bytes=0), ("POST",), "no body limit"),
        ("/x", change(POST_RULE, login=Login.STAFF, csrf=CsrfRule.SIGNED), ("POST",), "trusts a session"),
        ("/x", change(POST_RULE, login=Login.STAFF, csrf=CsrfRule.BEARER), ("POST",), "trusts a session"),
        ("/x", change(POST_RULE, login=Login.PARTNER, csrf=CsrfRule.BEARER), ("POST",), "requires a bearer token"),
        ("/x", change(POST_RULE, login=Login.RUNNER, csrf=CsrfRule.SIGNED), ("POST",), "requires a bearer token"),
        ("/x", change(POST_RULE, login=Login.RUNNER), ("POST",), "requires a bearer token"),
        ("/x/", GET_RULE, ("GET",), "ends in a slash"),
    ],
)
def test_app_with_an_unsound_route_is_refused(
    route: str, stated: RouteRule | None, methods: tuple[str, ...], words: str
) -> None:
    with pytest.raises(RouteRuleError, match=words) as caught:
        check_every_route_has_a_rule(make_app(route, stated=stated, methods=methods), limits=("known",))
    assert route in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "methods"),
    [
        (GET_RULE, ("GET",)),
        (change(GET_RULE, limit="known"), ("GET",)),
        (POST_RULE, ("POST",)),
        (change(POST_RULE, csrf=CsrfRule.SIGNED, login=Login.PARTNER), ("PUT",)),
    ],
)
def test_app_with_sound_routes_is_taken(stated: RouteRule, methods: tuple[str, ...]) -> None:
    check_every_route_has_a_rule(make_app("/x", stated=stated, methods=methods), limits=("known",))


def test_rule_is_found_on_the_view_that_states_it() -> None:
    state: Callable[[Callable[[], str]], Callable[[], str]] = rule(
        login=Login.DESK, limit="none", csrf=CsrfRule.NO_POST, body_bytes=0
    )

    def stated_view() -> str:
        return "x"

    app = Flask("rules-test", static_folder=None)
    app.add_url_rule("/y", endpoint="y", view_func=state(stated_view))
    found = find_rule(app, "y")
    assert found is not None
    assert found.login is Login.DESK
    assert find_rule(app, "nothing") is None
    assert find_rule(app, None) is None


def test_body_type_follows_from_how_posts_are_checked() -> None:
    assert POST_RULE.body_media_type == "application/x-www-form-urlencoded"
    assert change(POST_RULE, csrf=CsrfRule.SIGNED).body_media_type == "application/json"
    assert change(POST_RULE, media_type="application/octet-stream").body_media_type == "application/octet-stream"
