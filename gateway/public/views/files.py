"""Serves the door's own files."""

from flask.typing import ResponseReturnValue

from gateway.public.assets import make_asset_response
from gateway.public.door import get_door
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def show_file(name: str) -> ResponseReturnValue:
    """Serve one file by the name that holds its digest."""
    return make_asset_response(get_door().assets, name=name)
