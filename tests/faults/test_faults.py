"""Every kind of fault once, on one gateway with SQLite and on a cluster; tests/bench/faults.py goes on longer."""

import sys
from pathlib import Path

import pytest

from gateway.demo.cluster import PORTS
from gateway.demo.loop import Ports
from tests.builders.local_servers import find_free_ports
from tests.faults.harness import list_faults, run_faults
from tests.faults.sites import FaultyCluster, FaultyMachine
from tests.whole.loop_in_process import open_enrolled_loop


@pytest.mark.parametrize("kind", [FaultyMachine, FaultyCluster])
def test_everything_acknowledged_outlives_every_fault_and_the_desk_reads_all_of_it(
    kind: type[FaultyMachine] | type[FaultyCluster], tmp_path: Path
) -> None:
    port = find_free_ports(PORTS)
    with open_enrolled_loop(tmp_path / "loop", port=port, site=kind(Ports(port))) as loop:
        outcome = run_faults(loop)
        sys.stdout.write(f"{outcome.describe()}\n")
        assert set(outcome.faults) == set(list_faults(loop))
    assert outcome.acknowledged >= len(outcome.faults)
    assert outcome.all_seen["report: 201"] > 0
    assert outcome.all_seen["form: thanked"] > 0
    assert outcome.all_seen["part: 201"] > 0
