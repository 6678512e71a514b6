"""The public door: a form that a frightened child can use on an old, shared phone.

Works without script, and loses nothing: typed text is either stored sealed, or still on the page.
"""

from collections.abc import Callable, Mapping

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from gateway.button import register as register_button
from gateway.guidance.advice import load_advice
from gateway.guidance.risk import load_rules
from gateway.guidance.signposts import load_countries, load_signposts
from gateway.public.door import EXTENSION, FILES_PATH, PublicDoor, find_asset, get_door, load_assets
from gateway.public.journey import CHECK, SCREENS, START, THANKS
from gateway.public.navigation import (
    COME_BACK,
    FOR_SERVICES,
    FOR_SERVICES_SENT,
    LEAVE,
    POSTER,
    REPLIES,
    SIDE_PATHS,
    get_path,
)
from gateway.public.returning import WaysBack, load_return_words
from gateway.public.views.check import post_check, show_check
from gateway.public.views.coming_back import post_come_back, post_replies, show_come_back, show_replies
from gateway.public.views.for_services import (
    post_for_services,
    post_for_services_sent,
    show_for_services,
    show_for_services_sent,
)
from gateway.public.views.responses import leave
from gateway.public.views.screens import post_screen, show_screen
from gateway.public.views.sides import post_side, show_poster, show_side
from gateway.public.views.start import post_start, show_start
from gateway.public.views.thanks import post_thanks, show_thanks
from gateway.public.views.unusual import answer_csrf_failure, make_error_page, show_problem
from gateway.public.visit import make_state_key, select_language
from gateway.public.wording import load_service_wording, load_wordings, select_language_by
from gateway.web.rules import (
    NO_LIMIT,
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
    door.add_url_rule(get_path(LEAVE), "leave", leave, methods=["GET"])
    door.add_url_rule(get_path(POSTER), "poster", show_poster, methods=["GET"])
    door.add_url_rule(f"{FILES_PATH}<name>", "show_file", show_file, methods=["GET"])
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
    is_compressed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(asset.compressed if is_compressed else asset.plain, content_type=asset.media_type)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_SECONDS}, immutable"
    return response
