"""The form on the phone in Chromium, from its sources."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, Route

import gateway.public
from gateway.public.door import STATIC_FOLDER, load_assets
from tests.builders.local_servers import run_server

PHONE: Final = Path(gateway.public.__file__).parent / "phone"
AnswerPost = Callable[[Route], None]
RUN: Final = '<script type="module" src="/boot.js"></script>'
SITE: Final = "https://phone.example"
OWN_SCRIPT: Final = re.compile(r'<script type="module"[^>]*></script>')
FORM: Final = f"{SITE}/form"
FIRST_PAGE: Final = "<!doctype html><title>First</title><p>The first page"


def list_files(document: str, boot: str) -> dict[str, tuple[str, str]]:
    # The sources run in the place of what was built.
    page = (
        OWN_SCRIPT.sub(RUN, document) if OWN_SCRIPT.search(document) else document.replace("</body>", f"{RUN}</body>")
    )
    scripts = {f"/phone/{path.name}": ("text/javascript", path.read_text("utf-8")) for path in PHONE.glob("*.js")}
    named = {"/": ("text/html", FIRST_PAGE), "/form": ("text/html", page), "/boot.js": ("text/javascript", boot)}
    pictures = {
        asset.path: (asset.media_type.partition(";")[0], asset.plain.decode())
        for name, asset in load_assets().items()
        if name.endswith((".css", ".svg", "leave.js"))
    }
    worker = {"/worker.js": ("text/javascript", (STATIC_FOLDER / "sealing.js").read_text("utf-8"))}
    return named | scripts | worker | pictures


def open_document(browser: Browser, document: str, *, boot: str, answer_post: AnswerPost | None = None) -> Page:
    page = browser.new_page(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    files = list_files(document, boot)

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        kind, body = files.get(path, ("", ""))
        if route.request.method == "POST":
            assert answer_post is not None
            answer_post(route)
        elif kind:
            kept = {"Cache-Control": "max-age=31536000, immutable"} if path.startswith("/s/") else {}
            route.fulfill(headers={"Content-Type": f"{kind}; charset=utf-8", **kept}, body=body)
        else:
            route.fulfill(status=404)

    page.context.route(f"{SITE}/**", answer)
    page.goto(f"{SITE}/")
    page.goto(FORM)
    return page


@contextmanager
def serve_document(document: str, *, boot: str, answer_post: str) -> Iterator[str]:
    files = list_files(document, boot)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, kind: str, body: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            with suppress(BrokenPipeError):  # a page that is already on its way elsewhere
                self.wfile.write(body.encode())

        def do_GET(self) -> None:
            self._answer(*files.get(self.path, ("text/html", FIRST_PAGE)))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("application/json", answer_post)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with run_server(server):
        yield f"http://127.0.0.1:{server.server_port}"
