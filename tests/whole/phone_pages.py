"""Opens the document of the form on the phone in Chromium, with its scripts from their sources and no gateway."""

import json
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, Route

import gateway.public
from gateway.guidance.advice import load_advice
from gateway.public.door import STATIC_FOLDER
from gateway.public.journey.export import export_journey

PHONE: Final = Path(gateway.public.__file__).parent / "phone"
KINDS: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
SITE: Final = "https://phone.example"


def open_document(browser: Browser, document: str, *, boot: str) -> Page:
    data = json.dumps(export_journey(load_advice("en"))).replace("<", "\\u003c")
    page = browser.new_page()
    files = {
        "/": (
            "text/html",
            document.replace("</body>", f'<script type="application/json" id="data">{data}</script></body>'),
        ),
        "/boot.js": ("text/javascript", boot),
    }

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        if path.startswith("/phone/"):
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

    page.route(f"{SITE}/**", answer)
    page.goto(f"{SITE}/")
    page.evaluate("import('/boot.js')")
    return page
