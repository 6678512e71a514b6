"""Makes the gateway's Flask app for the roles of one process; imports no other role, and never the desk.

`/health` says yes or no, with no detail that helps an attacker: 503 if and only if the process cannot work, because the
store fails, there is no active sealing key, or its receipt key is not in use. A damaged database that still accepts
reports is 200 `damaged`, so the form stays open. The reasons are in the log and in `report-abuse-gateway doctor`.
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from gateway.config import ROLES_VARIABLE, STATE_VARIABLE, GatewayConfig, Role, check_roles, load_config, parse_roles
from gateway.keys import read_cookie_secret
from gateway.store import StorageUnavailableError
from gateway.web.logs import configure_logging, log_event, log_failure, start_sending
from gateway.web.rules import (
    API_PREFIXES,
    ENVIRONMENT_HEADER,
    NO_LIMIT,
    CsrfRule,
    Login,
    RequestRefusedError,
    answer_refusal,
    format_environment,
    rule,
)
from gateway.web.serving import TRUSTED_PROXIES
from gateway.web.web_app import finish_web_app, make_web_app
from gateway.wiring import Gateway, get_gateway, make_gateway, put_gateway
from partner_sdk.key_files import SEED_BYTES
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode

RETRY_SECONDS = 10
COOKIE_NAME: Final = "journey"
_API_PATHS: Final = (*API_PREFIXES, "/health")
_SESSION_LABEL: Final = b"report-abuse session signature v1"
PREFIX = "/v1"

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_health() -> ResponseReturnValue:
    """Answer 200 when the process can work, else 503, at which a load balancer removes it."""
    gateway = get_gateway(current_app)
    is_ready = is_healthy(gateway, roles=current_app.extensions["gateway_roles"])
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    body = encode({"status": ("damaged" if gateway.soundness.is_damaged() else "ok") if is_ready else "unavailable"})
    response = Response(body, status=status, content_type="application/json")
    if not is_ready:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def is_healthy(gateway: Gateway, *, roles: tuple[str, ...]) -> bool:
    """Return whether the store works and, except on the feed, a report could be sealed and its receipt accepted.

    The feed is healthy without keys, because keys arrive through it.
    """
    if gateway.soundness.find_fault() is not None:
        return False
    try:
        active = gateway.key_state.find_active_key()
    except StorageUnavailableError as error:
        log_failure(error, event="health")
        return False
    if set(roles) == {"feed"}:
        return True
    if active is None:
        return False
    if not active[0].is_in_use(gateway.receipt_key_id, now=gateway.clock()):
        log_event("receipt-key-not-in-use", level=logging.ERROR)
        return False
    return True


def make_app(config: GatewayConfig, roles: Sequence[Role], *, state: Path, gateway: Gateway | None = None) -> Flask:
    """Return the app with exactly these roles; raises `RouteRuleError` when a route has no rule.

    `gateway` replaces the parts that would otherwise be opened from `state`.
    """
    check_roles(roles, key="roles")
    gateway = make_gateway(config, state=state, roles=roles) if gateway is None else gateway
    app = make_web_app(
        "gateway",
        origin=config.origin_for(roles),
        # It signs cookies; only the form has any, so other roles never read the cookie key.
        secret_key=hmac.digest(read_cookie_secret(state), _SESSION_LABEL, hashlib.sha256)
        if "public" in roles
        else secrets.token_bytes(SEED_BYTES),
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
    environment = format_environment(config.environment)

    @app.after_request
    def name_environment(response: Response) -> Response:
        """Name it in every answer under `/v1`, so that a rehearsal is never taken for a report (WIRE.md §10)."""
        if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
            response.headers[ENVIRONMENT_HEADER] = environment
        return response

    @app.errorhandler(StorageUnavailableError)
    def answer_not_stored(error: StorageUnavailableError) -> ResponseReturnValue:
        """Answer 503 wherever a route has no better answer."""
        log_failure(error, event=problems.STORAGE_UNAVAILABLE.slug)
        return answer_refusal(RequestRefusedError(problems.STORAGE_UNAVAILABLE))

    app.register_blueprint(blueprint)
    # Imported here, so that the process of one door does not load the others.
    if "public" in roles:
        from gateway.public import register as register_public

        register_public(app, gateway)
    if "industry" in roles:
        from gateway.industry import register as register_industry

        register_industry(app, gateway)
    if "feed" in roles:
        from gateway.feed import register as register_feed

        register_feed(app, gateway)
    finish_web_app(app, limits=gateway.limits.rows)
    return app


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
