"""The demonstration on a cluster: two gateways on one PostgreSQL behind nginx with TLS, each a process of its own."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
import requests

from gateway.cli import main as run_gateway
from gateway.demo.loop import ANSWERS, REPLY, Loop, run_steps
from gateway.demo.processes import GATEWAYS, PORTS, Cluster, DemoError, Ports, replace_all
from partner_sdk.key_files import parse_key_file
from partner_sdk.wire.canonical import encode, parse_base64url
from tests.builders import make_industry_report
from tests.builders.local_servers import find_free_ports
from tests.postgresql import connect
from tests.sdk.evidence_builders import make_report
from tests.whole.loop_in_process import running

STEPS = [
    *("servers", "keys", "gateway", "desk", "publish", "police", "enrol", "service", "button"),
    *("public report", "industry report", "receipt", "collect", "assess", "reply", "package", "request", "answers"),
    *("close", "digest", "pull"),
]

# Other findings depend on this machine's disk, on the day, and on which gateway took the reports.
WELL = ("folder", "limits", "store", "pages", "key set", "sealing key", "receipt key", "register")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loop, list[str], dict[str, Any]]]:
    """A running cluster, the lines that its steps printed, and their result."""
    port = find_free_ports(PORTS)
    printed: list[str] = []
    with running(Loop(tmp_path_factory.mktemp("cluster"), port=port, site=Cluster(Ports(port)))) as loop:
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


def test_servers_of_the_cluster_hold_no_typed_word_and_no_private_key_of_the_desk(
    cluster: tuple[Loop, list[str], dict[str, Any]], tmp_path: Path
) -> None:
    """In the pages and the log of PostgreSQL, its archive, the objects, the output of all, and Valkey's memory."""
    loop, _, _ = cluster
    site = loop.site
    assert isinstance(site, Cluster)
    words_of_film = "Film-of-Quetzal"
    film, report = tmp_path / "film", tmp_path / "report.json"
    film.write_text(words_of_film * 20_000, encoding="utf-8")
    report.write_bytes(encode(make_industry_report(files=make_report("file-1").files)))
    loop.run_partner("report", "submit", str(report), "--priority", "P2", "--evidence", f"file-1={film}")
    with connect(site.database_uri) as connection:
        ((reference,),) = connection.execute("SELECT max(reference) FROM reports").fetchall()
    with connect(f"postgresql://postgres@127.0.0.1:{site.database_port}/postgres?passfile={site.passwords}") as owner:
        owner.execute("CHECKPOINT")
    memory = tmp_path / "valkey.memory"
    dump_memory(loop.processes.named["valkey"].pid, to=memory)
    places = (site.folder, loop.folder / "logs", memory)

    def find(*words: bytes) -> list[str]:
        """Return the files that hold any of these words, by their paths below the places."""
        (tmp_path / "words").write_bytes(b"\n".join(words))
        command = ["grep", "-rlaF", "-f", str(tmp_path / "words"), *map(str, places)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
        gone = "No such file or directory"  # PostgreSQL deletes files of its own meanwhile
        assert [line for line in done.stderr.splitlines() if not line.endswith(gone)] == []
        return sorted(line.removeprefix(f"{place}/") for line in done.stdout.splitlines() for place in places[:1])

    narrative = make_industry_report().incident.narrative
    typed = (ANSWERS["story"][0], ANSWERS["school"][0], REPLY, words_of_film, narrative)
    keys = [parse_key_file(path.read_bytes(), name=path.name).secret for path in (loop.desk_state / "keys").iterdir()]
    assert len(keys) >= 6
    raw = [max(parse_base64url(key).split(b"\n"), key=len) for key in keys]
    assert find(*(word.encode() for word in (*typed, *keys)), *raw) == []
    # The search finds words that are there: in pages, in the log, in an object, in memory and in the output.
    bucket = site.open_bucket()
    sizes = {one["path"]: one["size"] for batch in obstore.list(bucket) for one in batch}
    sealed = bytes(obstore.get(bucket, max(sizes, key=lambda path: sizes[path])).bytes())
    found = find(reference.encode(), max(sealed[:4096].split(b"\n"), key=len), b"maxmemory", b"ready to accept")
    starts = ("postgresql/base/", "postgresql/pg_wal/", "objects/", str(memory), str(loop.folder / "logs"))
    assert [start for start in starts if not any(path.startswith(start) for path in found)] == []


def dump_memory(pid: int, *, to: Path) -> None:
    """Write the memory that a process can change to a file (proc(5))."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory, to.open("wb") as dump:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if found is not None:
                memory.seek(int(found[1], 16))
                dump.write(memory.read(int(found[2], 16) - int(found[1], 16)))


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
        "import sys, gateway.demo.processes as cluster\n"
        "from gateway.cli import main\n"
        "find = cluster.get_program\n"
        "cluster.get_program = lambda name, **how: find(f'no-such-{name}', **how)\n"
        "sys.exit(main())\n"
    )
    words = ("cluster", "--once", "--state", str(tmp_path / "cluster"), "--port", str(find_free_ports(PORTS)))
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    failed = "There is no no-such-initdb on this machine. Run: sudo apt-get install postgresql"
    assert (done.returncode, done.stdout, done.stderr) == (1, f"failed: step 'servers': {failed}\n", "")
