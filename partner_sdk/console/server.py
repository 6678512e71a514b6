"""Serves the console on 127.0.0.1 until Ctrl-C, or until it was not used for a while.

Werkzeug's own server, which comes with Flask (docs/decisions/0066). It writes no log: an address may hold an id. Every
account of the machine sees the list of processes, and with it the link that a browser was started with; and a browser
sends the console's cookie to every port of this machine. So Linux is asked which account's program is at the other end.
"""

import os
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

# The rows of IPv4, and those of programs that reach IPv4 through a socket of IPv6.
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _ACCOUNT = 1, 2, 7
_ROOT: Final = 0  # reads every folder anyway, and forwards the connections of containers and of WSL
Place = tuple[str, int]


def is_own_program(client: Place, *, server: Place) -> bool:
    """Return whether a client is a program of this account or of root; also where the system does not tell."""
    return find_account(client, server=server) in {None, _ROOT, os.getuid()}


def find_account(client: Place, *, server: Place) -> int | None:
    """Return the id of the account that holds the client's end, or None without such a row, e.g. on macOS."""
    for table, prefix in zip(_TABLES, ("", _spell(bytes(8)) + _spell(b"\x00\x00\xff\xff")), strict=True):
        wanted = [f"{prefix}{_spell(IPv4Address(host).packed)}:{port:04X}" for host, port in (client, server)]
        try:
            rows = table.read_text("ascii").splitlines()
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[_LOCAL : _REMOTE + 1] == wanted:
                return int(row[_ACCOUNT])
    return None


def _spell(address: bytes) -> str:
    """Return bytes of an address as the kernel does: words of four bytes, each as a number of this machine."""
    words = (address[start : start + 4] for start in range(0, len(address), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


HOST: Final = "127.0.0.1"
_LOOK_SECONDS: Final = 5.0
_SILENT_SECONDS: Final = 60.0
_OTHER_ACCOUNT: Final = "This console answers only programs of the account that started it.\n"


class _QuietHandler(WSGIRequestHandler):
    """Answers one connection without a line in any log; a silent one ends."""

    timeout = _SILENT_SECONDS

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's own name
        """Write nothing."""

    def version_string(self) -> str:
        """Name no software."""
        return "console"


class ConsoleServer:
    """One listening console. `port` 0 takes a free one."""

    def __init__(self, *, port: int, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._is_busy: Callable[[], bool] = lambda: False
        self._last = clock()
        self._at_work = 0
        self._counting = threading.Lock()
        self._ended = threading.Event()
        self._app: Flask | None = None
        self._server: BaseWSGIServer = make_server(HOST, port, self._call, threaded=True, request_handler=_QuietHandler)
        self.is_idle = False

    @property
    def host(self) -> str:
        """The only Host that its requests may name."""
        return f"{HOST}:{self._server.port}"

    def serve(self, app: Flask, *, idle: timedelta, is_busy: Callable[[], bool] = lambda: False) -> None:
        """Serve until Ctrl-C, `stop`, or `idle` without a request and without work of its own (`is_busy`)."""
        self._app, self._is_busy = app, is_busy
        watcher = threading.Thread(target=self._watch, args=(idle,), daemon=True)
        watcher.start()
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._ended.set()
            self._server.server_close()

    def stop(self) -> None:
        """End `serve` from another thread."""
        self._server.shutdown()

    def _call(self, environ: Any, start_response: Any) -> Any:
        client = (environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]))
        if not is_own_program(client, server=(HOST, self._server.port)):
            return Response(_OTHER_ACCOUNT, HTTPStatus.FORBIDDEN)(environ, start_response)
        if self._app is None:
            raise TypeError("The console is not served yet.")
        self._count(1)
        try:
            return self._app(environ, start_response)
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._counting:
            self._at_work += more
            self._last = self._clock()

    def _watch(self, idle: timedelta) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if self._at_work or self._is_busy():  # a large file may take longer than `idle` to come
                self._last = self._clock()
            elif self._clock() - self._last >= idle:
                self.is_idle = True
                self._server.shutdown()
                return
