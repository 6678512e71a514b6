"""`/health` of each role: can this process do its work now? Says yes or no, and nothing that helps an attacker.

Reasons are for `report-abuse-gateway doctor` and the log.
"""

from http import HTTPStatus

from flask import Blueprint, Flask, Response, current_app
from flask.typing import ResponseReturnValue

from gateway.store import StorageUnavailableError
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.wire.canonical import encode

RETRY_SECONDS = 10

blueprint = Blueprint("health", __name__)


def register_health(app: Flask) -> None:
    """Add `/health`; a load balancer takes a process out while it answers 503."""
    app.register_blueprint(blueprint)


@blueprint.get("/health")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_health() -> ResponseReturnValue:
    """Answer 200 when the process can do its work, else 503."""
    is_ready = is_healthy(get_gateway(current_app), roles=current_app.extensions["gateway_roles"])
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    body = encode({"status": "ok" if is_ready else "unavailable"})
    response = Response(body, status=status, content_type="application/json")
    if not is_ready:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def is_healthy(gateway: Gateway, *, roles: tuple[str, ...]) -> bool:
    """Return whether the store answers and, for a door that takes reports, there is a key to seal to.

    The feed is healthy without keys: it is how they come in.
    """
    try:
        keys = gateway.key_state.find_keys()
    except StorageUnavailableError as error:
        log_failure(error, event="health")
        return False
    if set(roles) == {"feed"}:
        return True
    return keys is not None and keys.find_active_sealing_key(now=gateway.clock()) is not None
