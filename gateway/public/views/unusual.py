"""Pages for failures: two tabs, a long pause, a failed token, an error.

Never a bare error page, and never a page without the typed text and a helpline.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from flask import request
from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import NO_VERSION
from gateway.public.journey import CHECK, SCREEN_BY_NAME, START, Answers, Screen, find_packed_answers
from gateway.public.navigation import COME_BACK, FOR_SERVICES, FOR_SERVICES_SENT, get_path
from gateway.public.pages import (
    Row,
    list_rows,
    make_blank_form,
    make_form,
    make_notice,
    make_waiting_form,
    render_message,
    render_page,
    render_screen,
)
from gateway.public.views.check import render_check
from gateway.public.views.coming_back import read_typed, render_come_back
from gateway.public.views.for_services import read_service_form, render_for_services
from gateway.public.views.responses import TOO_MANY_REQUESTS, is_asked_to_wait
from gateway.public.views.start import render_start
from gateway.public.visit import (
    find_visit,
    get_posted_version,
    has_cookie,
    has_shown_context,
    is_own_form,
    read_context,
    remember_asked_language,
    start_visit,
)
from gateway.web.rules import REFUSED
from partner_sdk.wire.problems import Problem

KIND_PAGES: Mapping[int, str] = {
    404: "not_found",
    405: "not_found",
    408: "not_stored",
    413: "too_big",
    415: "files",
    431: "too_big",
}
BAD_REQUEST, SERVER_ERROR = 400, 500


def answer_csrf_failure() -> ResponseReturnValue:
    """Show the page again with its text and a new token; after a second failure without cookies, the helplines."""
    door = get_door()
    name = str((request.view_args or {}).get("name", ""))
    if request.path == get_path(COME_BACK) and (has_cookie() or not request.form.get("again")):
        form = replace(make_blank_form(), again=True)
        return render_come_back(door, read_typed(), form, notice_page="again"), BAD_REQUEST
    if request.path in {get_path(FOR_SERVICES), get_path(FOR_SERVICES_SENT)}:
        typed = read_service_form(request.form.getlist)
        return render_for_services(door, typed, make_blank_form(), notice="again"), BAD_REQUEST
    if name not in SCREEN_BY_NAME:
        if has_cookie():
            context = read_context(request.form)
            return render_start(door, make_blank_form(), notice_page="again", context=context), BAD_REQUEST
        return _answer_no_cookies(door, {}), BAD_REQUEST
    posted = _read_all_posted(SCREEN_BY_NAME[name])
    visit = find_visit()
    if visit is None:
        if request.form.get("again") and not has_cookie():
            return _answer_no_cookies(door, posted), BAD_REQUEST
        if is_asked_to_wait(door, "public-start"):
            return _ask_to_wait(door, name, posted), TOO_MANY_REQUESTS
        visit = start_visit(door)
    version = get_posted_version() if is_own_form(visit) else NO_VERSION
    notice = make_notice(door, "again")
    if name == CHECK:
        has_context = has_shown_context(request.form)
        page = render_check(door, visit, posted, version=version, notice=notice, again=True, has_context=has_context)
        return page, BAD_REQUEST
    form = make_form(visit.keys, version, again=True)
    return render_screen(door, SCREEN_BY_NAME[name], posted, form, notice=notice), BAD_REQUEST


def make_error_page(status: int, request_id: str) -> ResponseReturnValue:
    """Make the kind page for a status; after a server error it still shows the typed text."""
    door = get_door()
    is_sent_away = request.environ.get(REFUSED) == HTTPStatus.SERVICE_UNAVAILABLE
    if request.method == "POST" and is_sent_away:
        # The body was not read here. The browser has it, and sends it again when the page is reloaded.
        return render_message(door, "busy", is_for_all=True), status
    is_lost_post = status >= SERVER_ERROR and request.method == "POST"
    if is_lost_post and request.path == get_path(FOR_SERVICES):
        asked = read_service_form(request.form.getlist)
        return render_for_services(door, asked, make_blank_form(), notice="not_sent"), status
    fault_page = "not_stored" if is_lost_post else "not_ready"
    page = KIND_PAGES.get(status, fault_page if status >= SERVER_ERROR else "not_found")
    typed: list[Row] = []
    if is_lost_post:
        screen = SCREEN_BY_NAME.get(str((request.view_args or {}).get("name", START)))
        typed = [] if screen is None else list_rows(door, _read_all_posted(screen))
    go_on = door.wording.page("not_found")["start"]
    return render_message(door, page, go_on=go_on, typed=typed, is_for_all=is_sent_away), status


def show_problem(problem: Problem) -> ResponseReturnValue:
    """Explain an answer of the API to its reader, an engineer; a child who came here finds the first page."""
    door = get_door()
    remember_asked_language()
    words = door.wording.page("not_found")
    return render_page(door, "problem.html", ways="links", title=problem.title, page=words, problem=problem)


def _ask_to_wait(door: PublicDoor, name: str, posted: Answers) -> str:
    """Show the page with its text once more; its journey begins when it is posted after the wait."""
    notice = make_notice(door, "slow")
    if name == CHECK:
        return render_check(
            door, None, posted, version=NO_VERSION, notice=notice
        )  # without a journey there is no context
    return render_screen(door, SCREEN_BY_NAME[name], posted, make_waiting_form(), notice=notice)


def _answer_no_cookies(door: PublicDoor, posted: Answers) -> str:
    return render_message(
        door, "no_cookies", go_on=door.wording.page("no_cookies")["retry"], typed=list_rows(door, posted)
    )


def _read_all_posted(screen: Screen) -> Answers:
    if screen.name == CHECK:
        return find_packed_answers(request.form.get("words")) or {}
    return screen.read(request.form.getlist)
