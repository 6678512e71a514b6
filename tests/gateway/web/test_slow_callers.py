"""Real servers of every role under callers who stall: all others are answered, and the stalled are sent away."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from gateway.commands.serve import make_listener
from gateway.config import ListenerConfig, Role, utc_now
from gateway.desk.office.config import ORIGIN_VARIABLE, STATE_VARIABLE
from gateway.desk.office.wiring import Desk
from gateway.web.serving import Listener, ServerGroup
from tests.builders import Agency, Partner, make_house
from tests.builders.local_servers import find_free_port
from tests.desk.vault.vault_process import run_vault
from tests.desk.view_builders import Clock, make_test_desk

WORKERS, THREADS = 1, 4
STALLED = WORKERS * THREADS + 8
BODY_SECONDS = 3.0
PATIENCE_SECONDS = 2.0
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def make_gateway_listener(folder: Path, *roles: Role, trusted_proxies: int = 0, workers: int = WORKERS) -> Listener:
    """Make a gateway with everything published, and return one of its listeners."""
    house = make_house(folder / "gateway", agency=Agency(now=utc_now()))
    house.publish(Partner().entry())
    settings = house.state / "gateway.toml"
    settings.write_text(settings.read_text().replace("trusted_proxies = 0", f"trusted_proxies = {trusted_proxies}"))
    config = ListenerConfig(host="127.0.0.1", port=find_free_port(), roles=roles, workers=workers, threads=THREADS)
    return make_listener(config, state=house.state, body_seconds=BODY_SECONDS)


@pytest.fixture(scope="module")
def industry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """A server of the industry door, for tests that leave no caller behind."""
    listener = make_gateway_listener(tmp_path_factory.mktemp("industry"), "industry")
    with ServerGroup([listener]):
        yield listener


def make_desk_listener(folder: Path) -> tuple[Desk, Listener]:
    """Make a desk, and return it with the listener of its pages."""
    clock = Clock()
    clock.now = utc_now()
    desk = make_test_desk(folder / "desk", clock)
    port = find_free_port()
    return desk, Listener(
        name="desk",
        target="gateway.desk.running.app:make_served_app",
        host="127.0.0.1",
        port=port,
        workers=WORKERS,
        threads=THREADS,
        body_seconds=BODY_SECONDS,
        environment={STATE_VARIABLE: str(desk.paths.state), ORIGIN_VARIABLE: f"http://127.0.0.1:{port}"},
    )


def send(listener: Listener, head: str, *, body: bytes = b"") -> socket.socket:
    """Send a request and return its connection."""
    line = socket.create_connection((listener.host, listener.port), timeout=30)
    line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return line


def read_answer(line: socket.socket) -> tuple[int, bytes]:
    """Read until the server closes; return the status and everything that came."""
    came = b""
    while part := line.recv(65_536):
        came += part
    return int(came.split(b" ", 2)[1]), came


def get(listener: Listener, path: str, *headers: str) -> tuple[int, bytes]:
    """Ask for a page on a connection of its own."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {listener.address}", "Connection: close", *headers]
    with closing(send(listener, "\n".join(lines))) as line:
        return read_answer(line)


@contextmanager
def stalled_callers(listener: Listener, method: str, path: str, media_type: str) -> Iterator[list[socket.socket]]:
    """Keep so many connections whose bodies never come whole."""
    head = f"{method} {path} HTTP/1.1\nHost: {listener.address}\nContent-Type: {media_type}\nContent-Length: 100"
    with ExitStack() as stack:
        yield [stack.enter_context(closing(send(listener, head, body=b"x"))) for _ in range(STALLED)]


@pytest.mark.parametrize(
    ("roles", "method", "path", "media_type"),
    [
        (("public", "industry"), "POST", "/", FORM),
        (("desk",), "POST", "/start/nothing", FORM),
    ],
)
def test_stalled_bodies_stop_nobody_and_end_at_the_deadline(
    tmp_path: Path, roles: tuple[Role, ...], method: str, path: str, media_type: str
) -> None:
    is_desk = "desk" in roles
    with ExitStack() as stack:
        if is_desk:
            desk, listener = make_desk_listener(tmp_path)
            stack.enter_context(run_vault(desk))  # without it the pages are not well
        else:
            listener = make_gateway_listener(tmp_path, *roles)
        stack.enter_context(ServerGroup([listener]))
        lines = stack.enter_context(stalled_callers(listener, method, path, media_type))
        began = time.monotonic()
        for _ in range(5):
            before = time.monotonic()
            assert get(listener, "/health")[0] == 200
            assert time.monotonic() - before < PATIENCE_SECONDS
        assert time.monotonic() - began < BODY_SECONDS, "the bodies did not stall any more"
        answers = [read_answer(line) for line in lines]
        took = time.monotonic() - began
    assert {status for status, _came in answers} == {408}
    assert took < BODY_SECONDS + PATIENCE_SECONDS


def test_oversized_body_is_refused_before_it_is_asked_for(industry: Listener) -> None:
    head = "POST /v1/reports HTTP/1.1\nHost: x\nContent-Type: application/json\nExpect: 100-continue"
    with closing(send(industry, f"{head}\nContent-Length: 1000000000")) as line:
        status, came = read_answer(line)
    assert status == 413
    assert b" 100 " not in came
    assert b"connection: close" in came
    with closing(send(industry, f"{head}\nContent-Length: 10")) as line:
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")


def test_header_with_underscores_does_not_choose_whom_a_limit_counts(tmp_path: Path) -> None:
    listener = make_gateway_listener(tmp_path, "industry", trusted_proxies=1, workers=1)
    statuses = []
    with ServerGroup([listener]):
        for number in range(22):
            head = (
                f"POST /v1/enrol HTTP/1.1\nHost: x\nContent-Type: {JSON}\nContent-Length: 2\nConnection: close\n"
                f"X_Forwarded_For: 203.0.{number}.1\nX-Forwarded-For: 198.51.100.7\nX-Forwarded_For: 203.0.{number}.1"
            )
            with closing(send(listener, head, body=b"{}")) as line:
                statuses.append(read_answer(line)[0])
    assert statuses == [400] * 20 + [429] * 2


def test_path_of_machines_has_one_spelling_on_the_line(industry: Listener) -> None:
    assert get(industry, "/v1/status")[0] == 200
    for path in ("/v1/%73tatus", "/v1/%2e/status", "/v1%2fstatus", "http://other.example/v1/%73tatus"):
        assert get(industry, path)[0] in {400, 404}, path
    assert get(industry, "/v1/%73tatus")[0] == 400


def test_host_that_comes_twice_is_refused(industry: Listener) -> None:
    assert get(industry, "/v1/status", "Host: other.example")[0] == 400
