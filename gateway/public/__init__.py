"""The public door: a form that a frightened child can use on an old, shared phone.

Works without script, and loses nothing: typed text is either stored sealed, or still on the page. Never a bare error
page, and never a page without the typed text and a helpline.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue

from gateway.button import answer_in_best_coding
from gateway.button import register as register_button
from gateway.guidance.advice import load_advice
from gateway.guidance.risk import load_rules
from gateway.guidance.signposts import load_countries, load_signposts
from gateway.public.door import (
    COME_BACK,
    EXTENSION,
    FILES_PATH,
    FOR_SERVICES,
    FOR_SERVICES_SENT,
    LEAVE,
    PHONE,
    PHONE_CY,
    PHONE_VISIT,
    POSTER,
    REPLIES,
    SEALED_PLACE,
    SIDE_PATHS,
    PublicDoor,
    find_asset,
    get_door,
    get_path,
    load_assets,
)
from gateway.public.journey import CHECK, SCREEN_BY_NAME, SCREENS, START, THANKS, Answers, Screen, find_packed_answers
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
from gateway.public.phone_form import DOCUMENTS, Documents, post_phone_report, post_phone_visit, show_phone
from gateway.public.release import MANIFEST_PATH, show_manifest
from gateway.public.returning import WaysBack, load_return_words
from gateway.public.views.check import post_check, post_thanks, render_check, show_check, show_thanks
from gateway.public.views.for_services import (
    post_for_services,
    post_for_services_sent,
    read_service_form,
    render_for_services,
    show_for_services,
    show_for_services_sent,
)
from gateway.public.views.screens import TOO_MANY_REQUESTS, is_asked_to_wait, leave, post_screen, show_screen
from gateway.public.views.start import (
    post_come_back,
    post_replies,
    post_sealed_place,
    post_side,
    post_start,
    read_typed,
    render_come_back,
    render_start,
    show_come_back,
    show_poster,
    show_replies,
    show_side,
    show_start,
)
from gateway.public.visit import (
    NO_VERSION,
    find_visit,
    get_posted_version,
    has_cookie,
    has_shown_context,
    is_own_form,
    make_state_key,
    read_context,
    remember_asked_language,
    select_language,
    start_visit,
)
from gateway.public.wording import load_service_wording, load_wordings, select_language_by
from gateway.web.rules import (
    NO_LIMIT,
    REFUSED,
    CsrfRule,
    Login,
    not_found,
    on_csrf_failure,
    rule,
    use_html_error,
    use_problem_page,
)
from gateway.wiring import Gateway
from partner_sdk.wire.button import LANGUAGES
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
            # Its journey begins when it is posted after the wait; without a journey there is no context.
            slow = make_notice(door, "slow")
            if name == CHECK:
                return render_check(door, None, posted, version=NO_VERSION, notice=slow), TOO_MANY_REQUESTS
            return render_screen(
                door, SCREEN_BY_NAME[name], posted, make_waiting_form(), notice=slow
            ), TOO_MANY_REQUESTS
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


def _answer_no_cookies(door: PublicDoor, posted: Answers) -> str:
    return render_message(
        door, "no_cookies", go_on=door.wording.page("no_cookies")["retry"], typed=list_rows(door, posted)
    )


def _read_all_posted(screen: Screen) -> Answers:
    if screen.name == CHECK:
        return find_packed_answers(request.form.get("words")) or {}
    return screen.read(request.form.getlist)


BLUEPRINT = "public"
ONE_YEAR_SECONDS = 31_536_000
View = Callable[..., ResponseReturnValue]
# Places with their own views; all other screens share one pair.
VIEWS: Mapping[str, tuple[View, View]] = {
    START: (show_start, post_start),
    CHECK: (show_check, post_check),
    THANKS: (show_thanks, post_thanks),
    COME_BACK: (show_come_back, post_come_back),
    REPLIES: (show_replies, post_replies),
    FOR_SERVICES: (show_for_services, post_for_services),
    FOR_SERVICES_SENT: (show_for_services_sent, post_for_services_sent),
}


def register(app: Flask, gateway: Gateway) -> None:
    """Add the public door to an app."""
    load_rules()  # a damaged file stops the start, not a child's Send
    assets = load_assets()
    app.extensions[DOCUMENTS] = Documents()
    app.extensions[EXTENSION] = PublicDoor(
        store=gateway.store,
        intake=gateway.intake,
        key_state=gateway.key_state,
        limits=gateway.limits,
        clock=gateway.clock,
        random=gateway.random,
        wordings=load_wordings(),
        service_wording=load_service_wording(),
        signposts=load_signposts(),
        countries=load_countries(),
        agency=gateway.agency,
        advice={language: load_advice(language) for language in LANGUAGES},
        ways_back=WaysBack(
            store=gateway.store,
            limits=gateway.limits,
            key_state=gateway.key_state,
            clock=gateway.clock,
            random=gateway.random,
            words=load_return_words(),
        ),
        assets=assets,
        origin=gateway.config.public_origin,
        agency_name=gateway.config.agency_name,
        agency_contact=gateway.config.agency_contact.strip(),
        banner=gateway.config.banner,
        state_key=make_state_key(app.config["SECRET_KEY"]),
        drafts_max_rows=gateway.config.drafts_max_rows,
        drafts_max_rows_per_network=gateway.config.drafts_max_rows_per_network,
        is_practice=gateway.config.environment == "sandbox",
        campaigns=frozenset(gateway.config.campaigns),
    )
    select_language_by(app, select_language)
    app.register_blueprint(make_blueprint())
    app.add_template_global({name: asset.path for name, asset in assets.items()}.__getitem__, "asset")
    register_button(app)
    on_csrf_failure(app, blueprint=BLUEPRINT, answer=answer_csrf_failure)
    # With a public door, every error outside the API paths gets a kind page.
    use_html_error(app, make_error_page)
    use_problem_page(app, show_problem)


def make_blueprint() -> Blueprint:
    """Make the routes of every place: one numbered path for each screen of the journey."""
    door = Blueprint(BLUEPRINT, __name__, template_folder="templates")
    door.add_app_template_global(get_path, "path_of")
    for screen in SCREENS:
        if screen.name not in VIEWS:
            _add_place(door, screen.name, show_screen, post_screen, name=screen.name)
    for side in SIDE_PATHS:
        _add_place(door, side, show_side, post_side, side=side)
    for place, (show, post) in VIEWS.items():
        _add_place(door, place, show, post, **({"name": place} if place in {CHECK, THANKS} else {}))
    door.add_url_rule(get_path(SEALED_PLACE), "post_sealed_place", post_sealed_place, methods=["POST"])
    for place, language in ((PHONE, "en"), (PHONE_CY, "cy")):
        door.add_url_rule(
            get_path(place), f"show_{place}", show_phone, methods=["GET"], defaults={"language": language}
        )
    door.add_url_rule(get_path(PHONE), "post_phone_report", post_phone_report, methods=["POST"])
    door.add_url_rule(get_path(PHONE_VISIT), "post_phone_visit", post_phone_visit, methods=["POST"])
    door.add_url_rule(get_path(LEAVE), "leave", leave, methods=["GET"])
    door.add_url_rule(get_path(POSTER), "poster", show_poster, methods=["GET"])
    door.add_url_rule(f"{FILES_PATH}<name>", "show_file", show_file, methods=["GET"])
    door.add_url_rule(MANIFEST_PATH, "show_manifest", show_manifest, methods=["GET"])
    return door


def _add_place(door: Blueprint, place: str, show: View, post: View, **arguments: str) -> None:
    path = get_path(place)
    door.add_url_rule(path, f"show_{place}", show, methods=["GET"], defaults=arguments)
    door.add_url_rule(path, f"post_{place}", post, methods=["POST"], defaults=arguments)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, surface="asset")
def show_file(name: str) -> ResponseReturnValue:
    """Serve a file by its content-based name, compressed if the browser accepts that, or answer 404."""
    asset = find_asset(get_door().assets, name=name)
    if asset is None:
        not_found()
    response = answer_in_best_coding(asset.bodies, content_type=asset.media_type)
    response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_SECONDS}, immutable"
    return response
