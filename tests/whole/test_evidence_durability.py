"""A part of evidence that was answered survives `kill -9` of the gateway and, as system calls show, a power cut."""

import contextlib
import hashlib
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import requests

from gateway.clock import utc_now
from gateway.demo.loop import Loop
from partner_sdk.client.partner import Partner as SdkPartner
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, make_report_id
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES
from partner_sdk.wire.signature_profile import CONTENT_TYPE, PART_CONTENT_TYPE
from tests.builders import sign_request
from tests.builders.evidence import SealedEvidence
from tests.whole.test_kill_and_restart import PAUSE_SECONDS, members_of_the_gateway, wait_until_traced

KILLS = 2  # `python -m tests.bench.kills 100` kills more often
LONGEST_PAUSE_SECONDS = 0.8
PARTS_IN_TRACE = 6


class Sender:
    """Hands over evidence, one part after the other, and notes every part that was acknowledged."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
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
        if answer is None:
            return False
        if answer.status_code in (200, 201):
            self.acknowledged.append((evidence.evidence_id, number, hashlib.sha256(part).hexdigest()))
            return True
        assert answer.status_code == 503, answer.text
        return False

    def _run(self) -> None:
        while not self.stopping.is_set():
            evidence = new_evidence(PART_BYTES, LEAST_SEALED_BYTES)
            for number in range(2):
                while not self.put(evidence, number) and not self.stopping.wait(PAUSE_SECONDS):
                    pass
                self.stopping.wait(PAUSE_SECONDS)

    def __enter__(self) -> "Sender":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()


def new_evidence(*sizes: int) -> SealedEvidence:
    """Return evidence with an id of this moment."""
    return new_evidence_of(*map(os.urandom, sizes))


def new_evidence_of(*parts: bytes) -> SealedEvidence:
    """Return evidence of these parts with an id of this moment."""
    return SealedEvidence(make_report_id(utc_now(), os.urandom(10)), parts)


def test_every_acknowledged_part_is_there_after_kills(loop: Loop) -> None:
    check_parts_survive(loop, kills=KILLS)


def check_parts_survive(loop: Loop, *, kills: int) -> None:
    """Kill the gateway again and again while it takes parts; check that acknowledged parts are there."""
    source = random.Random(20261125)
    with Sender(loop) as sender:
        for _ in range(kills):
            time.sleep(source.uniform(0.1, LONGEST_PAUSE_SECONDS))
            for pid in members_of_the_gateway(loop):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            loop.processes.forget_killed()
            loop.start_gateway()
        time.sleep(0.5)
    assert len(sender.acknowledged) >= kills
    states: dict[str, list[dict[str, object]]] = {}
    (folder,) = (loop.gateway_state / "evidence").iterdir()
    for evidence_id, number, digest in sender.acknowledged:
        if evidence_id not in states:
            answer = sender.call("GET", f"/v1/evidence/{evidence_id}")
            assert answer is not None
            states[evidence_id] = answer.json()["parts"]
        assert {"part": number, "sha256": digest} in states[evidence_id]
        kept = (folder / evidence_id / f"{number}-{digest}").read_bytes()
        assert hashlib.sha256(kept).hexdigest() == digest


def test_bytes_name_and_row_are_synced_before_the_answer_is_written(loop: Loop, tmp_path: Path) -> None:
    """A kill cannot show a missing sync, because the page cache survives it: the system calls must."""
    sender = Sender(loop)
    members = members_of_the_gateway(loop)
    assert len(members) >= 3
    trace = tmp_path / "trace"
    calls = "fdatasync,fsync,rename,sendto,sendmsg,write,writev,pwrite64"
    pids = [argument for pid in members for argument in ("-p", str(pid))]
    evidence = new_evidence(*[PART_BYTES] * (PARTS_IN_TRACE - 1), LEAST_SEALED_BYTES)
    with subprocess.Popen(
        ["strace", "-f", "-tt", "-y", "-s", "16", "-e", f"trace={calls}", "-o", str(trace), *pids],
        stderr=subprocess.DEVNULL,
    ) as tracer:
        try:
            wait_until_traced(members)
            for number in range(PARTS_IN_TRACE):
                assert sender.put(evidence, number)
            done = sender.call("POST", f"{evidence.path}/complete", encode(evidence.complete_post()))
        finally:
            tracer.send_signal(signal.SIGINT)
    assert done is not None
    assert done.status_code == 200, done.text
    answers = list_steps(trace.read_text(errors="replace").splitlines())
    assert len(answers) == PARTS_IN_TRACE, "the trace missed answers"
    for steps in answers:
        assert steps == ["bytes written", "bytes synced", "named", "name synced", "row written", "row synced"]


def list_steps(lines: list[str]) -> list[list[str]]:
    """Return the steps of each answer 201, in order; repeated steps in a row count once.

    One sender at a time: all calls since the answer before belong to this one.
    """
    answers: list[list[str]] = []
    steps: list[str] = []
    for line in lines:
        if '"HTTP/1.1 201' in line:
            answers.append(steps)
            steps = []
            continue
        step = find_step(line)
        if step is not None and step not in steps[-1:]:
            steps.append(step)
    return answers


# With -y strace names the file behind each descriptor. The folder of one piece of evidence ends in its id.
STEPS = (
    (r"\bwrite\(\d+<[^>]*/\.\d+-\w+\.new>", "bytes written"),
    (r"\bfsync\(\d+<[^>]*/\.\d+-\w+\.new>", "bytes synced"),
    (r"\brename\(", "named"),
    (r"\bfsync\(\d+<[^>]*/evidence/[^/]+/[0-9a-f-]{36}>", "name synced"),
    (r"\bpwrite64\(\d+<[^>]*-wal>", "row written"),
    (r"\bfdatasync\(\d+<[^>]*-wal>", "row synced"),
)


def find_step(line: str) -> str | None:
    """Return which step a line of the trace shows, or None."""
    return next((step for pattern, step in STEPS if re.search(pattern, line)), None)
