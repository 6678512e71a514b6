"""Every kind of fault once, on one gateway with SQLite. Those of a server of databases: gateway/store."""

import sys
from pathlib import Path

from gateway.demo.processes import PORTS, Ports
from tests.builders.local_servers import find_free_ports
from tests.faults.harness import BETWEEN, format_outcome, run_faults
from tests.faults.sites import FAULTS, FaultyMachine
from tests.whole.loop_in_process import open_enrolled_loop


def test_everything_acknowledged_outlives_every_fault_and_the_desk_reads_all_of_it(
    tmp_path: Path,
) -> None:
    port = find_free_ports(PORTS)
    with open_enrolled_loop(tmp_path / "loop", port=port, site=FaultyMachine(Ports(port))) as loop:
        outcome = run_faults(loop)
        sys.stdout.write(format_outcome(outcome))
        assert outcome.is_whole
        assert {name: kind.runs for name, kind in outcome.kinds.items()} == dict.fromkeys(FAULTS, 1) | {BETWEEN: 0}
    assert all(kind.reports for name, kind in outcome.kinds.items() if name != BETWEEN)
    assert outcome.seen["report: 201"] > 0
    assert outcome.seen["form: thanked"] > 0
    assert outcome.seen["part: 201"] > 0
