"""The kinds of fault, each as a function that makes it once at a running site."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gateway.demo.loop import Loop
from gateway.demo.processes import GATEWAYS
from partner_sdk.wire.canonical import encode
from tests.builders import make_industry_report
from tests.faults.sites import (
    FaultyCluster,
    FaultyMachine,
    ask_database,
    ask_desk,
    collect,
    find_gateway,
    full_disk,
    kill,
    paused,
    start_ahead,
)
from tests.gateway.web.process_watch import list_family
from tests.sdk.evidence_builders import make_report

FAULT_SECONDS = 1.0
DELAY_SECONDS = 0.2
CLOCK_AHEAD = "20m"  # more than a signature may be old
Fault = Callable[[Loop], None]
_WITH_FILM: Final = ("--priority", "P2", "--again", "--evidence")
# The part of the newest evidence that is complete: that of the callers never is.
_NEWEST_FILM: Final = (
    "SELECT evidence_id, blob FROM evidence JOIN evidence_parts USING (position) WHERE digest IS NOT NULL "
    "ORDER BY position DESC LIMIT 1"
)


def flip_bytes_of_evidence(loop: Loop) -> None:
    """Change a byte of a kept part on the store's side, let the desk find it, and bring the right bytes back.

    The desk names the file, and takes neither it nor its acknowledgement; once the part is right it takes it whole.
    """
    film, report = loop.folder / "film", loop.folder / "report.json"
    film.write_bytes(b"a film")
    report.write_bytes(encode(make_industry_report(files=make_report("file-1").files)))
    loop.run_partner("report", "submit", str(report), *_WITH_FILM, f"file-1={film}")
    ((evidence_id, blob),) = ask_database(loop, _NEWEST_FILM)
    flip_part(loop, blob)
    found = collect(loop)["evidence"]
    assert (found["collected"], found["spoiled"]) == (0, 1), found
    alarms = {(one["kind"], one["subject"]) for one in ask_desk(loop, "alarms")["alarms"]}
    assert any(kind == "evidence-spoiled" and evidence_id in subject for kind, subject in alarms)
    flip_part(loop, blob)
    found = collect(loop)["evidence"]
    assert (found["collected"], found["spoiled"]) == (1, 0), found


def flip_part(loop: Loop, blob: str) -> None:
    """Change the last byte of a kept part, past the gateway; twice is never."""
    if not isinstance(loop.site, FaultyCluster):
        path = loop.gateway_state / "evidence" / blob
        path.write_bytes(_flip_last(path.read_bytes()))
        return
    import obstore

    bucket = loop.site.open_bucket()
    (name,) = [one["path"] for batch in obstore.list(bucket) for one in batch if one["path"].endswith(blob)]
    obstore.put(bucket, name, _flip_last(bytes(obstore.get(bucket, name).bytes())))


def _flip_last(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


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
    "bytes of evidence flipped": flip_bytes_of_evidence,
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
    "bytes of an object flipped": flip_bytes_of_evidence,
}
