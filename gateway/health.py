"""`/health` of each role: can this process do its work now? Says yes or no, and nothing that helps an attacker.

503 where, and only where, it cannot: nothing can be stored, or there is no key to seal to. A database with damaged
pages that still takes reports is 200 `damaged`: the form stays open. Reasons are for `report-abuse-gateway doctor` and
the log.
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
    gateway = get_gateway(current_app)
    is_ready = is_healthy(gateway, roles=current_app.extensions["gateway_roles"])
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    body = encode({"status": ("damaged" if gateway.soundness.is_damaged() else "ok") if is_ready else "unavailable"})
    response = Response(body, status=status, content_type="application/json")
    if not is_ready:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def is_healthy(gateway: Gateway, *, roles: tuple[str, ...]) -> bool:
    """Return whether the store takes a row and gives it back and, for a door of reports, there is a key to seal to.

    The feed is healthy without keys: it is how they come in.
    """
    if gateway.soundness.find_fault() is not None:
        return False
    try:
        keys = gateway.key_state.find_keys()
    except StorageUnavailableError as error:
        log_failure(error, event="health")
        return False
    if set(roles) == {"feed"}:
        return True
    return keys is not None and keys.find_active_sealing_key(now=gateway.clock()) is not None
