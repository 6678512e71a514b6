"""Sign in by a start link, sign out, the style sheet, and what monitoring asks: `/health` and `/status`."""

from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue

from gateway.desk.start_links import StartLinkError, get_link_folder, use_start_link
from gateway.desk.views.context import get_desk, show_page, sign_in, sign_out
from gateway.desk.watch import describe_watch, find_unfit, settle_alarms
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import encode

blueprint = Blueprint("sign_in", __name__, template_folder="templates")
STYLE_FILE = Path(__file__).parent / "static" / "desk.css"
FORM_BYTES = 4096


@blueprint.get("/start/<secret>")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def show_start(secret: str) -> ResponseReturnValue:
    """Show the button that uses the link: a program that only looks at addresses must not use it up."""
    return show_page("start.html", secret=secret)


@blueprint.post("/start/<secret>")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def post_start(secret: str) -> ResponseReturnValue:
    """Use the link."""
    desk = get_desk()
    try:
        name = use_start_link(get_link_folder(desk.paths.state), secret, now=desk.clock())
    except StartLinkError as error:
        return show_page("signed_out.html", status=HTTPStatus.UNAUTHORIZED, fault=str(error))
    sign_in(name)
    return redirect(url_for("cases.list_all"), HTTPStatus.SEE_OTHER)


@blueprint.post("/sign-out")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def post_sign_out() -> ResponseReturnValue:
    """End the session."""
    sign_out()
    return show_page("signed_out.html", fault="You are signed out.")


@blueprint.get("/desk.css")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_style() -> Response:
    """Give the one style sheet."""
    return Response(STYLE_FILE.read_bytes(), content_type="text/css; charset=utf-8")


@blueprint.get("/health")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_health() -> Response:
    """Answer 503 when this desk cannot open or collect now, and 200 whatever else is amiss: `/status` says that."""
    unfit = find_unfit(get_desk())
    body = {"role": "desk", "status": "ok"} if unfit is None else {"reason": unfit, "role": "desk", "status": "unfit"}
    status = HTTPStatus.OK if unfit is None else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(encode(body), status=status, content_type="application/json")


@blueprint.get("/status")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_status() -> Response:
    """Answer a monitoring program on this machine: codes, counts and ages of what has stopped or waits."""
    desk = get_desk()
    return Response(encode(describe_watch(desk, settle_alarms(desk))), content_type="application/json")
