"""A service's own pages on a port of this machine: its server's answers, and its requests."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.builders.local_servers import POLL_SECONDS, run_server
from tests.whole.public_server import PATIENCE_MILLISECONDS

HTML = "text/html; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """The service's answer at one path, as soon as another path was asked for, if that is given."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]
    after: str


@dataclass(frozen=True, slots=True)
class HostPages:
    """A service that shows pages: another site than the agency's, with another host name."""

    origin: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)  # paths, in order

    def put(
        self,
        path: str,
        body: str | bytes,
        *,
        content_type: str = HTML,
        headers: Mapping[str, str] | None = None,
        after: str = "",
    ) -> str:
        """Answer a path so from now on, if need be only after another one was asked for; return its address."""
        raw = body.encode() if isinstance(body, str) else body
        self.answers[path] = Answer(raw, content_type, headers or {}, after)
        return f"{self.origin}{path}"


class _Service(ThreadingHTTPServer):
    """Knows the pages that it serves."""

    pages: HostPages


class _Handler(BaseHTTPRequestHandler):
    """Answers from the table of pages."""

    server: _Service

    def do_GET(self) -> None:
        """Note the request, and answer."""
        if self.path == "/favicon.ico":  # a browser's own wish, whatever the page holds
            self.send_response(204)
            self.end_headers()
            return
        self.server.pages.requests.append(self.path)
        answer = self.server.pages.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(404)
            return
        if not self._has_come(answer.after):
            self.send_error(504, f"{answer.after} was never asked for")
            return
        self.send_response(200)
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _has_come(self, path: str) -> bool:
        """Wait until a path was asked for; return whether it ever was."""
        ends = time.monotonic() + PATIENCE_MILLISECONDS / 1000
        while path and path not in self.server.pages.requests:
            if time.monotonic() > ends:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def log_message(self, *_: object) -> None:
        """Drop the line."""


@contextmanager
def serve_host_pages() -> Iterator[HostPages]:
    """Serve a service's pages on a free port."""
    server = _Service(("127.0.0.1", 0), _Handler)
    server.pages = HostPages(f"http://localhost:{server.server_port}")
    with run_server(server):
        yield server.pages


def make_page(body: str, *, head: str = "", lang: str = "en") -> str:
    """Write a page of a service around this content."""
    return f"""<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>A chat</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body><main><h1>A chat</h1>
{body}
<p id="after" class="after">What stands after the button.</p></main></body></html>
"""
