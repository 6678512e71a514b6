"""`/health` of each role: yes or no, with no detail that helps an attacker.

503 if and only if the process cannot work: the store fails, there is no active sealing key, or its receipt key is not
in use. A damaged database that still accepts reports is 200 `damaged`, so the form stays open. The reasons are in the
log and in `report-abuse-gateway doctor`.
"""

import logging
from http import HTTPStatus

from flask import Blueprint, Flask, Response, current_app
from flask.typing import ResponseReturnValue

from gateway.store import StorageUnavailableError
from gateway.web.logs import log_event, log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.wire.canonical import encode

RETRY_SECONDS = 10

blueprint = Blueprint("health", __name__)


def register_health(app: Flask) -> None:
    """Add `/health`; a load balancer removes a process that answers 503."""
    app.register_blueprint(blueprint)


@blueprint.get("/health")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_health() -> ResponseReturnValue:
    """Answer 200 when the process can work, else 503."""
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
