"""Makes the desk's web app: every page, the style sheet, and `/health` and `/status`.

It listens on this machine alone; any host name but its own, or that of the agency's proxy, is refused.
"""

import os
import secrets
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response
from flask.typing import ResponseReturnValue

from gateway.desk.cases import pages as case_pages
from gateway.desk.cases import work_pages
from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.model import format_failure
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.cases.reply_templates import load_release_files
from gateway.desk.cases.watch import describe_watch, find_unfit, update_alarms
from gateway.desk.collection import quarantine_pages
from gateway.desk.digests import figures as figures_pages
from gateway.desk.digests import invitations
from gateway.desk.digests import pages as digest_pages
from gateway.desk.office.config import ORIGIN_VARIABLE, STATE_VARIABLE, DeskConfigError
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import VIEWS, bind_desk, get_desk, show_error, show_page, sign_out, staff_rule
from gateway.desk.office.views.step_up import bind_step_up
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.outgoing import manual_entry as manual_entry_pages
from gateway.desk.outgoing import package_pages, referrals, service_alerts, service_requests
from gateway.desk.partners import pages as partner_pages
from gateway.desk.partners import placement_pages
from gateway.desk.retention import pages as retention_pages
from gateway.desk.retention import rights_pages
from gateway.desk.running import action_pages, outbox_pages, passkey_pages, release_pages
from gateway.desk.running import audit_log as audit_pages
from gateway.desk.running import duty as duty_pages
from gateway.desk.vault import VaultError
from gateway.web.logs import configure_logging
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.web.settings import is_loopback
from gateway.web.web_app import finish_web_app, make_web_app
from partner_sdk.console.digests.page import read_style
from partner_sdk.wire.canonical import encode, format_time

blueprint = Blueprint("sign_in", __name__, template_folder=VIEWS / "templates")
# The panes of the cases, and the style of every page; one address serves both.
STYLE_FILES = (VIEWS / "static" / "desk.css", VIEWS / "static" / "panes.css")
SCRIPT_FILE = VIEWS / "static" / "desk.js"
FORM_BYTES = 4096


@blueprint.post("/sign-out")
@staff_rule(Permission.SIGN_OUT, body_bytes=FORM_BYTES)
def post_sign_out() -> ResponseReturnValue:
    """Sign out."""
    sign_out()
    return show_page("sign_in.html", status=HTTPStatus.OK, fault="You are signed out.")


@blueprint.get("/desk.css")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_style() -> Response:
    """Return the only style sheet, with the rules of the partner's page for its preview."""
    return Response(read_sheet() + read_style(), content_type="text/css; charset=utf-8")


@blueprint.get("/desk.js")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def get_script() -> Response:
    """Return the script for keys, the next case and unsaved text. Every page works without it."""
    return Response(SCRIPT_FILE.read_text("utf-8"), content_type="text/javascript; charset=utf-8")


def read_sheet() -> str:
    """Return the desk's own style sheet."""
    return "".join(path.read_text("utf-8") for path in STYLE_FILES)


@blueprint.get("/health")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_health() -> Response:
    """Answer 503 if this desk cannot open or collect now, otherwise 200, even with the problems listed at `/status`."""
    unfit = find_unfit(get_desk())
    body = {"role": "desk", "status": "ok"} if unfit is None else {"reason": unfit, "role": "desk", "status": "unfit"}
    status = HTTPStatus.OK if unfit is None else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(encode(body), status=status, content_type="application/json")


@blueprint.get("/status")
@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="api")
def get_status() -> Response:
    """Answer a monitoring program on this machine: codes, counts and ages of stopped or waiting work."""
    desk = get_desk()
    return Response(encode(describe_watch(desk, update_alarms(desk))), content_type="application/json")


def make_desk_app(desk: Desk, *, origin: str, secret_key: bytes) -> Flask:
    """Return the app of one desk at `origin`, e.g. http://localhost:8702. Raises `DeskConfigError`."""
    if origin != desk.config.pages_origin and not is_loopback(urlsplit(origin).hostname or ""):
        raise DeskConfigError(
            "The desk's pages open at this machine's own address, or at pages_origin in desk.toml.",
            reason="not-loopback",
        )
    app = make_web_app(
        "report-abuse-desk",
        origin=origin,
        secret_key=secret_key,
        surface_of=lambda _path: "desk",
        html_error=show_error,
        cookie_name="desk",
        api_prefixes=(placement_pages.PATH,),
        same_site="Strict",
    )
    app.jinja_env.filters["title_of"] = title_of
    app.jinja_env.filters["failure"] = format_failure
    app.jinja_env.tests["to_come"] = lambda text: text > format_time(desk.clock())
    load_register(desk.paths.destinations)  # a mistake in it stops the start, not a page
    bind_desk(app, desk, origin=origin)
    app.register_error_handler(
        VaultError,
        lambda error: show_page("vault.html", status=HTTPStatus.SERVICE_UNAVAILABLE, reason=error.reason),
    )
    bind_step_up(app)
    placement_pages.bind_post_rate(app)
    app.register_blueprint(blueprint)
    for pages in (
        *(case_pages, work_pages, quarantine_pages),
        package_pages,
        *(referrals, service_alerts, invitations),
        *(outbox_pages, action_pages, placement_pages, digest_pages),
        partner_pages,
        *(passkey_pages, release_pages, manual_entry_pages, rights_pages, audit_pages, retention_pages),
        *(figures_pages, duty_pages, service_requests),
    ):
        app.register_blueprint(pages.blueprint)
    app.register_blueprint(action_pages.destinations)
    app.register_blueprint(partner_pages.adoption)
    app.register_blueprint(placement_pages.runner_blueprint)
    finish_web_app(app, limits=(placement_pages.LIMIT,))
    return app


def make_served_app() -> Flask:
    """Return the app for the server process, from the state folder and the origin in its environment."""
    configure_logging("desk")
    load_release_files()
    # A key that lives as long as the process: a restart signs everyone out, and no key is on disk.
    return make_desk_app(
        open_desk(Path(os.environ[STATE_VARIABLE]), may_hold_keys=False),
        origin=os.environ[ORIGIN_VARIABLE],
        secret_key=secrets.token_bytes(32),
    )
