"""A small web app with one route of each sort, assembled as both rooms assemble theirs."""

import io
import json
import logging
from typing import Any

from flask import Blueprint, Flask, current_app, request, session
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from werkzeug.test import TestResponse

from gateway.web.logs import AllowListFormatter
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, RequestRefusedError, on_csrf_failure, rule
from gateway.web.web_app import WebApp, finish_web_app, make_web_app
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems

ORIGIN = "https://report.example"
FORM_BYTES = 2_000
JSON_BYTES = 1_000
MARKER = "marker-of-a-report-7731"

pages = Blueprint("pages", __name__)
machines = Blueprint("machines", __name__)


@pages.get("/3")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def show_form() -> ResponseReturnValue:
    """Show the form's token."""
    session["here"] = True
    return str(generate_csrf())


@pages.post("/3")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def take_form() -> ResponseReturnValue:
    """Give the words back."""
    return request.form["words"]


@pages.get("/crash")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def crash_page() -> ResponseReturnValue:
    """Fail with words in the message."""
    raise RuntimeError(MARKER)


@pages.get("/look.css")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_look() -> ResponseReturnValue:
    """Give a file with its own caching."""
    return "body{}", {"Cache-Control": "public, max-age=31536000, immutable"}


@machines.post("/v1/things/<thing>")
@rule(login=Login.PARTNER, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=JSON_BYTES)
def post_thing(thing: str) -> ResponseReturnValue:
    """Take anything."""
    return {"size": len(request.get_data()), "thing": thing}


@machines.post("/v1/unread")
@rule(login=Login.PARTNER, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=JSON_BYTES)
def post_unread() -> ResponseReturnValue:
    """Answer without looking at the body, as a door does that refuses the signature."""
    return {}


@machines.get("/v1/refused/<slug>")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def get_refusal(slug: str) -> ResponseReturnValue:
    """Refuse with a row of the table."""
    problem = problems.find_problem(slug)
    assert problem is not None
    raise RequestRefusedError(problem, faults=(FieldFault(pointer="#/x", detail="Say x."),))


@machines.get("/v1/crash")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def crash() -> ResponseReturnValue:
    """Fail with words in the message."""
    raise RuntimeError(MARKER)


def show_again() -> ResponseReturnValue:
    """Answer a failed post as the public door does."""
    return f"again: {request.form.get('words', '')}", 200


def make_html_error(status: int, request_id: str) -> ResponseReturnValue:
    """Make the page of an error."""
    assert current_app
    return f"<p>page {status} {request_id}</p>"


def surface_of(path: str) -> str:
    """Return the surface of a path."""
    return "api" if path.startswith("/v1") else "page"


def make_test_app(*, origin: str = ORIGIN, with_answer: bool = False) -> WebApp:
    """Return the app, finished."""
    app = make_web_app(
        "web-test",
        origin=origin,
        secret_key=b"k" * 32,
        surface_of=surface_of,
        html_error=make_html_error,
        cookie_name="journey",
    )
    app.register_blueprint(pages)
    app.register_blueprint(machines)
    if with_answer:
        on_csrf_failure(app, blueprint="pages", answer=show_again)
    finish_web_app(app, limits=())
    return app


def call(app: Flask, method: str, path: str, **settings: Any) -> TestResponse:
    """Send one request over https, without cookies."""
    return app.test_client(use_cookies=False).open(path, method=method, base_url=ORIGIN, **settings)


class LogCatcher:
    """Collects the process's log, byte for byte."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(AllowListFormatter("test"))

    def __enter__(self) -> "LogCatcher":
        root = logging.getLogger()
        root.addHandler(self.handler)
        self.former = root.level, logging.getLogger("report_abuse").level
        root.setLevel(logging.DEBUG)
        logging.getLogger("report_abuse").setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_error: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self.handler)
        root.setLevel(self.former[0])
        logging.getLogger("report_abuse").setLevel(self.former[1])

    @property
    def text(self) -> str:
        """Return everything."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return every line, parsed."""
        return [json.loads(line) for line in self.text.splitlines()]
