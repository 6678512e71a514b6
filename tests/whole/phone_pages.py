"""Opens the document of the form on the phone in Chromium, with its scripts from their sources and no gateway."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, Route

import gateway.public
from gateway.guidance.advice import load_advice
from gateway.public.door import SIDE_PATHS, STATIC_FOLDER, get_path, make_see_action
from gateway.public.journey.export import export_journey

PHONE: Final = Path(gateway.public.__file__).parent / "phone"
KINDS: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
SIDES: Final = {make_see_action(side): get_path(side) for side in SIDE_PATHS}
AnswerPost = Callable[[Route], None]
RUN: Final = '<script type="module" src="/boot.js"></script>'
SITE: Final = "https://phone.example"
FORM: Final = f"{SITE}/form"
FIRST_PAGE: Final = "<!doctype html><title>First</title><p>The first page"


def open_document(browser: Browser, document: str, *, boot: str, answer_post: AnswerPost | None = None) -> Page:
    data = json.dumps(export_journey(load_advice("en"), sides=SIDES)).replace("<", "\\u003c")
    page = browser.new_page(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    files = {
        "/": ("text/html", FIRST_PAGE),
        "/form": (
            "text/html",
            document.replace("</body>", f'<script type="application/json" id="journey">{data}</script>{RUN}</body>'),
        ),
        "/boot.js": ("text/javascript", boot),
    }

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        if route.request.method == "POST":
            assert answer_post is not None
            answer_post(route)
        elif path.startswith("/phone/"):
            route.fulfill(
                content_type="text/javascript", body=(PHONE / path.removeprefix("/phone/")).read_text("utf-8")
            )
        elif path in files:
            kind, body = files[path]
            route.fulfill(content_type=f"{kind}; charset=utf-8", body=body)
        elif path.startswith("/s/"):
            name, _, ending = path.removeprefix("/s/").split(".")
            file = STATIC_FOLDER / f"{name}.{ending}"
            kept = {"Cache-Control": "max-age=31536000, immutable"}
            route.fulfill(path=file, headers={"Content-Type": KINDS[ending], **kept})
        else:
            route.fulfill(status=404)

    page.context.route(f"{SITE}/**", answer)
    page.goto(f"{SITE}/")
    page.goto(FORM)
    return page
