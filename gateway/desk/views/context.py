"""What every page of the desk has at hand: the desk, who is signed in, and how a page is drawn.

Holds the login rule: a route of staff answers nobody without a session that has not run out.
"""

import shlex
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, current_app, make_response, render_template, request, session
from flask.typing import ResponseReturnValue

from gateway.desk.wiring import Desk
from gateway.web.rules import Login, find_current_rule

SESSION_LIFETIME: Final = timedelta(hours=8)
BREAK_AFTER: Final = timedelta(minutes=50)
_EXTENSION: Final = "desk"


def bind_desk(app: Flask, desk: Desk, *, origin: str) -> None:
    """Give an app its desk, the login rule, the check of the host name and the words that every page needs."""
    app.extensions[_EXTENSION] = desk
    app.config["DESK_HOST"] = origin.partition("://")[2]
    app.config["DESK_PORT"] = urlsplit(origin).port
    app.before_request(_turn_away_other_host)
    app.before_request(_turn_away_signed_out)
    app.context_processor(_page_words)


def get_desk() -> Desk:
    """Return the desk of this request's app."""
    desk = current_app.extensions[_EXTENSION]
    if not isinstance(desk, Desk):
        raise TypeError("app.extensions['desk'] was replaced.")
    return desk


def sign_in(name: str, *, now: datetime) -> None:
    """Begin a session of its own: nothing from before the sign-in lives on in it."""
    session.clear()
    session["name"] = name
    session["since"] = int(now.timestamp())


def sign_out() -> None:
    """End the session."""
    session.clear()


def find_name() -> str | None:
    """Return who is signed in, or None when nobody is or the session has run out."""
    name, since = session.get("name"), session.get("since")
    if not isinstance(name, str) or not isinstance(since, int):
        return None
    age = get_desk().clock().timestamp() - since
    return name if 0 <= age < SESSION_LIFETIME.total_seconds() else None


def get_name() -> str:
    """Return who is signed in, on a page that the login rule guards."""
    name = find_name()
    if name is None:
        raise LookupError("Nobody is signed in: the route states no login rule.")
    return name


def show_page(template: str, *, status: int = HTTPStatus.OK, **values: object) -> ResponseReturnValue:
    """Draw a page."""
    return make_response(render_template(f"desk/{template}", **values), status)


def show_error(status: int, request_id: str) -> ResponseReturnValue:
    """Draw the page of an HTTP error; says nothing about what was asked for."""
    return render_template("desk/error.html", status=status, request_id=request_id)


def _turn_away_other_host() -> ResponseReturnValue | None:
    # Another site's name may point at this machine (DNS rebinding): only the address that we gave out is answered.
    if request.host != current_app.config["DESK_HOST"]:
        return show_page("wrong_host.html", status=HTTPStatus.MISDIRECTED_REQUEST)
    return None


def _turn_away_signed_out() -> ResponseReturnValue | None:
    stated = find_current_rule(current_app)
    if stated is not None and stated.login is Login.STAFF and find_name() is None:
        return show_page("signed_out.html", status=HTTPStatus.UNAUTHORIZED)
    return None


def _page_words() -> dict[str, object]:
    desk, name = get_desk(), find_name()
    age = timedelta(seconds=desk.clock().timestamp() - session.get("since", 0)) if name else timedelta()
    return {
        "agency_name": desk.config.agency_name,
        "desk_port": current_app.config["DESK_PORT"],
        "environment": desk.config.environment,
        "person": name,
        # As a shell reads it: every command that a page suggests needs it.
        "state_words": shlex.quote(str(desk.paths.state)),
        "is_break_due": age >= BREAK_AFTER,
        "signed_in_minutes": int(age.total_seconds() // 60),
    }
