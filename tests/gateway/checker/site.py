"""A service's site for the tests of the runner: real TLS under a name of its own, on this machine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.builders.local_servers import CERTIFICATE, make_tls, run_server

HOST = "chat.example"


@dataclass(frozen=True, slots=True)
class SitePage:
    """The site's answer at one path."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})


@dataclass(slots=True)
class Site:
    """A running site: `asked` holds each request's path and headers."""

    port: int
    ca_file: str
    pages: dict[str, SitePage]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def address(self, path: str) -> str:
        """Return the address of a page under the site's name."""
        return f"https://{HOST}:{self.port}{path}"


@contextmanager
def serve_site(folder: Path, *, pages: dict[str, SitePage], name: str = HOST) -> Iterator[Site]:
    """Serve pages over TLS with a certificate for `name`, or over plain HTTP where it is empty; answers posts too."""
    site = Site(port=0, ca_file=str(folder / CERTIFICATE), pages=pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            page = site.pages.get(self.path, SitePage(status=404))
            self.send_response(page.status)
            for header, value in page.headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        do_POST = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is part of some tests
    if name:
        server.socket = make_tls(folder, host=name).wrap_socket(server.socket, server_side=True)
    site.port = server.server_port
    with run_server(server):
        yield site
