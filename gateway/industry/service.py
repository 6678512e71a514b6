"""Public facts about this gateway: its state, the agency's signed key set, the schemas of sealed content, its log."""

import hashlib
from functools import lru_cache
from http import HTTPStatus

from flask import Response, abort, current_app, request

from gateway.description.calls import Answer, Call, describe
from gateway.industry.caller import get_accepted_keys, get_caller
from gateway.public_log import find_log_file
from gateway.signed_request import answer_bytes, answer_json, has_signature
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway
from partner_sdk.report import report_schema
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.keys import KeySetBundle
from partner_sdk.wire.mailbox_message import mailbox_schema
from partner_sdk.wire.replies import ServiceCaller, ServiceStatus

LOG_TILE_SECONDS = 365 * 24 * 3600
LOG_PARTIAL_SECONDS = 60


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the state of the gateway",
        purpose="Use it to test a new set-up. If you sign the request, the answer also names your partner id and key.",
        answers=(Answer(HTTPStatus.OK, "The state of the gateway.", ServiceStatus),),
        may_be_signed=True,
    )
)
def get_status() -> Response:
    """Answer every caller; a signature is optional but must be valid."""
    gateway = get_gateway(current_app)
    caller = None
    if has_signature():
        entry = get_caller().entry
        caller = ServiceCaller(environment=entry.environment, key_id=entry.key_id, partner=entry.partner)
    is_ready = gateway.key_state.find_keys() is not None
    return answer_json(ServiceStatus(caller=caller, environment=gateway.config.environment, ready=is_ready))


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the agency's keys",
        purpose=(
            "The signed key set, byte for byte as the agency published it. Verify it against your pinned root "
            "before you seal to one of its keys."
        ),
        answers=(
            Answer(HTTPStatus.OK, "The chain from the root to the key set.", KeySetBundle, has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "Unchanged since the ETag you sent."),
        ),
        problems=(problems.NOT_READY,),
    )
)
def get_keys() -> Response:
    """Answer every caller; the pinned root proves the bundle. 304 if the request's ETag matches."""
    bundle = get_accepted_keys(get_gateway(current_app)).bundle
    response = answer_bytes(bundle)
    response.set_etag(hashlib.sha256(bundle).hexdigest())
    response.make_conditional(request)
    return response


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the schema of the report",
        purpose="The JSON Schema (2020-12) of a report before it is sealed. Never send a report unsealed.",
        answers=(Answer(HTTPStatus.OK, "The schema.", dict),),
    )
)
def get_schema() -> Response:
    """Answer every caller."""
    return answer_bytes(_encode_report_schema())


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
@describe(
    Call(
        group="Service",
        summary="Fetch the schemas of mailbox messages",
        purpose="The JSON Schema (2020-12) of an object with one property for each kind of message body.",
        answers=(Answer(HTTPStatus.OK, "The schema.", dict),),
    )
)
def get_mailbox_schema() -> Response:
    """Answer every caller."""
    return answer_bytes(_encode_mailbox_schema())


@rule(login=Login.OPEN, limit="log-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_log_file(path: str) -> Response:
    """Answer every caller with a file of the public log (WIRE.md §6.8); 404 if there is none."""
    raw = find_log_file(get_gateway(current_app).store, path)
    if raw is None:
        abort(HTTPStatus.NOT_FOUND)
    if path == "checkpoint":
        return Response(raw, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})
    # A tile never changes under its path. A partial one is of use until the next batch.
    lifetime = LOG_PARTIAL_SECONDS if ".p/" in path else LOG_TILE_SECONDS
    kept = {"Cache-Control": f"public, max-age={lifetime}, immutable"}
    return Response(raw, content_type="application/octet-stream", headers=kept)


@lru_cache(maxsize=1)
def _encode_report_schema() -> bytes:
    return encode(report_schema())


@lru_cache(maxsize=1)
def _encode_mailbox_schema() -> bytes:
    return encode(mailbox_schema())
