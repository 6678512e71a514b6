"""The example service as a Flask app: its pages, their five places of the button, and one strict policy.

Nothing here is specific to the demonstration: a partner with Flask would write the same.
`python -m gateway.demo.service --help` serves it until the process ends.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from flask import Flask, Response, current_app, redirect, render_template
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response as Answer

from partner_sdk.button.frameworks import ReportAbuseButton
from partner_sdk.button.page_contexts import PageContexts, PageFacts
from partner_sdk.button.snippet import make_policy
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.button import ContextAccount, ContextMessage, Surface

SERVICE_NAME: Final = "Example Chat"
_SERVICE: Final = "example-service"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One page: path, menu name, and agreed placement."""

    path: str
    title: str
    placement: str
    surface: Surface
    position: str


PLACES: Final = (
    Place("/chat", "Chat room", "example-chat-chat", "chat", "Above the conversation, beside our own report"),
    Place("/profile", "Profile", "example-chat-profile", "profile", "Under the name, beside Block"),
    Place("/messages", "Messages", "example-chat-dm", "direct_message", "Above the conversation, beside Block"),
    Place("/lobby", "Game lobby", "example-chat-lobby", "game_lobby", "Above the list of players"),
    Place("/help", "Help", "example-chat-help", "help", "First on the page"),
)
CHAT: Final = PLACES[0]
MESSAGES: Final = PLACES[2]

# Ids as a service has them. The text of the conversation is never sealed.
MESSAGES_FACTS: Final = PageFacts(
    placement=MESSAGES.placement,
    surface=MESSAGES.surface,
    viewer=ContextAccount(account_id="account-1001", display_name="Sam"),
    about=(ContextAccount(account_id="account-2002", display_name="Robin42"),),
    conversation_id="conversation-77",
    messages=(
        ContextMessage(message_id="message-5", sent_at="2026-11-25T16:02:00Z"),
        ContextMessage(message_id="message-6", sent_at="2026-11-25T16:04:00Z"),
    ),
)


@dataclass(frozen=True, slots=True)
class Service:
    """The views' dependencies: the agency's address, and the sealer of page contexts, if any."""

    origin: str
    contexts: PageContexts | None


def make_app(*, origin: str, contexts: PageContexts | None) -> Flask:
    """Return the service; `origin` is the agency's, and without `contexts` no page has a sealed context."""
    app = Flask(__name__)
    app.extensions[_SERVICE] = Service(origin, contexts)
    ReportAbuseButton(app, origin=origin)
    app.after_request(add_headers)
    app.add_url_rule("/", "home", show_home)
    for place in PLACES:
        app.add_url_rule(place.path, place.path, show_page, defaults={"place": place})
    return app


def add_headers(response: Response) -> Response:
    """Add the headers of every answer."""
    button = make_policy(_get_service().origin, form="script", by="host")
    policy = f"default-src 'none'; style-src 'self'; {button.line}; base-uri 'none'; form-action 'none'"
    response.headers.update({**_HEADERS, "Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})
    return response


def show_home() -> Answer:
    """Redirect to the chat room."""
    return redirect(CHAT.path)


def show_page(place: Place) -> str:
    """Show the page of one place, with its button."""
    token = find_token(_get_service().contexts) if place is MESSAGES else None
    return render_template(
        f"{place.path[1:]}.html", name=SERVICE_NAME, place=place, places=PLACES, token=token, own_page="/help#our-team"
    )


def find_token(contexts: PageContexts | None) -> str | None:
    """Return a sealed context for this page view, or None; the button is shown in any case."""
    if contexts is None:
        return None
    try:
        return contexts.make_token(MESSAGES_FACTS)
    except ReportAbuseError:
        return None


def _get_service() -> Service:
    service: Service = current_app.extensions[_SERVICE]
    return service


class QuietHandler(WSGIRequestHandler):
    """Writes no access log, because frightened people read pages with this button."""

    def log(self, type: str, message: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Write nothing."""


@click.command()
@click.option("--port", type=int, required=True, help="Port to listen on, e.g. 8703.")
@click.option("--origin", required=True, help="Address of the agency's form, e.g. http://127.0.0.1:8700.")
@click.option(
    "--partner-state", type=click.Path(path_type=Path), help="The partner's state folder: one page seals a context."
)
def main(port: int, origin: str, partner_state: Path | None) -> None:
    """Serve the example service on this machine."""
    contexts = None if partner_state is None else PageContexts.open(partner_state)
    app = make_app(origin=origin, contexts=contexts)
    make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler).serve_forever()


if __name__ == "__main__":
    main(prog_name="python -m gateway.demo.service")
