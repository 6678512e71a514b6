"""Figures of the industry door: signed, sealed, durable submissions beside a bare view on the same stack.

    .venv/bin/python -m tests.bench.intake
    .venv/bin/python -m tests.bench.intake --database postgresql --windows 2

Both servers run at once with the same workers and threads; windows of load alternate between them, so that a machine
that drifts drifts for both. Requests are sealed and signed beforehand. Rates mean little by themselves: look at the
ratio and at CPU-seconds per report.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gateway.demo.loop import Loop, OneMachine
from gateway.demo.processes import GATEWAY, Ports
from gateway.web.serving import Listener, ServerGroup
from partner_sdk.client.partner import Partner
from partner_sdk.key_files import KeyRole, load_signing_key, read_key_file
from partner_sdk.report import encode_sealed_report, make_sealed_report, parse_report
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.sealing import SealingKey, seal
from partner_sdk.wire.signing import find_active_sealing_key, parse_statement
from partner_sdk.wire.submission import (
    SIGNED_SUBMISSION,
    ClearFields,
    ReportPost,
    StatedFields,
    SubmissionStatement,
    report_context,
)
from tests.bench.bare_app import STATE_VARIABLE, URI_VARIABLE, make_rows_table
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.load import write_requests
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group
from tests.builders import EXAMPLE_REPORT, sign_request
from tests.postgresql import Server
from tests.whole.loop_in_process import enrol_here

DATABASES = ("sqlite", "postgresql")
CONNECTIONS, MAIN_CONNECTIONS = (8, 1, 64), 8
WORKERS, THREADS = 2, 4  # the gateway's own defaults
PRIORITY = "P2"


class Window(NamedTuple):
    """One window of load: requests a second, 99th percentile, CPU-seconds of the servers for each report."""

    rate: float
    p99_ms: float
    cpu_seconds_per_report: float


def raise_partner_limit(state: Path) -> None:
    """Let one partner send as much as the machine takes: a setting of the gateway, as for a large partner."""
    config = state / "gateway.toml"
    text = config.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("partner_reports_per_minute")]
    at = next((number for number, line in enumerate(lines) if line.strip() == "[limits]"), None)
    if at is None:
        lines += ["[limits]"]
        at = len(lines) - 1
    lines.insert(at + 1, "partner_reports_per_minute = 10000000")
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_http_requests(partner_state: Path, origin: str, key: SealingKey, count: int) -> list[bytes]:
    """Seal, sign and spell out `count` different submissions as they stand on the line."""
    submission_key = load_signing_key(read_key_file(partner_state / "keys" / "submission.key", role=KeyRole.SUBMISSION))
    report = parse_report(EXAMPLE_REPORT.read_bytes(), priority=PRIORITY)
    now = datetime.now(UTC)
    made = []
    for _ in range(count):
        clear = ClearFields(
            earlier_reference=None,
            environment="live",
            evidence_ids=(),
            kind="initial",
            partner="example-chat",
            priority=PRIORITY,
            report_id=make_report_id(now, os.urandom(10)),
            schema_version="1",
        )
        sealed = make_sealed_report(report, clear=clear)
        envelope = seal(encode_sealed_report(sealed), key=key, context=report_context(clear)).to_bytes()
        statement = SubmissionStatement(
            **{name: getattr(clear, name) for name in StatedFields.__struct_fields__},
            created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            envelope_sha256=hashlib.sha256(envelope).hexdigest(),
        )
        signed = parse_statement(SIGNED_SUBMISSION.sign(statement, submission_key))
        body = encode(ReportPost(envelope=to_base64url(envelope), statement=signed))
        headers = sign_request("POST", f"{origin}/v1/reports", body=body, private_key=submission_key, created=now)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        host = origin.removeprefix("http://")
        made.append(
            f"POST /v1/reports HTTP/1.1\r\nHost: {host}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
    return made


def run_window(requests_file: Path, ports: Sequence[int], groups: Sequence[int], *, connections: int) -> Window:
    """Send one window of load to each port at once; returns what all of them together did."""
    before = sum(map(cpu_seconds_of_group, groups))
    load = Path(__file__).with_name("load.py")
    commands = [
        [sys.executable, str(load), f"{requests_file}.{place}", str(port), str(connections // len(ports))]
        for place, port in enumerate(ports)
    ]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    sent = [json.loads(run.communicate()[0]) for run in runs]
    used = sum(map(cpu_seconds_of_group, groups)) - before
    if any(set(one["statuses"]) != {"201"} for one in sent):
        raise SystemExit(f"Not every request was answered with 201: {[one['statuses'] for one in sent]}")
    times = [milliseconds for one in sent for milliseconds in one["milliseconds"]]
    return Window(
        rate=len(times) / max(one["seconds"] for one in sent),
        p99_ms=statistics.quantiles(times, n=100)[98],
        cpu_seconds_per_report=used / len(times),
    )


def summarise(
    pairs: Sequence[tuple[Window, Window]], *, where: str, ratio: float, is_served_at_once: bool = True
) -> list[Figure]:
    """Return the figures of windows of the door, each with that of the bare view beside it; `ratio` is the bar.

    Where more connections than threads wait, the times follow from the rates, so they have no bar of their own.
    """
    return [
        make_figure(
            f"{where}rate of the door as a part of the bare view's",
            [door.rate / bare.rate for door, bare in pairs],
            least=ratio,
        ),
        make_figure(f"{where}bare view", [bare.rate for _, bare in pairs], unit="a second"),
        make_figure(f"{where}door", [door.rate for door, _ in pairs], unit="a second"),
        make_figure(
            f"{where}99th percentile over the bare view's",
            [door.p99_ms - bare.p99_ms for door, bare in pairs],
            unit="ms",
            most=10 if is_served_at_once else None,
        ),
    ]


def summarise_cpu(pairs: Sequence[tuple[Window, Window]], *, where: str) -> list[Figure]:
    """Return the CPU figures of the servers, without that of a database server."""
    least = {} if where else {"least": 450.0}
    return [
        make_figure(f"{where}reports a server-CPU-second", [1 / d.cpu_seconds_per_report for d, _ in pairs], **least),
        make_figure(
            f"{where}rows of the bare view a server-CPU-second", [1 / b.cpu_seconds_per_report for _, b in pairs]
        ),
    ]


class OnServer(OneMachine):
    """A gateway whose database is on a PostgreSQL server."""

    def __init__(self, ports: Ports, *, uri: str) -> None:
        super().__init__(ports)
        self._uri = uri

    def list_init_options(self) -> tuple[str, ...]:
        """Return the ports, and the address of the server."""
        return (*super().list_init_options(), "--database-uri", self._uri)


class Bench:
    """A real agency, gateway and partner under `folder`, and the bare view, on one kind of database."""

    def __init__(self, folder: Path, *, port: int, uris: tuple[str, str], windows: int, count: int) -> None:
        self.loop = Loop(folder, port=port, site=OnServer(Ports(port), uri=uris[0]) if uris[0] else None)
        self.bare_port, self.other_port = port + 10, port + 20
        self.bare_uri = uris[1]
        self.windows, self.count = windows, count

    @contextmanager
    def running(self) -> Iterator["Bench"]:
        """Run the servers."""
        loop, bare_state = self.loop, self.loop.folder / "bare"
        try:
            loop.make_keys()
            raise_partner_limit(loop.gateway_state)
            loop.start_gateway()
            enrol_here(loop.desk_state, loop.partner_state)
            key = find_active_sealing_key(Partner.open(loop.partner_state).refresh_key_set(), now=datetime.now(UTC))
            if key is None:
                raise SystemExit("The key set has no active sealing key.")
            self.key = key
            make_rows_table(bare_state, uri=self.bare_uri)
            bare_listener = Listener(
                name="bare",
                target="tests.bench.bare_app:make_bare_app",
                host="127.0.0.1",
                port=self.bare_port,
                workers=WORKERS,
                threads=THREADS,
                environment={STATE_VARIABLE: str(bare_state), URI_VARIABLE: self.bare_uri},
            )
            with ServerGroup([bare_listener]) as bare_server:
                self.bare_group = bare_server.pids[0]
                yield self
        finally:
            loop.stop()

    def start_other_gateway(self) -> None:
        """Start a second gateway on the same database, as operations.md describes it."""
        state, port = self.loop.folder / "other", self.loop.ports
        shutil.copytree(self.loop.gateway_state, state, ignore=shutil.ignore_patterns("gateway.mark", "gateway.lock*"))
        config = state / "gateway.toml"
        text = config.read_text(encoding="utf-8")
        for old, new in ((port.gateway, self.other_port), (port.feed, self.other_port + 1)):
            text = text.replace(f"port = {old}", f"port = {new}")
        config.write_text(text, encoding="utf-8")
        self.loop.processes.start("other", GATEWAY, "serve", "--state", str(state))
        self.loop.processes.wait_for(f"http://127.0.0.1:{self.other_port}/health")

    def run_pairs(self, *, connections: int, windows: int, others: Sequence[int] = ()) -> list[tuple[Window, Window]]:
        """Run windows of the door beside windows of the bare view, or beside one gateway where there are `others`."""
        door = [self.loop.ports.gateway, *others]
        groups = list(map(find_listener_group, door))
        one = ([door[0]], [groups[0]]) if others else ([self.bare_port], [self.bare_group])
        pairs = []
        for window in range(windows + 1):
            pair = []
            for ports, servers in ((door, groups), one):
                requests = make_http_requests(self.loop.partner_state, self.loop.origin, self.key, self.count)
                for place in range(len(ports)):
                    write_requests(self.loop.folder / f"requests.{place}", requests[place :: len(ports)])
                pair.append(
                    run_window(self.loop.folder / "requests", ports, servers, connections=max(connections, len(ports)))
                )
            if window:  # the first pair warms both up
                pairs.append((pair[0], pair[1]))
        return pairs


def run_database(bench: Bench, *, where: str, ratio: float) -> list[Figure]:
    """Run the windows of one database and return their figures."""
    figures = []
    for connections in CONNECTIONS:
        is_main = connections == MAIN_CONNECTIONS
        pairs = bench.run_pairs(connections=connections, windows=bench.windows if is_main else 1)
        if is_main:
            figures += [*summarise(pairs, where=where, ratio=ratio), *summarise_cpu(pairs, where=where)]
        else:
            at = f"{where}at {connections} connection{'s' if connections > 1 else ''}, "
            is_served_at_once = connections <= WORKERS * THREADS
            figures += summarise(pairs, where=at, ratio=ratio, is_served_at_once=is_served_at_once)
    return figures


def run(folder: Path, *, database: str, port: int, windows: int, count: int) -> list[Figure]:
    """Run the bench on one database; on PostgreSQL also with a second gateway on the same server."""
    if database == "sqlite":
        with Bench(folder, port=port, uris=("", ""), windows=windows, count=count).running() as bench:
            return run_database(bench, where="", ratio=0.75)
    where = "PostgreSQL, "
    with Server.make_for_one_test() as server:
        uris = server.uri(server.make_database()), server.uri(server.make_database())
        with Bench(folder, port=port, uris=uris, windows=windows, count=count).running() as bench:
            figures = run_database(bench, where=where, ratio=0.6)
            bench.start_other_gateway()
            both = bench.run_pairs(connections=MAIN_CONNECTIONS, windows=windows, others=[bench.other_port])
    rates = [two.rate / one.rate for two, one in both]
    return [*figures, make_figure(f"{where}two gateways, rate as a multiple of one gateway's", rates, least=1.6)]


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--database", choices=DATABASES, help="one of them alone (default: both)")
    parser.add_argument("--windows", type=int, default=5, help="counted windows for each server (default: 5)")
    parser.add_argument("--count", type=int, default=2000, help="requests in a window (default: 2000)")
    parser.add_argument("--port", type=int, default=8760, help="first of the ports that are used (default: 8760)")
    words = parser.parse_args()
    figures: list[Figure] = []
    for database in (words.database,) if words.database else DATABASES:
        with tempfile.TemporaryDirectory() as folder:
            figures += run(
                Path(folder) / "loop", database=database, port=words.port, windows=words.windows, count=words.count
            )
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
