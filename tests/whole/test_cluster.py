"""The demonstration on a cluster: two gateways on one PostgreSQL behind nginx with TLS, each a process of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.cli import main as run_gateway
from gateway.demo.cluster import GATEWAYS, PORTS, Cluster, replace_all
from gateway.demo.loop import ANSWERS, Loop, Ports
from gateway.demo.processes import DemoError
from gateway.demo.run import run_steps
from tests.builders.local_servers import find_free_ports
from tests.postgresql import connect
from tests.whole.loop_in_process import running_here

STEPS = [
    *("servers", "keys", "gateway", "publish", "desk", "enrol", "service", "button"),
    *("public report", "industry report", "receipt", "collect", "reply", "cases"),
    *("digest", "pull"),
]

# Other findings depend on this machine's disk, on the day, and on which gateway took the reports.
WELL = ("folder", "limits", "store", "pages", "key set", "sealing key", "receipt key", "register")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loop, list[str], dict[str, Any]]]:
    """A running cluster, the lines that its steps printed, and their result."""
    port = find_free_ports(PORTS)
    printed: list[str] = []
    with running_here(Loop(tmp_path_factory.mktemp("cluster"), port=port, site=Cluster(Ports(port)))) as loop:
        yield loop, printed, run_steps(loop, printed.append)
    # Each ends by itself, though this process still holds connections of its own to the database.
    killed = [name for name, one in loop.processes.named.items() if one.returncode == -signal.SIGKILL]
    assert killed == ["objects"]


def test_each_step_of_the_demonstration_passes_through_tls_and_two_gateways(
    cluster: tuple[Loop, list[str], dict[str, Any]],
) -> None:
    loop, printed, result = cluster
    assert [line.strip().split("  ")[0] for line in printed] == STEPS
    assert (result["desk_opened"], result["receipt_verified"], result["digest_opened"]) == (2, True, True)
    assert loop.origin.startswith("https://")
    assert set(GATEWAYS) | {"postgresql", "valkey", "objects", "nginx", "desk"} <= set(loop.processes.named)
    assert [name for name, one in loop.processes.named.items() if one.poll() is not None] == []


def test_public_log_is_read_through_the_proxy(cluster: tuple[Loop, list[str], dict[str, Any]]) -> None:
    loop, _, _ = cluster
    answer = requests.get(f"{loop.origin}/log/checkpoint", timeout=20)
    assert answer.status_code == 200
    assert answer.text.startswith("localhost")


def test_database_and_logs_of_the_cluster_hold_no_typed_word(
    cluster: tuple[Loop, list[str], dict[str, Any]],
) -> None:
    loop, _, _ = cluster
    assert isinstance(loop.site, Cluster)
    with connect(loop.site.database_uri) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        rows = [repr(row) for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608 - the database's own names
    written = [path.read_bytes() for path in (loop.folder / "logs").iterdir()]
    assert len(rows) >= 10
    assert len(written) >= 6
    for words in (ANSWERS["story"][0], ANSWERS["school"][0]):
        assert not any(words in row for row in rows)
        assert not any(words.encode() in text for text in written)


def test_change_of_the_shipped_proxy_file_that_no_longer_fits_is_refused() -> None:
    assert replace_all("listen 443;", [("443", "8443")]) == "listen 8443;"
    with pytest.raises(DemoError, match="no 'listen 80;'"):
        replace_all("listen 443;", [("listen 80;", "listen 8080;")])


def test_doctor_of_each_gateway_finds_the_servers_of_the_cluster(
    cluster: tuple[Loop, list[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    loop, _, _ = cluster
    assert isinstance(loop.site, Cluster)
    for name in GATEWAYS:
        run_gateway(["doctor", "--json", "--state", str(loop.site.get_state(name, state=loop.gateway_state))])
        findings = json.loads(capsys.readouterr().out)["findings"]
        verdicts = {one["name"]: one["verdict"] for one in findings}
        assert {name: verdicts[name] for name in WELL} == dict.fromkeys(WELL, "ok")
        assert "fault" not in verdicts.values()


def test_missing_program_is_named_with_its_step_and_the_line_that_installs_it(tmp_path: Path) -> None:
    program = (
        "import sys, gateway.demo.cluster as cluster\n"
        "from gateway.cli import main\n"
        "find = cluster.get_program\n"
        "cluster.get_program = lambda name, **how: find(f'no-such-{name}', **how)\n"
        "sys.exit(main())\n"
    )
    words = ("cluster", "--once", "--state", str(tmp_path / "cluster"), "--port", str(find_free_ports(PORTS)))
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    failed = "There is no no-such-initdb on this machine. Run: sudo apt-get install postgresql"
    assert (done.returncode, done.stdout, done.stderr) == (1, f"failed: step 'servers': {failed}\n", "")
