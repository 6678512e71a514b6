"""Figures of the industry door: signed, sealed, durable submissions beside a bare view on the same stack.

    .venv/bin/python -m tests.bench.intake

Both servers run at once with the same workers and threads; windows of load alternate between them, so that a machine
that drifts drifts for both. Requests are sealed and signed beforehand. Rates mean little by themselves: look at the
ratio and at CPU-seconds per report.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.demo.loop import Loop
from gateway.web.serving import Listener, ServerGroup
from partner_sdk.client.partner import Partner
from partner_sdk.key_files import KeyRole, load_signing_key, read_key_file
from partner_sdk.report import encode_sealed_report, make_sealed_report, parse_report
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.keys import SealingKey, find_active_sealing_key
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, ReportPost, SubmissionStatement, report_context, sign_submission
from tests.bench.bare_app import STATE_VARIABLE, make_rows_table
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.load import write_requests
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group
from tests.builders import EXAMPLE_REPORT, sign_request

CONNECTIONS = 8
WORKERS, THREADS = 2, 4  # the gateway's own defaults
PRIORITY = "P2"


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
            **{name: getattr(clear, name) for name in ClearFields.__struct_fields__},
            created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            envelope_sha256=hashlib.sha256(envelope).hexdigest(),
        )
        signed = parse_statement(sign_submission(statement, submission_key=submission_key))
        body = encode(ReportPost(envelope=to_base64url(envelope), statement=signed))
        headers = sign_request("POST", f"{origin}/v1/reports", body=body, private_key=submission_key, created=now)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        host = origin.removeprefix("http://")
        made.append(
            f"POST /v1/reports HTTP/1.1\r\nHost: {host}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
    return made


def run_window(requests_file: Path, port: int, group: int) -> dict[str, Any]:
    """Send one window of load; returns rate, 99th percentile (ms) and CPU-seconds of the server's process group."""
    before = cpu_seconds_of_group(group)
    load = Path(__file__).with_name("load.py")
    run = subprocess.run(
        [sys.executable, str(load), str(requests_file), str(port), str(CONNECTIONS)], capture_output=True, check=True
    )
    used = cpu_seconds_of_group(group) - before
    sent: dict[str, Any] = json.loads(run.stdout)
    if set(sent["statuses"]) != {"201"}:
        raise SystemExit(f"Not every request was answered with 201: {sent['statuses']}")
    count = len(sent["milliseconds"])
    return {
        "rate": count / sent["seconds"],
        "p99_ms": statistics.quantiles(sent["milliseconds"], n=100)[98],
        "cpu_seconds_per_report": used / count,
    }


def summarise(bare: list[dict[str, Any]], door: list[dict[str, Any]]) -> list[Figure]:
    """Return the figures of the windows; ratio and difference are taken pair by pair."""
    pairs = list(zip(door, bare, strict=True))
    return [
        make_figure(
            "rate of the door as a part of the bare view's", [d["rate"] / b["rate"] for d, b in pairs], least=0.75
        ),
        make_figure("bare view", [b["rate"] for b in bare], unit="a second"),
        make_figure("door", [d["rate"] for d in door], unit="a second"),
        make_figure(
            "99th percentile over the bare view's", [d["p99_ms"] - b["p99_ms"] for d, b in pairs], unit="ms", most=10
        ),
        make_figure("reports a server-CPU-second", [1 / d["cpu_seconds_per_report"] for d in door], least=450),
        make_figure("rows of the bare view a server-CPU-second", [1 / b["cpu_seconds_per_report"] for b in bare]),
    ]


def run(folder: Path, *, port: int, windows: int, count: int) -> list[Figure]:
    """Set up a real agency, gateway and partner under `folder`, run the windows, return the figures."""
    loop = Loop(folder, port=port)
    bare_state = folder / "bare"
    try:
        loop.make_keys()
        raise_partner_limit(loop.gateway_state)
        loop.start_gateway()
        loop.publish()
        loop.enrol_partner()
        partner = Partner.open(loop.partner_state)
        key = find_active_sealing_key(partner.refresh_key_set(), now=datetime.now(UTC))
        if key is None:
            raise SystemExit("The key set has no active sealing key.")
        make_rows_table(bare_state)
        bare_listener = Listener(
            name="bare",
            target="tests.bench.bare_app:make_bare_app",
            host="127.0.0.1",
            port=port + 10,
            workers=WORKERS,
            threads=THREADS,
            environment={STATE_VARIABLE: str(bare_state)},
        )
        with ServerGroup([bare_listener]) as bare_server:
            return _run_windows(loop, bare_server, key=key, windows=windows, count=count)
    finally:
        loop.stop()


def _run_windows(loop: Loop, bare_server: ServerGroup, *, key: SealingKey, windows: int, count: int) -> list[Figure]:
    requests_file = loop.folder / "requests.bin"
    bare_group, door_group = bare_server.pids[0], find_listener_group(loop.ports.gateway)
    bare, door = [], []
    for window in range(windows + 1):
        write_requests(requests_file, make_http_requests(loop.partner_state, loop.origin, key, count))
        pair = (
            run_window(requests_file, loop.ports.gateway + 10, bare_group),
            run_window(requests_file, loop.ports.gateway, door_group),
        )
        if window:  # the first pair warms both up
            bare.append(pair[0])
            door.append(pair[1])
    return summarise(bare, door)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--windows", type=int, default=5, help="counted windows for each server (default: 5)")
    parser.add_argument("--count", type=int, default=2000, help="requests in a window (default: 2000)")
    parser.add_argument("--port", type=int, default=8760, help="first of the ports that are used (default: 8760)")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder) / "loop", port=words.port, windows=words.windows, count=words.count)
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
