"""A TCP proxy on loopback whose connections a test delays or cuts."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PIECE_BYTES = 65536


class Proxy:
    """Passes connections from one port of this machine to another, as long as nothing is done to them."""

    def __init__(self, *, port: int, target: int) -> None:
        self.delay_seconds = 0.0
        self._is_cut = False
        self._target = ("127.0.0.1", target)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """Hold every piece of every connection back for a while."""
        self.delay_seconds = seconds
        try:
            yield
        finally:
            self.delay_seconds = 0.0

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End every connection in the middle, and each new one at once."""
        self._is_cut = True
        self._end_all()
        try:
            yield
        finally:
            self._is_cut = False

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError), socket.create_connection(self._target, timeout=5) as answerer:
            answerer.settimeout(None)
            self._open |= {caller, answerer}
            if self._is_cut:
                self._end_all()
            back = threading.Thread(target=self._pass_on, args=(answerer, caller), daemon=True)
            back.start()
            self._pass_on(caller, answerer)
            back.join()
            self._open -= {caller, answerer}

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                if self.delay_seconds:
                    time.sleep(self.delay_seconds)
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
