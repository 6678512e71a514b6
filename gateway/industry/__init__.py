"""The industry door: online services submit sealed reports over `/v1` and read back their own data.

Never opens an envelope, and never accepts a key that is not in the agency's register. The description of the calls is
made once for each app, from the views. Its page runs no script and loads nothing from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from flask import Blueprint, Flask, Response, abort, current_app, request
from msgspec import Meta

from gateway.description import (
    Answer,
    Call,
    describe,
    format_document,
    format_patterns,
    list_calls,
    make_document,
    render_page,
)
from gateway.industry.calls import (
    get_evidence,
    get_mailbox,
    get_report,
    post_account,
    post_adoption,
    post_enrol,
    post_evidence_complete,
    post_mailbox_ack,
    post_mailbox_entry,
    post_report,
    put_evidence_part,
)
from gateway.public_log import find_log_file
from gateway.signed_request import (
    UnknownItemError,
    answer_bytes,
    answer_json,
    check_path,
    get_accepted_keys,
    get_caller,
    has_signature,
    register_refusals,
)
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import Gateway, get_gateway
from partner_sdk.report.model import IndustryReport
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.mailbox import BODIES
from partner_sdk.wire.signing import CONTENT_TYPE, KeySetBundle
from partner_sdk.wire.submission import ServiceCaller, ServiceStatus

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


PREFIX: Final = "/v1"
FileName = Annotated[Literal["icon.svg", "style.css"], Meta(description="The name of the file.")]
TEMPLATES: Final = Path(__file__).parents[1] / "description" / "templates"
# Long enough to save requests, short enough that a new release shows the same day.
KEPT_SECONDS: Final = 300
HTML: Final = "text/html; charset=utf-8"
MEDIA_TYPES: Final[Mapping[str, str]] = {"icon.svg": "image/svg+xml", "style.css": "text/css; charset=utf-8"}

_FILES: Final = Path(__file__).parents[1] / "description" / "files"
_EXTENSION: Final = "industry_description"


@dataclass(frozen=True, slots=True)
class Description:
    """The document and the page, encoded."""

    raw: bytes
    page: bytes


def get_description(app: Flask) -> Description:
    """Return the description of an app's calls."""
    found = app.extensions.get(_EXTENSION)
    if not isinstance(found, Description):
        gateway = get_gateway(app)
        document = make_document(
            list_calls(app, prefix=PREFIX, limits=gateway.limits.rows),
            origin=gateway.config.public_origin,
            environment=gateway.config.environment,
        )
        page = render_page(document, files_path=f"{PREFIX}/docs")
        found = Description(raw=format_document(document), page=page.encode("utf-8"))
        app.extensions[_EXTENSION] = found
    return found


@lru_cache(maxsize=4)
def read_file(name: FileName) -> bytes:
    """Return one of the page's files."""
    return (_FILES / name).read_bytes()


def answer_kept(raw: bytes, *, content_type: str) -> Response:
    """Answer with cacheable bytes, or 304 if the request's ETag matches."""
    response = Response(raw, content_type=content_type)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    response.set_etag(hashlib.sha256(raw).hexdigest())
    response.make_conditional(request)
    return response


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
@describe(
    Call(
        group="Description",
        summary="Fetch the OpenAPI description",
        purpose="The OpenAPI 3.1 document of every call below /v1.",
        answers=(
            Answer(HTTPStatus.OK, "The document.", dict, has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "Unchanged since the ETag you sent."),
        ),
    )
)
def get_openapi() -> Response:
    """Answer every caller."""
    return answer_kept(get_description(current_app).raw, content_type=CONTENT_TYPE)


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="page")
@describe(
    Call(
        group="Description",
        summary="Read this description",
        purpose="The same as a web page, without scripts and without external files.",
        answers=(Answer(HTTPStatus.OK, "The page.", str, media_type="text/html"),),
    )
)
def get_docs() -> Response:
    """Answer every caller."""
    return Response(get_description(current_app).page, content_type=HTML)


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
@describe(
    Call(
        group="Description",
        summary="Fetch a file of that page",
        purpose="The style sheet and the icon of the page.",
        path={"name": FileName},
        answers=(
            Answer(HTTPStatus.OK, "The file.", str, media_type="*/*", has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "Unchanged since the ETag you sent."),
        ),
    )
)
def get_docs_file(name: str) -> Response:
    """Answer every caller; 404 for an unknown name."""
    for own in ("icon.svg", "style.css"):
        if name == own:
            return answer_kept(read_file(own), content_type=MEDIA_TYPES[own])
    raise UnknownItemError("The page has no such file.", reason="unknown-file")


# Each view has a description beside its rule (`describe`), from which the OpenAPI document is made.
ROUTES = (
    ("GET", "/v1/status", get_status),
    ("GET", "/v1/keys", get_keys),
    ("GET", "/v1/schema/report.json", get_schema),
    ("GET", "/v1/schema/mailbox.json", get_mailbox_schema),
    ("POST", "/v1/enrol", post_enrol),
    ("POST", "/v1/account", post_account),
    ("POST", "/v1/adoption", post_adoption),
    ("POST", "/v1/reports", post_report),
    ("GET", "/v1/reports/<report_id>", get_report),
    ("PUT", "/v1/evidence/<evidence_id>/<part>", put_evidence_part),
    ("GET", "/v1/evidence/<evidence_id>", get_evidence),
    ("POST", "/v1/evidence/<evidence_id>/complete", post_evidence_complete),
    ("GET", "/v1/mailbox", get_mailbox),
    ("POST", "/v1/mailbox/<message_id>/ack", post_mailbox_ack),
    ("POST", "/v1/mailbox/<message_id>/entries", post_mailbox_entry),
    ("GET", "/v1/openapi.json", get_openapi),
    ("GET", "/v1/docs", get_docs),
    ("GET", "/v1/docs/<name>", get_docs_file),
)
# Files of the public log, for anyone: not a partner's call.
LOG_ROUTE = ("GET", "/log/<path:path>", get_log_file)


def register(app: Flask, gateway: Gateway) -> None:
    """Add the routes of `/v1` and the public log to an app; views read the gateway from the app."""
    blueprint = Blueprint("industry", __name__, template_folder=str(TEMPLATES))
    blueprint.before_request(check_path)
    register_refusals(blueprint)
    for method, path, view in (*ROUTES, LOG_ROUTE):
        blueprint.add_url_rule(path, view_func=view, methods=[method])
    app.register_blueprint(blueprint)


def mailbox_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an object with one property for each kind: the body of that kind."""
    schemas, components = msgspec.json.schema_components(BODIES.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bodies of mailbox messages",
        "type": "object",
        "properties": {kind: format_patterns(schema) for kind, schema in zip(BODIES, schemas, strict=True)},
        "additionalProperties": False,
        "$defs": format_patterns(components),
    }


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the report that a partner fills in."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(IndustryReport)}
