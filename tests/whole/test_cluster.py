"""The demonstration on a cluster: two gateways on one PostgreSQL behind nginx with TLS, each a process of its own."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import obstore
import pytest
import requests
from werkzeug.wrappers import Response

from gateway.cli import main as run_gateway
from gateway.clock import utc_now
from gateway.config import load_config
from gateway.demo.loop import ANSWERS, PARTNER_ID, PARTNER_NAME, REPLY, Loop, run_steps
from gateway.demo.processes import GATEWAYS, PORTS, Cluster, DemoError, Ports, replace_all
from gateway.exchange.feed import MAILBOX_MESSAGE
from gateway.store.items import put_item
from gateway.wiring import make_gateway
from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.key_files import KeyFile, KeyRole, parse_key_file
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.signing import get_active_sealing_key
from tests.builders import Partner, make_box, make_industry_report, seal_report, sealing_key_of
from tests.builders.local_servers import find_free_ports
from tests.gateway.industry.partner_calls import (
    CHANGE_ID,
    EVIDENCE_ID,
    MESSAGE_ID,
    REPORT_ID,
    UNKNOWN_ID,
    PartnerCall,
    make_calls,
)
from tests.gateway.industry.test_isolation import (
    CLOSED,
    NOT_FOUND,
    OWN_LIST,
    OWN_SPACE,
    SENDER_ONLY,
    TABLE,
    shape_of,
)
from tests.gateway.web.process_watch import wait_until
from tests.postgresql import connect
from tests.sdk.evidence_builders import make_report
from tests.whole.loop_in_process import enrol_here, running

STEPS = [
    *("servers", "keys", "gateway", "desk", "publish", "police", "enrol", "service", "button"),
    *("public report", "industry report", "receipt", "collect", "assess", "reply", "package", "request", "answers"),
    *("close", "digest", "pull"),
]

# Other findings depend on this machine's disk, on the day, and on which gateway took the reports.
WELL = ("folder", "limits", "store", "pages", "key set", "sealing key", "receipt key", "register")

# The owner's calls that leave something at the gateway, and their answers.
OWN_THINGS = {"post_report": 201, "put_evidence_part": 201, "post_evidence_complete": 200, "post_account": 202}
STATUS_OF_ANOTHER = {NOT_FOUND: {404}, OWN_LIST: {200}, SENDER_ONLY: {422}, OWN_SPACE: {200, 201, 202}}


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


@dataclass(frozen=True)
class EnrolledPartner(Partner):
    """A partner that was enrolled by command, with the keys of its folder."""

    folder: Path = Path()

    def key(self, role: KeyRole) -> KeyFile:
        """Return one of its keys."""
        return PartnerState.open(self.folder).read_key(role)


def enrol_second_partner(loop: Loop) -> EnrolledPartner:
    """Invite, enrol and approve a partner beside that of the demonstration."""
    second = EnrolledPartner("second-service", folder=loop.folder / "second-partner")
    enrol_here(loop.desk_state, second.folder, partner=second.partner, name="Second Service")
    return second


@dataclass
class Caller:
    """A partner at the industry door, as a client beyond the proxy."""

    partner: EnrolledPartner
    origin: str
    session: requests.Session
    answers: list[bytes] = field(default_factory=list)

    def ask(self, call: PartnerCall) -> Response:
        """Send a call through the proxy, signed afresh."""
        return self.send(call, self.sign(call), to=self.origin)

    def sign(self, call: PartnerCall) -> dict[str, str]:
        """Return the headers of a call to the public origin."""
        return call.sign(origin=self.origin, key=self.partner.submission_key, now=utc_now())

    def send(self, call: PartnerCall, headers: dict[str, str], *, to: str) -> Response:
        """Send a signed call to the proxy, or past it to one gateway."""
        found = self.session.request(call.method, to + call.path, data=call.body, headers=headers, timeout=20)
        self.answers.append(
            b"\n".join([*(f"{name}: {value}".encode() for name, value in found.headers.items()), found.content])
        )
        return Response(found.content, found.status_code, list(found.headers.items()))


def test_partner_learns_nothing_of_another_through_the_proxy_and_no_gateway_takes_a_used_nonce(
    cluster: tuple[Loop, list[str], dict[str, Any]],
) -> None:
    """The table of tests/gateway/industry/test_isolation.py on PostgreSQL, Valkey and the object store."""
    loop, _, _ = cluster
    site = loop.site
    assert isinstance(site, Cluster)
    first, second = EnrolledPartner(PARTNER_ID, folder=loop.partner_state), enrol_second_partner(loop)
    key = get_active_sealing_key(PartnerState.open(first.folder).read_key_set(now=utc_now()), now=utc_now())
    calls = make_calls(key, first)
    never_sent = PartnerCall("POST", "/v1/reports", seal_report(first, key=key, report_id=UNKNOWN_ID).body)
    unknown = {name: call.at(UNKNOWN_ID) for name, call in calls.items()} | {"post_report": never_sent}
    owner, other = (Caller(partner, loop.origin, requests.Session()) for partner in (first, second))

    made = {name: owner.ask(calls[name]) for name in OWN_THINGS}
    assert {name: answer.status_code for name, answer in made.items()} == OWN_THINGS
    envelope = make_box(sealing_key_of(first.key(KeyRole.MAILBOX)))
    store = make_gateway(load_config(loop.gateway_state), state=loop.gateway_state).store
    with store.write() as connection:
        put_item(connection, MAILBOX_MESSAGE, address=PARTNER_ID, item_id=MESSAGE_ID, envelope=envelope, now=utc_now())
    store.close()
    reads = [name for name in CLOSED if calls[name].method == "GET"]
    seen = {name: shape_of(owner.ask(calls[name])) for name in reads}
    assert {status for status, *_ in seen.values()} == {200}

    # The proxy takes the gateways in turn: each of them is asked for what is there and for what is not.
    for name in sorted(CLOSED, key=lambda name: TABLE[name] == OWN_SPACE):
        asked = (calls[name], unknown[name], unknown[name], calls[name])
        found, absent, absent_again, found_again = (shape_of(other.ask(call)) for call in asked)
        assert found == absent, name
        assert found_again == absent_again, name
        assert found[0] in STATUS_OF_ANOTHER[TABLE[name]], name
    assert len(other.answers) == 4 * len(CLOSED) >= 32
    assert json.loads(other.ask(calls["get_mailbox"]).data) == {"messages": []}
    receipt = SIGNED_INTAKE.peek(made["post_report"].data)
    own_ids = (REPORT_ID, MESSAGE_ID, EVIDENCE_ID, CHANGE_ID, receipt.reference)
    own = [
        *own_ids,
        PARTNER_ID,
        PARTNER_NAME,
        to_base64url(envelope),
        *(first.key(role).key_id for role in PARTNER_ROLES),
    ]
    assert [word for word in own for answer in other.answers if word.encode() in answer] == []
    assert {name: shape_of(owner.ask(calls[name])) for name in reads} == seen

    doors = [f"http://127.0.0.1:{site.get_port(gateway, 'industry')}" for gateway in GATEWAYS]

    def is_used_nonce_refused(call: PartnerCall) -> bool:
        """Return False if a gateway could not ask Valkey; fails if both could, and one took a used nonce."""
        before, signed = list_changes_of_store(loop), owner.sign(call)
        assert owner.send(call, signed, to=loop.origin).status_code in {200, 202}
        if [owner.send(call, signed, to=door).status_code for door in doors] == [401, 401]:
            return True
        assert list_changes_of_store(loop) != before or "away" in [changes[-1] for changes in before if changes]
        time.sleep(1)
        return False

    # Either gateway took the first of each: neither takes it again, and both take a new one.
    for name in CLOSED:
        assert wait_until(lambda call=calls[name]: is_used_nonce_refused(call)), name
        for door in doors:
            assert owner.send(calls[name], owner.sign(calls[name]), to=door).status_code in {200, 202}, name


def list_changes_of_store(loop: Loop) -> list[list[str]]:
    """Return the moves of each industry door from Valkey ("away") and back.

    On a busy machine Valkey may need more than the 0.1 seconds that a gateway waits; nonces are then its own.
    """
    change = re.compile(r'"process_role":"industry","event":"limit-store-(away|back)"')
    return [change.findall((loop.folder / "logs" / f"{name}.log").read_text(encoding="utf-8")) for name in GATEWAYS]


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
