"""Serves the door's own files, compressed where the browser takes it, to be kept for a year."""

from flask import Response, request
from flask.typing import ResponseReturnValue

from gateway.public.assets import find_asset
from gateway.public.door import get_door
from gateway.web.problem_pages import not_found
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

ONE_YEAR_SECONDS = 31_536_000


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def show_file(name: str) -> ResponseReturnValue:
    """Serve one file by the name that holds its digest, or answer 404."""
    asset = find_asset(get_door().assets, name=name)
    if asset is None:
        not_found()
    is_compressed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(asset.compressed if is_compressed else asset.plain, content_type=asset.media_type)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_SECONDS}, immutable"
    return response
