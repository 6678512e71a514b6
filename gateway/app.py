"""Makes the gateway's Flask app for the roles of one process; imports no other role.

Never imports the desk.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from gateway.config import ROLES_VARIABLE, STATE_VARIABLE, GatewayConfig, Role, check_roles, load_config, parse_roles
from gateway.health import register_health
from gateway.keys import read_cookie_secret
from gateway.web.logs import configure_logging, start_sending
from gateway.web.rules import API_PREFIXES
from gateway.web.serving import TRUSTED_PROXIES
from gateway.web.web_app import finish_web_app, make_web_app
from gateway.wiring import Gateway, make_gateway, put_gateway
from partner_sdk.key_files import SEED_BYTES
from partner_sdk.wire.problems import ENVIRONMENT_HEADER, format_environment
from partner_sdk.wire.signing import Environment

COOKIE_NAME: Final = "journey"
_API_PATHS: Final = (*API_PREFIXES, "/health")
_SESSION_LABEL: Final = b"report-abuse session signature v1"
PREFIX = "/v1"


def make_app(config: GatewayConfig, roles: Sequence[Role], *, state: Path, gateway: Gateway | None = None) -> Flask:
    """Return the app with exactly these roles; raises `RouteRuleError` when a route has no rule.

    `gateway` replaces the parts that would otherwise be opened from `state`.
    """
    check_roles(roles, key="roles")
    gateway = make_gateway(config, state=state, roles=roles) if gateway is None else gateway
    app = make_web_app(
        "gateway",
        origin=config.origin_for(roles),
        secret_key=_make_session_secret(state, roles=roles),
        surface_of=_surface_of,
        html_error=_plain_error,
        cookie_name=COOKIE_NAME,
    )
    app.config[TRUSTED_PROXIES] = config.trusted_proxies
    if config.trusted_proxies:
        # Take only the caller's address from proxies; scheme and host always come from the configured origin.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask documents it
            app.wsgi_app, x_for=config.trusted_proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    put_gateway(app, gateway)
    app.extensions["gateway_roles"] = tuple(roles)
    gateway.limits.register(app)
    apply_environment_header(app, environment=config.environment)
    register_health(app)
    for role in roles:
        _register_role(app, gateway, role=role)
    finish_web_app(app, limits=gateway.limits.names)
    return app


def _make_session_secret(state: Path, *, roles: Sequence[Role]) -> bytes:
    """Return the secret that signs cookies; only the form has any, so other roles never read the cookie key."""
    if "public" not in roles:
        return secrets.token_bytes(SEED_BYTES)
    return hmac.digest(read_cookie_secret(state), _SESSION_LABEL, hashlib.sha256)


def _register_role(app: Flask, gateway: Gateway, *, role: Role) -> None:
    # Imported here, so that the process of one door does not load the others.
    if role == "public":
        from gateway.public import register as register_public

        register_public(app, gateway)
    elif role == "industry":
        from gateway.industry import register as register_industry

        register_industry(app, gateway)
    else:
        from gateway.feed import register as register_feed

        register_feed(app, gateway)


def make_worker_app() -> Flask:
    """Return the app of one server worker, configured by its environment variables."""
    roles = parse_roles(os.environ.get(ROLES_VARIABLE, ""))
    state = Path(os.environ[STATE_VARIABLE])
    configure_logging("+".join(roles))
    start_sending()
    return make_app(load_config(state, roles=roles), roles, state=state)


def _surface_of(path: str) -> str:
    is_api = any(path == prefix or path.startswith(f"{prefix}/") for prefix in _API_PATHS)
    return "api" if is_api else "page"


def _plain_error(status: int, request_id: str) -> ResponseReturnValue:
    """Answer paths outside the public door, e.g. a mistyped API address; the public door has pages of its own."""
    return f'<!doctype html><html lang="en"><title>{status}</title><p>{status}. Request {request_id}.</p></html>'


def apply_environment_header(app: Flask, *, environment: Environment) -> None:
    """Add the environment header to every answer under `/v1`: `live`, or `sandbox; NOT A REPORT` (WIRE.md §10).

    Problems and unknown paths carry it too, so that a rehearsal is never taken for a report.
    """
    value = format_environment(environment)

    def add(response: Response) -> Response:
        path = request.path
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            response.headers[ENVIRONMENT_HEADER] = value
        return response

    app.after_request(add)
