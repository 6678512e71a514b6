"""The example service as a Flask app: the pages, one strict policy for all of them, and what it says of its button.

Nothing here is special to a demonstration: this is what a partner that uses Flask writes.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from flask import Flask, Response, redirect, render_template
from werkzeug.wrappers import Response as Answer

from gateway.demo.service.places import CHAT, MESSAGES, MESSAGES_FACTS, PLACES, SERVICE_NAME
from partner_sdk.button.flask_extension import ReportAbuseButton
from partner_sdk.button.page_contexts import PageContexts
from partner_sdk.button.policy import make_policy
from partner_sdk.button.well_known import PATH, encode_well_known, make_well_known
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.registration import ContactPoint

CONTACT: Final = ContactPoint(email="safety@chat.example", name="Safety team")
HOURS: Final = "Every day, 08:00 to 22:00, London"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(*, origin: str, contexts: PageContexts | None) -> Flask:
    """Return the service; `origin` is the agency's, and without `contexts` no page has a sealed context."""
    app = Flask(__name__)
    ReportAbuseButton(app, origin=origin)
    button = make_policy(origin, form="script", by="host")
    policy = f"default-src 'none'; style-src 'self'; {button.line}; base-uri 'none'; form-action 'none'"

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update({**_HEADERS, "Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})
        return response

    for place in PLACES:
        app.add_url_rule(place.path, place.path, _make_view(place.path, contexts=contexts))
    app.add_url_rule("/", "home", lambda: redirect(CHAT.path))
    app.add_url_rule(PATH, "well-known", lambda: _tell_of_the_button(origin))
    return app


def _make_view(path: str, *, contexts: PageContexts | None) -> Callable[[], str]:
    (place,) = [one for one in PLACES if one.path == path]

    def show() -> str:
        token = _find_token(contexts) if place is MESSAGES else None
        return render_template(
            f"{path[1:]}.html", name=SERVICE_NAME, place=place, places=PLACES, token=token, own_page="/help#our-team"
        )

    return show


def _find_token(contexts: PageContexts | None) -> str | None:
    """Return a sealed context of this rendering, or None: the button is there whatever happens."""
    if contexts is None:
        return None
    try:
        return contexts.make_token(MESSAGES_FACTS)
    except ReportAbuseError:
        return None


def _tell_of_the_button(origin: str) -> Answer:
    found = make_well_known(
        agency=origin,
        placement=PLACES[-1].placement,
        placements=tuple(place.placement for place in PLACES),
        service=SERVICE_NAME,
        contact=CONTACT,
        hours=HOURS,
        languages=("en",),
        now=datetime.now(UTC),
    )
    return Response(encode_well_known(found), content_type="application/json")
