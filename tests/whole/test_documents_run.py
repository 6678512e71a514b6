"""The lines of docs/running.md and docs/casework.md run as they are written and in their order, on one machine."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gateway.cli import main as run_gateway
from gateway.desk.cli import main as run_desk
from partner_sdk.cli import main as run_partner
from tests.builders import EXAMPLE_REPORT
from tests.builders.local_servers import find_free_ports
from tests.house.sources import ROOT

PROGRAMS = {"report-abuse-gateway": run_gateway, "report-abuse-desk": run_desk, "report-abuse-partner": run_partner}
# Sections whose every line runs here; the others need root, a lost database, or a file of a partner.
SET_UP = ("3 ", "4 ", "7 ", "8 ", "9 ")
WORK = ("Read a case", "Ask a partner", "Close a case", "Partners", "Digests")
LISTS = ("List old entries",)
PATIENCE_SECONDS = 60


class Machine:
    """Both machines of the documents in one folder: their paths, addresses and ids stand for those of this run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, find_free_ports(2)
        self.served: subprocess.Popen[bytes] | None = None
        self.names = {
            "/var/lib/": f"{folder}/",
            "https://report.example": f"http://127.0.0.1:{self.port}",
            "https://feed.report.example": f"http://127.0.0.1:{self.port + 1}",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{self.port}",
        }

    def read_lines(self, document: str, sections: tuple[str, ...]) -> Iterator[list[str]]:
        """Yield the words of each line of the shell blocks of some sections."""
        text = (ROOT / "docs" / document).read_text(encoding="utf-8")
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            if section.startswith(sections):
                for block in re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
                    yield from (shlex.split(line) for line in block.replace("\\\n", " ").splitlines())

    def run(self, words: list[str]) -> int:
        """Run one line and return its exit code."""
        for name, here in self.names.items():
            words = [word.replace(name, here) for word in words]
        program, *arguments = words
        if program == "curl":
            return 0 if requests.get(arguments[-1], timeout=PATIENCE_SECONDS).ok else 22
        if arguments[0] == "serve":
            return self.serve(arguments)
        if program == "report-abuse-gateway" and arguments[0] == "init":
            arguments[arguments.index("--trusted-proxies") + 1] = "0"
            arguments += ["--port", str(self.port)]
        return PROGRAMS[program](arguments)

    def serve(self, arguments: list[str]) -> int:
        """Serve the gateway beside the next lines."""
        self.served = subprocess.Popen([sys.executable, "-m", "gateway.cli", *arguments], stderr=subprocess.DEVNULL)
        ends = time.monotonic() + PATIENCE_SECONDS
        waits = [self.port, self.port + 1]
        while waits and time.monotonic() < ends and self.served.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{waits[0]}/health", timeout=5)  # the doors answer 503 until `publish`
                waits.pop(0)
            except requests.ConnectionError:
                time.sleep(0.1)
        return len(waits)

    def stop(self) -> None:
        """End the servers."""
        if self.served is not None:
            self.served.terminate()
            self.served.wait(PATIENCE_SECONDS)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A new folder in which the documents' relative paths lie."""
    monkeypatch.chdir(tmp_path)
    machine = Machine(tmp_path)
    yield machine
    machine.stop()


def test_lines_lead_from_the_first_key_to_a_closed_case(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    ended = []
    for words in machine.read_lines("running.md", SET_UP):
        ended.append((machine.run(words), " ".join(words)))
        # What one machine's operator hands to the other's.
        for made in ("report-abuse-desk/agency.pin", "report-abuse-gateway/gateway.card"):
            if (machine.folder / made).exists():
                Path(Path(made).name).write_bytes((machine.folder / made).read_bytes())
    assert len(ended) == 13
    # A doctor gives 1 for a desk without a pager, and years from now for the example's bank holidays.
    assert [line for code, line in ended if code > (" doctor " in line)] == []

    desk, partner = (["--state", str(machine.folder / name)] for name in ("report-abuse-desk", "report-abuse"))
    capsys.readouterr()
    assert run_partner(["report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--json", *partner]) == 0
    machine.names["K7QF-2M9TX-D"] = json.loads(capsys.readouterr().out)["reference"]
    assert run_partner(["keys", "rotate", *partner]) == 0
    assert run_desk(["collect", *desk]) == 0
    capsys.readouterr()
    run_desk(["partner", "changes", "--json", *desk])
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    machine.names["01a211d3-7340-7ff3-b7d7-b412be473e63"] = change["change_id"]
    Path("question.txt").write_text("[message]", encoding="utf-8")
    ended = [(machine.run(words), " ".join(words)) for words in machine.read_lines("casework.md", WORK)]
    assert len(ended) == 16
    assert [line for code, line in ended if code > ("partner changes" in line)] == []
    ended = [(machine.run(words), " ".join(words)) for words in machine.read_lines("data.md", LISTS)]
    assert [code for code, _ in ended if code not in {0, 1}] == []
    assert len(ended) == 2
