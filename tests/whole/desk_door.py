"""A desk's app behind a real browser without a socket: every request of the page goes to Flask's test client."""

from html import escape
from http import HTTPStatus

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, Route

from tests.desk.view_builders import ORIGIN, Browser


def open_desk_page(
    chromium: Chromium, person: Browser, *, width: int = 1280, scheme: str = "light", has_script: bool = True
) -> Page:
    """Return a page in which this signed-in person's desk answers, with its own policy and cookies."""
    context: BrowserContext = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=has_script,
    )

    def answer(route: Route) -> None:
        asked = route.request
        headers = {"Content-Type": asked.headers.get("content-type", "")} if asked.method == "POST" else {}
        response = person.client.open(
            asked.url.removeprefix(ORIGIN),
            base_url=ORIGIN,
            method=asked.method,
            data=asked.post_data_buffer,
            headers=headers | ({"Origin": ORIGIN} if asked.method == "POST" else {}),
        )
        if response.status_code == HTTPStatus.SEE_OTHER:
            # Playwright cannot fulfil a request with a redirect.
            onward = f'<meta http-equiv="refresh" content="0;url={escape(response.headers["Location"])}">'
            route.fulfill(status=HTTPStatus.OK, content_type="text/html", body=onward)
            return
        # Cookies stay with the client, which sends them itself.
        kept = {name: value for name, value in response.headers.items() if name != "Set-Cookie"}
        route.fulfill(status=response.status_code, headers=kept, body=response.data)

    context.route("**/*", answer)
    return context.new_page()
