"""The manifest of the form: hashes of every public file, for the public log (docs/decisions/0082).

Its form is that of WEBCAT, an alpha (https://github.com/freedomofpress/webcat). The documents are rendered from the
agency's settings, so every hash is of the very bytes that this gateway answers with. Never lists a page that holds a
token or an answer: the first page and the plain way.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from gateway.public.door import EXTENSION, FILES_PATH, PublicDoor, get_door
from gateway.store import Store
from gateway.store.published import find_document, put_document
from gateway.web.rules import CsrfRule, Login, not_found, rule
from partner_sdk import __version__
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import encode, to_base64url

MANIFEST_PATH: Final = "/.well-known/webcat/manifest.json"
DOCUMENTS: Final = ("/form", "/cy/form")


@dataclass(frozen=True, slots=True)
class _Served:
    sha256: str
    policy: str


def make_manifest(app: Flask) -> bytes:
    """Make the manifest of an app with the public door; raises `LocalStateError` (`not-served`)."""
    door: PublicDoor = app.extensions[EXTENSION]
    documents = {path: _ask(app, path) for path in list_documents(app)}
    files = {path: _ask(app, path) for path in sorted(asset.path for asset in door.assets.values())}
    # Each group has one policy: headers are one table for each kind of answer (gateway/web/web_app.py).
    policy = next(iter((documents or files).values())).policy
    found = {
        "name": "report-abuse form",
        "version": __version__,
        "default_csp": policy,
        "extra_csp": {FILES_PATH: next(iter(files.values())).policy},
        "default_index": DOCUMENTS[0].removeprefix("/"),
        "default_fallback": DOCUMENTS[0],
        "files": {path: one.sha256 for path, one in (files | documents).items()},
        "wasm": [],
    }
    # WEBCAT's signatures are proofs of a Sigsum log, which the operator may add; ours is the checkpoint of the log.
    return encode({"manifest": found, "signatures": {}})


def list_documents(app: Flask) -> list[str]:
    """List the paths of the documents that the app serves to everybody; a practice gateway has none."""
    door: PublicDoor = app.extensions[EXTENSION]
    routes = {one.rule for one in app.url_map.iter_rules()}
    return [path for path in DOCUMENTS if path in routes and not door.is_practice]


def _ask(app: Flask, path: str) -> _Served:
    """Answer a request as the gateway does, without a compressed body."""
    door: PublicDoor = app.extensions[EXTENSION]
    with app.test_request_context(path, base_url=door.origin):
        body, status, headers = app.full_dispatch_request().get_wsgi_response(request.environ)
        raw = b"".join(body)
    if status != "200 OK":
        raise LocalStateError(f"The form answers {path} with {status}.", reason="not-served")
    return _Served(to_base64url(hashlib.sha256(raw).digest()), dict(headers)["Content-Security-Policy"])


def offer_release(store: Store, manifest: bytes, *, now: datetime) -> bool:
    """Queue a manifest for the next batch of the log; False if it is the newest release already.

    Raises StorageUnavailableError.
    """
    with store.write() as connection:
        if find_document(connection, name="release") == manifest:
            return False
        put_document(connection, name="next-release", serial=int(now.timestamp()), document=manifest, now=now)
    return True


@rule(login=Login.OPEN, limit="log-read", csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def show_manifest() -> ResponseReturnValue:
    """Serve the newest manifest that the log holds, or answer 404."""
    with get_door().store.read() as connection:
        manifest = find_document(connection, name="release")
    if manifest is None:
        not_found()
    return Response(manifest, content_type="application/json", headers={"Cache-Control": "no-cache"})
