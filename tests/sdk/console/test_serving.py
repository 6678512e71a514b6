"""The command: one link, one port of this machine, and an end by itself."""

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask import Flask

from partner_sdk.console.server import ConsoleServer
from tests.builders import StillClock
from tests.sdk.sdk_builders import make_state


def test_command_prints_its_link_serves_it_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    make_state(tmp_path / "partner")
    words = ["console", "--no-open", "--json", "--as", "Sam Example", "--state", str(tmp_path / "partner")]
    command = [sys.executable, "-m", "partner_sdk.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
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
    thread = threading.Thread(target=server.serve, args=(Flask(__name__),), kwargs={"idle": timedelta(minutes=60)})
    thread.start()
    assert clock.was_read.wait(30)
    assert thread.is_alive()
    clock.advance(minutes=60)
    thread.join(30)
    assert not thread.is_alive()
    assert server.is_idle
