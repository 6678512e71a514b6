"""Connections that never send a whole request: one network has its share of them, and another gets the form."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.commands.serve import make_listener
from gateway.config import ListenerConfig
from gateway.web.callers import MOST_OF_A_NETWORK, SilentConnections, name_whole_network
from gateway.web.server_process import MAX_CONNECTIONS
from gateway.web.serving import ServerGroup
from tests.builders import Partner, make_house
from tests.builders.local_servers import find_free_port
from tests.gateway.web.process_watch import count_open

FLOOD, OTHER = "127.0.7.1", "127.0.8.1"
PATIENCE_SECONDS = 20.0
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
HALF_A_BODY = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\na="
)
BODY_SECONDS = 200.0  # nothing but the share ends a half-sent body in the time of this test


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A gateway of one worker, as it is served, with no proxy before it."""
    house = make_house(Path(tmp_path_factory.mktemp("silent")) / "gateway", roles=("public", "industry"))
    house.publish(Partner().entry())
    listener = ListenerConfig(host="127.0.0.1", port=find_free_port(), roles=("public",), workers=1)
    with ServerGroup([make_listener(listener, state=house.state, body_seconds=BODY_SECONDS)]):
        yield listener.port


def connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS, source_address=(source, 0))


def ask_for_form(port: int, source: str) -> bytes:
    with connect(port, source) as line:
        line.sendall(HEAD + b"\r\n")
        came = b""
        while piece := line.recv(65536):
            came += piece
        return came


@pytest.mark.parametrize("sent", [b"", HEAD, HALF_A_BODY], ids=["no-byte", "half-a-head", "half-a-body"])
def test_silent_connections_of_one_network_are_bounded_and_another_gets_the_form(port: int, sent: bytes) -> None:
    needed = MAX_CONNECTIONS + 500  # more than the whole process takes at once
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed + 200, hard), hard))
    with ExitStack() as stack:
        flood = []
        for _ in range(needed):
            flood.append(stack.enter_context(connect(port, FLOOD)))
            flood[-1].sendall(sent)
        assert b"<form" in ask_for_form(port, OTHER)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := count_open(flood)) > MOST_OF_A_NETWORK and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left <= MOST_OF_A_NETWORK
        assert b"<form" in ask_for_form(port, OTHER)
        assert b"<form" in ask_for_form(port, FLOOD)  # a new one may ask, and the oldest silent one goes


@pytest.fixture
def lines() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connections to a port of this process: our end, and the caller's."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        made = []
        for source in (FLOOD, FLOOD, FLOOD, OTHER):
            caller = stack.enter_context(
                socket.create_connection(listening.getsockname(), timeout=5, source_address=(source, 0))
            )
            made.append((stack.enter_context(listening.accept()[0]), caller))
        yield made


def name_peer(line: socket.socket) -> tuple[str, str]:
    address, port = line.getpeername()
    return str(address), str(port)


def test_oldest_connections_beyond_the_share_are_ended_and_busy_ones_never(
    lines: list[tuple[socket.socket, socket.socket]],
) -> None:
    ours, callers = zip(*lines, strict=True)
    busy = {name_peer(ours[0])}
    silent = SilentConnections(port=ours[0].getsockname()[1], busy=busy, most=1)
    assert silent.end_surplus() == 1
    assert count_open(list(callers)) == 3
    busy.clear()
    assert silent.end_surplus() >= 1
    assert count_open(list(callers)) == 2
    assert count_open([callers[3]]) == 1


def test_connections_to_other_ports_and_other_files_are_left_alone(
    lines: list[tuple[socket.socket, socket.socket]], tmp_path: Path
) -> None:
    with (tmp_path / "file").open("w"):
        assert SilentConnections(port=1, busy=(), most=0).end_surplus() == 0
    assert count_open([caller for _, caller in lines]) == 4


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "unknown"),
        ("1.2.3.x", "unknown"),
    ],
)
def test_whole_network_of_an_address(address: str, network: str) -> None:
    assert name_whole_network(address) == network
