"""Serves the button to partners' pages: the same files for everyone, each version at addresses that never change.

A folder of `widget/` named after a version, e.g. `1.0.0`, is a release; a new version is a new folder. A released file
never changes, so browsers may cache it for a year, and partners' pages carry its integrity digest.

Never sets or reads a cookie, and never logs the caller. No `Timing-Allow-Origin`: a partner's page has no business
measuring a visitor's connection to the agency.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import brotli  # type: ignore[import-untyped] # its wheel has no types
from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from gateway.web.rules import NO_LIMIT, CsrfRule, Login, not_found, rule
from partner_sdk.wire.canonical import encode

SCRIPT = "report-abuse-button.js"
ICON = "button.svg"
MEDIA_TYPES: Mapping[str, str] = {SCRIPT: "text/javascript; charset=utf-8", ICON: "image/svg+xml"}
BROTLI_QUALITY = 11
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
BLUEPRINT = "button"
SHORT_CACHE = "public, max-age=86400"  # a new icon reaches every page within a day
LASTING_CACHE = "public, max-age=31536000, immutable"
_ETAG_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """One released file. `bodies` are its bytes by content coding.

    `sha256` is in hexadecimal; `integrity` is the value of a page's attribute (Subresource Integrity §3.3).
    """

    version: str
    name: str
    bodies: Mapping[str, bytes]
    sha256: str
    integrity: str

    @property
    def raw(self) -> bytes:
        """The uncompressed file."""
        return self.bodies["identity"]

    @property
    def media_type(self) -> str:
        """The content type."""
        return MEDIA_TYPES[self.name]


def compress(raw: bytes) -> Mapping[str, bytes]:
    """Return bytes in each content coding, best first: for what is the same for everybody, and served often."""
    return {
        "br": brotli.compress(raw, quality=BROTLI_QUALITY),
        "gzip": gzip.compress(raw, 9, mtime=0),
        "identity": raw,
    }


def load_released_files(folder: Traversable | None = None) -> tuple[ReleasedFile, ...]:
    """Load every release, oldest first. Raises `OSError` if there is none, or one lacks its script or icon."""
    releases = sorted(_list_releases(folder or files("widget")), key=lambda one: _order(one.name))
    if not releases:
        raise FileNotFoundError("widget/ holds no release of the button.")
    return tuple(_load(release, name=name) for release in releases for name in sorted(MEDIA_TYPES))


def _list_releases(folder: Traversable) -> Iterator[Traversable]:
    return (entry for entry in folder.iterdir() if entry.is_dir() and _VERSION.fullmatch(entry.name))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _load(release: Traversable, *, name: str) -> ReleasedFile:
    raw = release.joinpath(name).read_bytes()
    return ReleasedFile(
        version=release.name,
        name=name,
        bodies=compress(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        integrity=f"sha384-{base64.b64encode(hashlib.sha384(raw).digest()).decode()}",
    )


@dataclass(frozen=True, slots=True)
class ButtonFiles:
    """The served files: `lasting` by (version or digest, name), the newest `icon`, and `integrities` as JSON."""

    lasting: Mapping[tuple[str, str], ReleasedFile]
    icon: ReleasedFile
    integrities: bytes


def register(app: Flask) -> None:
    """Add the button's routes to an app."""
    app.extensions["button_files"] = make_button_files(load_released_files())
    routes = Blueprint(BLUEPRINT, __name__, url_prefix="/button")
    routes.add_url_rule("/<edition>/<name>", "show_file", show_file, methods=["GET"])
    routes.add_url_rule("/button.svg", "show_icon", show_icon, methods=["GET"])
    routes.add_url_rule("/sri.json", "show_integrities", show_integrities, methods=["GET"])
    routes.add_url_rule("/sha256", "show_digest", show_digest, methods=["GET"])
    app.register_blueprint(routes)


def make_button_files(released: tuple[ReleasedFile, ...]) -> ButtonFiles:
    """Index released files (oldest first) by address."""
    icons = [one for one in released if one.name == ICON]
    lasting = {(one.version, one.name): one for one in released} | {(one.sha256, ICON): one for one in icons}
    integrities: dict[str, dict[str, dict[str, str | int]]] = {}
    for one in released:
        integrities.setdefault(one.version, {})[one.name] = {"integrity": one.integrity, "size": len(one.raw)}
    return ButtonFiles(lasting=lasting, icon=icons[-1], integrities=encode(integrities))


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_file(edition: str, name: str) -> ResponseReturnValue:
    """Serve a released file by version, or an icon by digest; the bytes at an address never change."""
    found = _get_files().lasting.get((edition, name))
    if found is None:
        not_found()
    return _answer(found, cache=LASTING_CACHE)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_icon() -> ResponseReturnValue:
    """Serve the newest icon at the address without a version."""
    return _answer(_get_files().icon, cache=SHORT_CACHE)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_integrities() -> ResponseReturnValue:
    """Return the integrity and size of every released file, by version and name."""
    return Response(_get_files().integrities, content_type="application/json")


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="button")
def show_digest() -> ResponseReturnValue:
    """Return the SHA-256 of the newest icon, for services that host a copy."""
    return Response(f"{_get_files().icon.sha256}  {ICON}\n", content_type="text/plain; charset=utf-8")


def _get_files() -> ButtonFiles:
    files = current_app.extensions["button_files"]
    if not isinstance(files, ButtonFiles):
        raise TypeError("app.extensions['button_files'] was replaced.")
    return files


def _answer(found: ReleasedFile, *, cache: str) -> Response:
    """Answer a file; no ranges, since the files are small."""
    response = answer_in_best_coding(found.bodies, content_type=found.media_type)
    response.headers["Cache-Control"] = cache
    response.headers["Accept-Ranges"] = "none"
    # A strong validator identifies the exact bytes sent (RFC 9110 §8.8.3.3), so each coding has its own.
    response.set_etag(f"{found.sha256[:_ETAG_CHARACTERS]}-{response.content_encoding or 'identity'}")
    response.make_conditional(request)
    return response


def answer_in_best_coding(bodies: Mapping[str, bytes], *, content_type: str) -> Response:
    """Answer in the accepted coding with the highest weight (the first on a tie), else uncompressed."""
    weights = {coding: request.accept_encodings.quality(coding) for coding in bodies if coding != "identity"}
    best = max(weights, key=lambda coding: weights[coding])
    coding = best if weights[best] > 0 else "identity"
    response = Response(bodies[coding], content_type=content_type)
    if coding != "identity":
        response.content_encoding = coding
    response.vary.add("Accept-Encoding")
    return response
