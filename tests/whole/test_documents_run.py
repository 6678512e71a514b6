"""The lines of running.md, casework.md, partners.md and data.md run as written and in their order, on one machine."""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gateway.cli import main as run_gateway
from gateway.desk.office.wiring import open_desk
from gateway.desk.running.cli import main as run_desk
from gateway.signoffs import SIGNOFFS_FILE, list_checks
from partner_sdk._commands.runtime import Runtime
from partner_sdk.cli import main as run_partner
from partner_sdk.wire.canonical import encode
from tests.builders import EXAMPLE_REPORT, make_industry_report
from tests.builders.local_servers import find_free_port, find_free_ports, make_tls
from tests.desk.account_builders import approve_as_on_page, write_invitation
from tests.desk.people_builders import give_every_role
from tests.documents import PROXY, SET_UP, list_lines
from tests.gateway.web.test_nginx import HOSTS, write_conf
from tests.house.sources import ROOT
from tests.sdk.evidence_builders import make_report

PROGRAMS = {"report-abuse-gateway": run_gateway, "report-abuse-desk": run_desk, "report-abuse-partner": run_partner}
WORK = ("Read a case", "Take a case", "Evidence", "Ask a partner", "Close a case")
PATIENCE_SECONDS = 60


class Machine:
    """Both machines of the documents in one folder: their paths, addresses and ids stand for those of this run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, find_free_ports(2)
        self.served: subprocess.Popen[bytes] | None = None
        self.names = {
            "/var/lib/": f"{folder}/",
            "/var/backups/": f"{folder}/backups/",
            "/etc/": f"{folder}/etc/",
            "gateway/web/nginx/": f"{ROOT}/gateway/web/nginx/",
            "https://report.example": f"http://127.0.0.1:{self.port}",
            "https://feed.report.example": f"http://127.0.0.1:{self.port + 1}",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{self.port}",
        }

    def run_all(self, runner: str, document: str, *sections: str) -> list[tuple[int, str]]:
        """Run the lines of a document and return each with its exit code."""
        return [(self.run(line), line) for line in list_lines(runner, document, *sections)]

    def run(self, line: str) -> int:
        """Run one line and return its exit code: a command of ours in this process, any other in a shell."""
        for name, here in self.names.items():
            line = line.replace(name, here)
        program, *arguments = shlex.split(line)
        if program == "curl":
            return 0 if requests.get(arguments[-1], timeout=PATIENCE_SECONDS).ok else 22
        if program not in PROGRAMS:
            return subprocess.run(["sh", "-euc", line], check=False).returncode
        if arguments[0] == "serve":
            return self.serve(arguments)
        if program == "report-abuse-gateway" and arguments[0] == "init":
            arguments[arguments.index("--trusted-proxies") + 1] = "0"
            arguments += ["--port", str(self.port)]
            divided = arguments.index("--industry-port")  # by the proxy, which is not there
            del arguments[divided : divided + 2]
        return PROGRAMS[program](arguments)

    def serve(self, arguments: list[str]) -> int:
        """Serve the gateway beside the next lines; return the number of doors that never answered."""
        self.served = subprocess.Popen([sys.executable, "-m", "gateway.cli", *arguments], stderr=subprocess.DEVNULL)
        ends = time.monotonic() + PATIENCE_SECONDS
        waits = [self.port + 1] if "feed" in arguments else [self.port, self.port + 1]
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
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A new folder in which the documents' relative paths lie, with a short name: nginx's sockets lie there too."""
    with tempfile.TemporaryDirectory(prefix="documents-") as folder:
        monkeypatch.chdir(folder)
        machine = Machine(Path(folder))
        yield machine
        machine.stop()
        monkeypatch.undo()  # before the folder goes


