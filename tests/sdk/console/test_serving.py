"""The command: one link, one port of this machine, and an end by itself."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask import Flask

from partner_sdk.console.server import ConsoleServer, find_account
from tests.builders import StillClock
from tests.sdk.sdk_builders import make_state


def test_command_prints_its_link_serves_it_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    make_state(tmp_path / "partner")
    words = ["console", "--no-open", "--json", "--as", "Sam Example", "--state", str(tmp_path / "partner")]
    # A run that was started in the background passes on that it ignores Ctrl-C (sh(1), Signals and error handling).
    hears = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", hears, sys.executable, "-m", "partner_sdk.cli", *words]
    with ExitStack() as ending:
        process = ending.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        ending.callback(process.kill)
        assert process.stdout is not None
        lines = ""
        while not lines.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            lines += line
        said = json.loads(lines)
        host = said["origin"].removeprefix("http://")
        assert host.startswith("127.0.0.1:")
        connection = HTTPConnection(host, timeout=30)
        connection.request("GET", said["link"].removeprefix(said["origin"]))
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("Location")) == (303, "/")
        cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]
        connection.request("GET", "/", headers={"Cookie": cookie})
        page = connection.getresponse()
        assert "Sam Example" in page.read().decode()
        assert page.getheader("Server") == "console"
        connection.request("GET", "/", headers={"Cookie": cookie, "Host": "rebound.example"})
        assert connection.getresponse().status == 421
        connection.close()
        process.send_signal(2)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@contextmanager
def serving(app: Flask, *, clock: StillClock) -> Iterator[ConsoleServer]:
    """Serve an app, and end its thread also where an assertion fails: the run would wait for it."""
    server = ConsoleServer(port=0, clock=clock)
    thread = threading.Thread(target=partial(server.serve, app, idle=timedelta(minutes=60)))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(30)
    assert not thread.is_alive()


class WatchedClock(StillClock):
    """A clock that notes when the console has looked at it some times."""

    def __init__(self) -> None:
        super().__init__()
        self.looks, self.was_read = 0, threading.Event()

    def __call__(self) -> datetime:
        self.looks += 1
        if self.looks > 5:
            self.was_read.set()
        return super().__call__()


def test_console_ends_after_a_time_without_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partner_sdk.console.server._LOOK_SECONDS", 0.01)
    clock = WatchedClock()
    server = ConsoleServer(port=0, clock=clock)
    serve = partial(server.serve, Flask(__name__), idle=timedelta(minutes=60))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert clock.was_read.wait(30)
    assert thread.is_alive()
    clock.advance(minutes=60)
    thread.join(30)
    assert not thread.is_alive()
    assert server.is_idle


def test_request_that_still_runs_keeps_the_console_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partner_sdk.console.server._LOOK_SECONDS", 0.01)
    clock, app, came, goes_on = WatchedClock(), Flask(__name__), threading.Event(), threading.Event()

    @app.get("/")
    def get_slow() -> str:
        came.set()
        assert goes_on.wait(30)
        return "whole"

    with serving(app, clock=clock) as server:
        connection = HTTPConnection(server.host, timeout=30)
        connection.request("GET", "/")
        assert came.wait(30)
        clock.advance(minutes=60)
        clock.looks = 0
        clock.was_read.clear()
        assert clock.was_read.wait(30)
        assert not server.is_idle
        goes_on.set()
        assert connection.getresponse().read() == b"whole"


def test_other_end_of_a_connection_has_the_account_of_its_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        here, there = server.getsockname(), client.getsockname()
        assert find_account(there, server=here) == os.getuid()
        assert find_account((there[0], here[1]), server=here) is None


def test_program_that_reaches_the_console_through_a_socket_of_ipv6_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = "0000000000000000FFFF00000100007F"  # the kernel's spelling on a machine with the low byte first
    table = tmp_path / "tcp6"
    table.write_text(f"  sl  local_address ...\n   0: {here}:9C40 {here}:1F90 01 0:0 00:0 00000000  1234 0 77 1\n")
    monkeypatch.setattr("partner_sdk.console.server._TABLES", (tmp_path / "missing", table))
    monkeypatch.setattr("sys.byteorder", "little")
    assert find_account(("127.0.0.1", 40_000), server=("127.0.0.1", 8080)) == 1234


@pytest.mark.parametrize(("account", "status"), [(os.getuid(), 404), (0, 404), (None, 404), (os.getuid() + 1, 403)])
def test_program_of_another_account_is_refused(
    monkeypatch: pytest.MonkeyPatch, account: int | None, status: int
) -> None:
    monkeypatch.setattr("partner_sdk.console.server.find_account", lambda _client, *, server: account)
    with serving(Flask(__name__), clock=StillClock()) as server:
        connection = HTTPConnection(server.host, timeout=30)
        connection.request("GET", "/open/x")
        assert connection.getresponse().status == status
