"""The transport over real sockets on loopback: the behaviour of `requests` and `urllib3` together."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.exchange.request_signatures import check_claim, check_content_digest, parse_signature_headers
from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.transport import Transport
from partner_sdk.errors import RefusedError, TransportError
from partner_sdk.wire.signing import public_bytes
from tests.builders import NOW, Partner, StillClock
from tests.builders.local_servers import run_server

KEY = Partner().submission_key


@dataclass
class Seen:
    """A server's requests, and its answers by path."""

    origin: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


def make_handler(seen: Seen) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.requests.append((self.command, self.path, headers, body))
            if self.path == "/v1/slow":
                seen.release.wait(20)
            moved = self.path == "/v1/moved"
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("Location", f"{seen.origin}/v1/elsewhere")
            self.send_header("Set-Cookie", "name=value; Path=/")
            self.send_header("Content-Length", "10" if self.path == "/v1/cut" else "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = handle_one  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen = Seen()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(seen))
    seen.origin = f"http://127.0.0.1:{server.server_port}"
    with run_server(server):
        yield seen
        seen.release.set()


@pytest.fixture
def transport(seen: Seen) -> Iterator[Transport]:
    timeouts = Timeouts(connect_seconds=5, read_seconds=0.4)
    transport = Transport(seen.origin, private_key=KEY, clock=StillClock(), timeouts=timeouts)
    yield transport
    transport.close()


def test_signature_holds_over_what_arrives(seen: Seen, transport: Transport) -> None:
    transport.send("POST", "/v1/reports", body=b'{"a":1}')
    transport.send("GET", "/feed/items/report?limit=200")
    assert len(seen.requests) == 2
    for method, path, headers, body in seen.requests:
        claim = parse_signature_headers(headers)
        check_claim(
            claim,
            method=method,
            target_uri=seen.origin + path,
            has_body=bool(body),
            public_key=public_bytes(KEY),
            now=NOW,
        )
        if body:
            check_content_digest(claim, body=body)


def test_cookie_is_not_kept(seen: Seen, transport: Transport) -> None:
    transport.send("GET", "/v1/status")
    transport.send("GET", "/v1/status")
    assert len(seen.requests) == 2
    assert "cookie" not in seen.requests[1][2]


def test_redirect_is_not_followed(seen: Seen, transport: Transport) -> None:
    with pytest.raises(RefusedError):
        transport.send("GET", "/v1/moved")
    assert [path for _, path, _, _ in seen.requests] == ["/v1/moved"]


def test_silent_server_is_a_timeout(seen: Seen, transport: Transport) -> None:
    with pytest.raises(TransportError) as caught:
        transport.send("GET", "/v1/slow")
    assert caught.value.reason == "timeout"
    assert len(seen.requests) == 1


def test_reply_that_is_cut_is_no_reply(seen: Seen, transport: Transport) -> None:
    with pytest.raises(TransportError) as caught:
        transport.send("GET", "/v1/cut")
    assert caught.value.reason in {"connection", "timeout"}
    assert len(seen.requests) == 1


def test_closed_port_is_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(TransportError) as caught:
            Transport(f"http://127.0.0.1:{taken.getsockname()[1]}").send("GET", "/v1/keys", is_signed=False)
    assert caught.value.reason == "connection"
