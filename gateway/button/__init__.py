"""Serves the button's icon to partners' pages: the same file for everybody, without a cookie."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from flask import Blueprint, Flask, Response, current_app
from flask.typing import ResponseReturnValue

from gateway.web.problem_pages import not_found
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

BLUEPRINT = "button"
SHORT_CACHE = "public, max-age=86400"  # a new icon reaches every page within a day
LASTING_CACHE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Icon:
    """The icon's bytes and their digest in hexadecimal."""

    raw: bytes
    sha256: str


def register(app: Flask) -> None:
    """Add the icon's addresses to an app."""
    raw = files("widget").joinpath("button.svg").read_bytes()
    app.extensions["button_icon"] = Icon(raw, hashlib.sha256(raw).hexdigest())
    room = Blueprint(BLUEPRINT, __name__, url_prefix="/button")
    room.add_url_rule("/button.svg", "show_icon", show_icon, methods=["GET"])
    room.add_url_rule("/<sha256>/button.svg", "show_named_icon", show_named_icon, methods=["GET"])
    room.add_url_rule("/sha256", "show_digest", show_digest, methods=["GET"])
    app.register_blueprint(room)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_icon() -> ResponseReturnValue:
    """Serve the icon under the address that every snippet names."""
    return _answer(_get_icon(), cache=SHORT_CACHE)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_named_icon(sha256: str) -> ResponseReturnValue:
    """Serve the icon under an address made from its content: it never changes."""
    icon = _get_icon()
    if sha256 != icon.sha256:
        not_found()
    return _answer(icon, cache=LASTING_CACHE)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_digest() -> ResponseReturnValue:
    """Say the digest of the icon, for those who keep a copy."""
    return Response(f"{_get_icon().sha256}  button.svg\n", content_type="text/plain; charset=utf-8")


def _get_icon() -> Icon:
    icon = current_app.extensions["button_icon"]
    if not isinstance(icon, Icon):
        raise TypeError("app.extensions['button_icon'] was replaced.")
    return icon


def _answer(icon: Icon, *, cache: str) -> Response:
    return Response(icon.raw, content_type="image/svg+xml", headers={"Cache-Control": cache})
