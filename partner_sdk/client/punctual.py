"""Connections of `requests` that keep the deadline of a whole exchange, however slowly the other side speaks.

A read time-out alone bounds each wait for a byte: a server that sends one now and then would hold a caller for ever,
in the headers as in the body. Here each wait is cut to what is left until the deadline. No threads. Not bounded: the
look-up of a name, and a SOCKS proxy's connections.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

# How much is sent between two looks at the clock: one TLS record (RFC 8446 §5.1).
_PIECE_BYTES = 16 * 1024
# `requests` and `urllib3` hand nothing of ours down to a connection.
_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline_at(moment: float) -> Iterator[None]:
    """Let everything inside that waits for a `PunctualAdapter` end with a time-out at `moment` (`time.monotonic`)."""
    token = _DEADLINE.set(moment)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class PunctualAdapter(HTTPAdapter):
    """The adapter of `requests`, with connections that keep the deadline."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Incoming(io.RawIOBase):
    """What comes from a socket, until the deadline."""

    def __init__(self, sock: socket.socket, deadline: float | None) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline
        self._source = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that `http.client` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        _limit_wait(self._sock, self._deadline)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _PunctualResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        incoming: Any = _Incoming(sock, _DEADLINE.get())  # of a socket `http.client` asks for nothing but the file
        super().__init__(incoming, *args, **settings)


class _Punctual(http.client.HTTPConnection):
    response_class = _PunctualResponse

    def send(self, data: Any) -> None:
        # Over TLS each record that is sent may wait as long as the time-out says. On a plain socket that holds for all
        # of a `sendall` (Python's socket, since 3.5): a part of evidence goes there in one piece.
        pieces = [data]
        if isinstance(data, bytes) or (isinstance(data, memoryview) and isinstance(self.sock, ssl.SSLSocket)):
            pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
        for piece in pieces:
            if self.sock is not None:
                _limit_wait(self.sock, _DEADLINE.get())
            super().send(piece)


class _PunctualHTTPConnection(_Punctual, urllib3.connection.HTTPConnection):
    pass


class _PunctualHTTPSConnection(_Punctual, urllib3.connection.HTTPSConnection):
    pass


class _PunctualHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PunctualHTTPConnection


class _PunctualHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PunctualHTTPSConnection


_POOLS = {"http": _PunctualHTTPPool, "https": _PunctualHTTPSPool}


def _limit_wait(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    longest = sock.gettimeout()
    sock.settimeout(left if longest is None else min(longest, left))
