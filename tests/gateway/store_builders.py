"""Builders for the tests of store and intake: stores on real files, reports whose content does not matter."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.intake import NewReport
from gateway.store import StorageUnavailableError, Store
from gateway.store.store import make_store
from gateway.wiring import Gateway, make_gateway
from partner_sdk.wire.submission import PUBLIC_SENDER
from tests.builders import NOW, Agency, House, Partner, make_box, make_clear_fields, sign_for_envelope

ROOT = Path(__file__).parents[2]
PATIENT_SECONDS = 60.0  # for tests in which nobody may run out of time
HURRIED_SECONDS = 0.3  # for tests that hold the lock on purpose and have a single writer, who waits in vain


def new_store(folder: Path, *, uri: str = "", lock_timeout_seconds: float = PATIENT_SECONDS) -> Store:
    """Make the store of a state folder, or open the one that is there; with a `uri` it is on a server."""
    return make_store(
        folder / "gateway.sqlite",
        lock_path=folder / "gateway.lock",
        name="gateway-test",
        epoch="epoch-one",
        now=NOW,
        uri=uri,
        lock_timeout_seconds=lock_timeout_seconds,
    )


def hurry(house: House) -> House:
    """Shorten the lock timeout of this house."""
    house.config = msgspec.structs.replace(house.config, lock_timeout_seconds=HURRIED_SECONDS)
    return house


def open_patient(house: House) -> Gateway:
    """Open a gateway whose writers wait as long as it takes."""
    config = msgspec.structs.replace(house.config, lock_timeout_seconds=PATIENT_SECONDS)
    return make_gateway(config, state=house.state, clock=house.clock)


def new_industry_report(partner: Partner, *, envelope: bytes | None = None, **changes: Any) -> NewReport:
    """Make a report as the industry door hands it over: signed by the partner, the box full of noise."""
    envelope = make_box(Agency().sealing_key) if envelope is None else envelope
    clear = make_clear_fields(partner.partner, **changes)
    submission = sign_for_envelope(clear, envelope, private_key=partner.submission_key)
    return NewReport(door="industry", envelope=envelope, submission=submission, clear=clear)


def new_public_report(*, envelope: bytes | None = None, **settings: Any) -> NewReport:
    """Make a report as the public door hands it over."""
    return NewReport(
        door="public",
        envelope=make_box(Agency().sealing_key) if envelope is None else envelope,
        submission=None,
        clear=make_clear_fields(PUBLIC_SENDER, priority="P3"),
        **settings,
    )


def check_refused(gateway: Gateway, reason: str) -> None:
    """Check that a report is refused for this reason."""
    with pytest.raises(StorageUnavailableError) as refused:
        gateway.intake.accept(new_public_report())
    assert refused.value.reason == reason


class RawDatabase(sqlite3.Connection):
    """Closes itself after a test; Python 3.13 warns of a database left open."""

    def __del__(self) -> None:
        self.close()


def open_raw(path: Path) -> sqlite3.Connection:
    """Open a database past our code, as an operator or an intruder would."""
    # The collector may close it from another thread, which sqlite3 refuses unless it is told otherwise.
    return sqlite3.connect(path, isolation_level=None, timeout=0.1, factory=RawDatabase, check_same_thread=False)


def start_process(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start one of the test processes of this folder with its output on a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.gateway.{module}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def finish_process(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a test process to end well and return its lines."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.split()


@dataclass
class StubbornSenders:
    """Four threads that send to gateways by turns while something happens, each report until it has its receipt."""

    gateways: Sequence[Gateway]
    refused: list[str] = field(default_factory=list)  # reasons
    promised: list[str] = field(default_factory=list)  # `id:reference`
    receipts: dict[str, bytes] = field(default_factory=dict)
    _pause: threading.Event = field(default_factory=threading.Event)
    _is_over: threading.Event = field(default_factory=threading.Event)
    threads = 4
    least_reports_each = 12

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send from the beginning of the block to its end at least; then wait until every report has a receipt.

        So some are on their way when a server stops, however fast this machine stores reports.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            running = [pool.submit(self._send, number) for number in range(self.threads)]
            try:
                yield
            finally:
                self._is_over.set()
            sent = sum(one.result() for one in running)
        assert len(self.promised) == sent
        assert self.refused
        assert set(self.refused) <= {"missing", "locked"}

    def wait_for(self, more: int) -> None:
        """Wait until so many more reports have a receipt."""
        goal = len(self.promised) + more
        while len(self.promised) < goal:
            self._pause.wait(0.002)

    def _send(self, number: int) -> int:
        gateway, partner = self.gateways[number % len(self.gateways)], Partner()
        turn = 0
        while turn < self.least_reports_each or not self._is_over.is_set():
            report = new_public_report() if turn % 2 else new_industry_report(partner)
            turn += 1
            deadline = time.monotonic() + PATIENT_SECONDS
            while True:
                try:
                    accepted = gateway.intake.accept(report)
                except StorageUnavailableError as error:
                    self.refused.append(error.reason)
                    if time.monotonic() > deadline:  # a test that failed has left its server stopped
                        raise
                    self._pause.wait(0.02)
                else:
                    self.promised.append(f"{report.clear.report_id}:{accepted.reference}")
                    self.receipts[report.clear.report_id] = accepted.receipt
                    break
        return turn
