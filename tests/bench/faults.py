"""The long form of tests/faults: every kind of fault again and again, on one gateway and on a cluster.

    .venv/bin/python -m tests.bench.faults --runs 5

It prints one table, and fails where an acknowledged report is lost, doubled or unreadable.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from gateway.demo.loop import Site
from gateway.demo.processes import PORTS, Ports
from tests.builders.local_servers import find_free_ports
from tests.faults.harness import Outcome, format_outcomes, run_faults
from tests.faults.sites import FaultyCluster, FaultyMachine
from tests.whole.loop_in_process import open_enrolled_loop

SITES = {"machine": FaultyMachine, "cluster": FaultyCluster}
TIMES = (
    "Both take 5 minutes together on two cores, four of them for the cluster, and with --runs 5 about 20; "
    "on a busy machine up to twice that."
)


def main() -> int:
    """Run it on new sites; return 1 if anything acknowledged is not there, or twice."""
    options = argparse.ArgumentParser(description="Make every kind of fault while reports are sent.", epilog=TIMES)
    options.add_argument("--runs", type=int, default=1, help="how often each kind of fault is made (default: 1)")
    options.add_argument("--site", choices=[*SITES, "both"], default="both", help="on SQLite, PostgreSQL, or both")
    chosen = options.parse_args()
    outcomes = [run_on(SITES[name], runs=chosen.runs) for name in SITES if chosen.site in (name, "both")]
    sys.stdout.write(format_outcomes(*outcomes))
    return 0 if all(one.is_whole for one in outcomes) else 1


def run_on(make_site: type[FaultyMachine] | type[FaultyCluster], *, runs: int) -> Outcome:
    """Run it on one new site."""
    port = find_free_ports(PORTS)
    site: Site = make_site(Ports(port))
    with (
        tempfile.TemporaryDirectory() as folder,
        open_enrolled_loop(Path(folder), port=port, site=site) as loop,
    ):
        return run_faults(loop, runs=runs)


if __name__ == "__main__":
    sys.exit(main())
