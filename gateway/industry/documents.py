"""Serves the API description as OpenAPI and as a page; both are made once for each app, from the views.

The page runs no script and loads nothing from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final, Literal

from flask import Flask, Response, current_app, request
from msgspec import Meta

from gateway.description.calls import Answer, Call, describe, list_calls
from gateway.description.document import make_document
from gateway.description.page import format_document, render_page
from gateway.refusals import UnknownItemError
from gateway.web.rules import CsrfRule, Login, rule
from gateway.wiring import get_gateway
from partner_sdk.wire.signature_profile import CONTENT_TYPE

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
        found = app.extensions[_EXTENSION] = _make_description(app)
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


def _make_description(app: Flask) -> Description:
    gateway = get_gateway(app)
    document = make_document(
        list_calls(app, prefix=PREFIX, limits=gateway.limits.rows),
        origin=gateway.config.public_origin,
        environment=gateway.config.environment,
    )
    page = render_page(document, files_path=f"{PREFIX}/docs")
    return Description(raw=format_document(document), page=page.encode("utf-8"))


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
