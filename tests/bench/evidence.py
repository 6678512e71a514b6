"""Figures of evidence: one large file, sealed and durable at the gateway, beside a plain upload on the same stack, and
in a bucket of a SeaweedFS on this machine.

    .venv/bin/python -m tests.bench.evidence

A round sends the file once each way: plain, ours, and ours into the bucket. Rounds alternate, so that a machine that
drifts drifts for all. Ours is the whole loop: hash, seal, upload, complete, report, receipt. The plain upload hashes
each part once on either side, and fsyncs it. Each client is a process of its own. SeaweedFS does not fsync by default
(docs/decisions/0041), and it takes its CPU, some 80 ms a part, from the same machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gateway.demo.loop import Loop
from gateway.web.serving import Listener, ServerGroup
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.plain_upload_app import FOLDER_VARIABLE
from tests.bench.process_memory import begin_peaks, count_over, list_group
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group
from tests.seaweedfs import BUCKET, CREDENTIALS, running_seaweedfs
from tests.whole.loop_in_process import enrol_here

WORKERS, THREADS = 2, 4  # the gateway's own defaults
# Every round's file stays until the end; deleted objects leave their space to a job of the store's operator.
LARGE = ("-volume.max=64",)
MEGABYTE = 1_000_000
MEBIBYTE = 1024 * 1024


def write_file(path: Path, size_bytes: int) -> None:
    """Write a file of random bytes, and keep it in the page cache for both ways."""
    with path.open("wb") as handle:
        left = size_bytes
        while left:
            left -= handle.write(os.urandom(min(left, 8 * MEBIBYTE)))


def run_once(kind: str, where: str, file: Path, *, group: int) -> dict[str, float]:
    """Send the file once; return MB/s, CPU-seconds of the server, and the memory over idle of both sides in MB."""
    idle, before = begin_peaks(list_group(group)), cpu_seconds_of_group(group)
    command = [sys.executable, "-m", "tests.bench.upload_client", kind, where, str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout)
    return {
        "mb_per_second": file.stat().st_size / MEGABYTE / said["seconds"],
        "server_cpu_seconds": cpu_seconds_of_group(group) - before,
        "server_over_idle_mb": count_over(idle) / MEGABYTE,
        "client_over_idle_mb": said["over_idle_bytes"] / MEGABYTE,
    }


def summarise(rounds: dict[str, list[dict[str, float]]], *, size_bytes: int) -> list[Figure]:
    """Return the figures of the rounds; the ratio is taken pair by pair, and of memory the highest counts."""
    plain, ours, bucket = rounds["plain"], rounds["ours"], rounds["bucket"]
    ratios = [o["mb_per_second"] / p["mb_per_second"] for o, p in zip(ours, plain, strict=True)]
    in_bucket = [b["mb_per_second"] / o["mb_per_second"] for b, o in zip(bucket, ours, strict=True)]
    return [
        make_figure("size of the file", size_bytes / MEBIBYTE, unit="MiB"),
        make_figure("rate as a part of the plain upload's", ratios, least=0.85),
        make_figure("ours", [o["mb_per_second"] for o in ours], unit="MB/s", least=250),
        make_figure("plain upload", [p["mb_per_second"] for p in plain], unit="MB/s"),
        make_figure("client over idle", max(o["client_over_idle_mb"] for o in ours), unit="MB", most=64),
        make_figure(
            "gateway over idle, all its processes", max(o["server_over_idle_mb"] for o in ours), unit="MB", most=64
        ),
        make_figure("in the bucket, rate as a part of the folder's", in_bucket, least=0.4),
        make_figure("in the bucket", [b["mb_per_second"] for b in bucket], unit="MB/s"),
        make_figure(
            "in the bucket, gateway over idle, all its processes",
            max(b["server_over_idle_mb"] for b in bucket),
            unit="MB",
            most=64,
        ),
        make_figure("CPU of the gateway, in the bucket", [b["server_cpu_seconds"] for b in bucket], unit="s"),
        make_figure("CPU of the gateway, ours", [o["server_cpu_seconds"] for o in ours], unit="s"),
        make_figure("CPU of the gateway, plain", [p["server_cpu_seconds"] for p in plain], unit="s"),
    ]


def start_loop(
    folder: Path, *, port: int, store_endpoint: str = "", prepare: Callable[[Path], None] = lambda _: None
) -> Loop:
    """Start an agency, its gateway and a partner; with an endpoint, the gateway keeps evidence in a bucket there.

    `prepare` may change the settings in the gateway's folder before it starts.
    """
    loop = Loop(folder, port=port)
    try:
        loop.make_keys()
        prepare(loop.gateway_state)
        if store_endpoint:
            settings = loop.gateway_state / "gateway.toml"
            text = settings.read_text("utf-8").replace('store_uri = ""', f'store_uri = "s3://{BUCKET}/bench"')
            settings.write_text(text.replace('store_endpoint = ""', f'store_endpoint = "{store_endpoint}"'), "utf-8")
        loop.start_gateway()
        enrol_here(loop.desk_state, loop.partner_state)
    except BaseException:
        loop.stop()
        raise
    return loop


def run(folder: Path, *, port: int, rounds: int, size_bytes: int) -> list[Figure]:
    """Set up two real agencies, gateways and partners and a store, run the rounds, return the figures."""
    uploads, file = folder / "uploads", folder / "file.bin"
    uploads.mkdir(parents=True)
    write_file(file, size_bytes)
    listener = Listener(
        name="plain",
        target="tests.bench.plain_upload_app:make_plain_upload_app",
        host="127.0.0.1",
        port=port + 10,
        workers=WORKERS,
        threads=THREADS,
        environment={FOLDER_VARIABLE: str(uploads)},
    )
    os.environ.update(CREDENTIALS)  # for the gateways that the loops start
    found: dict[str, list[dict[str, float]]] = {"plain": [], "ours": [], "bucket": []}
    with ExitStack() as stack:
        server = stack.enter_context(ServerGroup([listener]))
        store = stack.enter_context(running_seaweedfs(settings=LARGE, memory="1GiB", parent=folder))
        loops = {"ours": start_loop(folder / "ours", port=port)}
        stack.callback(loops["ours"].stop)
        loops["bucket"] = start_loop(folder / "bucket", port=port + 20, store_endpoint=store.endpoint)
        stack.callback(loops["bucket"].stop)
        for number in range(rounds + 1):
            one = {"plain": run_once("plain", str(port + 10), file, group=server.pids[0])}
            shutil.rmtree(uploads)
            uploads.mkdir()
            for name, loop in loops.items():
                group = find_listener_group(loop.ports.gateway)
                one[name] = run_once("ours", str(loop.partner_state), file, group=group)
            if number:  # the first round warms all up
                for name, figures in one.items():
                    found[name].append(figures)
    return summarise(found, size_bytes=size_bytes)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default: 3)")
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of the file (default: 1024)")
    parser.add_argument("--port", type=int, default=8780, help="first of the ports that are used (default: 8780)")
    parser.add_argument(
        "--folder", type=Path, help="where to work: a disk with room for rounds x size (default: temporary)"
    )
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        size_bytes = words.mebibytes * MEBIBYTE
        figures = run(Path(folder) / "loop", port=words.port, rounds=words.rounds, size_bytes=size_bytes)
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
