"""The bare view that the industry door is compared with: reads the body and commits one row through our own store."""

import os
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, Response, current_app, request
from sqlalchemy import text

from gateway.store import open_store
from gateway.store.store import make_store
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

STATE_VARIABLE, URI_VARIABLE = "REPORT_ABUSE_BENCH_STATE", "REPORT_ABUSE_BENCH_URI"
ID = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
BODY = {"sqlite": "BLOB", "postgresql": "BYTEA"}
ADD_ROW = text("INSERT INTO bench_rows (body) VALUES (:body)")


def make_rows_table(state: Path, *, uri: str = "") -> None:
    """Make a database of ours with one table more, or add it to the one on a server."""
    state.mkdir(parents=True)
    store = make_store(
        state / "gateway.sqlite",
        lock_path=state / "gateway.lock",
        name="bare",
        epoch="bare",
        now=datetime.now(UTC),
        uri=uri,
    )
    with store.write() as connection:
        kind = connection.dialect.name
        connection.execute(text(f"CREATE TABLE bench_rows (id {ID[kind]}, body {BODY[kind]} NOT NULL)"))
    store.close()


def make_bare_app() -> Flask:
    """Return an app with one view and nothing else."""
    state = Path(os.environ[STATE_VARIABLE])
    app = Flask("bare")
    app.extensions["store"] = open_store(
        state / "gateway.sqlite", lock_path=state / "gateway.lock", uri=os.environ[URI_VARIABLE]
    )
    app.add_url_rule("/v1/reports", "post", post_row, methods=["POST"])
    return app


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_REPORT_BODY_BYTES)
def post_row() -> Response:
    """Store the body as one row, durably."""
    body = request.get_data(cache=False)
    with current_app.extensions["store"].write() as connection:
        connection.execute(ADD_ROW, {"body": body})
    return Response(b"{}", status=201, mimetype="application/json")
