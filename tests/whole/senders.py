"""Threads that send reports, forms and evidence to a loop's gateway, and a look at the gateway's processes and rows."""

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import requests

from gateway.config import utc_now
from gateway.demo.loop import ANSWERS, Loop
from gateway.demo.walks import WalkError, walk_to_thanks
from partner_sdk.client.partner import Partner as SdkPartner
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import make_report_id
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES
from partner_sdk.wire.signing import CONTENT_TYPE, PART_CONTENT_TYPE, find_active_sealing_key
from tests.builders import Partner, SealedReport, seal_report, sign_request
from tests.builders.evidence import SealedEvidence
from tests.gateway.web.process_watch import find_living, list_family, read_command

SENDERS = 3
FORMS = 2
# After each report, part and form. A gateway that is not there refuses in no time: asking again at once takes the cores
# that it needs to start, and that other tests need.
PAUSE_SECONDS = 0.15


class Senders:
    """Threads that send reports through both doors and note every acknowledgement; they repeat unacknowledged ones."""

    def __init__(
        self,
        loop: Loop,
        *,
        senders: int = SENDERS,
        forms: int = FORMS,
        pause_seconds: float = PAUSE_SECONDS,
        expected: Collection[int] = (429, 503),
    ) -> None:
        self.loop = loop
        self.acknowledged: set[str] = set()
        self.thanked: list[str] = []
        self.cut: list[str] = []
        self.seen: Counter[str] = Counter()  # e.g. "report: 201", "form: no answer"
        self._pause_seconds = pause_seconds
        self._expected = {200, 201, *expected}
        self.stopping = threading.Event()
        self.on_its_way = threading.Condition()
        self.sending = 0
        partner = SdkPartner.open(loop.partner_state)
        key = find_active_sealing_key(partner.refresh_key_set(), now=utc_now())
        assert key is not None
        self.key = key
        self.private_key = load_signing_key(partner.state.read_key(KeyRole.SUBMISSION))
        self.threads = [threading.Thread(target=self._send_reports) for _ in range(senders)]
        self.threads += [threading.Thread(target=self._fill_forms) for _ in range(forms)]

    def _send_reports(self) -> None:
        while not self.stopping.is_set():
            sealed = self.make_report()
            while not self.send(sealed) and not self.stopping.wait(self._pause_seconds):
                pass
            self.stopping.wait(self._pause_seconds)

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
            self.seen["report: no answer"] += 1
            return False
        self.seen[f"report: {answer.status_code}"] += 1
        assert answer.status_code in self._expected, answer.text
        if answer.status_code in (200, 201):
            self.acknowledged.add(sealed.clear.report_id)
            return True
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
                self.thanked.append(walk_to_thanks(self.loop.origin, ANSWERS).reference)
                self.seen["form: thanked"] += 1
            except requests.RequestException as error:
                self.cut.append(repr(error))
                self.seen["form: no answer"] += 1
            except WalkError as error:
                self.cut.append(repr(error))
                self.seen[f"form: {error}"] += 1
            self.stopping.wait(self._pause_seconds)

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


