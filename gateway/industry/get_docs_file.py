"""`GET /v1/docs/{name}`: the style sheet and the icon of the page about the calls. There are no others."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from flask import Response

from gateway.description.call import Answer, Call, describe
from gateway.industry.described import FileName, answer_kept, read_file
from gateway.refusals import UnknownItemError
from gateway.web.rules import CsrfRule, Login, rule

MEDIA_TYPES: Final[Mapping[str, str]] = {"icon.svg": "image/svg+xml", "style.css": "text/css; charset=utf-8"}


@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
@describe(
    Call(
        group="Description",
        summary="Fetch a file of that page",
        purpose="How the page looks: its style sheet and its icon.",
        path={"name": FileName},
        answers=(
            Answer(HTTPStatus.OK, "The file.", str, media_type="*/*", has_tag=True),
            Answer(HTTPStatus.NOT_MODIFIED, "It is still the one that you hold."),
        ),
    )
)
def get_docs_file(name: str) -> Response:
    """Answer anybody, or 404 for every other name."""
    for own in ("icon.svg", "style.css"):
        if name == own:
            return answer_kept(read_file(own), content_type=MEDIA_TYPES[own])
    raise UnknownItemError("The page has no such file.", reason="unknown-file")
