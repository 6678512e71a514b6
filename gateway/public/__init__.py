"""The public door: the form that a frightened child on a shared old phone can use.

Works without script and without a second try: what is typed is either stored sealed, or still on the page.
"""

from collections.abc import Callable, Mapping

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue

from gateway.button import register as register_button
from gateway.public.assets import load_assets
from gateway.public.countries import load_countries
from gateway.public.door import EXTENSION, PublicDoor, get_door
from gateway.public.journey import CHECK, SCREENS, START, THANKS
from gateway.public.language_choice import apply_languages
from gateway.public.leave import leave
from gateway.public.promises import load_promises
from gateway.public.return_code import make_return_codes
from gateway.public.side_pages import SIDE_PATHS
from gateway.public.views.check import post_check, show_check
from gateway.public.views.come_back import COME_BACK_PATH, REPLIES_PATH, post_come_back, show_come_back
from gateway.public.views.files import show_file
from gateway.public.views.replies_page import post_replies, show_replies
from gateway.public.views.screens import post_screen, show_screen
from gateway.public.views.sides import post_side, show_side
from gateway.public.views.start import post_start, show_start
from gateway.public.views.thanks import post_thanks, show_thanks
from gateway.public.views.unusual import answer_csrf_failure, make_error_page
from gateway.public.visit_state import make_state_key
from gateway.public.wording import LANGUAGES, load_wording
from gateway.web.advice import load_advice
from gateway.web.csrf import on_csrf_failure
from gateway.web.problem_pages import use_html_error
from gateway.web.signposts import load_signposts
from gateway.wiring import Gateway

BLUEPRINT = "public"
View = Callable[..., ResponseReturnValue]
# Screens with views of their own; all others ask something and share one pair.
VIEWS: Mapping[str, tuple[View | None, View | None]] = {
    START: (None, None),
    CHECK: (show_check, post_check),
    THANKS: (show_thanks, post_thanks),
}


def register(app: Flask, gateway: Gateway) -> None:
    """Add the public door to an app."""
    app.extensions[EXTENSION] = PublicDoor(
        store=gateway.store,
        intake=gateway.intake,
        key_state=gateway.key_state,
        limits=gateway.limits,
        clock=gateway.clock,
        random=gateway.random,
        wordings={language: load_wording(language) for language in LANGUAGES},
        signposts=load_signposts(),
        countries=load_countries(),
        promises=load_promises(),
        advice={language: load_advice(language) for language in LANGUAGES},
        return_codes=make_return_codes(),
        assets=load_assets(),
        agency_name=gateway.config.agency_name,
        banner=gateway.config.banner,
        state_key=make_state_key(app.config["SECRET_KEY"]),
        drafts_max_rows=gateway.config.drafts_max_rows,
        is_practice=gateway.config.environment == "sandbox",
        campaigns=frozenset(gateway.config.campaigns),
    )
    apply_languages(app)
    app.register_blueprint(make_blueprint())
    register_button(app)
    on_csrf_failure(app, blueprint=BLUEPRINT, answer=answer_csrf_failure)
    # Where there is a public door, every error outside the machines' paths gets its kind page.
    use_html_error(app, make_error_page)


def make_blueprint() -> Blueprint:
    """Make the routes from the journey's table: one path for each screen, numbers only."""
    door = Blueprint(BLUEPRINT, __name__, template_folder="templates")
    door.add_app_template_global(get_file_path, "asset")
    door.add_url_rule("/", "show_start", show_start, methods=["GET"])
    door.add_url_rule("/", "post_start", post_start, methods=["POST"])
    for screen in SCREENS:
        show, post = VIEWS.get(screen.name, (show_screen, post_screen))
        path, place = f"/{screen.path}", {"name": screen.name}
        if show is not None:
            door.add_url_rule(path, f"show_{screen.name}", show, methods=["GET"], defaults=place)
        if post is not None:
            door.add_url_rule(path, f"post_{screen.name}", post, methods=["POST"], defaults=place)
    for side, path in SIDE_PATHS.items():
        door.add_url_rule(f"/{path}", f"show_{side}", show_side, methods=["GET"], defaults={"side": side})
        door.add_url_rule(f"/{path}", f"post_{side}", post_side, methods=["POST"], defaults={"side": side})
    door.add_url_rule(COME_BACK_PATH, "show_come_back", show_come_back, methods=["GET"])
    door.add_url_rule(COME_BACK_PATH, "post_come_back", post_come_back, methods=["POST"])
    door.add_url_rule(REPLIES_PATH, "show_replies", show_replies, methods=["GET"])
    door.add_url_rule(REPLIES_PATH, "post_replies", post_replies, methods=["POST"])
    door.add_url_rule("/leave", "leave", leave, methods=["GET"])
    door.add_url_rule("/s/<name>", "show_file", show_file, methods=["GET"])
    return door


def get_file_path(name: str) -> str:
    """Return the address of one of the door's files, for the templates."""
    return get_door().assets[name].path
