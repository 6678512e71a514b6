"""Acknowledged reports survive `kill -9` of every process of the gateway, at any moment; nothing is stored twice."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests

from gateway.clock import utc_now
from gateway.demo.form_walk import FormWalkError, walk_form
from gateway.demo.loop import ANSWERS, Loop
from partner_sdk.client.partner import Partner as SdkPartner
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.keys import find_active_sealing_key
from tests.builders import Partner, SealedReport, seal_report, sign_request
from tests.gateway.web.process_watch import find_living, wait_until

KILLS = 4  # `python -m tests.bench.kills 100` kills more often
# Before each second kill one more form comes to its end, however slow the machine is: it has to survive the next ones.
KILLS_PER_FORM = 2
SENDERS = 3
FORMS = 2
LONGEST_PAUSE_SECONDS = 1.5
REPORTS_IN_TRACE = 10
# After each report and form. A gateway that is not there refuses in no time: who asks again at once takes the cores
# that it needs to start, and that other tests need.
PAUSE_SECONDS = 0.15


class Senders:
    """Threads that send reports through both doors and note every acknowledgement; they repeat unacknowledged ones."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.acknowledged: set[str] = set()
        self.thanked: list[str] = []
        self.cut: list[str] = []
        self.stopping = threading.Event()
        self.on_its_way = threading.Condition()
        self.sending = 0
        partner = SdkPartner.open(loop.partner_state)
        key = find_active_sealing_key(partner.refresh_key_set(), now=utc_now())
        assert key is not None
        self.key = key
        self.private_key = load_signing_key(partner.state.read_key(KeyRole.SUBMISSION))
        self.threads = [threading.Thread(target=self._send_reports) for _ in range(SENDERS)]
        self.threads += [threading.Thread(target=self._fill_forms) for _ in range(FORMS)]

    def _send_reports(self) -> None:
        while not self.stopping.is_set():
            sealed = self.make_report()
            while not self.send(sealed) and not self.stopping.wait(PAUSE_SECONDS):
                pass
            self.stopping.wait(PAUSE_SECONDS)

    def make_report(self) -> SealedReport:
        """Return a new sealed report."""
        now = utc_now()
        return seal_report(Partner(), key=self.key, signed_by=self.private_key, created_at=now, priority="P1")

    def send(self, sealed: SealedReport) -> bool:
        """Send it once; return whether it was acknowledged."""
        url = f"{self.loop.origin}/v1/reports"
        headers = sign_request("POST", url, body=sealed.body, private_key=self.private_key, created=utc_now())
        try:
            with self.counted():
                answer = requests.post(url, data=sealed.body, headers=headers, timeout=10)
        except requests.RequestException as error:
            self.cut.append(repr(error))
            return False
        if answer.status_code in (200, 201):
            self.acknowledged.add(sealed.clear.report_id)
            return True
        assert answer.status_code in (429, 503), answer.text
        return False

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request while it is on its way, and notify waiting threads."""
        with self.on_its_way:
            self.sending += 1
            self.on_its_way.notify_all()
        try:
            yield
        finally:
            with self.on_its_way:
                self.sending -= 1

    def wait_for_request(self) -> None:
        """Return as soon as a report is on its way: the kill then hits a busy process."""
        with self.on_its_way:
            assert self.on_its_way.wait_for(lambda: self.sending, timeout=60)

    def wait_for(self, *, acknowledged: int = 0, thanked: int = 0) -> None:
        """Return when so many reports were acknowledged, and forms thanked for, since the first start."""
        deadline = time.monotonic() + 120
        while len(self.acknowledged) < acknowledged or len(self.thanked) < thanked:
            assert time.monotonic() < deadline
            time.sleep(PAUSE_SECONDS)

    def _fill_forms(self) -> None:
        while not self.stopping.is_set():
            try:
                self.thanked.append(walk_form(self.loop.origin, ANSWERS))
            except (requests.RequestException, FormWalkError) as error:
                self.cut.append(repr(error))
            self.stopping.wait(PAUSE_SECONDS)

    def __enter__(self) -> "Senders":
        # msgspec 0.22.0 makes what it knows of a type at its first use, and may crash when two threads do so at once.
        self.make_report()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def members_of_the_gateway(loop: Loop) -> list[int]:
    """Return the command and all its servers and workers. Their environment is closed to everybody but root."""
    mine = str(loop.gateway_state).encode()
    found, newest = [], {pid for pid in find_living() if mine in read_command(pid)}
    while newest:
        found += sorted(newest)
        newest = {child for pid in newest for child in find_living(parent=pid)} - set(found)
    return found


def read_command(pid: int) -> bytes:
    """Return the command line of a process; nothing where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def stored(loop: Loop) -> tuple[list[str], list[str]]:
    """Return report ids of partners and references of the public door, as stored."""
    database = sqlite3.connect(loop.gateway_state / "gateway.sqlite")
    rows = database.execute("SELECT door, report_id, reference FROM reports").fetchall()
    database.close()
    return [r[1] for r in rows if r[0] == "industry"], [r[2] for r in rows if r[0] == "public"]