def submit_example(partner: list[str], *, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """Submit a report as the partner, which ends with `code`, and return its id."""
    capsys.readouterr()
    words = ["report", "submit", str(EXAMPLE_REPORT), "--priority", "P2", "--again", *partner]
    assert run_partner(words, runtime=Runtime(sleep=lambda _: None)) == code
    return str(json.loads(capsys.readouterr().out)["report_id"])


def list_differing(partner: list[str], *, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the ids of all reports whose receipts the gateway does not honour."""
    capsys.readouterr()
    assert run_partner(["receipt", "verify", "--all", "--online", *partner]) == 4
    return {row["report_id"] for row in json.loads(capsys.readouterr().out)["differing"]}


def list_references(desk: list[str], *, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the references of all cases."""
    capsys.readouterr()
    run_desk(["case", "list", "--all", "--json", *desk])
    return [case["reference"] for case in json.loads(capsys.readouterr().out)["cases"]]


def test_lines_lead_from_the_first_key_to_a_closed_case_and_back_from_a_backup(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = []
    for line in list_lines(SET_UP, "docs/running.md", "3 ", "4 ", "7 ", "8 ", "9 "):
        if " enrol " in line:
            write_invitation(machine.folder / "report-abuse-desk", "example-chat")
        ended.append((machine.run(line), line))
        if line.startswith("report-abuse-desk init"):  # one account does the work of everyone here
            give_every_role(open_desk(machine.folder / "report-abuse-desk").store, "d-reyes")
        # What one machine's operator hands to the other's.
        for made in ("report-abuse-desk/agency.pin", "report-abuse-gateway/gateway.card"):
            if (machine.folder / made).exists():
                Path(Path(made).name).write_bytes((machine.folder / made).read_bytes())
    approve_as_on_page(machine.folder / "report-abuse-desk", "example-chat")
    assert len(ended) == 10
    # A doctor gives 1 for a desk without an escalation, and years from now for the example's bank holidays.
    assert [line for code, line in ended if code > (" doctor " in line)] == []

    desk, partner = (["--state", str(machine.folder / name)] for name in ("report-abuse-desk", "report-abuse"))
    capsys.readouterr()
    Path("clip.mp4").write_bytes(b"a film")
    report = make_industry_report(files=make_report("file-1").files)
    Path("report.json").write_bytes(encode(report))
    words = ["report", "submit", "report.json", "--priority", "P2", "--again", *partner]
    assert run_partner([*words, "--evidence", "file-1=clip.mp4"]) == 0
    machine.names["K7QF-2M9TX-D"] = json.loads(capsys.readouterr().out)["reference"]
    assert run_partner([*words, "--to-file", "sealed-report.json"]) == 0
    assert run_partner(["keys", "rotate", *partner]) == 0
    assert run_desk(["collect", *desk]) == 0
    Path("reasons.txt").write_text("[message]", encoding="utf-8")
    ended = machine.run_all(SET_UP, "docs/casework.md", *WORK)
    assert len(ended) == 2
    assert Path("file-1.bin").read_bytes() == b"a film"
    assert [line for code, line in ended if code] == []
    assert Path("sealed-report.json.receipt.json").is_file()
    (code,) = (check.code for check in list_checks() if check.key == "form-en-youth-panel")
    machine.names |= {"81d50c2f": code, " --on 2026-12-01": ""}
    ended = machine.run_all(SET_UP, "docs/data.md")
    # The lists give 1 while something is owed; `give` gives 0.
    assert [line for code, line in ended if code != (" give " not in line)] == []
    assert len(ended) == 4
    assert (machine.folder / "report-abuse-gateway" / SIGNOFFS_FILE).exists()

    partner = ["--state", str(machine.folder / "other")]
    write_invitation(machine.folder / "report-abuse-desk", "other")
    assert run_partner(["enrol", "other.invitation", *partner]) == 0
    run_desk(["collect", *desk])
    approve_as_on_page(machine.folder / "report-abuse-desk", "other")
    submit_example(partner, capsys=capsys)
    (machine.folder / "backups").mkdir()
    assert [code for code, _ in machine.run_all(SET_UP, "docs/running.md", "Backup")] == [0, 0, 0]
    for name in ("desk", "gateway"):
        (copy,) = (machine.folder / "backups").glob(f"{name}-*.sqlite")
        with sqlite3.connect(copy) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    machine.names["2026-11-25"] = copy.stem.removeprefix("gateway-")
    collected = submit_example(partner, capsys=capsys)
    run_desk(["collect", *desk])
    lost = submit_example(partner, capsys=capsys)
    machine.stop()
    spooled = submit_example(partner, capsys=capsys, code=3)
    ended = machine.run_all(SET_UP, "docs/running.md", "The gateway's database")
    assert len(ended) == 7
    # `collect` gives 1 for the new epoch, which waits for a person who knows of the restore.
    assert [line for code, line in ended if code != (" collect " in line)] == []
    capsys.readouterr()
    assert run_desk(["alarms", "--json", *desk]) == 1
    assert "new-epoch" in {one["kind"] for one in json.loads(capsys.readouterr().out)["alarms"]}

    # Exactly the receipts of after the copy are named. The desk has one of these reports; the partner sends the others.
    machine.stop()
    assert machine.run("report-abuse-gateway serve --state /var/lib/report-abuse-gateway") == 0
    assert list_differing(partner, capsys=capsys) == {collected, lost}
    held = list_references(desk, capsys=capsys)
    assert run_partner(["spool", "flush", *partner]) == 0
    again = submit_example(partner, capsys=capsys)
    run_desk(["collect", *desk])
    assert len(list_references(desk, capsys=capsys)) == len(held) + len({spooled, again})
    assert list_differing(partner, capsys=capsys) == {collected, lost}


def test_lines_of_the_proxy_end_in_a_file_that_nginx_takes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.folder / "etc/nginx").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
    assert shutil.which("nginx"), "No nginx here. Run: .ci/test-tools"
    copied, sockets = (machine.folder / "etc" / name for name in ("nginx/nginx.conf", "systemd/system/nginx.service.d"))
    ended = []
    for line in list_lines(PROXY, "docs/running.md"):
        if line == "nginx -t":
            # As the document says: other names and certificates. And ports that need no root.
            for host in HOSTS:
                (machine.folder / host).mkdir()
                make_tls(machine.folder / host, host=host)
            ports = {"port": find_free_port(), "plain_port": find_free_port()}
            ports |= {"public": [machine.port], "industry": machine.port}
            machine.names[line] = f"nginx -t -q -c {write_conf(machine.folder, source=copied, **ports)}"
        ended.append((machine.run(line), line))
    assert [line for code, line in ended if code] == []
    assert [line.split()[0] for _, line in ended] == ["cp", "mkdir", "cp", "nginx"]
    assert "ExecStartPre=" in (sockets / "sockets.conf").read_text("utf-8")
