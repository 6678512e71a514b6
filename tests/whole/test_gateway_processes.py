"""The system calls show the sync before each answer, workers are replaced while they serve, and memory is bounded.

Kills, outages and full disks: tests/faults.
"""

import base64
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gateway.config import StateFolder
from gateway.demo.loop import ANSWERS, Loop
from gateway.demo.walks import walk_to_thanks
from gateway.store.connections import WriterLock
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES, PARTS_IN_FLIGHT
from tests.builders import EXAMPLE_REPORT
from tests.gateway.web.process_watch import find_living, read_command, wait_until
from tests.whole.senders import (
    EvidenceSender,
    Senders,
    members_of_the_gateway,
    new_evidence,
    new_evidence_of,
    stored,
    traced,
)

REPORTS_IN_TRACE = 10
PARTS_IN_TRACE = 6
SENDERS_IN_TRACE = 8
REPORT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
MAX_ADDED_BYTES = 64 * 1024 * 1024
ROUNDS = 8


def test_reports_and_forms_go_on_while_every_worker_is_replaced(loop: Loop) -> None:
    servers = [pid for pid in members_of_the_gateway(loop) if b"gateway.web.server_process" in read_command(pid)]
    workers = {pid for server in servers for pid in find_living(parent=server) if b"spawn_main" in read_command(pid)}
    assert len(workers) >= 2
    with Senders(loop, senders=2, forms=1) as senders:
        senders.wait_for(acknowledged=1)
        for server in servers:
            os.kill(server, signal.SIGHUP)  # as each lifetime does
        assert wait_until(lambda: not workers & find_living(), patience_seconds=120)
        senders.wait_for(acknowledged=len(senders.acknowledged) + 3, thanked=len(senders.thanked) + 1)
    report_ids, references = stored(loop)
    assert senders.cut == []
    assert senders.acknowledged <= set(report_ids)
    assert set(senders.thanked) <= set(references)


def test_write_ahead_log_is_synced_before_the_answer_is_written(loop: Loop, tmp_path: Path) -> None:
    """A kill cannot show a missing sync, because the page cache survives it: the system calls must.

    One sender at a time, so that every page of the log in the trace belongs to the next answer.
    """
    senders = Senders(loop)
    trace = tmp_path / "trace"
    with traced(loop, "fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64", to=trace):
        for _ in range(REPORTS_IN_TRACE):
            assert senders.send(senders.make_report())
        walk_to_thanks(loop.origin, ANSWERS)
    answers = synced_answers(trace.read_text(errors="replace").splitlines())
    writing = [is_synced for pages, is_synced in answers if pages]
    # Ten posts of the form write to the log as well: its drafts, and the report with Send.
    assert len(writing) >= REPORTS_IN_TRACE + 10, "the trace missed answers"
    assert all(writing), f"{writing.count(False)} of {len(writing)} answers went out before the log was synced"


def synced_answers(lines: list[str]) -> list[tuple[int, bool]]:
    """Return for each answer to a post how many pages of the log were written for it, and whether all were synced."""
    unsynced, pages, answers = False, 0, []
    for line in lines:
        if "-wal>" in line and "pwrite64(" in line:
            unsynced, pages = True, pages + 1
        elif "-wal>" in line and ("fdatasync(" in line or "fsync(" in line):
            unsynced = "unfinished" in line
        elif "fdatasync resumed" in line or "fsync resumed" in line:
            unsynced = False
        elif '"HTTP/1.1 201' in line or '"HTTP/1.1 303' in line:
            answers.append((pages, not unsynced))
            pages = 0
    return answers


def test_each_of_several_reports_at_once_is_synced_before_its_answer_is_written(loop: Loop, tmp_path: Path) -> None:
    """Writers that wait share a commit, so the trace must show each report's own bytes in the log that was synced."""
    senders, trace, sent = Senders(loop), tmp_path / "trace", 0
    lock = WriterLock(StateFolder(loop.gateway_state).lock, timeout_seconds=60)
    with (
        traced(loop, "fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64", to=trace, text_bytes=8192),
        ThreadPoolExecutor(SENDERS_IN_TRACE) as pool,
    ):
        # Until two of them have waited in one process: which process takes a connection is left to the system.
        while max(read_synced(trace)[1], default=0) < 2:
            with lock.hold():
                asked = [pool.submit(senders.send, senders.make_report()) for _ in range(SENDERS_IN_TRACE)]
                assert wait_until(lambda: senders.sending == SENDERS_IN_TRACE)
                time.sleep(0.2)
            assert all(one.result() for one in asked)
            sent += SENDERS_IN_TRACE
            assert sent < 50 * SENDERS_IN_TRACE
    lock.close()
    answers, _ = read_synced(trace)
    assert len(answers) == sent == len(senders.acknowledged), "the trace missed answers"
    assert set(answers) == senders.acknowledged
    assert all(answers.values()), f"{list(answers.values()).count(False)} answers went out before the log was synced"


