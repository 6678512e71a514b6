"""Figures of evidence: one large file, sealed and durable at the gateway, beside a plain upload on the same stack.

Run `make bench`, or this file with `--json` for one object. A round sends the file once each way; rounds alternate, so
that a machine that drifts drifts for both. Ours is the whole loop: hash, seal, upload, complete, report, receipt. The
plain upload hashes each part once on either side, and fsyncs it. Each client is a process of its own.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests/ is a folder of this checkout, not a package

from gateway.demo.loop import Loop
from gateway.web.serving import Listener, ServerGroup
from tests.bench.plain_upload_app import FOLDER_VARIABLE
from tests.bench.process_memory import begin_peaks, count_over, list_group
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group

WORKERS, THREADS = 2, 4  # the gateway's own defaults
MEGABYTE = 1_000_000
MEBIBYTE = 1024 * 1024
TARGET_RATIO, TARGET_MB_PER_SECOND, TARGET_OVER_IDLE_MB = 0.45, 250, 64


def write_file(path: Path, size_bytes: int) -> None:
    """Write a file of random bytes, and keep it in the page cache for both ways."""
    with path.open("wb") as handle:
        left = size_bytes
        while left:
            left -= handle.write(os.urandom(min(left, 8 * MEBIBYTE)))


def run_once(kind: str, where: str, file: Path, *, group: int) -> dict[str, float]:
    """Send the file once; return MB/s, CPU-seconds of the server, and the memory over idle of both sides in MB."""
    idle, before = begin_peaks(list_group(group)), cpu_seconds_of_group(group)
    client = Path(__file__).with_name("upload_client.py")
    done = subprocess.run([sys.executable, str(client), kind, where, str(file)], stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout)
    return {
        "mb_per_second": file.stat().st_size / MEGABYTE / said["seconds"],
        "server_cpu_seconds": cpu_seconds_of_group(group) - before,
        "server_over_idle_mb": count_over(idle) / MEGABYTE,
        "client_over_idle_mb": said["over_idle_bytes"] / MEGABYTE,
    }


def summarise(plain: list[dict[str, float]], ours: list[dict[str, float]], *, size_bytes: int) -> dict[str, Any]:
    """Return medians over the rounds, the ratio pair by pair, the highest memory, and whether the bars are met."""
    ratios = sorted(o["mb_per_second"] / p["mb_per_second"] for o, p in zip(ours, plain, strict=True))
    result: dict[str, Any] = {
        "megabytes": round(size_bytes / MEGABYTE, 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_interval": [round(ratios[0], 3), round(ratios[-1], 3)],
        "mb_per_second": round(statistics.median(o["mb_per_second"] for o in ours), 1),
        "plain_mb_per_second": round(statistics.median(p["mb_per_second"] for p in plain), 1),
        "server_cpu_seconds": round(statistics.median(o["server_cpu_seconds"] for o in ours), 2),
        "plain_server_cpu_seconds": round(statistics.median(p["server_cpu_seconds"] for p in plain), 2),
        "client_over_idle_mb": round(max(o["client_over_idle_mb"] for o in ours), 1),
        "server_over_idle_mb": round(max(o["server_over_idle_mb"] for o in ours), 1),
        "rounds": len(ours),
    }
    result["meets"] = {
        "ratio": result["ratio"] >= TARGET_RATIO,
        "mb_per_second": result["mb_per_second"] >= TARGET_MB_PER_SECOND,
        "client_over_idle_mb": result["client_over_idle_mb"] <= TARGET_OVER_IDLE_MB,
        "server_over_idle_mb": result["server_over_idle_mb"] <= TARGET_OVER_IDLE_MB,
    }
    return result


def run(folder: Path, *, port: int, rounds: int, size_bytes: int) -> dict[str, Any]:
    """Set up a real agency, gateway and partner under `folder`, run the rounds, return the summary."""
    loop, uploads, file = Loop(folder, port=port), folder / "uploads", folder / "file.bin"
    try:
        loop.make_keys()
        loop.start_gateway()
        loop.publish()
        loop.enrol_partner()
        uploads.mkdir()
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
        with ServerGroup([listener]) as server:
            plain, ours = [], []
            for number in range(rounds + 1):
                one = run_once("plain", str(port + 10), file, group=server.pids[0])
                shutil.rmtree(uploads)
                uploads.mkdir()
                other = run_once("ours", str(loop.partner_state), file, group=find_listener_group(loop.ports.gateway))
                if number:  # the first round warms both up
                    plain.append(one)
                    ours.append(other)
        return summarise(plain, ours, size_bytes=size_bytes)
    finally:
        loop.stop()


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: 5)")
    parser.add_argument("--mebibytes", type=int, default=2048, help="size of the file (default: 2048)")
    parser.add_argument("--port", type=int, default=8780, help="first of the ports that are used (default: 8780)")
    parser.add_argument(
        "--folder", type=Path, help="where to work: a disk with room for rounds x size (default: temporary)"
    )
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        size_bytes = words.mebibytes * MEBIBYTE
        result = run(Path(folder) / "loop", port=words.port, rounds=words.rounds, size_bytes=size_bytes)
    if words.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        for name, value in result.items():
            sys.stdout.write(f"{name:>28}  {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
