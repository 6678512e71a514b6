"""Sends prepared HTTP requests over kept-open connections and times each answer; run as a process of its own.

Reads a file of requests (each with its length before it), writes one JSON object: statuses and times in milliseconds.
"""

import json
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path

LENGTH = struct.Struct(">I")
CHUNK_BYTES = 65536
MOST_SECONDS = 120


def write_requests(path: Path, requests: list[bytes]) -> None:
    """Write the file that `main` reads."""
    path.write_bytes(b"".join(LENGTH.pack(len(request)) + request for request in requests))


def read_requests(path: Path) -> list[bytes]:
    raw, found, at = path.read_bytes(), [], 0
    while at < len(raw):
        (length,) = LENGTH.unpack_from(raw, at)
        found.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    return found


class Connection:
    """One connection: sends the next request as soon as the answer before is whole."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.started = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.started = time.perf_counter()
        self.socket.sendall(request)

    def is_whole(self) -> bool:
        """Take the bytes received; return whether the answer is complete."""
        came = self.socket.recv(CHUNK_BYTES)
        if not came:
            raise ConnectionError("the server closed the connection in the middle")
        self.received += came
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return False
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                return len(body) >= int(value)
        raise ValueError("an answer without a length")


def main() -> int:
    """Usage: load.py REQUESTS PORT CONNECTIONS."""
    requests, port, connections = read_requests(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    selector = selectors.DefaultSelector()
    waiting = iter(requests)
    statuses: Counter[str] = Counter()
    milliseconds: list[float] = []
    open_connections = 0
    start = time.perf_counter()
    for _ in range(connections):
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(next(waiting))
        open_connections += 1
    while open_connections and time.perf_counter() - start < MOST_SECONDS:
        for key, _ in selector.select(timeout=5):
            connection = key.data
            if not connection.is_whole():
                continue
            milliseconds.append((time.perf_counter() - connection.started) * 1000)
            statuses[connection.received[9:12].decode()] += 1
            request = next(waiting, None)
            if request is None:
                selector.unregister(connection.socket)
                connection.socket.close()
                open_connections -= 1
            else:
                connection.send(request)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "statuses": statuses, "milliseconds": milliseconds}))  # noqa: T201 - the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
