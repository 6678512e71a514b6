"""A small online service whose page carries the button. It never sees what is reported: the button is a plain link."""

import argparse
import html
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateway.demo.snippet import make_snippet

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Example Chat</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><strong>Example Chat</strong> <span>a made-up service that carries the button</span></header>
<main>
<h1>Chat with Robin42</h1>
<p class="said">Robin42: Hello! Nice game yesterday.</p>
<p class="said">You: Thanks. Good night.</p>
<aside aria-label="Get help">
{snippet}
</aside>
</main>
</body>
</html>
"""

STYLE = """body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #1d2433; background: #f3f5f9 }
header { padding: 1rem; color: #fff; background: #33415c }
main { max-width: 34rem; margin: 0 auto; padding: 1rem }
.said { padding: .6rem 1rem; border-radius: 1rem; background: #fff }
aside a { display: inline-flex; gap: .6rem; align-items: center; font-weight: 600 }
aside { margin-top: 2rem; padding: 1rem; border: 1px solid #b9c3d6; border-radius: .5rem; background: #fff }
"""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src {origin}; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ExampleService(BaseHTTPRequestHandler):
    """Answers two addresses; logs nothing."""

    def __init__(self, origin: str, *arguments: object) -> None:
        self.origin = origin
        super().__init__(*arguments)  # type: ignore[arg-type] # the server hands over request, address and itself

    def do_GET(self) -> None:
        """Answer the page, its style, or nothing."""
        if self.path == "/":
            self._answer(PAGE.format(snippet=make_snippet(html.escape(self.origin))), "text/html; charset=utf-8")
        elif self.path == "/style.css":
            self._answer(STYLE, "text/css; charset=utf-8")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Write no access log: a page with this button is read by people who are afraid."""

    def _answer(self, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS.items():
            self.send_header(name, value.format(origin=self.origin))
        self.end_headers()
        self.wfile.write(body)


def main() -> int:
    """Serve the page on this machine until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where the example service listens, e.g. 8703")
    parser.add_argument("--origin", required=True, help="where the agency's form is, e.g. http://127.0.0.1:8700")
    words = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", words.port), partial(ExampleService, words.origin))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
