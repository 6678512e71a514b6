"""Assembles what every web app of the house has: ids, logs, headers, body limits, CSRF, problem answers.

Never has static files, debug pages or sessions of its own; a room registers its blueprints and then calls
`finish_web_app`, which refuses an app with a route that states no rule.
"""

from collections.abc import Collection, Sequence
from types import TracebackType

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from gateway.web.access_log import apply_access_log
from gateway.web.body_limit import apply_body_limits
from gateway.web.csrf import apply_csrf
from gateway.web.headers import SurfaceOf, apply_headers
from gateway.web.logs import log_failure
from gateway.web.problem_pages import API_PREFIXES, HtmlError, register_problems
from gateway.web.request_id import apply_request_ids
from gateway.web.rules import check_every_route_has_a_rule
from partner_sdk.wire.known_types import prepare_types


class PageSessions(SecureCookieSessionInterface):
    """Opens a session for pages only: machines sign each request, and under their paths there is none to read."""

    def __init__(self, *, api_prefixes: Sequence[str]) -> None:
        self._api_prefixes = tuple(api_prefixes)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a page, or one that refuses to be written. The route is not known yet here."""
        if request.path.startswith(self._api_prefixes):
            return self.make_null_session(app)
        return super().open_session(app, request)


class WebApp(Flask):
    """Flask whose last-resort log says type and location of an exception, not the path and the message."""

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log an exception that no handler answered."""
        if exc_info[1] is not None:
            log_failure(exc_info[1])


def make_web_app(
    name: str,
    *,
    origin: str,
    secret_key: bytes,
    surface_of: SurfaceOf,
    html_error: HtmlError,
    cookie_name: str,
    api_prefixes: Sequence[str] = API_PREFIXES,
    same_site: str = "Lax",
) -> WebApp:
    """Return an app with everything shared in place and no route except the problem pages.

    `cookie_name` gets the `__Host-` prefix where `origin` is https; the cookie lasts until the browser closes.
    """
    app = WebApp(name, static_folder=None, template_folder=None)
    app.session_interface = PageSessions(api_prefixes=api_prefixes)
    is_https = origin.startswith("https://")
    app.config.update(
        SECRET_KEY=secret_key,
        SESSION_COOKIE_NAME=f"__Host-{cookie_name}" if is_https else cookie_name,
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE=same_site,
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN=None,
        SESSION_REFRESH_EACH_REQUEST=False,
        PROPAGATE_EXCEPTIONS=False,
    )
    # `//path` would be redirected to an address built from the Host header.
    app.url_map.merge_slashes = False
    # Before-request order: id, body rule, forged posts. After-request hooks run in reverse, so the log comes last.
    apply_access_log(app)
    apply_request_ids(app)
    apply_headers(app, surface_of=surface_of, is_https=is_https)
    register_problems(app, origin=origin, html_error=html_error, api_prefixes=api_prefixes)
    apply_body_limits(app)
    apply_csrf(app, origin=origin)
    return app


def finish_web_app(app: Flask, *, limits: Collection[str]) -> None:
    """Raise `RouteRuleError` unless every route states a sound rule; call it after the last registration."""
    check_every_route_has_a_rule(app, limits=limits)
    prepare_types()  # all that a route reads is imported by now, and no thread serves yet
