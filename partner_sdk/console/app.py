"""The console's app: every page behind one door (session.py) with one table of headers, and the front page."""

from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from partner_sdk.client._partner_state import PartnerProfile, PartnerState
from partner_sdk.console import accounts, agency, feedback, mailbox, sent, writing
from partner_sdk.console.agency import find_waiting_work
from partner_sdk.console.digests.page import read_style
from partner_sdk.console.drafts import Drafts, sweep
from partner_sdk.console.page import (
    Console,
    NavItem,
    bind_console,
    describe_error,
    get_console,
    list_typed,
    locate_fault,
    show_page,
)
from partner_sdk.console.people import make_console_folder
from partner_sdk.console.questions import format_choice, show_uk_times_in
from partner_sdk.console.sent import EXTENSION, Jobs, list_rows, list_spool
from partner_sdk.console.session import Door, Told, check_request, find_first_question, find_session, open_to_all
from partner_sdk.console.uk_clock import format_uk_time
from partner_sdk.console.writing import ConsoleRequest, get_drafts, remove_parts
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.problems import NOT_A_REPORT

blueprint = Blueprint("front", __name__, template_folder="templates")

FRONT_NAV: Final = NavItem("Home", "front.get_front")
NEWEST: Final = 5


@blueprint.get("/")
def get_front() -> Response:
    """Show the waiting work."""
    waiting = list_spool()
    return show_page(
        "front.html",
        work=find_waiting_work(),
        waiting=waiting,
        urgent=any(one.priority == "P1" for one in waiting),
        drafts=get_drafts().list_all(),
        rows=list_rows(most=NEWEST),
        now=get_console().clock(),
    )


MENU: Final = (
    *(FRONT_NAV, sent.NAV, agency.NAV, feedback.OUTCOMES_NAV),
    *(feedback.DIGESTS_NAV, feedback.BUTTON_NAV, accounts.ACCOUNT_NAV, accounts.PEOPLE_NAV),
)

# A report is at most 1 MiB of JSON; a form spells a letter of another script in nine characters.
MAX_FORM_BYTES: Final = 4 * 1024 * 1024
MAX_FORM_PARTS: Final = 1000

_STATIC: Final = Path(__file__).with_name("static")

HEADERS: Final = {
    # Only the console's own files load and run; its script asks it alone for the progress of a file.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    # Typed words do not come back from a cache, also not with Back after the console has ended.
    "Cache-Control": "no-store",
    # No other site hears of a page; a post to our own still names its origin, which is checked.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _ConsoleApp(Flask):
    """A Flask app whose log never holds a word of a report."""

    def log_exception(self, exc_info: Any) -> None:
        """Log the kind and the place of a fault."""
        self.logger.error("A page failed: %s", locate_fault(exc_info[1]))


def make_console_app(console: Console, door: Door) -> Flask:
    """Return the app of one console; its first page answers an invitation where the folder is not enrolled yet.

    Raises `LocalStateError` for an enrolled folder that cannot be used.
    """
    app = _ConsoleApp(__name__, static_folder=None, template_folder="templates")
    app.config.update(MAX_CONTENT_LENGTH=MAX_FORM_BYTES, MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES)
    app.config["MAX_FORM_PARTS"] = MAX_FORM_PARTS
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.request_class = ConsoleRequest
    app.teardown_request(remove_parts)
    app.extensions[EXTENSION] = Jobs()
    bind_console(app, console)
    if PartnerState.is_in(console.state):
        state, folder = PartnerState.open(console.state), make_console_folder(console.state)
        sweep(folder, state=state, drafts=Drafts(folder).list_ids())
    app.extensions["report_abuse_door"] = door
    app.before_request(lambda: check_request(door))
    app.before_request(lambda: find_first_question(is_enrolled=PartnerState.is_in(console.state)))
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(ReportAbuseError, _show_error)
    rooms = (accounts, agency, feedback, mailbox, sent, writing)
    for one in (blueprint, accounts.enrolling, *(room.blueprint for room in rooms)):
        app.register_blueprint(one)
    app.jinja_env.filters.update(choice=format_choice, moment=_format_moment, moments_in=show_uk_times_in)
    app.context_processor(
        lambda: {
            "visit": find_session(),
            "menu": MENU,
            "profile": _find_profile(console.state),
            "not_a_report": NOT_A_REPORT,
            "take_told": _take_told,
        }
    )
    return app


def _find_profile(folder: Path) -> PartnerProfile | None:
    """Return the profile of an enrolled folder, or None: also the page of an error is shown around it."""
    try:
        return PartnerState.open(folder).profile
    except LocalStateError:
        return None


@blueprint.get("/open/<token>")
@open_to_all
def get_open(token: str) -> ResponseReturnValue:
    """Trade the link for a session, once."""
    door: Door = current_app.extensions["report_abuse_door"]
    if door.find_session(request.cookies.get(door.cookie)) is not None:
        return redirect(url_for("front.get_front"), HTTPStatus.SEE_OTHER)
    session_id = door.trade(token)
    if session_id is None:
        return show_page("closed.html", status=HTTPStatus.UNAUTHORIZED, typed=[])
    response = make_response(redirect(url_for("front.get_front"), HTTPStatus.SEE_OTHER))
    response.set_cookie(door.cookie, session_id, httponly=True, samesite="Strict", path="/")
    return response


@blueprint.get("/static/console.css")
@open_to_all
def get_style() -> Response:
    """Return the only style sheet, with the rules of a digest."""
    own = (_STATIC / "console.css").read_text("utf-8")
    return Response(own + read_style(), content_type="text/css; charset=utf-8")


@blueprint.get("/static/console.js")
@open_to_all
def get_script() -> Response:
    """Return the small script. Every page works without it."""
    return Response((_STATIC / "console.js").read_text("utf-8"), content_type="text/javascript; charset=utf-8")


@blueprint.get("/static/icon.svg")
@open_to_all
def get_icon() -> Response:
    """Return the icon of the tab."""
    return Response((_STATIC / "icon.svg").read_text("utf-8"), content_type="image/svg+xml")


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _take_told() -> Told | None:
    """Return the line that this page shows once."""
    session = find_session()
    if session is None:
        return None
    told, session.told = session.told, None
    return told


def _show_http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    door: Door = current_app.extensions["report_abuse_door"]
    # Words from another site are none of this person's.
    is_own = request.method == "POST" and request.headers.get("Origin") == door.origin
    typed = list_typed() if is_own and error.code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE else []
    template = "closed.html" if error.code == HTTPStatus.UNAUTHORIZED else "error.html"
    return show_page(template, status=HTTPStatus(error.code), code=error.code, lines=None, typed=typed)


def _show_error(error: ReportAbuseError) -> Response:
    lines, typed = describe_error(error), list_typed()
    return show_page("error.html", status=HTTPStatus.INTERNAL_SERVER_ERROR, code=None, lines=lines, typed=typed)


def _format_moment(text: str | datetime | None) -> str:
    """Return a time of the wire for people, e.g. 25 Nov 2026, 08:30 GMT."""
    if not text:
        return "unknown time"
    return format_uk_time(parse_time(text) if isinstance(text, str) else text)
