"""A listener on a port of this machine that hears everything sent there: requests, sockets and their messages."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.builders.local_servers import run_server

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_TEXT = 1


@dataclass(frozen=True, slots=True)
class OpenEars:
    """Everything heard, in order: the path of each request or socket, and each message."""

    host: str
    heard: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    """Knows whose ears it is."""

    daemon_threads = True
    block_on_close = False
    ears: OpenEars


class _Handler(BaseHTTPRequestHandler):
    """Listens, and answers as little as possible."""

    server: _Server

    def do_GET(self) -> None:
        """Note the request; keep a socket open and note its messages."""
        if self.path == "/favicon.ico":
            self.send_error(404)
            return
        self.server.ears.heard.append(self.path)
        key = self.headers.get("Sec-WebSocket-Key")
        if key is None:
            self.send_error(404)
            return
        digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
        self.protocol_version = "HTTP/1.1"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        while self._hear_message():
            pass
        self.close_connection = True

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names that the standard library asks for

    def _hear_message(self) -> bool:
        # RFC 6455 §5.2: short, masked and in one piece, as a browser sends the few words of a test.
        start = self.rfile.read(2)
        if len(start) < 2:
            return False
        rest = self.rfile.read(4 + (start[1] & 127))
        if start[0] & 15 != _TEXT:
            return False
        words = bytes(one ^ rest[place % 4] for place, one in enumerate(rest[4:]))
        self.server.ears.heard.append(words.decode())
        return True

    def log_message(self, *_words: object) -> None:
        """Print nothing."""


@contextmanager
def listen() -> Iterator[OpenEars]:
    """Hear until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.ears = OpenEars(f"127.0.0.1:{server.server_port}")
    with run_server(server):
        yield server.ears
