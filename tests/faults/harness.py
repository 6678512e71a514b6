"""Faults while both doors are used: every acknowledged report is there afterwards, once, and the desk reads it.

The list of everything acknowledged is the callers' own (tests/whole/senders.py), never the gateway's.
"""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.demo.cluster import GATEWAYS
from gateway.demo.loop import Loop
from tests.faults.sites import (
    FaultyCluster,
    FaultyMachine,
    find_gateway,
    full_disk,
    kill,
    list_family,
    paused,
    start_ahead,
)
from tests.whole.senders import EvidenceSender, Senders, check_parts

FAULT_SECONDS = 1.0
DELAY_SECONDS = 0.2
CLOCK_AHEAD = "20m"  # more than a signature may be old
# During a fault the doors may refuse, and a clock that is ahead finds every signature too old. Nothing else.
EXPECTED = (401, 429, 502, 503, 504)
Fault = Callable[[Loop], None]


@dataclass
class Outcome:
    """The number of times that each fault was made, and of each kind of answer that callers saw."""

    faults: Counter[str] = field(default_factory=Counter)
    seen: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    acknowledged: int = 0
    recovery_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def all_seen(self) -> Counter[str]:
        """Every kind of answer, of all faults together."""
        return sum(self.seen.values(), Counter())

    def describe(self) -> str:
        """Return the lines to print."""
        lines = []
        for name, count in self.faults.items():
            lines.append(
                f"{name}: {count} times; the next report was acknowledged in {self.recovery_seconds[name]:.1f} s"
            )
            lines += [f"  {number:6}  {kind}" for kind, number in sorted(self.seen[name].items())]
        return "\n".join([*lines, f"{self.acknowledged} acknowledged; 0 lost, 0 doubled, 0 unreadable"])


def run_faults(loop: Loop, *, rounds: int = 1, seconds: float = 0.0) -> Outcome:
    """Make every fault in turn, for some rounds or seconds, while callers send; then check that nothing is lost."""
    faults, outcome = list_faults(loop), Outcome()
    ends = time.monotonic() + seconds
    callers = Senders(loop, senders=1, forms=1, pause_seconds=0.3, expected=EXPECTED)
    with callers, EvidenceSender(loop, expected=EXPECTED, pause_seconds=1.0) as evidence:
        callers.wait_for(acknowledged=1)
        while rounds > 0 or time.monotonic() < ends:
            for name, make_fault in faults.items():
                seen = callers.seen + evidence.seen
                callers.wait_for_request()  # the fault then hits a busy process
                make_fault(loop)
                before, began = len(callers.acknowledged), time.monotonic()
                callers.wait_for(acknowledged=before + 1)
                waited = time.monotonic() - began
                outcome.recovery_seconds[name] = max(waited, outcome.recovery_seconds.get(name, 0.0))
                outcome.faults[name] += 1
                outcome.seen[name] += callers.seen + evidence.seen - seen
            rounds -= 1
        callers.wait_for(thanked=len(callers.thanked) + 1)
    outcome.seen["between the faults"] = callers.seen + evidence.seen - outcome.all_seen
    outcome.acknowledged = len(callers.acknowledged) + len(callers.thanked)
    check_nothing_is_lost(loop, callers, evidence)
    return outcome


def check_nothing_is_lost(loop: Loop, callers: Senders, evidence: EvidenceSender) -> None:
    """Check the acknowledged reports and parts against the database, the parts' bytes and the desk."""
    rows = list_stored(loop)
    names = [row[1] if row[0] == "industry" else row[2] for row in rows]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert callers.acknowledged | set(callers.thanked) <= set(names)
    check_parts(evidence, held=list_held(loop))
    assert loop.collect() == len(names)  # each was opened and is a case of its own
    loop.run_desk("collect", "--reconcile")


def list_stored(loop: Loop) -> list[tuple[str, str, str]]:
    """Return door, report id and reference of each stored report."""
    question = "SELECT door, report_id, reference FROM reports"
    if isinstance(loop.site, FaultyCluster):
        with loop.site.connect(database="reports") as connection:
            return list(connection.execute(question).fetchall())
    database = sqlite3.connect(loop.gateway_state / "gateway.sqlite")
    rows = database.execute(question).fetchall()
    database.close()
    return rows


def list_held(loop: Loop) -> Iterator[bytes]:
    """Yield the bytes of each part that is kept."""
    if not isinstance(loop.site, FaultyCluster):
        yield from (path.read_bytes() for path in (loop.gateway_state / "evidence").iterdir())
        return
    import obstore

    bucket = loop.site.open_bucket()
    for batch in obstore.list(bucket):
        yield from (bytes(obstore.get(bucket, one["path"]).bytes()) for one in batch)


def list_faults(loop: Loop) -> dict[str, Fault]:
    """Return the faults that a site can have, by name."""
    if isinstance(loop.site, FaultyCluster):
        return _CLUSTER_FAULTS
    assert isinstance(loop.site, FaultyMachine)
    return _MACHINE_FAULTS


def _kill_the_gateway(loop: Loop) -> None:
    """Kill it, start it with a clock that is ahead, and set the clock right with a second kill."""
    state = loop.gateway_state
    _kill_and_forget(loop, "gateway", state=state)
    start_ahead(loop.processes, name="gateway", state=state, by=CLOCK_AHEAD)
    loop.processes.wait_for(f"{loop.origin}/health")
    time.sleep(FAULT_SECONDS)
    _kill_and_forget(loop, "gateway", state=state)
    loop.start_gateway()


