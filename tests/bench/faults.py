"""The long form of tests/faults: every kind of fault again and again, on one gateway or on a cluster.

    .venv/bin/python -m tests.bench.faults --seconds 600
    .venv/bin/python -m tests.bench.faults --seconds 600 --site machine

It prints the answers that callers saw, and fails where an acknowledged report is lost, doubled or unreadable.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from gateway.demo.cluster import PORTS
from gateway.demo.loop import Ports, Site
from tests.builders.local_servers import find_free_ports
from tests.faults.harness import run_faults
from tests.faults.sites import FaultyCluster, FaultyMachine
from tests.whole.loop_in_process import open_enrolled_loop


def main() -> None:
    """Run it on a new site."""
    options = argparse.ArgumentParser(description="Make faults while reports are sent.")
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--site", choices=["machine", "cluster"], default="cluster")
    chosen = options.parse_args()
    port = find_free_ports(PORTS)
    site: Site = FaultyMachine(Ports(port)) if chosen.site == "machine" else FaultyCluster(Ports(port))
    with (
        tempfile.TemporaryDirectory() as folder,
        open_enrolled_loop(Path(folder), port=port, site=site) as loop,
    ):
        outcome = run_faults(loop, seconds=chosen.seconds)
    sys.stdout.write(f"{outcome.describe()}\n")


if __name__ == "__main__":
    main()
