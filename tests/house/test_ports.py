"""Tests that run at once, in workers or on other days, never take each other's ports."""

import json
import subprocess
import sys
from contextlib import ExitStack

from tests.builders.local_servers import BLOCK, find_free_port, find_free_ports
from tests.house.sources import ROOT

TAKING = """
import json, sys
from tests.builders.local_servers import BLOCK, find_free_ports
from tests.desk.desk_loop import DOORS_PORT, FEED_PORT
print(json.dumps([DOORS_PORT, FEED_PORT] + [find_free_ports(4) for _ in range(BLOCK)]), flush=True)
sys.stdin.read()
"""


def test_processes_that_run_at_once_get_different_ports() -> None:
    with ExitStack() as running:
        processes = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", TAKING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            for _ in range(2)
        ]
        taken = [json.loads(process.stdout.readline()) for process in processes if process.stdout]
    first, second = ({port + offset for port in ports for offset in range(4)} for ports in taken)
    assert len(first) > BLOCK / 2
    assert first.isdisjoint(second)
    assert max(first | second) < 32_768  # the kernel gives those from there on to connections


def test_ports_that_are_asked_for_one_after_the_other_differ() -> None:
    ports = [find_free_port(), *range(first := find_free_ports(4), first + 4), find_free_port()]
    assert len(set(ports)) == len(ports)
