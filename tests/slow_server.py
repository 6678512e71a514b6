"""A server on loopback that answers each connection with a beginning, and then one byte now and then."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# "For ever" for a test, and an end to one that fails.
DRIPS = 40
# Together a megabyte: less would not make room in the buffers of both sides, and the one wait would time out.
READS = 64
BEGINNINGS = {
    "headers": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    "unbounded body": b"HTTP/1.1 200 OK\r\n\r\n",
    "refusal": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 60000\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 60000\r\n\r\n",
}


def step(connection: socket.socket, *, is_talking: bool) -> None:
    """Send one byte, or read a megabyte."""
    if is_talking:
        connection.sendall(b"a")
        return
    for _ in range(READS):
        connection.recv(16384)


@contextmanager
def slow_server(beginning: bytes, *, every_seconds: float, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve one connection at a time and yield the port; without a beginning, only read, and that slowly too."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(beginning)
        for _ in range(DRIPS):
            if stop.wait(every_seconds):
                break
            step(connection, is_talking=bool(beginning))

    def serve(listener: socket.socket) -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            try:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                drip(connection)
            except OSError:  # the client left: that is what is tested
                pass
            finally:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()
