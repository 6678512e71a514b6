"""A desk's app behind a real browser without a socket: every request of the page goes to Flask's test client."""

from collections.abc import Sequence
from html import escape
from http import HTTPStatus

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, Route

from tests.desk.view_builders import ORIGIN, Browser
from tests.whole.browser_walk import AXE_CONTRAST, AXE_FAULTS, AXE_TAGS, SIDEWAYS, load_axe

WIDTHS = (320, 1280)
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"


def open_desk_page(chromium: Chromium, person: Browser, *, width: int = 1280, has_script: bool = True) -> Page:
    """Return a page in which this signed-in person's desk answers, with its own policy and cookies."""
    context: BrowserContext = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="light", java_script_enabled=has_script
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


def list_page_faults(page: Page, state: str, *, widths: Sequence[int] = WIDTHS) -> list[str]:
    """List the faults of the page with everything unfolded: axe and the parts that reach over the side at each width,
    and its contrast in the dark at the last. Nothing but colours differs there (tests/house/test_dark_styles.py).
    """
    page.wait_for_load_state()  # a click may come back before the style sheet is there
    page.evaluate(OPEN_ALL)
    load_axe(page)
    found, size = [], page.viewport_size
    assert size is not None
    for width in widths:
        page.set_viewport_size({**size, "width": width})
        faults = page.evaluate(AXE_FAULTS, {"type": "tag", "values": AXE_TAGS}) + page.evaluate(SIDEWAYS)
        found += [f"{state}, {width} px: {one}" for one in faults]
    page.emulate_media(color_scheme="dark")
    found += [f"{state}, dark: {one}" for one in page.evaluate(AXE_FAULTS, AXE_CONTRAST)]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)
    return found
