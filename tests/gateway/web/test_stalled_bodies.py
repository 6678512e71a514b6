"""Callers that announce a body and never send it hold no thread: everybody else is answered meanwhile."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.clock import utc_now
from gateway.commands.serve import make_listener
from gateway.config import ListenerConfig
from gateway.web.serving import ServerGroup
from tests.builders import Agency, House, Partner, make_house
from tests.builders.local_servers import find_free_port

THREADS, WORKERS = 2, 1
STALLED = WORKERS * THREADS + 30
BODY_SECONDS = 2.0
ANSWER_SECONDS = 2.0
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """A gateway as it is served: the port of its doors and the port of its feed."""
    state, agency = tmp_path_factory.mktemp("stalled") / "gateway", Agency(now=utc_now())
    house: House = make_house(state, agency=agency, roles=("public", "industry"))
    house.publish(Partner().entry())
    doors, feed = find_free_port(), find_free_port()
    listeners = (
        ListenerConfig(host="127.0.0.1", port=doors, roles=("public", "industry"), workers=WORKERS, threads=THREADS),
        ListenerConfig(host="127.0.0.1", port=feed, roles=("feed",), workers=WORKERS, threads=THREADS),
    )
    group = ServerGroup([make_listener(one, state=house.state, body_seconds=BODY_SECONDS) for one in listeners])
    with group:
        yield doors, feed


def ask(port: int, head: str, *, body: bytes = b"") -> socket.socket:
    """Send a request, or the beginning of one, and return the connection."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return connection


def read_status(connection: socket.socket) -> int:
    answer = b""
    while b"\r\n" not in answer:
        came = connection.recv(4096)
        assert came, "the server closed the connection without an answer"
        answer += came
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    ("place", "method", "path", "media_type"),
    [
        (0, "POST", "/", FORM),
        (0, "POST", "/v1/enrol", JSON),
        (0, "POST", "/v1/reports", JSON),
        (1, "PUT", "/feed/lists/keys", JSON),
    ],
)
def test_stalled_bodies_hold_nobody_up_and_end_at_the_deadline(
    ports: tuple[int, int], place: int, method: str, path: str, media_type: str
) -> None:
    port = ports[place]
    head = f"{method} {path} HTTP/1.1\nHost: x\nContent-Type: {media_type}\nContent-Length: 100"
    with ExitStack() as stack:
        stalled = [stack.enter_context(ask(port, head, body=b"x")) for _ in range(STALLED)]
        time.sleep(0.3)
        started = time.monotonic()
        for _ in range(5):
            with ask(port, "GET /health HTTP/1.1\nHost: x\nConnection: close") as other:
                assert read_status(other) in (200, 503)
        assert time.monotonic() - started < ANSWER_SECONDS
        assert {read_status(one) for one in stalled} == {408}
        assert time.monotonic() - started < BODY_SECONDS + ANSWER_SECONDS


def test_body_that_is_too_large_is_refused_before_it_is_sent(ports: tuple[int, int]) -> None:
    head = f"POST / HTTP/1.1\nHost: x\nContent-Type: {FORM}\nContent-Length: 99999999"
    with ask(ports[0], head) as connection:
        assert read_status(connection) == 413


def test_body_of_no_stated_length_is_refused(ports: tuple[int, int]) -> None:
    head = f"POST / HTTP/1.1\nHost: x\nContent-Type: {FORM}\nTransfer-Encoding: chunked"
    with ask(ports[0], head, body=b"1\r\nx\r\n0\r\n\r\n") as connection:
        assert read_status(connection) == 411


@pytest.mark.parametrize("path", ["/v1/%73tatus", "/v1/status%00", "/%761/status"])
def test_encoded_spelling_of_an_industry_address_is_not_served(ports: tuple[int, int], path: str) -> None:
    with ask(ports[0], f"GET {path} HTTP/1.1\nHost: x\nConnection: close") as connection:
        assert read_status(connection) in (400, 404)


def test_header_that_may_come_once_is_refused_when_it_comes_twice(ports: tuple[int, int]) -> None:
    head = f"POST /v1/enrol HTTP/1.1\nHost: x\nContent-Type: {JSON}\nContent-Type: {FORM}\nContent-Length: 2"
    with ask(ports[0], head, body=b"{}") as connection:
        assert read_status(connection) == 400
