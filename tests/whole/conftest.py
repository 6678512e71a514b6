"""A whole agency, gateway and partner as real processes, made once for the tests that only read or add to it."""

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo.loop import Loop

_FIRST_PORTS = itertools.count(21000, 10)


def find_free_ports() -> int:
    """Return the first of four free ports in a row."""
    for first in _FIRST_PORTS:
        sockets = [socket.socket() for _ in range(4)]
        try:
            for offset, probe in enumerate(sockets):
                probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        else:
            return first
        finally:
            for probe in sockets:
                probe.close()
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """A running loop with an enrolled partner: keys made, gateway served, lists published."""
    loop = Loop(Path(tmp_path_factory.mktemp("loop")), port=find_free_ports())
    try:
        loop.make_keys()
        loop.start_gateway()
        loop.publish()
        loop.enrol_partner()
        yield loop
    finally:
        loop.stop()