def _kill_and_forget(loop: Loop, name: str, *, state: Path) -> None:
    kill(find_gateway(state))
    loop.processes.forget(name)


def _pause_the_gateway(loop: Loop) -> None:
    with paused(find_gateway(loop.gateway_state)):
        time.sleep(FAULT_SECONDS)


def _fill_the_disk(loop: Loop) -> None:
    with full_disk(find_gateway(loop.gateway_state)):
        time.sleep(FAULT_SECONDS)


def _delay_callers(loop: Loop) -> None:
    assert isinstance(loop.site, FaultyMachine)
    with loop.site.proxy.delayed(DELAY_SECONDS):
        time.sleep(FAULT_SECONDS)


def _cut_callers(loop: Loop) -> None:
    assert isinstance(loop.site, FaultyMachine)
    with loop.site.proxy.cut():
        time.sleep(FAULT_SECONDS)


_MACHINE_FAULTS: dict[str, Fault] = {
    "gateway killed, its clock ahead, killed": _kill_the_gateway,
    "gateway paused": _pause_the_gateway,
    "disk full": _fill_the_disk,
    "connections delayed": _delay_callers,
    "connections cut": _cut_callers,
}


def _get_cluster(loop: Loop) -> FaultyCluster:
    assert isinstance(loop.site, FaultyCluster)
    return loop.site


def _get_state(loop: Loop, name: str) -> Path:
    return _get_cluster(loop).get_state(name, state=loop.gateway_state)


def _kill_one_gateway(loop: Loop) -> None:
    """Kill one, start it with a clock that is ahead, and set the clock right with a second kill."""
    name, site = GATEWAYS[1], _get_cluster(loop)
    state = _get_state(loop, name)
    _kill_and_forget(loop, name, state=state)
    time.sleep(FAULT_SECONDS)
    start_ahead(loop.processes, name=name, state=state, by=CLOCK_AHEAD)
    site.wait_for_one(loop.processes, name=name)
    time.sleep(FAULT_SECONDS)
    _kill_and_forget(loop, name, state=state)
    site.start_one(loop.processes, name=name, state=loop.gateway_state)
    site.wait_for_one(loop.processes, name=name)


def _pause_one_gateway(loop: Loop) -> None:
    with paused(find_gateway(_get_state(loop, GATEWAYS[0]))):
        time.sleep(FAULT_SECONDS)


def _pause_the_database(loop: Loop) -> None:
    site = _get_cluster(loop)
    with paused(list_family(loop.processes.named[site.primary].pid)):
        time.sleep(FAULT_SECONDS)


def _kill_the_database(loop: Loop) -> None:
    site = _get_cluster(loop)
    site.kill_node(loop.processes, site.primary)
    site.start_node(loop.processes, site.primary)


def _pause_the_standby(loop: Loop) -> None:
    site = _get_cluster(loop)
    with paused(list_family(loop.processes.named[site.standby].pid)):
        time.sleep(FAULT_SECONDS)


def _fill_the_disk_of_the_database(loop: Loop) -> None:
    site = _get_cluster(loop)
    with full_disk(list_family(loop.processes.named[site.primary].pid)[1:], user=site.server_user):
        time.sleep(FAULT_SECONDS)


def _fail_over(loop: Loop) -> None:
    """Flip bytes in the primary's table of reports, see that it is noticed, and let the standby take over."""
    site = _get_cluster(loop)
    with site.connect(database="reports") as connection:
        (place,) = connection.execute("SELECT pg_relation_filepath('reports')").fetchone()
    site.stop_node(loop.processes, site.primary)
    with (site.folder / site.primary / place).open("r+b") as table:
        table.seek(4096)
        table.write(b"\xa5" * 64)
    site.start_node(loop.processes, site.primary)
    check_damage_is_noticed(site)
    site.kill_node(loop.processes, site.primary)
    site.fail_over(loop.processes)


def check_damage_is_noticed(site: FaultyCluster) -> None:
    """Check that the server itself refuses the damaged page."""
    import psycopg

    with site.connect(database="reports") as connection, pytest.raises(psycopg.errors.DataCorrupted):
        connection.execute("SELECT count(envelope) FROM reports")


def _lose_valkey(loop: Loop) -> None:
    site = _get_cluster(loop)
    kill([loop.processes.named["valkey"].pid])
    loop.processes.forget("valkey")
    time.sleep(FAULT_SECONDS)
    site.start_limits(loop.processes)


def _lose_the_objects(loop: Loop) -> None:
    site = _get_cluster(loop)
    kill([loop.processes.named["objects"].pid])
    loop.processes.forget("objects")
    time.sleep(FAULT_SECONDS)
    site.start_objects(loop.processes)


def _delay_the_database(loop: Loop) -> None:
    site = _get_cluster(loop)
    with site.proxies[site.primary].delayed(DELAY_SECONDS / 4):
        time.sleep(FAULT_SECONDS)


def _cut_the_database(loop: Loop) -> None:
    site = _get_cluster(loop)
    with site.proxies[site.primary].cut():
        time.sleep(FAULT_SECONDS)


_CLUSTER_FAULTS: dict[str, Fault] = {
    "a gateway killed, its clock ahead, killed": _kill_one_gateway,
    "a gateway paused": _pause_one_gateway,
    "database paused": _pause_the_database,
    "database killed": _kill_the_database,
    "standby paused": _pause_the_standby,
    "database's disk full": _fill_the_disk_of_the_database,
    "page damaged, database failed over": _fail_over,
    "valkey lost": _lose_valkey,
    "object store lost": _lose_the_objects,
    "database delayed": _delay_the_database,
    "database cut": _cut_the_database,
}
