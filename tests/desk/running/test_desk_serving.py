"""The desk's pages as a real process: a link that is asked for signs in, and `serve` itself prints none."""

import json
import re
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

from gateway.demo.walks import SoftPasskey
from gateway.desk.office.wiring import utc_now
from tests.builders.local_servers import find_free_port
from tests.desk.people_builders import ACTOR
from tests.desk.view_builders import Clock, make_test_desk

ROOT = Path(__file__).parents[3]


def test_the_command_serves_signs_in_and_ends(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = utc_now()
    desk = make_test_desk(tmp_path / "desk", clock)
    port = find_free_port()
    words = ["serve", "--state", str(desk.paths.state), "--port", str(port), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.desk.running.cli", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"address": f"http://localhost:{port}"}
            asked = [sys.executable, "-m", "gateway.desk.running.cli", "people", "link", ACTOR, *words[1:]]
            made = json.loads(subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout)
            address = made["addresses"][ACTOR]
            with requests.Session() as session:
                assert session.get(f"http://localhost:{port}/", timeout=10).status_code == 401
                page = session.get(address, timeout=10).text
                token = re.search(r'name="csrf_token" value="([^"]+)"', page)
                assert token is not None
                form = {"csrf_token": token[1]}
                begun = session.post(f"{address}/begin", data=form, timeout=10).json()
                answer = SoftPasskey(f"http://localhost:{port}", random=secrets.token_bytes).register(begun["options"])
                form |= {"statement": begun["statement"], "answer": answer, "label": "blue key"}
                assert session.post(f"{address}/register", data=form, timeout=10).status_code == 200
                queue = session.get(f"http://localhost:{port}/", timeout=10)
                assert queue.status_code == 200
                assert "No case is waiting." in queue.text
            process.send_signal(signal.SIGTERM)
            printed, log = process.communicate(timeout=30)
            assert "/start/" not in printed  # a service manager keeps what this prints
        finally:
            process.kill()
    assert process.returncode == 0
    assert address.rsplit("/", 1)[1] not in log  # the log names routes, never addresses
    assert '"route":"/start/<secret>"' in log
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
