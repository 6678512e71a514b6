"""A part on its way: signed over a digest that is known, sent from the sealer's buffer, by threads of their own."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.exchange.request_signatures import check_claim, check_content_digest, parse_signature_headers
from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.http import PartBody, SignedRequestAuth
from partner_sdk.client.transport import Transport
from partner_sdk.errors import SignatureProfileError, TransportError
from partner_sdk.wire.evidence import PART_BYTES
from partner_sdk.wire.signing import PART_CONTENT_TYPE, public_bytes
from tests.builders import NOW, PUBLIC_ORIGIN, Partner, StillClock
from tests.builders.local_servers import make_tls, run_server
from tests.sdk.evidence_builders import make_plain
from tests.sdk.sdk_builders import ScriptedGateway, session_for
from tests.slow_server import slow_server

KEY = Partner().submission_key
PATH = "/v1/evidence/01a211d3-7340-7ff3-b7d7-b412be473e63/7"
PART = make_plain(PART_BYTES)
BODY = PartBody(content=memoryview(PART), sha256=hashlib.sha256(PART).digest())


def make_transport(gateway: ScriptedGateway) -> Transport:
    return Transport(PUBLIC_ORIGIN, private_key=KEY, session=session_for(gateway), clock=StillClock())


def check_signed(headers: dict[str, str], *, url: str, body: bytes) -> None:
    claim = parse_signature_headers(
        {name.lower(): value for name, value in headers.items()}, content_type=PART_CONTENT_TYPE
    )
    check_claim(claim, method="PUT", target_uri=url, has_body=True, public_key=public_bytes(KEY), now=NOW)
    check_content_digest(claim, body=body)


def test_part_passes_the_strict_profile_and_its_buffer_is_not_copied() -> None:
    gateway = ScriptedGateway((201, {}, b"{}"))
    make_transport(gateway).send("PUT", PATH, body=BODY)
    (request,) = gateway.requests
    assert request.body is BODY.content
    assert request.headers["Content-Length"] == str(PART_BYTES)
    check_signed(dict(request.headers), url=PUBLIC_ORIGIN + PATH, body=PART)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": PART_CONTENT_TYPE},
        {"Content-Type": "application/json", "Content-Digest": "sha-256=:AAAA:"},
    ],
)
def test_buffer_without_its_type_or_digest_is_never_signed(headers: dict[str, str]) -> None:
    request = requests.Request("PUT", PUBLIC_ORIGIN + PATH, headers=headers).prepare()
    request.body = memoryview(b"part")
    with pytest.raises(SignatureProfileError):
        SignedRequestAuth(KEY)(request)


def test_transport_beside_another_has_its_clock_and_connections_and_a_session_of_its_own() -> None:
    gateway = ScriptedGateway((200, {"Set-Cookie": "a=b; Path=/"}, b"{}"), (200, {}, b"{}"))
    first = make_transport(gateway)
    first.clock_offset_seconds = -7200
    beside = first.open_beside(timeouts=Timeouts(connect_seconds=3, read_seconds=4, total_seconds=5))
    for _ in range(2):
        beside.send("GET", "/v1/status")
    created = f"created={int(NOW.timestamp()) - 7200};"
    assert all(created in request.headers["Signature-Input"] for request in gateway.requests)
    assert [settings["timeout"] for settings in gateway.settings] == [(3, 4), (3, 4)]
    assert "Cookie" not in gateway.requests[1].headers


class Taking(ThreadingHTTPServer):
    """A server that keeps its requests."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.taken: dict[str, tuple[dict[str, str], bytes]] = {}
        self.origin = ""
        self.ca_file: Path | None = None


class Receiver(BaseHTTPRequestHandler):
    """Takes requests, and keeps them on the server."""

    server: Taking

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken[self.path] = (dict(self.headers.items()), body)
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Taking]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Taking(("127.0.0.1", 0), Receiver)
    if request.param == "https":
        server.socket = make_tls(tmp_path).wrap_socket(server.socket, server_side=True)
        server.ca_file = tmp_path / "server.pem"
    server.origin = f"{request.param}://127.0.0.1:{server.server_port}"
    with run_server(server):
        yield server


def test_parts_arrive_whole_when_threads_send_them_at_once(server: Taking) -> None:
    transport = Transport(server.origin, private_key=KEY, clock=StillClock(), ca_file=server.ca_file)
    parts = {f"/v1/parts/{number}": make_plain(PART_BYTES, label=str(number)) for number in range(4)}

    def send(path: str, content: bytes) -> None:
        body = PartBody(content=memoryview(content), sha256=hashlib.sha256(content).digest())
        transport.open_beside(timeouts=Timeouts()).send("PUT", path, body=body)

    threads = [threading.Thread(target=send, args=item) for item in parts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.close()
    assert {path: body for path, (_, body) in server.taken.items()} == parts
    for path, (headers, body) in server.taken.items():
        check_signed(headers, url=server.origin + path, body=body)


def test_server_that_takes_a_part_slowly_over_tls_ends_at_the_deadline(tmp_path: Path) -> None:
    timeouts = Timeouts(connect_seconds=5, read_seconds=5, total_seconds=1)
    large = PartBody(content=memoryview(bytes(4 * PART_BYTES)), sha256=bytes(32))
    with slow_server(b"", every_seconds=0.1, tls=make_tls(tmp_path)) as port:
        transport = Transport(
            f"https://127.0.0.1:{port}", private_key=KEY, ca_file=tmp_path / "server.pem", timeouts=timeouts
        )
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            transport.send("PUT", PATH, body=large)
        assert time.monotonic() - started < 3
    assert caught.value.reason == "timeout"