def test_every_acknowledged_report_is_there_after_kills_and_none_twice(loop: Loop) -> None:
    check_reports_survive(loop, kills=KILLS)


def check_reports_survive(loop: Loop, *, kills: int) -> None:
    """Kill the gateway again and again while both doors are used; check that acknowledged reports are there, once."""
    source = random.Random(20261125)
    with Senders(loop) as senders:
        for kill in range(kills):
            if kill % KILLS_PER_FORM == KILLS_PER_FORM - 1:
                senders.wait_for(thanked=len(senders.thanked) + 1)
            time.sleep(source.uniform(0.1, LONGEST_PAUSE_SECONDS))
            members = members_of_the_gateway(loop)
            assert len(members) >= 3
            senders.wait_for_request()
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            loop.processes.forget_killed()
            loop.start_gateway()
        senders.wait_for(acknowledged=kills)
    report_ids, references = stored(loop)
    assert senders.acknowledged <= set(report_ids)
    assert set(senders.thanked) <= set(references)
    assert [name for name, count in Counter(report_ids + references).items() if count > 1] == []
    assert loop.collect() == len(report_ids) + len(references)
    loop.run_desk("collect", "--reconcile")


def test_reports_and_forms_go_on_while_every_worker_is_replaced(loop: Loop) -> None:
    servers = [pid for pid in members_of_the_gateway(loop) if b"gateway.web.server_process" in read_command(pid)]
    workers = {pid for server in servers for pid in find_living(parent=server) if b"spawn_main" in read_command(pid)}
    assert len(workers) >= 2
    with Senders(loop) as senders:
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
    # All of them: a worker that was just started opens the database with its first request.
    members = members_of_the_gateway(loop)
    assert len(members) >= 3
    trace = tmp_path / "trace"
    calls = "fdatasync,fsync,sendto,sendmsg,write,writev,pwrite64"
    pids = [argument for pid in members for argument in ("-p", str(pid))]
    with subprocess.Popen(
        ["strace", "-f", "-tt", "-y", "-s", "16", "-e", f"trace={calls}", "-o", str(trace), *pids],
        stderr=subprocess.DEVNULL,
    ) as tracer:
        try:
            wait_until_traced(members)
            for _ in range(REPORTS_IN_TRACE):
                assert senders.send(senders.make_report())
            walk_form(loop.origin, ANSWERS)
        finally:
            tracer.send_signal(signal.SIGINT)
    answers = synced_answers(trace.read_text(errors="replace").splitlines())
    writing = [is_synced for pages, is_synced in answers if pages]
    # Ten posts of the form write to the log as well: its drafts, and the report with Send.
    assert len(writing) >= REPORTS_IN_TRACE + 10, "the trace missed answers"
    assert all(writing), f"{writing.count(False)} of {len(writing)} answers went out before the log was synced"


def wait_until_traced(pids: list[int]) -> None:
    """Return once every thread of these processes is traced."""
    deadline = time.monotonic() + 60
    while not all(map(is_traced, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_traced(pid: int) -> bool:
    """Return whether every thread of a process has a tracer (proc(5), `TracerPid`)."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/status"))
    return all("TracerPid:\t0\n" not in status.read_text() for status in threads) and bool(threads)


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
