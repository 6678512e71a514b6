"""The plain upload that evidence is compared with: takes parts, checks one SHA-256 of each, writes and fsyncs them."""

import hashlib
import os
import secrets
from pathlib import Path

from flask import Flask, Response, request

from gateway.web.rules import NO_LIMIT, BodyRoom, CsrfRule, Login, rule
from partner_sdk.wire.evidence import PART_BYTES

FOLDER_VARIABLE = "REPORT_ABUSE_BENCH_UPLOADS"
DIGEST_HEADER = "X-SHA-256"
PIECE_BYTES = 256 * 1024


def make_plain_upload_app() -> Flask:
    """Return an app with one view and nothing else."""
    app = Flask("plain-upload")
    app.add_url_rule("/parts", "put", put_part, methods=["PUT"])
    return app


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=PART_BYTES, body_room=BodyRoom.PARTS)
def put_part() -> Response:
    """Store the body as one file, durably, if it has the digest that was named."""
    hashed, stream, left = hashlib.sha256(), request.environ["wsgi.input"], request.content_length or 0
    path = Path(os.environ[FOLDER_VARIABLE]) / secrets.token_hex(16)
    with path.open("wb") as handle:
        while left and (piece := stream.read(min(left, PIECE_BYTES))):
            left -= len(piece)
            hashed.update(piece)
            handle.write(piece)
        handle.flush()
        os.fsync(handle.fileno())
    is_good = hashed.hexdigest() == request.headers[DIGEST_HEADER]
    return Response(b"{}", status=201 if is_good else 400, mimetype="application/json")
