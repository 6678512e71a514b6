"""Makes the desk's web app: pages on this machine for the people of the desk.

Never listens for anybody else: the address is a loopback address, and any other host name is turned away.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask

from gateway.desk.cases import pages as case_pages
from gateway.desk.cases import question_pages, reply_pages
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.config import DeskConfigError
from gateway.desk.digests import pages as digest_pages
from gateway.desk.evidence import pages as evidence_pages
from gateway.desk.partners import adoption_pages
from gateway.desk.placements import checks_pages
from gateway.desk.placements import pages as placement_pages
from gateway.desk.sending import pages as outbox_pages
from gateway.desk.starting import check_release
from gateway.desk.views import sign_in
from gateway.desk.views.context import bind_desk, show_error
from gateway.desk.wiring import Desk, open_desk
from gateway.web.logs import configure_logging
from gateway.web.settings import is_loopback
from gateway.web.web_app import finish_web_app, make_web_app

STATE_VARIABLE = "REPORT_ABUSE_DESK_STATE"
ORIGIN_VARIABLE = "REPORT_ABUSE_DESK_ORIGIN"


def make_desk_app(desk: Desk, *, origin: str, secret_key: bytes) -> Flask:
    """Return the app of one desk at `origin`, such as http://127.0.0.1:8003. Raises `DeskConfigError`."""
    if not is_loopback(urlsplit(origin).hostname or ""):
        raise DeskConfigError(
            "The desk's pages are served on a loopback address only: use 127.0.0.1.", reason="not-loopback"
        )
    app = make_web_app(
        "report-abuse-desk",
        origin=origin,
        secret_key=secret_key,
        surface_of=_get_surface,
        html_error=show_error,
        cookie_name="desk",
        api_prefixes=(checks_pages.PATH,),
        same_site="Strict",
    )
    app.jinja_env.filters["title_of"] = title_of
    bind_desk(app, desk, origin=origin)
    checks_pages.bind_post_rate(app)
    for room in (
        *(sign_in, case_pages, evidence_pages, reply_pages, question_pages),
        *(outbox_pages, placement_pages, checks_pages, adoption_pages, digest_pages),
    ):
        app.register_blueprint(room.blueprint)
    finish_web_app(app, limits=(checks_pages.LIMIT,))
    return app


def make_served_app() -> Flask:
    """Return the app for the server process, from the state folder and the origin in its environment."""
    configure_logging("desk")
    check_release()
    # A key that lives as long as the process: a restart signs everybody out, and no key lies on a disk.
    return make_desk_app(
        open_desk(Path(os.environ[STATE_VARIABLE])),
        origin=os.environ[ORIGIN_VARIABLE],
        secret_key=secrets.token_bytes(32),
    )


def _get_surface(_path: str) -> str:
    return "desk"
