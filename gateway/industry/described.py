"""The description of this door's own calls: made once for each app, when somebody first asks for it."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from flask import Flask, Response, request
from msgspec import Meta

from gateway.description.calls import list_calls
from gateway.description.document import make_document
from gateway.description.page import format_document, render_page
from gateway.wiring import get_gateway

PREFIX: Final = "/v1"
FileName = Annotated[Literal["icon.svg", "style.css"], Meta(description="Which file of the page.")]
TEMPLATES: Final = Path(__file__).parents[1] / "description" / "templates"
# Long enough to save a question, short enough that a new release is seen the same day.
KEPT_SECONDS: Final = 300

_FILES: Final = Path(__file__).parents[1] / "description" / "files"
_EXTENSION: Final = "industry_description"


@dataclass(frozen=True, slots=True)
class Description:
    """The document and the page, as they are sent."""

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
    """Return one of the page's own files."""
    return (_FILES / name).read_bytes()


def answer_kept(raw: bytes, *, content_type: str) -> Response:
    """Answer with bytes that may be kept for a while; 304 for the tag of these very bytes."""
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