class EvidenceSender:
    """Hands over evidence, one part after the other, and notes every part that was acknowledged."""

    def __init__(self, loop: Loop, *, pause_seconds: float = PAUSE_SECONDS, expected: Collection[int] = (503,)) -> None:
        self.loop = loop
        self.seen: Counter[str] = Counter()
        self._pause_seconds, self._expected = pause_seconds, {200, 201, *expected}
        self.private_key = load_signing_key(SdkPartner.open(loop.partner_state).state.read_key(KeyRole.SUBMISSION))
        self.acknowledged: list[tuple[str, int, str]] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def call(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = CONTENT_TYPE
    ) -> requests.Response | None:
        """Send one request; None without an answer."""
        url = f"{self.loop.origin}{path}"
        headers = sign_request(
            method,
            url,
            body=body,
            private_key=self.private_key,
            created=utc_now(),
            content_type=content_type,
        )
        with contextlib.suppress(requests.RequestException):
            return requests.request(method, url, data=body, headers=headers, timeout=10)
        return None

    def put(self, evidence: SealedEvidence, number: int) -> bool:
        """Send a part once; return whether it was acknowledged."""
        part = evidence.parts[number]
        answer = self.call("PUT", f"{evidence.path}/{number}", part, content_type=PART_CONTENT_TYPE)
        self.seen[f"part: {'no answer' if answer is None else answer.status_code}"] += 1
        if answer is None:
            return False
        assert answer.status_code in self._expected, answer.text
        if answer.status_code in (200, 201):
            self.acknowledged.append((evidence.evidence_id, number, hashlib.sha256(part).hexdigest()))
            return True
        return False

    def _run(self) -> None:
        while not self.stopping.is_set():
            evidence = new_evidence(PART_BYTES, LEAST_SEALED_BYTES)
            for number in range(2):
                while not self.put(evidence, number) and not self.stopping.wait(self._pause_seconds):
                    pass
                self.stopping.wait(self._pause_seconds)

    def __enter__(self) -> "EvidenceSender":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()


def list_lost_parts(sender: EvidenceSender, *, held: Iterable[bytes]) -> set[tuple[str, int, str]]:
    """Return the acknowledged parts that the gateway does not list, or whose bytes are not among those `held`."""
    states: dict[str, list[dict[str, object]]] = {}
    lost = set()
    digests = {hashlib.sha256(part).hexdigest() for part in held}
    for evidence_id, number, digest in sender.acknowledged:
        if evidence_id not in states:
            answer = sender.call("GET", f"/v1/evidence/{evidence_id}")
            assert answer is not None
            states[evidence_id] = answer.json()["parts"]
        if {"part": number, "sha256": digest} not in states[evidence_id] or digest not in digests:
            lost.add((evidence_id, number, digest))
    return lost


def new_evidence(*sizes: int) -> SealedEvidence:
    """Return evidence with an id of this moment."""
    return new_evidence_of(*map(os.urandom, sizes))


def new_evidence_of(*parts: bytes) -> SealedEvidence:
    """Return evidence of these parts with an id of this moment."""
    return SealedEvidence(make_report_id(utc_now(), os.urandom(10)), parts)


def members_of_the_gateway(loop: Loop) -> list[int]:
    """Return the command and all its servers and workers. Their environment is closed to everybody but root."""
    mine = str(loop.gateway_state).encode()
    return list_family(*sorted(pid for pid in find_living() if mine in read_command(pid)))


def stored(loop: Loop) -> tuple[list[str], list[str]]:
    """Return report ids of partners and references of the public door, as stored."""
    database = sqlite3.connect(loop.gateway_state / "gateway.sqlite")
    rows = database.execute("SELECT door, report_id, reference FROM reports").fetchall()
    database.close()
    return [r[1] for r in rows if r[0] == "industry"], [r[2] for r in rows if r[0] == "public"]


def kill_gateway(loop: Loop, *, when: Callable[[], None] = lambda: None) -> None:
    """Kill every process of the gateway at once, as soon as `when` returns."""
    members = members_of_the_gateway(loop)
    assert len(members) >= 3
    when()
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    loop.processes.forget("gateway")


@contextlib.contextmanager
def traced(loop: Loop, calls: str, *, to: Path, text_bytes: int = 16) -> Iterator[None]:
    """Write these system calls of every process of the gateway to a file while the block runs.

    `text_bytes` of each buffer are in it.
    """
    # All of them: a worker that was just started opens the database with its first request.
    members = members_of_the_gateway(loop)
    assert len(members) >= 3
    pids = [argument for pid in members for argument in ("-p", str(pid))]
    with subprocess.Popen(
        ["strace", "-f", "-tt", "-y", "-s", str(text_bytes), "-e", f"trace={calls}", "-o", str(to), *pids],
        stderr=subprocess.DEVNULL,
    ) as tracer:
        try:
            wait_until_traced(members)
            yield
        finally:
            tracer.send_signal(signal.SIGINT)


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
