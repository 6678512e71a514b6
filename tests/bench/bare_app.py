"""The bare view that the industry door is compared with: reads the body and commits one row through our own store."""

import os
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, Response, current_app, request
from sqlalchemy import text

from gateway.store import open_store
from gateway.store.creation import make_store
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

STATE_VARIABLE = "REPORT_ABUSE_BENCH_STATE"
ADD_ROW = text("INSERT INTO bench_rows (body) VALUES (:body)")


def make_rows_table(state: Path) -> None:
    """Make a database of ours with one table more."""
    state.mkdir(parents=True)
    store = make_store(
        state / "gateway.sqlite", lock_path=state / "gateway.lock", name="bare", epoch="bare", now=datetime.now(UTC)
    )
    with store.write() as connection:
        connection.execute(text("CREATE TABLE bench_rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)"))
    store.close()


def make_bare_app() -> Flask:
    """Return an app with one view and nothing else."""
    state = Path(os.environ[STATE_VARIABLE])
    app = Flask("bare")
    app.extensions["store"] = open_store(state / "gateway.sqlite", lock_path=state / "gateway.lock")
    app.add_url_rule("/v1/reports", "post", post_row, methods=["POST"])
    return app


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=MAX_REPORT_BODY_BYTES)
def post_row() -> Response:
    """Store the body as one row, durably."""
    body = request.get_data(cache=False)
    with current_app.extensions["store"].write() as connection:
        connection.execute(ADD_ROW, {"body": body})
    return Response(b"{}", status=201, mimetype="application/json")