def read_synced(trace: Path) -> tuple[dict[str, bool], list[int]]:
    """Return whether each report that was answered with 201 was synced before, and how many each sync covered."""
    unsynced, synced, answers = set[str](), set[str](), dict[str, bool]()
    syncing: dict[str, set[str]] = {}
    covered = []
    for line in trace.read_text(errors="replace").splitlines() if trace.exists() else []:
        process = line.split(" ", 1)[0]
        if "-wal>" in line and "pwrite64(" in line:
            unsynced.update(REPORT_ID.findall(line))
        elif "-wal>" in line and ("fdatasync(" in line or "fsync(" in line):
            syncing[process] = set(unsynced)
        elif '"HTTP/1.1 201' in line:
            payload = re.search(r'payload\\":\\"([A-Za-z0-9_-]+)', line)
            assert payload is not None, line
            text = base64.urlsafe_b64decode(payload[1] + "=" * (-len(payload[1]) % 4)).decode()
            (report_id,) = re.findall(rf'"report_id":"({REPORT_ID.pattern})"', text)
            answers[report_id] = report_id in synced
        if re.search(r"f(data)?sync(\(| resumed)", line) and "unfinished" not in line and process in syncing:
            covered.append(len(syncing[process] - synced))
            synced |= syncing.pop(process)
            unsynced -= synced
    return answers, covered


def test_bytes_name_and_row_are_synced_before_the_answer_is_written(loop: Loop, tmp_path: Path) -> None:
    """A kill cannot show a missing sync, because the page cache survives it: the system calls must."""
    sender = EvidenceSender(loop)
    trace = tmp_path / "trace"
    evidence = new_evidence(*[PART_BYTES] * (PARTS_IN_TRACE - 1), LEAST_SEALED_BYTES)
    with traced(loop, "fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64", to=trace, text_bytes=8192):
        for number in range(PARTS_IN_TRACE):
            assert sender.put(evidence, number)
        done = sender.call("POST", f"{evidence.path}/complete", encode(evidence.complete_post()))
    assert done is not None
    assert done.status_code == 200, done.text
    answers = list_steps(trace.read_text(errors="replace").splitlines())
    assert len(answers) == PARTS_IN_TRACE, "the trace missed answers"
    for steps in answers:
        assert steps == ["bytes written", "bytes synced", "name synced", "row written", "row synced"]


def list_steps(lines: list[str]) -> list[list[str]]:
    """Return the steps of each answer 201, in order; repeated steps in a row count once.

    One sender at a time: all calls since the answer before belong to this one, but for rows that the gateway writes by
    itself, e.g. when it deletes expired drafts. The row of a part holds the name of its blob.
    """
    answers: list[list[str]] = []
    steps: list[str] = []
    blob = "no blob yet"
    for line in lines:
        if '"HTTP/1.1 201' in line:
            answers.append(steps)
            steps = []
            continue
        if written := re.search(r"\bwrite\(\d+<[^>]*/evidence/([0-9a-f]{32})>", line):
            blob = written[1]
        step = find_step(line, blob=blob)
        if step == ROW_SYNCED and steps[-1:] != [ROW_WRITTEN]:
            continue
        if step is not None and step not in steps[-1:]:
            steps.append(step)
    return answers


ROW_WRITTEN, ROW_SYNCED = "row written", "row synced"
# With -y strace names the file behind each descriptor. A part's file has a random name.
STEPS = (
    (r"\bwrite\(\d+<[^>]*/evidence/[0-9a-f]{32}>", "bytes written"),
    (r"\bfsync\(\d+<[^>]*/evidence/[0-9a-f]{32}>", "bytes synced"),
    (r"\bfsync\(\d+<[^>]*/evidence>", "name synced"),
    (r"\bpwrite64\(\d+<[^>]*-wal>.*BLOB", ROW_WRITTEN),
    (r"\bfdatasync\(\d+<[^>]*-wal>", ROW_SYNCED),
)


def find_step(line: str, *, blob: str) -> str | None:
    """Return which step of the part in this blob a line of the trace shows, or None."""
    return next((step for pattern, step in STEPS if re.search(pattern.replace("BLOB", blob), line)), None)


def read_resident_bytes(pid: int) -> int:
    """Return the resident memory of a process (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


@contextmanager
def watch(pids: list[int]) -> Iterator[list[int]]:
    """Give a list to which the memory of all these processes together is added, again and again."""
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(sum(map(read_resident_bytes, pids)))
            time.sleep(0.005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_four_parts_in_flight_add_at_most_64_mib_to_all_processes_together(loop: Loop) -> None:
    pids = members_of_the_gateway(loop)
    before = sum(map(read_resident_bytes, pids))
    part = os.urandom(PART_BYTES)
    sent: list[bool] = []

    def send() -> None:
        sender = EvidenceSender(loop)
        for _ in range(ROUNDS):
            sent.append(sender.put(new_evidence_of(part), 0))

    with watch(pids) as seen:
        threads = [threading.Thread(target=send) for _ in range(PARTS_IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sent == [True] * ROUNDS * PARTS_IN_FLIGHT
    added = max(seen) - before
    assert added > PART_BYTES, "the watch saw nothing of it"
    assert added <= MAX_ADDED_BYTES, f"{added / 1024**2:.0f} MiB"


def test_partner_finds_its_receipts_in_the_public_log_that_serve_publishes(loop: Loop) -> None:
    loop.submit_industry_report(EXAMPLE_REPORT)
    found = loop.run_partner("receipt", "verify", "--all", "--online")
    assert (found["differing"], found["log"]["reason"]) == ([], None)
    assert found["log"]["size"] >= 1
