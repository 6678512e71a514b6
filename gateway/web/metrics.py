"""Counts what a process does, and sends the counts once a second to the process that answers Prometheus.

Never has a label from outside: each label is a word of the code, a route's pattern or a class of status. Never waits: a
count that cannot be sent stays for the next second. The workers are replaced every hour, which the multiprocess mode of
prometheus-client answers with a new file for each.
"""

import os
import socket
import threading
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from gateway.web.logs import log_failure

Kind = Literal["counter", "histogram", "gauge"]

SOCKET_VARIABLE: Final = "REPORT_ABUSE_METRICS_SOCKET"
SEND_EVERY: Final = 1.0
MAX_ROWS: Final = 300  # in a datagram: each row has at most two short labels
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BOUNDS: Final = (*(str(one) for one in BUCKETS), "+Inf")
SUM: Final = "sum"
PREFIX: Final = "report_abuse_"


class Metric(msgspec.Struct, frozen=True):
    """One metric: its kind, its labels and its help text."""

    kind: Kind
    labels: tuple[str, ...]
    help: str


# Every metric and every label. A test compares the alert rules and the board with it.
METRICS: Final[Mapping[str, Metric]] = {
    "requests": Metric("counter", ("route", "status"), "Answers by route pattern and class of status."),
    "request_seconds": Metric("histogram", (), "Time from a request's arrival at the app to its answer."),
    "receipt_seconds": Metric("histogram", ("door",), "Time from a checked report to its durable receipt."),
    "commit_seconds": Metric("histogram", (), "Time of a commit, its sync included; several writers may share it."),
    "storage_refusals": Metric("counter", ("reason",), "Failed uses of the database or the evidence store, by reason."),
    "limit_store_failures": Metric("counter", (), "Times that Valkey failed and a worker went on alone."),
    "database_up": Metric("gauge", (), "1 if the database can be read."),
    "waiting_items": Metric("gauge", ("kind",), "Items that the other side has not acknowledged."),
    "waiting_oldest_seconds": Metric("gauge", ("kind",), "Age of the oldest of them."),
    "evidence_bytes": Metric("gauge", (), "Bytes of stored evidence."),
    "evidence_free_ratio": Metric("gauge", (), "Share of the evidence store that is free."),
    "log_age_seconds": Metric("gauge", (), "Age of the newest batch of the public log; absent before the first."),
    "log_late_seconds": Metric("gauge", (), "Age of the oldest report that is not in the public log; 0 if none waits."),
}
Row = tuple[str, tuple[str, ...], float]
"""Name, labels and number; a histogram's last label is its bucket's bound, or `sum`."""


class Meter:
    """The counts of one process since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[str, ...]], float] = {}

    def count(self, name: str, *labels: str, number: float = 1) -> None:
        """Add to a counter."""
        with self._lock:
            key = (name, labels)
            self._counts[key] = self._counts.get(key, 0) + number

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        bound = BOUNDS[bisect_left(BUCKETS, seconds)]
        with self._lock:
            for part, number in ((bound, 1.0), (SUM, seconds)):
                key = (name, (*labels, part))
                self._counts[key] = self._counts.get(key, 0) + number

    def take(self) -> list[Row]:
        """Return the counts, and start again from zero."""
        with self._lock:
            counts, self._counts = self._counts, {}
        return [(name, labels, number) for (name, labels), number in counts.items()]

    def give_back(self, rows: list[Row]) -> None:
        """Add counts that could not be sent."""
        for name, labels, number in rows:
            self.count(name, *labels, number=number)


METER: Final = Meter()
"""The one meter of this process, as the handlers of `logging` are."""


def start_sending() -> None:
    """Send this process's counts from a thread, if its parent asks for them."""
    path = os.environ.get(SOCKET_VARIABLE)
    if path is not None:
        threading.Thread(target=_send_always, args=(path,), name="metrics", daemon=True).start()


def _send_always(path: str) -> None:
    pause = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        while not pause.wait(SEND_EVERY):
            send_counts(METER, line, path)


def send_counts(meter: Meter, line: socket.socket, path: str) -> None:
    """Send the counts in as many datagrams as they need; those that do not go stay."""
    rows = meter.take()
    while rows:
        batch, rows = rows[:MAX_ROWS], rows[MAX_ROWS:]
        try:
            line.sendto(msgspec.json.encode(batch), path)
        except OSError as error:
            meter.give_back([*batch, *rows])
            if not isinstance(error, BlockingIOError):
                log_failure(error, event="metrics-not-sent")
            return
